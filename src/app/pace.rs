//! Time spent in each stage between a block at the node and its commit, so that a chain that falls behind names its
//! slow stage.

use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// Time after which earlier measurements count half.
const HALF_LIFE: Duration = Duration::from_secs(30);

/// Part of a block's processing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SlowPart {
    /// Waiting for the node and the network.
    Node,
    /// Decoding and judging.
    Judging,
    /// Committing to the store.
    Store,
}

/// Time that each part took recently.
#[derive(Clone, Debug, Default)]
pub(super) struct PaceMeter {
    parts: [Duration; 3],
    since: Option<Instant>,
    /// Blocks that the node has shown and that are not committed.
    behind: u64,
}

impl SlowPart {
    const ALL: [Self; 3] = [Self::Node, Self::Judging, Self::Store];

    fn name(self) -> &'static str {
        match self {
            Self::Node => "the node",
            Self::Judging => "judging",
            Self::Store => "the store",
        }
    }
}

impl PaceMeter {
    /// Records a committed step: `node` is the time of waiting for the node, followed by `judging` and `store`;
    /// `behind` blocks are left.
    pub(super) fn record_step(
        &mut self,
        node: Duration,
        judging: Duration,
        store: Duration,
        behind: u64,
        now: Instant,
    ) {
        let since = *self.since.get_or_insert(now);
        if now.duration_since(since) >= HALF_LIFE {
            self.parts = self.parts.map(|part| part / 2);
            self.since = Some(now);
        }
        for (part, took) in self.parts.iter_mut().zip([node, judging, store]) {
            *part += took;
        }
        self.behind = behind;
    }

    /// Returns the number of announced blocks that are not committed.
    pub(super) fn behind(&self) -> u64 {
        self.behind
    }

    /// The part that took longest.
    pub(super) fn slowest(&self) -> SlowPart {
        let longest = SlowPart::ALL.into_iter().zip(self.parts).max_by_key(|(_, took)| *took);
        longest.map_or(SlowPart::Node, |(part, _)| part)
    }
}

/// `the store is slow (node 2 %, judging 10 %, store 88 % of the time)`
impl fmt::Display for PaceMeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.parts.iter().sum::<Duration>().as_secs_f64().max(f64::MIN_POSITIVE);
        let [node, judging, store] = self.parts.map(|part| part.as_secs_f64() / all * 100.0);
        let slow = self.slowest().name();
        write!(f, "{slow} is slow (node {node:.0} %, judging {judging:.0} %, store {store:.0} % of the time)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_that_takes_longest_is_named() {
        let [short, long] = [Duration::from_millis(20), Duration::from_millis(160)];
        let now = crate::runtime::monotonic_now();
        for (times, named) in [
            ([long, short, short], "the node is slow (node 80 %, judging 10 %, store 10 % of the time)"),
            ([short, long, short], "judging is slow (node 10 %, judging 80 %, store 10 % of the time)"),
            ([short, short, long], "the store is slow (node 10 %, judging 10 %, store 80 % of the time)"),
        ] {
            let mut pace = PaceMeter::default();
            let [node, judging, store] = times;
            pace.record_step(node, judging, store, 369, now);
            assert_eq!((pace.to_string().as_str(), pace.behind()), (named, 369));
        }
    }

    #[test]
    fn what_was_slow_long_ago_is_forgotten() {
        let (now, mut pace) = (crate::runtime::monotonic_now(), PaceMeter::default());
        pace.record_step(Duration::from_secs(60), Duration::ZERO, Duration::ZERO, 1, now);
        for n in 1..=10 {
            let took = Duration::from_secs(5);
            pace.record_step(Duration::ZERO, Duration::ZERO, took, 1, now + HALF_LIFE * n);
        }
        assert_eq!(pace.slowest(), SlowPart::Store);
    }
}

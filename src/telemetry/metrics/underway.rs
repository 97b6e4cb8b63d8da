//! Blocks in progress: for each, when it was first reported and when it was fetched, until it is committed.

use alloy_primitives::B256;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Maximum number of remembered blocks. An older block was never committed, or came so late that its duration does not
/// describe our processing. The bound exceeds the number of blocks that the source lets wait for the pipeline.
const UNDERWAY_MAX: usize = 256;

/// Blocks in progress; see the module documentation.
#[derive(Debug, Default)]
pub(super) struct Underway(VecDeque<Way>);

#[derive(Debug)]
struct Way {
    hash: B256,
    named: Option<Instant>,
    had: Option<Instant>,
}

/// Time that the last committed block took, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Took {
    pub(super) from_named: Option<Duration>,
    pub(super) from_had: Option<Duration>,
}

impl Underway {
    /// Records when an endpoint reported this block. Only the first report counts.
    pub(super) fn record_named(&mut self, hash: B256, now: Instant) {
        let way = self.block_timing(hash);
        way.named = way.named.or(Some(now));
    }

    /// Records when this block was fetched and checked.
    pub(super) fn record_fetched(&mut self, hash: B256, now: Instant) {
        self.block_timing(hash).had = Some(now);
    }

    /// Removes this block, which is committed, and returns the durations.
    pub(super) fn record_committed(&mut self, hash: B256, now: Instant) -> Took {
        let Some(place) = self.0.iter().rposition(|way| way.hash == hash) else { return Took::default() };
        let way = self.0.remove(place);
        let since = |at: Option<Instant>| Some(now.duration_since(at?));
        way.map_or_else(Took::default, |way| Took { from_named: since(way.named), from_had: since(way.had) })
    }

    fn block_timing(&mut self, hash: B256) -> &mut Way {
        let place = self.0.iter().rposition(|way| way.hash == hash).unwrap_or_else(|| {
            if self.0.len() == UNDERWAY_MAX {
                self.0.pop_front();
            }
            self.0.push_back(Way { hash, named: None, had: None });
            self.0.len() - 1
        });
        &mut self.0[place]
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "time is simulated here")]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_way_of_a_block_is_measured_once_and_then_forgotten() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let (mut underway, hash) = (Underway::default(), B256::repeat_byte(1));
        underway.record_named(hash, start);
        underway.record_named(hash, start + ms(5));
        underway.record_fetched(hash, start + ms(8));
        let took = underway.record_committed(hash, start + ms(10));
        assert_eq!(took, Took { from_named: Some(ms(10)), from_had: Some(ms(2)) });
        assert_eq!(underway.record_committed(hash, start + ms(20)), Took::default());
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_the_bound_is_remembered() {
        let mut underway = Underway::default();
        for n in 0..2 * UNDERWAY_MAX {
            underway.record_named(B256::from(alloy_primitives::U256::from(n)), Instant::now());
        }
        assert_eq!(underway.0.len(), UNDERWAY_MAX);
    }
}

//! Whether we can see: failures become a blindness when they last, and a blindness ends when nothing fails any more.

use super::Event;
use crate::model::{BlindnessKind, Severity, Trouble};
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// The two things that have to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sense {
    /// The node says what its head is.
    Heads,
    /// The node gives the blocks that lead there.
    Blocks,
}

/// See the module's head.
#[derive(Debug)]
pub(super) struct Sight {
    patience: Duration,
    heads: Option<Failure>,
    blocks: Option<Failure>,
    /// When something was seen last.
    seen: Timestamp,
    /// What was told, and since when it lasts.
    told: Option<(BlindnessKind, Timestamp)>,
}

#[derive(Clone, Debug)]
struct Failure {
    since: Instant,
    seen: Timestamp,
    kind: BlindnessKind,
    why: String,
}

impl Sight {
    pub(super) fn new(patience: Duration, now: Timestamp) -> Self {
        Self { patience, heads: None, blocks: None, seen: now, told: None }
    }

    pub(super) fn works(&mut self, sense: Sense, now: Timestamp) {
        self.seen = now;
        *self.slot(sense) = None;
    }

    pub(super) fn fails(&mut self, sense: Sense, since: Instant, kind: BlindnessKind, why: String) {
        let seen = self.seen;
        let slot = self.slot(sense);
        match slot {
            Some(failure) => (failure.kind, failure.why) = (kind, why),
            None => *slot = Some(Failure { since, seen, kind, why }),
        }
    }

    /// What there is to tell, at most once for each blindness and once for its end.
    pub(super) fn news(&mut self, instant: Instant, now: Timestamp) -> Option<Event> {
        let mut troubles = self.heads.iter().chain(&self.blocks);
        match self.told {
            None => {
                let ripe = troubles.find(|trouble| self.due_of(trouble) <= instant)?.clone();
                self.told = Some((ripe.kind, ripe.seen));
                Some(Event::Troubled(Trouble {
                    kind: ripe.kind,
                    endpoint: None,
                    severity: Severity::High,
                    since: ripe.seen,
                    why: ripe.why,
                    evidence: None,
                }))
            }
            Some((kind, since)) if troubles.next().is_none() => {
                self.told = None;
                Some(Event::Cleared { kind, endpoint: None, since, until: now })
            }
            Some(_) => None,
        }
    }

    /// When there will be something to tell if nothing changes.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.told.is_some() {
            return None;
        }
        self.heads.iter().chain(&self.blocks).map(|trouble| self.due_of(trouble)).min()
    }

    fn due_of(&self, trouble: &Failure) -> Instant {
        // A wrong chain does not become right by waiting.
        let patience = if trouble.kind == BlindnessKind::WrongChain { Duration::ZERO } else { self.patience };
        trouble.since + patience
    }

    fn slot(&mut self, sense: Sense) -> &mut Option<Failure> {
        match sense {
            Sense::Heads => &mut self.heads,
            Sense::Blocks => &mut self.blocks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AWAY: BlindnessKind = BlindnessKind::Unreachable;

    fn refused() -> String {
        "connection refused".to_owned()
    }

    #[test]
    fn a_failure_is_told_when_it_lasts_and_its_end_once() {
        let (start, wall) = (crate::runtime::instant(), Timestamp::UNIX_EPOCH);
        let mut sight = Sight::new(Duration::from_secs(36), wall);
        sight.fails(Sense::Heads, start, AWAY, refused());
        assert!(sight.news(start + Duration::from_secs(35), wall).is_none());
        assert_eq!(sight.due(), Some(start + Duration::from_secs(36)));
        sight.fails(Sense::Heads, start + Duration::from_secs(20), AWAY, refused());
        let told = sight.news(start + Duration::from_secs(36), wall);
        assert!(matches!(told, Some(Event::Troubled(Trouble { kind: AWAY, .. }))));
        assert!(sight.news(start + Duration::from_secs(99), wall).is_none());
        sight.works(Sense::Heads, wall);
        assert!(matches!(sight.news(start + Duration::from_secs(99), wall), Some(Event::Cleared { .. })));
        assert!(sight.news(start + Duration::from_secs(99), wall).is_none());
    }

    #[test]
    fn a_passing_failure_is_not_told() {
        let (start, wall) = (crate::runtime::instant(), Timestamp::UNIX_EPOCH);
        let mut sight = Sight::new(Duration::from_secs(36), wall);
        sight.fails(Sense::Blocks, start, BlindnessKind::NoBlock, "receipts are missing".to_owned());
        sight.works(Sense::Heads, wall);
        assert!(sight.due().is_some(), "a head that comes does not bring its block");
        sight.works(Sense::Blocks, wall);
        assert!(sight.news(start + Duration::from_secs(99), wall).is_none());
    }

    #[test]
    fn another_chain_is_told_at_once() {
        let (start, wall) = (crate::runtime::instant(), Timestamp::UNIX_EPOCH);
        let mut sight = Sight::new(Duration::from_secs(36), wall);
        sight.fails(Sense::Heads, start, BlindnessKind::WrongChain, String::new());
        assert!(sight.news(start, wall).is_some());
    }
}

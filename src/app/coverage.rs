//! Measures how much of a requested run was completed, for its exit code.
//!
//! A run that ends by its time limit or by a stop request has seen a chain if it was at the newest head shortly before
//! the end. A run up to a block has seen it once that block is committed.

use crate::model::text::format_count;
use crate::source::Phase;
use std::time::Duration;
use tokio::time::Instant;

/// Time for which a chain may be behind its newest head and still count as seen, since fetching and judging a block
/// takes time.
const BEHIND_MAX: Duration = Duration::from_secs(5);

/// Progress of one chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coverage {
    /// Requested last block; absent for a run without an end.
    until: Option<u64>,
    /// Number of the newest committed block.
    judged: Option<u64>,
    phase: Phase,
    /// The last time at which nothing was left to judge.
    caught_up: Option<Instant>,
}

impl Coverage {
    pub(super) fn new(until: Option<u64>, judged: Option<u64>) -> Self {
        Self { until, judged, phase: Phase::Boot, caught_up: None }
    }

    /// Records a new phase of the source.
    pub(super) fn set_phase(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// Records that a block of this number was committed; `None` if blocks were only retracted.
    pub(super) fn record_judged_block(&mut self, number: Option<u64>) {
        self.judged = number.or(self.judged);
    }

    /// Returns whether the requested block is committed.
    pub(super) fn is_reached(&self) -> bool {
        self.until.is_some_and(|until| self.judged >= Some(until))
    }

    /// Notes how many blocks were left to judge at `now`.
    pub(super) fn record_backlog(&mut self, behind: u64, now: Instant) {
        if self.phase == Phase::Live && behind == 0 {
            self.caught_up = Some(now);
        }
    }

    /// Returns the part that was not seen when the run ended at `now`, as text for a person.
    pub(super) fn describe_missing(&self, behind: u64, now: Instant) -> Option<String> {
        let judged = match self.judged {
            Some(number) => format!("block {number} is the last that was judged"),
            None => "no block was judged".to_owned(),
        };
        if let Some(until) = self.until {
            return (!self.is_reached()).then(|| format!("block {until} was asked for, {judged}"));
        }
        if self.phase == Phase::Live && behind == 0 {
            return None;
        }
        if self.caught_up.is_some_and(|at| now.duration_since(at) <= BEHIND_MAX) {
            return None;
        }
        let why = match behind {
            0 => "no endpoint could be followed".to_owned(),
            behind => format!("{} behind the newest head", format_count(behind, "block", "blocks")),
        };
        Some(format!("{why}, {judged}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::monotonic_now;

    #[test]
    fn a_run_has_seen_what_it_was_asked_for_or_says_what_is_missing() {
        let began = monotonic_now();
        let at = |seconds| began + Duration::from_secs(seconds);
        // Until; steps of (second, phase, blocks behind, block committed); the end; what is missing.
        type Step = (u64, Phase, u64, Option<u64>);
        type Case<'a> = (Option<u64>, &'a [Step], u64, Option<&'a str>);
        let cases: [Case<'_>; 9] = [
            (Some(3), &[], 5, Some("block 3 was asked for, no block was judged")),
            (
                Some(3),
                &[(1, Phase::CatchUp, 2, Some(1))],
                9,
                Some("block 3 was asked for, block 1 is the last that was judged"),
            ),
            (Some(3), &[(1, Phase::CatchUp, 1, Some(4))], 9, None),
            (None, &[], 5, Some("no endpoint could be followed, no block was judged")),
            (
                None,
                &[(1, Phase::Backfill, 900, Some(7))],
                5,
                Some("900 blocks behind the newest head, block 7 is the last that was judged"),
            ),
            (None, &[(1, Phase::Live, 0, Some(7))], 500, None),
            (
                None,
                &[(1, Phase::Live, 0, Some(7)), (8, Phase::Live, 1, None)],
                9,
                Some("1 block behind the newest head, block 7 is the last that was judged"),
            ),
            (None, &[(1, Phase::Live, 0, Some(7)), (8, Phase::Live, 0, None), (9, Phase::CatchUp, 2, None)], 10, None),
            (
                None,
                &[(1, Phase::Live, 0, None), (2, Phase::Degraded, 0, None)],
                60,
                Some("no endpoint could be followed, no block was judged"),
            ),
        ];
        for (until, steps, end, expected) in cases {
            let mut reach = Coverage::new(until, None);
            let mut left = 0;
            for (second, phase, behind, number) in steps {
                left = *behind;
                reach.record_judged_block(*number);
                reach.set_phase(*phase);
                reach.record_backlog(*behind, at(*second));
            }
            assert_eq!(reach.describe_missing(left, at(end)).as_deref(), expected, "{until:?} {steps:?}");
        }
    }
}

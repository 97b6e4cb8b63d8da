//! Capacity at each destination: the number of lanes that may send there concurrently, and the time of the next
//! message.
//!
//! Incident messages, messages of the path `self` and feed lines have separate capacity, so that a flood of one kind
//! does not delay another.

use super::worker::{attempt_deadline, duration_millis};
use super::{Target, Targets};
use crate::model::incident::Budget;
use crate::store::LeaseRequest;
use std::collections::HashMap;

/// Maximum number of lanes in flight in one budget, over all destinations.
pub(super) const FLIGHTS_MAX: usize = 128;
/// Maximum number of lanes in flight to one destination with incident messages: a destination that hangs delays only
/// itself.
const PAGES_MAX: usize = 16;
/// The same for messages of the path `self`, of which only a few are open at any time.
const OWN_MAX: usize = 4;
/// The same for the feed.
const FEED_MAX: usize = 16;
/// Maximum number of messages of one lane that are sent one after the other between two queries of the store; each
/// query costs about as much as sending one message.
const IN_A_ROW_MAX: usize = 32;
/// Time from a flight's deadline until its lease expires.
const LEASE_MARGIN_MS: u64 = 10_000;

/// Capacity by destination and budget; see the module documentation.
#[derive(Debug, Default)]
pub(super) struct Slots(HashMap<(String, Budget), SlotPool>);

#[derive(Debug, Default)]
struct SlotPool {
    /// Number of lanes in flight.
    aboard: usize,
    /// Time before which nothing is sent, in wall-clock milliseconds.
    opens_ms: u64,
}

impl Slots {
    /// Returns the current free capacity at those of `targets` that are `open`, with the required lease in milliseconds
    /// for each, and the time at which the next budget opens.
    pub(super) fn lease_requests(
        &self,
        targets: &Targets,
        open: impl Fn(&str) -> bool,
        now_ms: u64,
    ) -> (Vec<(LeaseRequest, u64)>, Option<u64>) {
        let mut asks = Vec::new();
        let mut opens: Option<u64> = None;
        for target in targets.values().filter(|target| open(&target.name)) {
            for budget in Budget::ALL {
                let opens_ms = self.budget_opens_ms(&target.name, budget);
                if opens_ms > now_ms {
                    opens = opens.into_iter().chain([opens_ms]).min();
                    continue;
                }
                let lanes = self.free_lanes(target, budget);
                if lanes > 0 {
                    let in_a_row = in_a_row(target, budget);
                    // A row starts no message after its deadline, and the last message has a deadline of its own.
                    let lease_ms =
                        duration_millis(attempt_deadline(target)).saturating_mul(2).saturating_add(LEASE_MARGIN_MS);
                    asks.push((LeaseRequest { destination: target.name.clone(), budget, lanes, in_a_row }, lease_ms));
                }
            }
        }
        (asks, opens)
    }

    /// Returns the number of further lanes that may send to `target`.
    fn free_lanes(&self, target: &Target, budget: Budget) -> usize {
        let most = match budget {
            Budget::Pages => PAGES_MAX,
            Budget::Own => OWN_MAX,
            Budget::Feed => FEED_MAX,
        };
        let here = self.0.get(&(target.name.clone(), budget)).map_or(0, |room| room.aboard);
        let lanes = most.saturating_sub(here).min(FLIGHTS_MAX.saturating_sub(self.in_flight(budget)));
        if target.destination.min_interval().is_zero() { lanes } else { lanes.min(1) }
    }

    /// Returns the number of lanes in flight in one budget, to all destinations.
    pub(super) fn in_flight(&self, budget: Budget) -> usize {
        self.0.iter().filter(|((_, of), _)| *of == budget).map(|(_, room)| room.aboard).sum()
    }

    /// Returns the time at which the last budget of a destination opens.
    pub(super) fn opens_ms(&self, name: &str) -> u64 {
        Budget::ALL.into_iter().map(|budget| self.budget_opens_ms(name, budget)).max().unwrap_or(0)
    }

    fn budget_opens_ms(&self, name: &str, budget: Budget) -> u64 {
        self.0.get(&(name.to_owned(), budget)).map_or(0, |room| room.opens_ms)
    }

    /// Records that a lane was sent off to `target`. Messages of the path `self` never wait for other messages; the
    /// others wait longer instead, so that the destination's pace is kept. At most every other message is one of the
    /// path `self`.
    pub(super) fn record_dispatch(&mut self, target: &Target, budget: Budget, now_ms: u64) {
        self.room_mut(&target.name, budget).aboard += 1;
        let pace = duration_millis(target.destination.min_interval());
        if pace == 0 {
            return;
        }
        if budget == Budget::Own {
            self.room_mut(&target.name, Budget::Own).opens_ms = now_ms.saturating_add(pace.saturating_mul(2));
        }
        let others = self.room_mut(&target.name, Budget::Pages);
        others.opens_ms = others.opens_ms.max(now_ms).saturating_add(pace);
    }

    /// Records that a lane has returned.
    pub(super) fn record_completion(&mut self, name: &str, budget: Budget) {
        let room = self.room_mut(name, budget);
        room.aboard = room.aboard.saturating_sub(1);
    }

    fn room_mut(&mut self, name: &str, budget: Budget) -> &mut SlotPool {
        self.0.entry((name.to_owned(), budget)).or_default()
    }
}

/// Returns the maximum number of messages of one lane that are leased at once.
fn in_a_row(target: &Target, budget: Budget) -> usize {
    match budget {
        Budget::Feed => target.destination.batch_limit().max(IN_A_ROW_MAX),
        // Each message may change the content of the next.
        Budget::Pages | Budget::Own => 1,
    }
}

//! Counts of what a session has seen and reported, for its summary and its exit code.

use crate::model::incident::ChangeSet;
use crate::model::record::{Line, SummaryLine};
use crate::model::{IncidentId, IncidentScope};
use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts of a session. Clones share the same counts.
#[derive(Clone, Debug, Default)]
pub(super) struct RunSummary(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    summary: SummaryLine,
    /// Incidents that opened.
    opened: HashSet<IncidentId>,
    /// Ids of findings that were not retracted.
    standing: HashSet<String>,
    /// Chains that cannot be seen right now, and the program while its store rejects writes.
    blind: HashSet<IncidentScope>,
    /// Targets that were requested and not reached, in words for a person.
    unseen: BTreeSet<String>,
}

impl RunSummary {
    pub(super) fn count_blocks(&self, n: usize) {
        self.lock_counts().summary.blocks += n as u64;
    }

    pub(super) fn count_change_set(&self, plan: &ChangeSet) {
        let mut counts = self.lock_counts();
        for incident in &plan.incidents {
            // An incident from before this session has a higher revision, or is stored again without a line.
            if incident.revision <= 1 && counts.opened.insert(incident.id.clone()) {
                counts.summary.incidents += 1;
            }
        }
        for line in &plan.lines {
            counts.count_line(line);
        }
    }

    pub(super) fn count_delivery(&self, line: &Line) {
        if let Line::Delivery(delivery) = line {
            let mut counts = self.lock_counts();
            match delivery.outcome.as_str() {
                "sent" => counts.summary.deliveries += 1,
                "dead" => counts.summary.dead += 1,
                _ => {}
            }
        }
    }

    pub(super) fn set_outage(&self, scope: IncidentScope, blind: bool) {
        if blind {
            self.lock_counts().blind.insert(scope);
        } else {
            self.lock_counts().blind.remove(&scope);
        }
    }

    /// Records a requested part that was not reached.
    pub(super) fn record_unreached(&self, what: String) {
        self.lock_counts().unseen.insert(what);
    }

    /// Returns whether a part of the requested watch could not be seen.
    pub(super) fn is_blind(&self) -> bool {
        let counts = self.lock_counts();
        !counts.blind.is_empty() || !counts.unseen.is_empty()
    }

    pub(super) fn summary(&self) -> SummaryLine {
        let counts = self.lock_counts();
        SummaryLine { unseen: counts.unseen.iter().cloned().collect(), ..counts.summary.clone() }
    }

    fn lock_counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn count_line(&mut self, line: &Line) {
        match line {
            Line::Verdict(verdict) => {
                self.summary.activities += 1;
                if verdict.verdict == "normal" {
                    self.summary.normal += 1;
                }
                if let Some(id) = &verdict.finding_id
                    && self.standing.insert(id.clone())
                {
                    self.summary.findings += 1;
                }
            }
            // A retracted finding does not count unless it returns.
            Line::Retraction(retraction) if self.standing.remove(&retraction.finding_id) => {
                self.summary.retracted += 1;
                self.summary.findings -= 1;
            }
            _ => {}
        }
    }
}

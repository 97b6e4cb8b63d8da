//! What a session has seen and told, for its summary and its exit code.

use crate::model::incident::Plan;
use crate::model::record::{Line, SummaryLine};
use crate::model::{ChainId, IncidentId};
use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Clones count together.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    summary: SummaryLine,
    /// Incidents that opened.
    opened: HashSet<IncidentId>,
    /// Ids of findings seen and not taken back.
    standing: HashSet<String>,
    /// Chains that cannot be seen right now.
    blind: HashSet<ChainId>,
    /// What was asked for and not reached, in words for a person.
    unseen: BTreeSet<String>,
}

impl Tally {
    pub(super) fn blocks(&self, n: usize) {
        self.counts().summary.blocks += n as u64;
    }

    pub(super) fn plan(&self, plan: &Plan) {
        let mut counts = self.counts();
        for incident in &plan.incidents {
            // One that opened before this session has been told of more often, or is written again without a word.
            if incident.revision <= 1 && counts.opened.insert(incident.id.clone()) {
                counts.summary.incidents += 1;
            }
        }
        for line in &plan.lines {
            counts.line(line);
        }
    }

    pub(super) fn delivery(&self, line: &Line) {
        if let Line::Delivery(delivery) = line {
            let mut counts = self.counts();
            match delivery.outcome.as_str() {
                "sent" => counts.summary.deliveries += 1,
                "dead" => counts.summary.dead += 1,
                _ => {}
            }
        }
    }

    pub(super) fn blind(&self, chain: ChainId, blind: bool) {
        if blind {
            self.counts().blind.insert(chain);
        } else {
            self.counts().blind.remove(&chain);
        }
    }

    /// Records that this part of what was asked for was not reached.
    pub(super) fn unseen(&self, what: String) {
        self.counts().unseen.insert(what);
    }

    /// Returns whether the run could not see all that it was asked to watch.
    pub(super) fn is_blind(&self) -> bool {
        let counts = self.counts();
        !counts.blind.is_empty() || !counts.unseen.is_empty()
    }

    pub(super) fn summary(&self) -> SummaryLine {
        let counts = self.counts();
        SummaryLine { unseen: counts.unseen.iter().cloned().collect(), ..counts.summary.clone() }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn line(&mut self, line: &Line) {
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
            // A finding that was taken back does not count, until it comes back.
            Line::Retraction(retraction) if self.standing.remove(&retraction.finding_id) => {
                self.summary.retracted += 1;
                self.summary.findings -= 1;
            }
            _ => {}
        }
    }
}

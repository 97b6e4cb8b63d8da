//! Health issues over time: an outage is reported when it lasts, again when its severity rises, and once more when it
//! is over.

use super::quorum::EndpointId;
use crate::model::page::Way;
use crate::model::{BlindnessKind, Evidence, Severity};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct HealthIssues(BTreeMap<(BlindnessKind, Option<EndpointId>), OpenIssue>);

/// Current state of one problem.
#[derive(Clone, Debug)]
pub(super) struct IssueKey {
    pub(super) kind: BlindnessKind,
    pub(super) voice: Option<EndpointId>,
    pub(super) severity: Severity,
    /// Last time without the issue.
    pub(super) since: Timestamp,
    /// Start of the issue, and the time it has to last before it is reported.
    pub(super) began: Instant,
    pub(super) patience: Duration,
    pub(super) why: String,
    pub(super) evidence: Option<Arc<Evidence>>,
    pub(super) ways: Vec<Way>,
}

#[derive(Debug)]
struct OpenIssue {
    symptom: IssueKey,
    told: Option<Severity>,
    over: bool,
}

/// Change to report.
#[derive(Debug)]
pub(super) enum IssueChange {
    Troubled(IssueKey),
    Cleared { kind: BlindnessKind, voice: Option<EndpointId>, since: Timestamp },
}

impl HealthIssues {
    /// Records that a problem exists, whether or not it existed before. The reason is replaced by the newest one, and
    /// the start time is kept.
    pub(super) fn raise_issue(&mut self, symptom: IssueKey) {
        let key = (symptom.kind, symptom.voice);
        match self.0.get_mut(&key) {
            Some(standing) => {
                let (began, since) = (standing.symptom.began, standing.symptom.since);
                // The problem returned before its end was reported, so it counts as never ended.
                standing.over = false;
                standing.symptom = IssueKey { began, since, ..symptom };
            }
            None => {
                self.0.insert(key, OpenIssue { symptom, told: None, over: false });
            }
        }
    }

    /// Records that a problem does not exist, or no longer exists.
    pub(super) fn clear_issue(&mut self, kind: BlindnessKind, voice: Option<EndpointId>) {
        let key = (kind, voice);
        if self.0.get(&key).is_some_and(|standing| standing.told.is_none()) {
            self.0.remove(&key);
        } else if let Some(standing) = self.0.get_mut(&key) {
            standing.over = true;
        }
    }

    /// Calls `hold` for a symptom and `release` without one.
    pub(super) fn set_issue(&mut self, kind: BlindnessKind, voice: Option<EndpointId>, symptom: Option<IssueKey>) {
        match symptom {
            Some(symptom) => self.raise_issue(symptom),
            None => self.clear_issue(kind, voice),
        }
    }

    /// Returns whether the issue is present, reported or not.
    pub(super) fn is_held(&self, kind: BlindnessKind, voice: Option<EndpointId>) -> bool {
        self.0.get(&(kind, voice)).is_some_and(|standing| !standing.over)
    }

    /// Returns whether an issue of this kind was reported and is not over.
    pub(super) fn is_told(&self, kind: BlindnessKind) -> bool {
        self.0.values().any(|standing| standing.symptom.kind == kind && standing.told.is_some() && !standing.over)
    }

    /// Returns the next change to report. Ends come before beginnings, so that one issue may replace another.
    pub(super) fn next_news(&mut self, now: Instant) -> Option<IssueChange> {
        let over = self.0.iter().find(|(_, standing)| standing.over).map(|(key, _)| *key);
        if let Some(key) = over {
            let standing = self.0.remove(&key)?;
            return Some(IssueChange::Cleared { kind: key.0, voice: key.1, since: standing.symptom.since });
        }
        let ripe = self.0.values_mut().find(|standing| standing.next_due().is_some_and(|due| due <= now))?;
        ripe.told = Some(ripe.symptom.severity);
        Some(IssueChange::Troubled(ripe.symptom.clone()))
    }

    /// Returns the time of the next report if nothing changes.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.0.values().filter_map(OpenIssue::next_due).min()
    }
}

impl OpenIssue {
    fn next_due(&self) -> Option<Instant> {
        let louder = self.told.is_none_or(|told| told < self.symptom.severity);
        (louder && !self.over).then(|| self.symptom.began + self.symptom.patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(36);

    fn away(began: Instant, severity: Severity) -> IssueKey {
        IssueKey {
            kind: BlindnessKind::Unreachable,
            voice: None,
            severity,
            since: Timestamp::UNIX_EPOCH,
            began,
            patience: PATIENCE,
            why: "connection refused".to_owned(),
            evidence: None,
            ways: Vec::new(),
        }
    }

    #[test]
    fn a_failure_is_told_when_it_lasts_and_its_end_once() {
        let start = crate::runtime::monotonic_now();
        let mut troubles = HealthIssues::default();
        troubles.raise_issue(away(start, Severity::High));
        assert!(troubles.next_news(start + PATIENCE - Duration::from_secs(1)).is_none());
        assert_eq!(troubles.next_due(), Some(start + PATIENCE));
        troubles.raise_issue(away(start + Duration::from_secs(20), Severity::High));
        assert!(matches!(troubles.next_news(start + PATIENCE), Some(IssueChange::Troubled(_))));
        assert!(troubles.next_news(start + PATIENCE * 3).is_none());
        troubles.clear_issue(BlindnessKind::Unreachable, None);
        assert!(matches!(troubles.next_news(start + PATIENCE * 3), Some(IssueChange::Cleared { .. })));
        assert!(troubles.next_news(start + PATIENCE * 3).is_none());
    }

    #[test]
    fn a_passing_failure_is_not_told() {
        let start = crate::runtime::monotonic_now();
        let mut troubles = HealthIssues::default();
        troubles.raise_issue(away(start, Severity::High));
        troubles.clear_issue(BlindnessKind::Unreachable, None);
        assert!(troubles.next_news(start + PATIENCE * 3).is_none());
        troubles.raise_issue(away(start + PATIENCE, Severity::High));
        assert!(troubles.next_news(start + PATIENCE).is_none(), "a new failure has its own patience");
    }

    #[test]
    fn what_grows_louder_is_told_again_and_what_grows_quieter_is_not() {
        let start = crate::runtime::monotonic_now();
        let mut troubles = HealthIssues::default();
        for (severity, told) in [(Severity::Warning, true), (Severity::High, true), (Severity::Warning, false)] {
            troubles.raise_issue(away(start, severity));
            assert_eq!(troubles.next_news(start + PATIENCE).is_some(), told, "{severity}");
        }
        assert!(troubles.is_told(BlindnessKind::Unreachable));
    }
}

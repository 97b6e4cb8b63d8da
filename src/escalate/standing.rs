//! Differences between chain and configuration that a responder closed and that still exist.

use super::lifecycle::{self, notify_destinations, start_escalation};
use super::responses::push_changed_incident;
use crate::model::incident::{ChangeSet, DeliveryKind, Finding, Incident};
use crate::model::{ChainId, Difference};

/// Reopens incidents whose differences still exist, and pages as for new ones.
///
/// `closed` are findings of [`DRIFT`](crate::model::difference::DRIFT) with their closed incidents; `standing` are the
/// current differences. A closed incident claims that its difference was resolved, which is wrong as long as the chain
/// still differs.
#[must_use]
pub fn reopen_standing(
    chain: ChainId,
    standing: &[Difference],
    closed: &[(Finding, Incident)],
    now_ms: u64,
) -> ChangeSet {
    let mut plan = ChangeSet::default();
    let stands = |finding: &Finding| {
        !finding.orphaned && !finding.observe && standing.iter().any(|one| one.was_told_by(chain, finding))
    };
    let mut done: Vec<&str> = Vec::new();
    for (finding, incident) in closed.iter().filter(|(finding, _)| stands(finding)) {
        if incident.state.is_live() || done.contains(&incident.id.as_str()) {
            continue;
        }
        done.push(incident.id.as_str());
        let others = closed.iter().filter(|(other, of)| of.id == incident.id && stands(other));
        let loudest = others.map(|(other, _)| other).max_by_key(|other| other.severity).unwrap_or(finding);
        let mut incident = incident.clone();
        let evidence = std::mem::take(&mut incident.page.evidence);
        lifecycle::reopen_incident(&mut incident);
        incident.page.evidence = evidence;
        incident.severity = loudest.severity;
        incident.heard = Some(loudest.severity);
        let what = Some(format!("It was closed, and still stands: {}", loudest.headline));
        if loudest.severity >= incident.path.page_at && !incident.path.steps.is_empty() {
            start_escalation(&mut incident, now_ms, what, &mut plan.deliveries);
        } else {
            let notify = incident.path.notify.clone();
            notify_destinations(&mut incident, DeliveryKind::Trigger, &notify, what, &mut plan.deliveries);
        }
        push_changed_incident(incident, &mut plan);
    }
    plan
}

//! Daily noise: every finding of it is kept, and people get one message at the end of the day.
//!
//! Noise has an incident of its own for each watch and day of block time, so that it does not hide behind a paging
//! incident or keep one open. The incident holds counts and a page of samples, and does not grow with the number of
//! findings.

use super::headline::clean_line;
use super::lifecycle::notify_destinations;
use super::lines::format_rfc3339;
use super::page;
use super::routing::Routing;
use crate::model::incident::{Delivery, DeliveryKind, Incident};
use crate::model::incident_state::{CloseCause, Resolution};
use crate::model::origin::Noise;
use crate::model::{Activity, ActivityKind, FindingId, IncidentId, IncidentScope, JudgedBlock, Origin, WatchInfo};

/// Seconds of a day.
const DAY: u64 = 86_400;

/// Close reason of a noise incident.
const OVER: &str = "the day is over";

/// The day a block belongs to.
pub(super) fn block_day(block: &JudgedBlock) -> u64 {
    block.time / DAY
}

/// Returns the id of the noise incident that `first` begins. It differs from the id of an ordinary incident for the
/// same finding.
pub(super) fn noise_incident_id(path: &str, first: &FindingId) -> IncidentId {
    IncidentId::new(&format!("{path}/noise"), first)
}

/// Returns the origin of a new incident about the noise of a watch on the day of a block.
pub(super) fn noise_origin(watch: &WatchInfo, block: &JudgedBlock) -> Origin {
    let noise = Noise { day: block_day(block), sorts: Default::default() };
    Origin::Noise { watch: watch.watched_address(), noise }
}

/// Counts one more finding.
pub(super) fn count_noise(incident: &mut Incident, activity: &Activity, watch: &WatchInfo) {
    if let Some(noise) = incident.origin.noise_mut() {
        *noise.sorts.entry(noise_category(activity, watch).to_owned()).or_default() += 1;
    }
}

/// Returns whether the incident is noise of a day that was over when `block` came.
pub(super) fn is_over(incident: &Incident, block: &JudgedBlock) -> bool {
    incident.state.is_live()
        && incident.origin.scope() == IncidentScope::Chain(block.chain)
        && incident.origin.noise().is_some_and(|noise| noise.day < block_day(block))
}

/// Sends the summary of the day once to the destinations that the path notifies, and closes the incident. Sends nothing
/// if all findings were retracted or the watch is observed.
pub(super) fn conclude_noise(incident: &mut Incident, roster: &Routing, now_ms: u64, out: &mut Vec<Delivery>) {
    let Some(noise) = incident.origin.noise().cloned() else { return };
    if incident.state.close(Resolution::Resolved, CloseCause::Itself(OVER.to_owned()), now_ms).is_err() {
        return;
    }
    incident.page.report = noise_lines(incident, &noise);
    let of_it = |watch: &&WatchInfo| incident.origin.watch() == Some(watch.watched_address());
    let observed = roster.watches.iter().find(of_it).is_none_or(|watch| watch.observe);
    let told = if incident.standing == 0 || observed { Vec::new() } else { incident.path.notify.clone() };
    // A closing message opens no alert anywhere and asks for no action.
    notify_destinations(incident, DeliveryKind::Resolve, &told, Some(noise_sentence(incident, &noise)), out);
    page::refresh_page(incident);
}

fn noise_sentence(incident: &Incident, noise: &Noise) -> String {
    let times = if incident.standing == 1 { "once".to_owned() } else { format!("{} times", incident.standing) };
    clean_line(&format!(
        "Noise of {}: {} was named {times}, and nothing of it was its own doing",
        noise_date(noise),
        incident.label
    ))
}

fn noise_lines(incident: &Incident, noise: &Noise) -> Vec<String> {
    let mut report: Vec<String> = noise.sorts.iter().map(|(sort, n)| format!("{n} {sort}")).collect();
    let gone = incident.findings.saturating_sub(incident.standing);
    if gone > 0 {
        report.push(format!("{gone} of them taken back by a reorg"));
    }
    report
}

fn noise_date(noise: &Noise) -> String {
    format_rfc3339(noise.day.saturating_mul(DAY)).chars().take(10).collect()
}

/// Returns one of a few fixed words, so that the number of kinds does not depend on the input.
fn noise_category(activity: &Activity, watch: &WatchInfo) -> &'static str {
    let inward = activity.to == Some(watch.address) && activity.from != watch.address;
    let amount = activity.deed.args.iter().rev().find_map(|arg| arg.value.as_uint()).unwrap_or_default();
    match (activity.kind, &*activity.deed.name) {
        (ActivityKind::Move, "approval") => "allowances it did not give",
        _ if inward => "payments from look-alikes of addresses it knows",
        (ActivityKind::Move, _) if amount.is_zero() => "transfers of nothing",
        _ => "transfers of tokens unknown here",
    }
}

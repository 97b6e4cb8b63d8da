//! Outages: each is an incident of its own on the path `self`, notified once, again at a higher severity, and closed
//! automatically.
//!
//! One outage pages once. During a complete outage of a chain, its consequences are recorded without notification. An
//! outage that returns soon after its end continues the same incident and is never louder than one that lasted. Blocks
//! seen late because of it are listed at its end; see [`super::catch_up_report`].

use super::catch_up_report;
use super::headline::clean_line;
use super::lifecycle::{
    self, close_incident, next_escalation_at, notify_destinations, notify_new_findings, start_escalation,
};
use super::lines::format_rfc3339;
use super::news::{IncidentChange, IncidentNews, NewAct, Pager};
use super::responses::push_changed_incident;
use super::routing::Routing;
use super::system_incident::system_incident;
use crate::contracts::{self, Property};
use crate::model::incident::{ChangeSet, DeliveryKind, Incident};
use crate::model::incident_state::{CloseCause, Resolution};
use crate::model::path::SELF_PATH;
use crate::model::watch::ChainInfo;
use crate::model::{Blindness, BlindnessKind, FindingId, HealthIssue, IncidentScope, Origin, Severity};
use jiff::Timestamp;

/// Name of the built-in that raises outages.
pub const BLINDNESS: &str = "builtin/blindness";
/// Time in milliseconds after its end within which a returning outage continues the same incident: ten minutes. Long
/// enough for a node in a restart loop, short enough to separate two outages of one day.
pub const RETURNS_WITHIN_MS: u64 = 10 * 60 * 1000;
/// Maximum number of evidence files named by one incident: the first ones, since later ones say the same.
const EVIDENCE_MAX: usize = 8;
/// Maximum number of labels listed of watches that an outage hides; the rest is counted.
const BLINDS_MAX: usize = 20;

/// Handles a health issue that prevents reading `chain`, or storing what is read of any chain.
///
/// Opens an incident, raises the severity of a live one, or continues one that ended a moment ago. `known` are the live
/// and the recently closed incidents; `evidence` is the name of a file with the endpoint's response.
#[must_use]
pub fn open_outage(
    trouble: &HealthIssue,
    chain: Option<&ChainInfo>,
    evidence: Option<&str>,
    known: &[Incident],
    roster: &Routing,
    now_ms: u64,
) -> ChangeSet {
    let mut plan = ChangeSet::default();
    let place = Place { chain, kind: trouble.kind, endpoint: trouble.endpoint.as_deref() };
    let fresh = new_outage(trouble, &place, roster, now_ms);
    let live = known.iter().find(|incident| incident.state.is_live() && place.is_of(incident));
    let lately = || {
        let ended = known.iter().filter(|incident| !incident.state.is_live() && place.is_of(incident));
        ended.filter(|incident| is_recurrence(incident, now_ms)).max_by_key(|incident| incident.state.closed_at())
    };
    let mut incident = live.or_else(lately).cloned().unwrap_or_else(|| {
        // A responder closed it, but its cause persists at a higher severity.
        let closed = known.iter().find(|incident| incident.id == fresh.id);
        closed.map_or_else(|| fresh.clone(), |closed| reopened_outage(closed, &fresh))
    });
    incident.page.headline.clone_from(&fresh.page.headline);
    incident.page.purpose.clone_from(&fresh.page.purpose);
    incident.severity = incident.severity.max(trouble.severity);
    let covered = known.iter().any(|other| other.id != incident.id && is_covered_by(other, &place, trouble.severity));
    let returned = resume_outage(&mut incident, timestamp_millis(trouble.since), now_ms);
    if let (Some(file), Some(blindness)) = (evidence, incident.origin.outage_mut())
        && blindness.evidence.len() < EVIDENCE_MAX
    {
        blindness.evidence.push(clean_line(file));
    }
    incident.page.report = catch_up_report::catch_up_lines(&incident);
    incident.page.ways.clone_from(&trouble.ways);
    if !covered {
        if returned && live.is_none() {
            // Pagers would open a new alert for it, so only the destinations that are merely notified get this message
            // at once; the others get one if it lasts.
            let notify = incident.path.notify.clone();
            let change = clean_line(&format!("It is back: {}", incident.page.headline));
            notify_destinations(&mut incident, DeliveryKind::Update, &notify, Some(change), &mut plan.deliveries);
        }
        announce_outage(&mut incident, trouble.severity, now_ms, &mut plan);
    }
    plan.lines.push(catch_up_report::outage_began_line(
        &incident,
        trouble,
        place.name(),
        unwatched_labels(trouble, &place, roster),
    ));
    push_changed_incident(incident, &mut plan);
    plan
}

/// Records that the cause of an outage is gone. The outage ends with that, unless nothing was seen while it lasted:
/// then it ends with [`complete_catch_up`], once the missed blocks have been judged.
#[must_use]
pub fn lift_outage(
    kind: BlindnessKind,
    endpoint: Option<&str>,
    chain: Option<&ChainInfo>,
    until: Timestamp,
    known: &[Incident],
    now_ms: u64,
) -> ChangeSet {
    let mut plan = ChangeSet::default();
    let place = Place { chain, kind, endpoint };
    for incident in known.iter().filter(|incident| is_dark(incident) && place.is_of(incident)) {
        let mut incident = incident.clone();
        if let Some(blindness) = incident.origin.outage_mut() {
            blindness.lifted.get_or_insert(timestamp_millis(until));
        }
        if kind.is_total() {
            plan.incidents.push(incident);
        } else {
            end_outage(incident, place.name(), timestamp_millis(until), now_ms, &mut plan);
        }
    }
    plan
}

/// Handles a chain that is at its head with all missed blocks judged; without a chain, all chains that waited for the
/// store are. Ends the outages that hid the chain, and notifies people of suppressed consequences that still persist.
#[must_use]
pub fn complete_catch_up(chain: Option<&ChainInfo>, until: Timestamp, known: &[Incident], now_ms: u64) -> ChangeSet {
    let mut plan = ChangeSet::default();
    let scope = IncidentScope::from_chain(chain.map(|chain| chain.id));
    let name = chain.map(|chain| &*chain.name);
    for incident in known.iter().filter(|incident| is_dark(incident) && incident.origin.scope() == scope) {
        let mut incident = incident.clone();
        match incident.origin.outage() {
            Some(blindness) if !blindness.kind.is_total() => {
                if incident.heard.is_none() && blindness.lifted.is_none() {
                    let severity = incident.severity;
                    announce_outage(&mut incident, severity, now_ms, &mut plan);
                    push_changed_incident(incident, &mut plan);
                }
            }
            _ => {
                incident.page.report = catch_up_report::catch_up_lines(&incident);
                end_outage(incident, name, timestamp_millis(until), now_ms, &mut plan);
            }
        }
    }
    plan
}

/// Notifies the first step of the path again, for a sender that cannot use the store. The message has a key of its own.
#[must_use]
pub fn remind_first_step(incident: &Incident, what: &str, now_ms: u64) -> ChangeSet {
    let mut plan = ChangeSet::default();
    let mut incident = incident.clone();
    if incident.paging {
        start_escalation(&mut incident, now_ms, Some(clean_line(what)), &mut plan.deliveries);
    }
    push_changed_incident(incident, &mut plan);
    plan
}

/// Stores an incident that was sent directly, as it was sent. Its next step is due as if it were sent now, since it
/// could not have been acknowledged before.
#[must_use]
pub fn record_direct_incident(incident: &Incident, now_ms: u64) -> ChangeSet {
    let mut plan = ChangeSet::default();
    let mut incident = incident.clone();
    if incident.paging {
        let next = next_escalation_at(&incident, now_ms);
        incident.state.schedule(next);
    }
    push_changed_incident(incident, &mut plan);
    plan
}

/// Returns whether the outage lasts: its incident is live, and visibility has not returned.
#[must_use]
pub fn is_dark(incident: &Incident) -> bool {
    incident.state.is_live() && incident.origin.outage().is_some_and(|outage| outage.over.is_none())
}

/// Returns whether `incident` only waits to confirm that its outage does not return, so that the passing of time needs
/// no other action. Closes an incident that has waited long enough.
pub(super) fn is_awaiting_recurrence(incident: &Incident, now_ms: u64, plan: &mut ChangeSet) -> bool {
    let Some(over) = incident.origin.outage().and_then(|blindness| blindness.over) else { return false };
    if incident.state.is_live() && now_ms >= over.saturating_add(RETURNS_WITHIN_MS) {
        let mut incident = incident.clone();
        resolve_outage(&mut incident, now_ms, plan);
        push_changed_incident(incident, plan);
    }
    true
}

/// Subject of an outage: there is one live incident for each.
struct Place<'a> {
    chain: Option<&'a ChainInfo>,
    kind: BlindnessKind,
    endpoint: Option<&'a str>,
}

impl Place<'_> {
    fn scope(&self) -> IncidentScope {
        IncidentScope::from_chain(self.chain.map(|chain| chain.id))
    }

    fn origin(&self, outage: Blindness) -> Origin {
        match (self.scope(), self.kind) {
            (IncidentScope::Chain(chain), _) => Origin::Outage { chain, outage },
            (IncidentScope::Program, BlindnessKind::ClockStepped) => Origin::ClockStep { outage },
            (IncidentScope::Program, _) => Origin::StoreFailure { outage },
        }
    }

    fn name(&self) -> Option<&str> {
        self.chain.map(|chain| &*chain.name)
    }

    fn is_of(&self, incident: &Incident) -> bool {
        incident.origin.scope() == self.scope()
            && incident.origin.outage().is_some_and(|b| b.kind == self.kind && b.endpoint.as_deref() == self.endpoint)
    }

    /// Returns a label such as `Sight of mainnet` or `Sight of mainnet through backup`.
    fn label(&self) -> String {
        match (self.name(), self.endpoint) {
            (Some(chain), Some(service)) if BlindnessKind::OF_SERVICES.contains(&self.kind) => {
                format!("Sight of queues on {chain} through {service}")
            }
            (Some(chain), Some(endpoint)) => format!("Sight of {chain} through {endpoint}"),
            (Some(chain), None) => format!("Sight of {chain}"),
            (None, _) if self.kind == BlindnessKind::ClockStepped => "The clock".to_owned(),
            (None, _) => "The store".to_owned(),
        }
    }
}

/// Returns the incident that a health issue opens, not notified yet.
fn new_outage(trouble: &HealthIssue, place: &Place<'_>, roster: &Routing, now_ms: u64) -> Incident {
    // Identities stay the same: before there were scopes, the whole program was chain 0.
    let chain = place.scope().chain().map_or(0, |chain| chain.0);
    let about = format!("{chain}/{}/{}", trouble.kind, place.endpoint.unwrap_or_default());
    let first = FindingId::of_occasion("blindness", &about, &trouble.since.to_string());
    let path = roster.path(SELF_PATH);
    let since = timestamp_millis(trouble.since);
    let origin = place.origin(Blindness {
        kind: trouble.kind,
        endpoint: place.endpoint.map(str::to_owned),
        first: since,
        since,
        lifted: None,
        over: None,
        times: 1,
        earlier: 0,
        resumes: None,
        evidence: Vec::new(),
        late: Vec::new(),
    });
    let mut incident = system_incident(&first, origin, &path, (BLINDNESS, trouble.severity), now_ms);
    incident.heard = None;
    incident.set_label(place.label());
    incident.page.chain = place.name().unwrap_or_default().to_owned();
    incident.page.headline = outage_headline(trouble, place);
    let labels = unwatched_labels(trouble, place, roster);
    if !labels.is_empty() {
        let what = if BlindnessKind::OF_SERVICES.contains(&trouble.kind) {
            "While it lasts what is queued is not watched, and is found when it executes, of"
        } else {
            "While it lasts these are not watched"
        };
        incident.page.purpose = clean_line(&format!("{what}: {}", labels.join(", ")));
    }
    incident
}

/// Reopens an incident with the same beginning that a responder closed, under the same id.
fn reopened_outage(closed: &Incident, fresh: &Incident) -> Incident {
    let mut incident = closed.clone();
    lifecycle::reopen_incident(&mut incident);
    incident.origin.clone_from(&fresh.origin);
    incident
}

/// Returns whether the outage ended by itself so recently that its return counts as the same outage.
fn is_recurrence(incident: &Incident, now_ms: u64) -> bool {
    let over = incident.origin.outage().and_then(|blindness| blindness.over);
    incident.state.closed_by().is_none() && over.is_some_and(|over| now_ms < over.saturating_add(RETURNS_WITHIN_MS))
}

/// Returns whether the outage `other` already says what a health issue at `place` would say: nothing is seen, and
/// people were notified at the same severity or a higher one.
fn is_covered_by(other: &Incident, place: &Place<'_>, severity: Severity) -> bool {
    use BlindnessKind::{EndpointDown, FinalityStalled, Lag, ServiceDown};
    let follows = place.kind.is_total() || matches!(place.kind, EndpointDown | Lag | FinalityStalled | ServiceDown);
    let total = other.origin.outage().is_some_and(|blindness| blindness.kind.is_total());
    let here = other.origin.scope().includes(place.scope());
    follows && here && total && is_dark(other) && other.heard.is_some_and(|heard| heard >= severity)
}

/// Records that the outage persists or has returned, and returns whether it has returned after an end.
///
/// The escalation continues at the time it would have had anyway: an intermittent outage is no louder than a lasting
/// one.
fn resume_outage(incident: &mut Incident, since: u64, now_ms: u64) -> bool {
    let Some(blindness) = incident.origin.outage_mut() else { return false };
    blindness.lifted = None;
    let Some(over) = blindness.over.take() else { return false };
    blindness.earlier = blindness.earlier.saturating_add(over.saturating_sub(blindness.since));
    blindness.since = since.max(over);
    blindness.times = blindness.times.saturating_add(1);
    let resumes = blindness.resumes.take();
    incident.state.resume(now_ms.saturating_add(incident.path.ack_expires.saturating_mul(1000)));
    if incident.paging {
        let next = resumes.map(|at| at.max(now_ms)).or_else(|| next_escalation_at(incident, now_ms));
        incident.state.schedule(next);
    }
    true
}

/// Notifies people, unless they were notified at this severity already.
fn announce_outage(incident: &mut Incident, severity: Severity, now_ms: u64, plan: &mut ChangeSet) {
    if incident.heard.is_none_or(|heard| severity > heard) {
        let news = IncidentNews { severity, headline: incident.page.headline.clone(), evidence: None, more: None };
        let change =
            IncidentChange { fresh: vec![NewAct { news, act: None, hushed: false }], ..IncidentChange::default() };
        // Outsiders do not control how often an outage occurs, so none of its pages is held back.
        let mut pager = Pager::new(&[], now_ms);
        notify_new_findings(incident, &change, &change.fresh[0], &mut pager);
        plan.deliveries.append(&mut pager.out);
    }
}

/// Ends an outage. The first end is reported at once; an outage that returned before has to stay away for a while
/// first.
fn end_outage(mut incident: Incident, chain: Option<&str>, until: u64, now_ms: u64, plan: &mut ChangeSet) {
    let mut stays_away = false;
    let next = incident.state.next_escalation();
    incident.state.schedule(None);
    if let Some(blindness) = incident.origin.outage_mut() {
        blindness.lifted.get_or_insert(until);
        blindness.over = Some(until.max(blindness.since));
        blindness.resumes = next;
        stays_away = blindness.times > 1;
    }
    incident.page.report = catch_up_report::catch_up_lines(&incident);
    plan.lines.extend(catch_up_report::outage_ended_line(&incident, chain));
    if !stays_away {
        resolve_outage(&mut incident, now_ms, plan);
    }
    push_changed_incident(incident, plan);
}

fn resolve_outage(incident: &mut Incident, now_ms: u64, plan: &mut ChangeSet) {
    let closing = (Resolution::Resolved, CloseCause::Itself("sight returned".to_owned()));
    let change = catch_up_report::outage_end_sentence(incident);
    close_incident(incident, closing, change, now_ms, &mut plan.deliveries);
}

/// Returns the headline of an outage: what prevents observation, since when, and why.
fn outage_headline(trouble: &HealthIssue, place: &Place<'_>) -> String {
    let HealthIssue { kind, why, severity, .. } = trouble;
    let since = format_rfc3339(timestamp_millis(trouble.since) / 1000);
    clean_line(&match (place.name(), place.endpoint) {
        (None, _) if *severity < Severity::High => format!("Soon nothing more can be written down: {why}"),
        (None, _) => format!("Nothing can be written down since {since}: {why}"),
        (Some(chain), _) if *kind == BlindnessKind::NotRunning => {
            format!("{chain} was not watched since {since}: {why}")
        }
        (Some(chain), _) if *kind == BlindnessKind::StaleHead => format!("{chain} stands still since {since}: {why}"),
        (Some(chain), None) if kind.is_total() => format!("{chain} cannot be seen since {since}: {why}"),
        (Some(chain), None) => format!("{chain}: {} since {since}: {why}", outage_phrase(*kind)),
        (Some(chain), Some(service)) if BlindnessKind::OF_SERVICES.contains(kind) => {
            format!("{chain}, Safe service {service}: {} since {since}: {why}", outage_phrase(*kind))
        }
        (Some(chain), Some(endpoint)) => {
            format!("{chain}, endpoint {endpoint}: {} since {since}: {why}", outage_phrase(*kind))
        }
    })
}

/// Returns the meaning of a kind, without a subject.
const fn outage_phrase(kind: BlindnessKind) -> &'static str {
    use BlindnessKind as Blind;
    match kind {
        Blind::Unreachable => "no answer",
        Blind::EndpointDown => "does not answer",
        Blind::WrongChain => "serves another chain",
        Blind::WrongGenesis => "serves a chain that began with another block",
        Blind::NoBlock => "does not give the next block",
        Blind::StaleHead => "stands still",
        Blind::Lag => "stays behind the others",
        Blind::Disagreement => "names other blocks than the others",
        Blind::FinalityStalled => "nothing becomes final",
        Blind::FinalizedReorg => "does not contain what was final",
        Blind::RefusedBlock => "gave a block that contradicts itself",
        Blind::UnverifiedBlock => "blocks that their header cannot vouch for",
        Blind::AbilityLost => "can no longer do what it could",
        Blind::StateUnread => "state that cannot be read",
        Blind::ClockSkew => "block times ahead of our clock",
        Blind::ClockStepped => "was set",
        Blind::StoreRefuses => "cannot be written to",
        Blind::NotRunning => "did not run",
        Blind::ServiceDown => "its queues cannot be seen",
        Blind::ServiceLies => "says what cannot be true",
        Blind::ServiceStale => "stays behind the chain",
    }
}

/// Returns the labels of the watches that the outage hides, limited to a readable number: those of the chain, or of all
/// chains. Returns none if the chain can be seen by other means.
fn unwatched_labels(trouble: &HealthIssue, place: &Place<'_>, roster: &Routing) -> Vec<String> {
    let hides = trouble.severity >= Severity::High || (trouble.kind.is_total() && place.chain.is_some());
    if !hides {
        return Vec::new();
    }
    let queues = BlindnessKind::OF_SERVICES.contains(&trouble.kind);
    let here = || {
        let here = roster.watches.iter().filter(|watch| place.chain.is_none_or(|chain| watch.chain.id == chain.id));
        here.filter(move |watch| !queues || contracts::of_kind(watch.kind).has(Property::ProposalService))
    };
    let mut labels: Vec<String> = here().take(BLINDS_MAX).map(|watch| watch.label.to_string()).collect();
    let more = here().skip(BLINDS_MAX).count();
    if more > 0 {
        labels.push(format!("and {more} more"));
    }
    labels
}

/// Wall-clock milliseconds; zero before the epoch.
fn timestamp_millis(at: Timestamp) -> u64 {
    u64::try_from(at.as_millisecond()).unwrap_or(0)
}

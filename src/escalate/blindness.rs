//! Lack of sight is an incident of its own, on the path `self`: told once, louder when it grows, and over by itself.
//!
//! One outage wakes people once. While nothing is seen of a chain, whatever follows from that is written down and told nobody;
//! and what comes back soon after its end goes on as the same incident, never louder than if it had lasted. What was seen late
//! because of it is told at its end; see [`super::bridge`].

use super::answers::changed;
use super::bridge;
use super::headline::clean;
use super::life::{self, close, due, hear, start, tell};
use super::lines::utc;
use super::news::{Change, Fresh, News, Pager};
use super::occasion::occasion;
use super::roster::Roster;
use crate::model::incident::{DeliveryKind, Incident, Plan, State};
use crate::model::path::SELF_PATH;
use crate::model::watch::ChainInfo;
use crate::model::{Blindness, BlindnessKind, ChainId, FindingId, IncidentId, Kind, Severity, Trouble};
use jiff::Timestamp;

/// The built-in that raises what cannot be seen.
pub const BLINDNESS: &str = "builtin/blindness";
/// A blindness that begins again within this time of its end goes on as the same incident: ten minutes, in milliseconds. Long
/// enough for a node that restarts in a circle, short enough that two outages of one day are two.
pub const RETURNS_WITHIN_MS: u64 = 10 * 60 * 1000;
/// Files of evidence that one incident names: the first ones, which say the same as the later.
const EVIDENCE_MAX: usize = 8;
/// Labels listed of the watches that a blindness hides; the rest is counted.
const BLINDS_MAX: usize = 20;

/// Something stands in the way of seeing `chain`, or of writing down what is seen of any chain.
///
/// Opens an incident, or makes a live one louder, or lets one go on that ended a moment ago. `known` are the live incidents and
/// those that closed lately; `evidence` is the name of a file that holds what the endpoint gave.
#[must_use]
pub fn blind(
    trouble: &Trouble,
    chain: Option<&ChainInfo>,
    evidence: Option<&str>,
    known: &[Incident],
    roster: &Roster,
    now_ms: u64,
) -> Plan {
    let mut plan = Plan::default();
    let place = Place { chain, kind: trouble.kind, endpoint: trouble.endpoint.as_deref() };
    let fresh = fresh(trouble, &place, roster, now_ms);
    let live = known.iter().find(|incident| incident.state.is_live() && place.is_of(incident));
    let lately = || {
        let ended = known.iter().filter(|incident| !incident.state.is_live() && place.is_of(incident));
        ended.filter(|incident| returns(incident, now_ms)).max_by_key(|incident| incident.closed_at)
    };
    let mut incident = live.or_else(lately).cloned().unwrap_or_else(|| {
        // Somebody closed it by hand, and its cause stands all the same and has grown.
        let closed = known.iter().find(|incident| incident.id == fresh.id);
        closed.map_or_else(|| fresh.clone(), |closed| reopened(closed, &fresh))
    });
    incident.page.headline.clone_from(&fresh.page.headline);
    incident.page.purpose.clone_from(&fresh.page.purpose);
    incident.severity = incident.severity.max(trouble.severity);
    let covered = known.iter().any(|other| other.id != incident.id && covers(other, &place, trouble.severity));
    let returned = stand(&mut incident, millis(trouble.since), now_ms);
    if let (Some(file), Some(blindness)) = (evidence, &mut incident.blindness)
        && blindness.evidence.len() < EVIDENCE_MAX
    {
        blindness.evidence.push(clean(file));
    }
    incident.page.report = bridge::report(&incident);
    incident.page.ways.clone_from(&trouble.ways);
    if !covered {
        if returned && live.is_none() {
            // Pagers would open a new alert for it: whoever is only notified hears at once, the others if it lasts.
            let notify = incident.path.notify.clone();
            let change = clean(&format!("It is back: {}", incident.page.headline));
            tell(&mut incident, DeliveryKind::Update, &notify, Some(change), &mut plan.deliveries);
        }
        announce(&mut incident, trouble.severity, now_ms, &mut plan);
    }
    plan.lines.push(bridge::began(&incident, trouble, place.name(), labels(trouble, &place, roster)));
    changed(incident, &mut plan);
    plan
}

/// What stood in the way is gone. That ends a blindness unless nothing was seen while it lasted: then it ends with [`sighted`],
/// once what was missed has been judged.
#[must_use]
pub fn lifted(
    kind: BlindnessKind,
    endpoint: Option<&str>,
    chain: Option<&ChainInfo>,
    until: Timestamp,
    known: &[Incident],
    now_ms: u64,
) -> Plan {
    let mut plan = Plan::default();
    let place = Place { chain, kind, endpoint };
    for incident in known.iter().filter(|incident| is_dark(incident) && place.is_of(incident)) {
        let mut incident = incident.clone();
        if let Some(blindness) = &mut incident.blindness {
            blindness.lifted.get_or_insert(millis(until));
        }
        if kind.is_total() {
            plan.incidents.push(incident);
        } else {
            end(incident, place.name(), millis(until), now_ms, &mut plan);
        }
    }
    plan
}

/// The chain is at its head, and all that was missed has been judged; without a chain, this holds for all that wait for the
/// store. What hid the chain is over, and what was kept quiet meanwhile because it followed from that is told if it still stands.
#[must_use]
pub fn sighted(chain: Option<&ChainInfo>, until: Timestamp, known: &[Incident], now_ms: u64) -> Plan {
    let mut plan = Plan::default();
    let id = chain.map_or(ChainId(0), |chain| chain.id);
    let name = chain.map(|chain| &*chain.name);
    for incident in known.iter().filter(|incident| is_dark(incident) && incident.chain == id) {
        let mut incident = incident.clone();
        match &incident.blindness {
            Some(blindness) if !blindness.kind.is_total() => {
                if incident.heard.is_none() && blindness.lifted.is_none() {
                    let severity = incident.severity;
                    announce(&mut incident, severity, now_ms, &mut plan);
                    changed(incident, &mut plan);
                }
            }
            _ => {
                incident.page.report = bridge::report(&incident);
                end(incident, name, millis(until), now_ms, &mut plan);
            }
        }
    }
    plan
}

/// Tells the first step of the path again, for whoever cannot leave that to the store. The message has a key of its own.
#[must_use]
pub fn remind(incident: &Incident, what: &str, now_ms: u64) -> Plan {
    let mut plan = Plan::default();
    let mut incident = incident.clone();
    if incident.paging {
        start(&mut incident, now_ms, Some(clean(what)), &mut plan.deliveries);
    }
    changed(incident, &mut plan);
    plan
}

/// Writes down an incident that was told by another road, as it was told. Its next step falls due as if it were told now: nobody
/// could have acknowledged it before.
#[must_use]
pub fn record(incident: &Incident, now_ms: u64) -> Plan {
    let mut plan = Plan::default();
    let mut incident = incident.clone();
    if incident.state == State::Open && incident.paging {
        incident.next_escalation = due(&incident, now_ms);
    }
    changed(incident, &mut plan);
    plan
}

/// Whether an incident is about not seeing.
#[must_use]
pub fn is_blindness(incident: &Incident) -> bool {
    incident.blindness.is_some() || incident.rules.iter().any(|rule| rule == BLINDNESS)
}

/// Whether it lasts: it is live, and sight has not returned.
#[must_use]
pub fn is_dark(incident: &Incident) -> bool {
    let over = incident.blindness.as_ref().is_some_and(|blindness| blindness.over.is_some());
    incident.state.is_live() && is_blindness(incident) && !over
}

/// Whether `incident` only waits to see that its blindness does not come back, and so has nothing to do when time passes. What
/// has waited long enough closes.
pub(super) fn rests(incident: &Incident, now_ms: u64, plan: &mut Plan) -> bool {
    let Some(over) = incident.blindness.as_ref().and_then(|blindness| blindness.over) else { return false };
    if incident.state.is_live() && now_ms >= over.saturating_add(RETURNS_WITHIN_MS) {
        let mut incident = incident.clone();
        resolve(&mut incident, now_ms, plan);
        changed(incident, plan);
    }
    true
}

/// What a blindness is of: there is one live incident for each.
struct Place<'a> {
    chain: Option<&'a ChainInfo>,
    kind: BlindnessKind,
    endpoint: Option<&'a str>,
}

impl Place<'_> {
    fn id(&self) -> ChainId {
        self.chain.map_or(ChainId(0), |chain| chain.id)
    }

    fn name(&self) -> Option<&str> {
        self.chain.map(|chain| &*chain.name)
    }

    fn is_of(&self, incident: &Incident) -> bool {
        incident.chain == self.id()
            && incident
                .blindness
                .as_ref()
                .is_some_and(|b| b.kind == self.kind && b.endpoint.as_deref() == self.endpoint)
    }

    /// `Sight of mainnet`, `Sight of mainnet through backup`.
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

/// The incident that a trouble opens, told to nobody yet.
fn fresh(trouble: &Trouble, place: &Place<'_>, roster: &Roster, now_ms: u64) -> Incident {
    let about = format!("{}/{}/{}", place.id(), trouble.kind, place.endpoint.unwrap_or_default());
    let first = FindingId::of_occasion("blindness", &about, &trouble.since.to_string());
    let path = roster.path(SELF_PATH);
    let mut incident = occasion(&first, &path, None, BLINDNESS, trouble.severity, now_ms);
    let since = millis(trouble.since);
    incident.id = IncidentId::new(&path.name, &first);
    incident.heard = None;
    incident.chain = place.id();
    incident.label = place.label();
    incident.page.label.clone_from(&incident.label);
    incident.page.chain = place.name().unwrap_or_default().to_owned();
    incident.page.chain_id = place.id();
    incident.page.headline = headline(trouble, place);
    let labels = labels(trouble, place, roster);
    if !labels.is_empty() {
        let what = if BlindnessKind::OF_SERVICES.contains(&trouble.kind) {
            "While it lasts what is queued is not watched, and is found when it executes, of"
        } else {
            "While it lasts these are not watched"
        };
        incident.page.purpose = clean(&format!("{what}: {}", labels.join(", ")));
    }
    incident.blindness = Some(Blindness {
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
    incident
}

/// An incident of the same beginning that somebody closed: as new, under the same name.
fn reopened(closed: &Incident, fresh: &Incident) -> Incident {
    let mut incident = closed.clone();
    life::reopen(&mut incident);
    incident.blindness.clone_from(&fresh.blindness);
    incident
}

/// Whether it ended by itself so lately that its return is the same blindness.
fn returns(incident: &Incident, now_ms: u64) -> bool {
    let over = incident.blindness.as_ref().and_then(|blindness| blindness.over);
    incident.closed_by.is_none() && over.is_some_and(|over| now_ms < over.saturating_add(RETURNS_WITHIN_MS))
}

/// Whether the blindness `other` says already what a trouble at `place` would say: nothing is seen, and somebody as important
/// was told.
fn covers(other: &Incident, place: &Place<'_>, severity: Severity) -> bool {
    use BlindnessKind::{EndpointDown, FinalityStalled, Lag, ServiceDown};
    let follows = place.kind.is_total() || matches!(place.kind, EndpointDown | Lag | FinalityStalled | ServiceDown);
    let total = other.blindness.as_ref().is_none_or(|blindness| blindness.kind.is_total());
    let here = other.chain == place.id() || other.chain == ChainId(0);
    follows && here && total && is_dark(other) && other.heard.is_some_and(|heard| heard >= severity)
}

/// The blindness stands, be it still or again; says whether it comes back after an end.
///
/// Its escalation goes on when it would have gone on anyway: an outage that comes and goes is no louder than one that stays.
fn stand(incident: &mut Incident, since: u64, now_ms: u64) -> bool {
    let Some(blindness) = &mut incident.blindness else { return false };
    blindness.lifted = None;
    let Some(over) = blindness.over.take() else { return false };
    blindness.earlier = blindness.earlier.saturating_add(over.saturating_sub(blindness.since));
    blindness.since = since.max(over);
    blindness.times = blindness.times.saturating_add(1);
    let resumes = blindness.resumes.take();
    if !incident.state.is_live() {
        incident.close_reason = None;
        incident.closed_at = None;
        if incident.acked_by.is_some() {
            incident.state = State::Acknowledged;
            incident.ack_expires = Some(now_ms.saturating_add(incident.path.ack_expires.saturating_mul(1000)));
        } else {
            incident.state = State::Open;
        }
    }
    if incident.state == State::Open && incident.paging {
        incident.next_escalation = resumes.map(|at| at.max(now_ms)).or_else(|| due(incident, now_ms));
    }
    true
}

/// Tells people, if they have not heard as loud a word of it yet.
fn announce(incident: &mut Incident, severity: Severity, now_ms: u64, plan: &mut Plan) {
    if incident.heard.is_none_or(|heard| severity > heard) {
        let news = News { severity, headline: incident.page.headline.clone(), evidence: None, more: None };
        let change = Change { fresh: vec![Fresh { news, act: None, hushed: false }], ..Change::default() };
        // Nobody outside decides how often we are blind, so that no page of it is held back.
        let mut pager = Pager::new(&[], now_ms);
        hear(incident, &change, &change.fresh[0], &mut pager);
        plan.deliveries.append(&mut pager.out);
    }
}

/// Sight is back. The first time that is told at once; a blindness that came back before has to stay away for a while first.
fn end(mut incident: Incident, chain: Option<&str>, until: u64, now_ms: u64, plan: &mut Plan) {
    let mut stays_away = false;
    let next = incident.next_escalation.take();
    if let Some(blindness) = &mut incident.blindness {
        blindness.lifted.get_or_insert(until);
        blindness.over = Some(until.max(blindness.since));
        blindness.resumes = next;
        stays_away = blindness.times > 1;
    }
    incident.page.report = bridge::report(&incident);
    plan.lines.extend(bridge::ended(&incident, chain));
    if !stays_away {
        resolve(&mut incident, now_ms, plan);
    }
    changed(incident, plan);
}

fn resolve(incident: &mut Incident, now_ms: u64, plan: &mut Plan) {
    incident.close_reason = Some("sight returned".to_owned());
    let change = bridge::sentence(incident);
    close(incident, State::Resolved, change, now_ms, &mut plan.deliveries);
}

/// What keeps us from seeing, since when, and why.
fn headline(trouble: &Trouble, place: &Place<'_>) -> String {
    let Trouble { kind, why, severity, .. } = trouble;
    let since = utc(millis(trouble.since) / 1000);
    clean(&match (place.name(), place.endpoint) {
        (None, _) if *severity < Severity::High => format!("Soon nothing more can be written down: {why}"),
        (None, _) => format!("Nothing can be written down since {since}: {why}"),
        (Some(chain), _) if *kind == BlindnessKind::NotRunning => {
            format!("{chain} was not watched since {since}: {why}")
        }
        (Some(chain), _) if *kind == BlindnessKind::StaleHead => format!("{chain} stands still since {since}: {why}"),
        (Some(chain), None) if kind.is_total() => format!("{chain} cannot be seen since {since}: {why}"),
        (Some(chain), None) => format!("{chain}: {} since {since}: {why}", phrase(*kind)),
        (Some(chain), Some(service)) if BlindnessKind::OF_SERVICES.contains(kind) => {
            format!("{chain}, Safe service {service}: {} since {since}: {why}", phrase(*kind))
        }
        (Some(chain), Some(endpoint)) => {
            format!("{chain}, endpoint {endpoint}: {} since {since}: {why}", phrase(*kind))
        }
    })
}

/// What a kind means, without a subject.
const fn phrase(kind: BlindnessKind) -> &'static str {
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

/// The watches that are not watched because of it, by their labels, as many as a person reads: those of the chain, or of all
/// chains. Where there is sight by other means, none.
fn labels(trouble: &Trouble, place: &Place<'_>, roster: &Roster) -> Vec<String> {
    let hides = trouble.severity >= Severity::High || (trouble.kind.is_total() && place.chain.is_some());
    if !hides {
        return Vec::new();
    }
    let queues = BlindnessKind::OF_SERVICES.contains(&trouble.kind);
    let here = || {
        let here = roster.watches.iter().filter(|watch| place.chain.is_none_or(|chain| watch.chain.id == chain.id));
        here.filter(move |watch| !queues || watch.kind == Kind::Safe)
    };
    let mut labels: Vec<String> = here().take(BLINDS_MAX).map(|watch| watch.label.to_string()).collect();
    let more = here().skip(BLINDS_MAX).count();
    if more > 0 {
        labels.push(format!("and {more} more"));
    }
    labels
}

/// Wall-clock milliseconds; zero before the epoch.
fn millis(at: Timestamp) -> u64 {
    u64::try_from(at.as_millisecond()).unwrap_or(0)
}

//! Lifecycle of one incident: opening, paging, going quiet, closing, and the recipients of each.

use super::headline::clean_line;
use super::news::{IncidentChange, IncidentNews, NewAct, Pager};
use super::page;
use super::responses::push_changed_incident;
use super::routing::Routing;
use super::storm::Claim;
use crate::model::coverage::{Coverage, Doer};
use crate::model::incident::{Body, ChangeSet, Contested, Delivery, DeliveryKind, Incident};
use crate::model::incident_state::{CloseCause, Resolution, State};
use crate::model::page::{EVIDENCE_MAX, Evidence, Page};
use crate::model::{BlockRef, DeliveryKey, FindingId, IncidentId, IncidentScope, Origin, Severity, WatchInfo};
use std::collections::BTreeSet;

/// Labels of touched watches, and rules, that an incident lists.
const LISTED_MAX: usize = 64;

/// Close reason of an incident whose evidence was all taken back by a reorg.
pub(super) const REORG: &str = "reorg";

/// Opens an incident about findings without notifying anyone.
pub(super) fn new_incident(
    id: IncidentId,
    origin: Origin,
    watch: &WatchInfo,
    roster: &Routing,
    now_ms: u64,
) -> Incident {
    let mut incident = Incident::new(id, origin, &watch.label, &roster.path(&watch.path), now_ms);
    page::describe_watch(&mut incident.page, watch);
    incident
}

/// Starts a new round on a closed incident whose evidence came back. People are notified as for a new one.
pub(super) fn reopen_incident(incident: &mut Incident) {
    incident.state.reopen();
    incident.cycle += 1;
    incident.heard = None;
    incident.mentioned = false;
    incident.paging = false;
    incident.step = 0;
    incident.page.evidence.clear();
    incident.coverage = Coverage::default();
    incident.contested.clear();
}

/// Records the watches and rules that an incident involves. A rule that does not page yet is not included.
pub(super) fn record_involvement<'a>(
    incident: &mut Incident,
    touches: impl Iterator<Item = &'a String>,
    rule: Option<&str>,
) {
    for label in touches {
        if incident.touches.len() < LISTED_MAX && *label != incident.label && !incident.touches.contains(label) {
            incident.touches.push(label.clone());
        }
    }
    let new = rule.filter(|_| incident.rules.len() < LISTED_MAX);
    let new = new.filter(|rule| !incident.rules.iter().any(|known| known == rule));
    incident.rules.extend(new.map(str::to_owned));
}

/// Adds evidence to the page. Observed findings are listed only while there are no others.
pub(super) fn show_evidence(incident: &mut Incident, change: &IncidentChange, observe: bool, evidence: Evidence) {
    let heard = incident.heard.is_some() || incident.mentioned || change.has_news();
    if observe && heard {
        return;
    }
    if !observe && !heard {
        incident.page.evidence.clear();
    }
    page::put_evidence(&mut incident.page, evidence);
}

/// Sends the results of a step: first the retracted findings, then the new or moved ones.
pub(super) fn notify_changes(incident: &mut Incident, change: &IncidentChange, pager: &mut Pager) {
    if !change.gone.is_empty() {
        let what = match change.gone.as_slice() {
            [one] => format!("A reorg took back: {one}"),
            several => format!("A reorg took back {} findings, among them: {}", several.len(), several[0]),
        };
        let what =
            if change.contested_by.is_empty() { what } else { contested_retraction(&what, &change.contested_by) };
        tell_told(incident, DeliveryKind::Retract, what, &mut pager.out);
    }
    if !change.ended.is_empty() {
        let what = match change.ended.as_slice() {
            [one] => one.clone(),
            several => format!("{} of what was pending ended, among them: {}", several.len(), several[0]),
        };
        tell_told(incident, DeliveryKind::Retract, what, &mut pager.out);
    }
    let over = incident.standing == 0 && incident.state.is_live() && incident.contested.is_empty();
    if let Some(why) = change.shrunk.filter(|_| over) {
        let (resolution, what) = if why == REORG {
            (Resolution::FalseAlarm, "Closed: a reorg took back all of its evidence".to_owned())
        } else {
            (Resolution::Resolved, format!("Closed: all of its evidence was pending, and ended ({why})"))
        };
        let cause = CloseCause::Itself(why.to_owned());
        close_incident(incident, (resolution, cause), what, pager.now_ms, &mut pager.out);
    } else if let Some(leading) = change.leading_finding(&incident.coverage) {
        notify_new_findings(incident, change, leading, pager);
    } else if !change.ahead.is_empty() {
        announce_pending(incident, &change.ahead, &mut pager.out);
    } else if let Some(first) = change.moved.first() {
        tell_told(
            incident,
            DeliveryKind::Update,
            format!("A reorg moved it to another block: {first}"),
            &mut pager.out,
        );
    } else if let Some(last) = change.went.last().filter(|_| incident.state.is_live()) {
        let told = incident.told.clone();
        tell_news(incident, DeliveryKind::Update, &told, last, &mut pager.out);
    }
}

/// Returns the text of a retraction with which some endpoints disagree.
fn contested_retraction(what: &str, by: &BTreeSet<String>) -> String {
    let names: Vec<&str> = by.iter().map(String::as_str).collect();
    let holds = if names.len() == 1 { "holds" } else { "hold" };
    clean_line(&format!("{} still {holds} the block, so that this stays open. {what}", names.join(", ")))
}

/// Closes an incident whose evidence a reorg retracted, once no endpoint holds the block any more or the other branch
/// is final. Returns whether it did.
pub(super) fn end_contest(incident: &Incident, standing: &[Contested], now_ms: u64, plan: &mut ChangeSet) -> bool {
    let held = |block: &BlockRef| {
        standing.iter().any(|held| incident.origin.scope() == IncidentScope::Chain(held.chain) && held.block == *block)
    };
    if !incident.state.is_live() || incident.contested.is_empty() || incident.contested.iter().any(held) {
        return false;
    }
    let mut incident = incident.clone();
    incident.contested.clear();
    if incident.standing == 0 {
        let closing = (Resolution::FalseAlarm, CloseCause::Itself(REORG.to_owned()));
        let what =
            "Closed: a reorg took back all of its evidence, and no endpoint holds it against a final branch".to_owned();
        close_incident(&mut incident, closing, what, now_ms, &mut plan.deliveries);
    }
    push_changed_incident(incident, plan);
    true
}

fn tell_told(incident: &mut Incident, kind: DeliveryKind, what: String, out: &mut Vec<Delivery>) {
    let told = incident.told.clone();
    notify_destinations(incident, kind, &told, Some(what), out);
}

/// Announces findings that are only pending: recipients are notified, and nobody is woken. Announcing more of the same
/// costs an attacker next to nothing, so that after the first message only a higher severity is worth another; the rest
/// is on the page, and in the feed.
fn announce_pending(incident: &mut Incident, ahead: &[(IncidentNews, bool)], out: &mut Vec<Delivery>) {
    if incident.heard.is_none() && !incident.mentioned {
        incident.mentioned = true;
        let notify = incident.path.notify.clone();
        notify_destinations(incident, DeliveryKind::Trigger, &notify, None, out);
    } else if let Some((news, _)) = ahead.iter().rfind(|(_, louder)| *louder) {
        let told = incident.told.clone();
        tell_news(incident, DeliveryKind::Update, &told, news, out);
    }
}

/// Action that new findings ask for.
struct PageRequest {
    /// True if somebody is to be woken.
    page: bool,
    /// No page of this incident had this severity.
    louder: bool,
    /// Claim against the storm limit.
    claim: Claim,
    /// Number of the findings that no page showed.
    unseen: u64,
}

fn decide_notification(incident: &Incident, change: &IncidentChange, loudest: Severity, now_ms: u64) -> PageRequest {
    let coverage = &incident.coverage;
    let louder = incident.heard.is_none_or(|heard| loudest > heard);
    let paging = change.fresh.iter().filter(|fresh| !fresh.hushed && fresh.news.severity >= incident.path.page_at);
    let can_page = paging.clone().next().is_some() && !incident.path.steps.is_empty();
    let acts = paging.filter_map(|fresh| fresh.act.as_ref());
    // After an acknowledgement, acts of one step are added up too.
    let acknowledged = incident.state.is_acknowledged();
    let (mut so_far, mut unseen, mut own) = (coverage.clone(), 0_u64, false);
    for act in acts.clone() {
        if so_far.covers_act(act) {
            if acknowledged {
                so_far.count(act);
            }
        } else if !coverage.covers_attempt(act, now_ms) {
            unseen += 1;
            own |= act.doer >= Doer::Outflow;
        }
    }
    let page = match incident.state.kind() {
        // An acknowledgement covers what was on a page and not this finding. Before an acknowledgement, the finding has
        // to be on a page too.
        State::Open | State::Acknowledged => louder || unseen > 0 || !incident.paging,
        State::Resolved | State::FalseAlarm => incident.heard.is_none(),
    };
    let first_of_own = acts.clone().any(|act| coverage.is_first_of_own(act));
    let claim = match (first_of_own || (louder && incident.heard.is_some()), own) {
        (true, _) => Claim::Exempt,
        (false, true) => Claim::Own,
        (false, false) => Claim::Ordinary,
    };
    PageRequest { page: can_page && page, louder, claim, unseen }
}

/// Handles new findings: selects the recipients and decides whether to page.
pub(super) fn notify_new_findings(
    incident: &mut Incident,
    change: &IncidentChange,
    leading: &NewAct,
    pager: &mut Pager,
) {
    let before = incident.heard;
    let earlier = incident.told.clone();
    let loudest = leading.news.severity;
    let wish = decide_notification(incident, change, loudest, pager.now_ms);
    let news = IncidentNews { more: rest_of(incident, change, leading), ..leading.news.clone() };
    let admitted = wish.page && pager.limit.admit(&incident.path.name, loudest, wish.claim);
    if wish.page && !admitted {
        pager.hold_page(incident, &news, wish.unseen.max(1));
        // If the first page of an incident is held back, people are notified only by the storm's page.
        if before.is_none() {
            return tell_news(incident, DeliveryKind::Update, &earlier, &news, &mut pager.out);
        }
    }
    let mentioned = std::mem::take(&mut incident.mentioned);
    // The first page of an incident shows the whole incident; every later one begins with the news.
    let led = before.and(leading.id());
    let acknowledged = incident.state.is_acknowledged();
    incident.heard = before.max(Some(loudest));
    let triggered = if admitted {
        page_for(incident, &wish, (before, mentioned), &news, pager)
    } else if before.is_none() && !mentioned {
        let notify = incident.path.notify.clone();
        notify_destinations(incident, DeliveryKind::Trigger, &notify, None, &mut pager.out);
        notify
    } else {
        Vec::new()
    };
    if acknowledged {
        let on_page = if admitted { listed_findings(incident, change, led) } else { BTreeSet::new() };
        count_beside(incident, change, &on_page);
    }
    if admitted {
        record_coverage(incident, change, led, pager.now_ms);
    }
    if before.is_some() || mentioned {
        let rest: Vec<String> = earlier.into_iter().filter(|to| !triggered.contains(to)).collect();
        tell_news(incident, DeliveryKind::Update, &rest, &news, &mut pager.out);
    }
}

/// Pages the recipients of a new finding and returns them. `told` is the severity that people were notified of before,
/// and whether they were notified while the incident was only pending.
fn page_for(
    incident: &mut Incident,
    wish: &PageRequest,
    told: (Option<Severity>, bool),
    news: &IncidentNews,
    pager: &mut Pager,
) -> Vec<String> {
    let (before, mentioned) = told;
    let first = incident.path.steps.first().map(|step| step.to.clone()).unwrap_or_default();
    // A destination that was only notified has to get this as a separate page.
    let was_notified = first.iter().any(|to| incident.told.contains(to));
    match (before, incident.state.kind()) {
        (None, _) => {
            incident.state.reopen();
            incident.cycle += u32::from(mentioned && was_notified);
            start_escalation(incident, pager.now_ms, None, &mut pager.out)
        }
        (Some(_), State::Open) if incident.paging => {
            // The escalation keeps its step and its time: a restart would give an attacker more time.
            debug_assert!(wish.louder || wish.unseen > 0);
            incident.cycle += 1;
            let steps = paged_destinations(incident);
            tell_news(incident, DeliveryKind::Trigger, &steps, news, &mut pager.out);
            steps
        }
        (Some(_), state) => {
            incident.cycle += u32::from(state != State::Open || was_notified);
            incident.state.reopen();
            let to = begin_round(incident, pager.now_ms);
            tell_news(incident, DeliveryKind::Trigger, &to, news, &mut pager.out);
            to
        }
    }
}

/// Records the findings of a step that the page just sent shows.
fn record_coverage(incident: &mut Incident, change: &IncidentChange, led: Option<&FindingId>, now_ms: u64) {
    let listed = listed_findings(incident, change, led);
    let acts = change.fresh.iter().filter(|fresh| fresh.id().is_some_and(|id| listed.contains(id)));
    acts.filter_map(|fresh| fresh.act.clone()).for_each(|act| incident.coverage.add(act, now_ms));
}

/// Adds up the findings of a step that no page shows because they are covered by an acknowledgement.
fn count_beside(incident: &mut Incident, change: &IncidentChange, on_page: &BTreeSet<FindingId>) {
    let page_at = incident.path.page_at;
    let paging = change.fresh.iter().filter(|fresh| !fresh.hushed && fresh.news.severity >= page_at);
    let beside = paging.filter(|fresh| fresh.id().is_none_or(|id| !on_page.contains(id)));
    beside.filter_map(|fresh| fresh.act.as_ref()).for_each(|act| incident.coverage.count(act));
}

/// Returns the findings of a step that a page beginning with `led` lists. Of several on one line, only the first
/// counts.
fn listed_findings(incident: &Incident, change: &IncidentChange, led: Option<&FindingId>) -> BTreeSet<FindingId> {
    let rest = incident.page.evidence.iter().map(|evidence| &evidence.finding).filter(|id| Some(*id) != led);
    let lines: BTreeSet<&FindingId> = led.into_iter().chain(rest).take(EVIDENCE_MAX).collect();
    change.fresh.iter().filter_map(NewAct::id).filter(|id| lines.contains(id)).cloned().collect()
}

/// Returns what is new beside the line that a message begins with, and how much of it the message does not show.
fn rest_of(incident: &Incident, change: &IncidentChange, leading: &NewAct) -> Option<String> {
    let led = leading.id();
    let more =
        change.fresh.iter().filter(|fresh| !std::ptr::eq(*fresh, leading) && (led.is_none() || fresh.id() != led));
    let listed = listed_findings(incident, change, led);
    let hidden = more.clone().filter(|fresh| fresh.id().is_some_and(|id| !listed.contains(id))).count();
    match (more.count(), hidden) {
        (0, _) => None,
        (more, 0) => Some(format_more_count(more, "more finding")),
        (more, hidden) => Some(format!("{}, of which {hidden} are not shown", format_more_count(more, "more finding"))),
    }
}

/// `1 more finding`, `2 more findings`.
pub(super) fn format_more_count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Starts paging at the first step of the path, and returns the recipients.
pub(super) fn start_escalation(
    incident: &mut Incident,
    now_ms: u64,
    change: Option<String>,
    out: &mut Vec<Delivery>,
) -> Vec<String> {
    let to = begin_round(incident, now_ms);
    notify_destinations(incident, DeliveryKind::Trigger, &to, change, out);
    to
}

/// Starts a round at the first step of the path, and returns its recipients.
pub(super) fn begin_round(incident: &mut Incident, now_ms: u64) -> Vec<String> {
    incident.paging = true;
    incident.step = 0;
    incident.state.schedule(next_escalation_at(incident, now_ms));
    incident.path.steps.first().map(|step| step.to.clone()).unwrap_or_default()
}

/// Returns the time at which the step after the present one is due.
pub(super) fn next_escalation_at(incident: &Incident, now_ms: u64) -> Option<u64> {
    let step = incident.path.steps.get(incident.step as usize)?;
    // A step without time to acknowledge would page at every tick.
    Some(now_ms.saturating_add(step.ack_within.max(1).saturating_mul(1000)))
}

/// Returns the destinations of the steps notified in this round, each once.
pub(super) fn paged_destinations(incident: &Incident) -> Vec<String> {
    let mut to: Vec<String> = Vec::new();
    for name in incident.path.steps.iter().take(incident.step as usize + 1).flat_map(|step| &step.to) {
        if !to.contains(name) {
            to.push(name.clone());
        }
    }
    to
}

/// Closes a live incident and notifies everyone who was notified of it.
pub(super) fn close_incident(
    incident: &mut Incident,
    (resolution, cause): (Resolution, CloseCause),
    change: String,
    now_ms: u64,
    out: &mut Vec<Delivery>,
) {
    if incident.state.close(resolution, cause, now_ms).is_err() {
        return;
    }
    let told = incident.told.clone();
    notify_destinations(incident, DeliveryKind::Resolve, &told, Some(change), out);
}

/// Appends one message for each destination, all with the same revision.
pub(super) fn notify_destinations(
    incident: &mut Incident,
    kind: DeliveryKind,
    to: &[String],
    change: Option<String>,
    out: &mut Vec<Delivery>,
) {
    page::refresh_page(incident);
    let page = Page { change, ..incident.page.clone() };
    push_deliveries(incident, kind, to, &page, out);
}

/// Sends a message that begins with the news.
pub(super) fn tell_news(
    incident: &mut Incident,
    kind: DeliveryKind,
    to: &[String],
    news: &IncidentNews,
    out: &mut Vec<Delivery>,
) {
    page::refresh_page(incident);
    let page = page::leading_with(&incident.page, news);
    push_deliveries(incident, kind, to, &page, out);
}

fn push_deliveries(incident: &mut Incident, kind: DeliveryKind, to: &[String], page: &Page, out: &mut Vec<Delivery>) {
    if to.is_empty() {
        return;
    }
    incident.revision += 1;
    for destination in to {
        out.push(Delivery {
            key: DeliveryKey::new(
                incident.id.as_str(),
                incident.cycle,
                incident.step,
                destination,
                kind.as_str(),
                incident.revision,
            ),
            destination: destination.clone(),
            kind,
            incident: Some(incident.id.clone()),
            severity: page.severity,
            body: Body::Page(Box::new(page.clone())),
            lane: incident.id.to_string(),
        });
        if !incident.told.contains(destination) {
            incident.told.push(destination.clone());
        }
    }
}

//! Changes that do not come from the chain: time passes, and people respond.

use super::headline::clean_line;
use super::lifecycle::{
    begin_round, close_incident, end_contest, format_more_count, next_escalation_at, notify_destinations,
    paged_destinations, start_escalation,
};
use super::lines::incident_line;
use super::news::{IncidentNews, Pager};
use super::outage::is_awaiting_recurrence;
use super::storm::{Claim, WINDOW_MS};
use super::{page, storm};
use crate::model::incident::{ChangeSet, Delivery, DeliveryKind, Incident, OpenState};
use crate::model::incident_state::{CloseCause, IncidentEvent, Resolution, ResponseError};
use std::cmp::Reverse;

/// Returns what the passing of time makes due: next steps of paths, and acknowledgements that have expired.
///
/// An outage that ended closes once it has stayed away for [`RETURNS_WITHIN_MS`](super::RETURNS_WITHIN_MS). A page for
/// which a path has no room within its minute waits for the next minute, listed in the path's storm.
///
/// After a pause, for example while the program was down, each incident advances by one step and not by all missed
/// steps, so that the people of that step get their time. `now_ms` is wall-clock milliseconds since the Unix epoch.
#[must_use]
pub fn advance_timers(standing: &OpenState, now_ms: u64) -> ChangeSet {
    let mut plan = ChangeSet::default();
    let mut pager = Pager::new(&standing.paged, now_ms);
    let mut incidents: Vec<&Incident> = standing.incidents.iter().collect();
    // The highest severity comes first, in case there is no room for all.
    incidents.sort_by_key(|incident| Reverse(incident.severity));
    for incident in incidents {
        if is_awaiting_recurrence(incident, now_ms, &mut plan)
            || storm::advance_storm(incident, now_ms, &mut plan)
            || end_contest(incident, &standing.contested, now_ms, &mut plan)
        {
            continue;
        }
        let past = |at: Option<u64>| at.is_some_and(|at| at <= now_ms);
        let escalates = incident.paging && past(incident.state.next_escalation());
        let expires = past(incident.state.acknowledgement_expires());
        if !escalates && !expires {
            continue;
        }
        let mut next = incident.clone();
        if (escalates || incident.paging) && !has_room(incident, &mut pager) {
            next.state.postpone(now_ms.saturating_add(WINDOW_MS));
        } else if escalates {
            escalate_incident(&mut next, now_ms, &mut plan.deliveries);
        } else {
            expire_acknowledgement(&mut next, now_ms, &mut plan.deliveries);
        }
        push_changed_incident(next, &mut plan);
    }
    storm::gather_storms(pager, &standing.incidents, &mut plan);
    plan
}

/// Checks whether the incident's path may page once more; if not, the storm takes that into account.
fn has_room(incident: &Incident, pager: &mut Pager) -> bool {
    // A storm always escalates, and incidents about the program itself are not caused from outside.
    if incident.origin.storm().is_some() {
        return true;
    }
    let severity = incident.heard.unwrap_or(incident.severity);
    let room = {
        let claim = if incident.origin.is_about_findings() { Claim::Ordinary } else { Claim::Exempt };
        pager.limit.admit(&incident.path.name, severity, claim)
    };
    if !room {
        let news = IncidentNews { severity, headline: incident.page.headline.clone(), evidence: None, more: None };
        pager.hold_page(incident, &news, 0);
    }
    room
}

/// Acknowledges the incident: escalation pauses until the acknowledgement expires, and everybody who was notified is
/// informed.
///
/// # Errors
/// [`ResponseError`] when it is taken or over.
pub fn acknowledge_incident(incident: &Incident, who: &str, now_ms: u64) -> Result<ChangeSet, ResponseError> {
    let mut next = incident.clone();
    let who = clean_line(who);
    next.state.acknowledge(who.clone(), now_ms.saturating_add(incident.path.ack_expires.saturating_mul(1000)))?;
    let mut plan = ChangeSet::default();
    let told = next.told.clone();
    let change = Some(format!("Acknowledged by {who}"));
    notify_destinations(&mut next, DeliveryKind::Acknowledge, &told, change, &mut plan.deliveries);
    push_changed_incident(next, &mut plan);
    Ok(plan)
}

/// Resolves the incident.
///
/// # Errors
/// [`ResponseError::Closed`] when it is over already.
pub fn resolve_incident(incident: &Incident, who: &str, now_ms: u64) -> Result<ChangeSet, ResponseError> {
    close_by_responder(incident, Resolution::Resolved, who, "Resolved by", now_ms)
}

/// Closes the incident as a false alarm.
///
/// # Errors
/// [`ResponseError::Closed`] when it is over already.
pub fn false_alarm(incident: &Incident, who: &str, now_ms: u64) -> Result<ChangeSet, ResponseError> {
    close_by_responder(incident, Resolution::FalseAlarm, who, "Closed as a false alarm by", now_ms)
}

fn close_by_responder(
    incident: &Incident,
    resolution: Resolution,
    who: &str,
    how: &str,
    now_ms: u64,
) -> Result<ChangeSet, ResponseError> {
    if !incident.state.is_live() {
        return Err(ResponseError::Closed(incident.state.kind()));
    }
    let mut next = incident.clone();
    let who = clean_line(who);
    let change = format!("{how} {who}");
    let mut plan = ChangeSet::default();
    close_incident(&mut next, (resolution, CloseCause::Responder(who)), change, now_ms, &mut plan.deliveries);
    push_changed_incident(next, &mut plan);
    Ok(plan)
}

/// Keeps the incident open after a response while pages wait that were not delivered: everybody who was notified is
/// informed who responded and what waits. `answer` is the incident as the response would have made it; `headline` is
/// the first of `n` findings that were not delivered.
#[must_use]
pub fn stay_open(incident: &Incident, answer: &Incident, headline: &str, n: usize, now_ms: u64) -> ChangeSet {
    let mut next = incident.clone();
    let who = answer.state.closed_by().or(answer.state.acknowledged_by()).unwrap_or("somebody");
    let rest = if n > 1 { format!(", and {}", format_more_count(n - 1, "more finding")) } else { String::new() };
    let said = format!("{who} answered, and it stays open: no page was delivered that says: {headline}{rest}");
    if !next.state.is_open() {
        reopen_round(&mut next, now_ms);
    }
    let mut plan = ChangeSet::default();
    let told = next.told.clone();
    notify_destinations(&mut next, DeliveryKind::Update, &told, Some(clean_line(&said)), &mut plan.deliveries);
    push_changed_incident(next, &mut plan);
    plan
}

/// Pages again for an incident that was answered while its only page with some finding failed.
#[must_use]
pub fn open_again(incident: &Incident, now_ms: u64) -> ChangeSet {
    let mut next = incident.clone();
    reopen_round(&mut next, now_ms);
    let mut plan = ChangeSet::default();
    let said = "Opened again: a page failed that says what no other page said".to_owned();
    start_escalation(&mut next, now_ms, Some(said), &mut plan.deliveries);
    push_changed_incident(next, &mut plan);
    plan
}

/// Undoes an acknowledgement or a closing.
fn reopen_round(incident: &mut Incident, now_ms: u64) {
    incident.state.reopen();
    incident.cycle += 1;
    begin_round(incident, now_ms);
}

/// Notifies the next step, or the last one again.
///
/// Destinations of earlier steps are not notified again, so a step that consists only of those is skipped: waiting for
/// it would wake no one new.
fn escalate_incident(incident: &mut Incident, now_ms: u64, out: &mut Vec<Delivery>) {
    let Some(last) = incident.path.steps.len().checked_sub(1) else { return };
    let mut told = paged_destinations(incident);
    let mut to = Vec::new();
    while to.is_empty() && (incident.step as usize) < last {
        incident.step += 1;
        for name in &incident.path.steps[incident.step as usize].to {
            if !told.contains(name) {
                told.push(name.clone());
                to.push(name.clone());
            }
        }
    }
    let again = to.is_empty();
    if again {
        to.clone_from(&incident.path.steps[last].to);
    }
    incident.state.schedule(next_escalation_at(incident, now_ms));
    let change = if again { "Nobody has acknowledged yet" } else { "Escalated: nobody acknowledged in time" };
    notify_destinations(incident, DeliveryKind::Trigger, &to, Some(change.to_owned()), out);
}

/// Reopens an incident whose acknowledgement expired before the incident was closed, and pages again.
fn expire_acknowledgement(incident: &mut Incident, now_ms: u64, out: &mut Vec<Delivery>) {
    let Some(IncidentEvent::Expired { by: who }) = incident.state.expire() else { return };
    if incident.paging {
        incident.cycle += 1;
        start_escalation(incident, now_ms, Some(format!("The acknowledgement by {who} expired")), out);
    }
}

pub(super) fn push_changed_incident(mut incident: Incident, plan: &mut ChangeSet) {
    page::refresh_page(&mut incident);
    plan.lines.push(incident_line(&incident, &[]));
    plan.incidents.push(incident);
}

//! Storm limit: number of pages that a path sends in a minute, and the incident that lists the pages held back.
//!
//! An attacker who can cause findings can cause pages. After [`PAGES_MAX`] pages within [`WINDOW_MS`] a path sends no
//! more, with three exceptions: a severity above everything that it paged for in this time, a severity above that of
//! the incident before, and the first act of a subject's own on its incident. Other acts of a subject's own, and
//! outflows, that no page showed have room for the same number of pages again, which strangers cannot use up. A page
//! held back is recorded as usual and joins the storm's incident on the same path, which escalates until a responder
//! acknowledges it.

use super::headline::clean_line;
use super::lifecycle::{close_incident, format_more_count, notify_destinations, paged_destinations, start_escalation};
use super::news::Pager;
use super::responses::push_changed_incident;
use super::system_incident::system_incident;
use crate::model::coverage::{HELD_MAX, Held, Paged, Storm};
use crate::model::incident::{ChangeSet, DeliveryKind, Incident};
use crate::model::incident_state::{CloseCause, Resolution, State};
use crate::model::page::Way;
use crate::model::path::Path;
use crate::model::{FindingId, Origin, Severity};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Name of the built-in that raises pages held back.
pub const STORM: &str = "builtin/storm";
/// Pages that a path sends in [`WINDOW_MS`]: as many as a person may read in that time, one every five seconds.
pub const PAGES_MAX: usize = 12;
/// Pages that a path sends in [`WINDOW_MS`] beyond [`PAGES_MAX`] for acts of subjects' own and for outflows that no page showed.
pub const OWN_PAGES_MAX: usize = 12;
/// Window of the limit in milliseconds, a minute. Additions to a storm are sent at most once in this time.
pub const WINDOW_MS: u64 = 60_000;
/// Maximum time by which a recorded page may lie in the future and still count: a writer takes the time before its
/// turn, so that another may meanwhile have written a later one. A page with a later time was left by a clock that was
/// set back.
pub const AHEAD_MS: u64 = 10_000;
/// Time in milliseconds without a page held back after which an acknowledged storm is over: ten minutes.
const CALM_MS: u64 = 600_000;

/// Ground on which a page may claim room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// A page that counts towards the ordinary limit.
    Ordinary,
    /// An act of the subject's own, or an outflow, that no page showed.
    Own,
    /// A page to which the limit does not apply.
    Exempt,
}

/// Recent pages of each path.
pub(super) struct PageLimit {
    paged: Vec<Paged>,
    now_ms: u64,
}

impl PageLimit {
    /// `paged` may hold older pages too; those of a time to come count up to [`AHEAD_MS`].
    pub(super) fn new(paged: &[Paged], now_ms: u64) -> Self {
        let ahead = now_ms.saturating_add(AHEAD_MS);
        let lately = |paged: &&Paged| paged.at_ms <= ahead && now_ms.saturating_sub(paged.at_ms) < WINDOW_MS;
        Self { paged: paged.iter().filter(lately).cloned().collect(), now_ms }
    }

    /// Checks whether the path may page once more, and counts the page if so.
    pub(super) fn admit(&mut self, path: &str, severity: Severity, claim: Claim) -> bool {
        let own = || self.paged.iter().filter(|paged| paged.path == path);
        let louder = own().map(|paged| paged.severity).max().is_none_or(|loudest| severity > loudest);
        let room = match claim {
            Claim::Ordinary => own().count() < PAGES_MAX,
            Claim::Own => own().count() < PAGES_MAX + OWN_PAGES_MAX,
            Claim::Exempt => true,
        };
        let admitted = room || louder;
        if admitted {
            self.paged.push(Paged { path: path.to_owned(), severity, at_ms: self.now_ms });
        }
        admitted
    }
}

/// Adds the pages held back to the storm of their path, and notifies people. `known` are the live incidents; versions
/// of them in the plan take precedence.
pub(super) fn gather_storms(pager: Pager, known: &[Incident], plan: &mut ChangeSet) {
    let now_ms = pager.now_ms;
    let mut by_path: BTreeMap<String, (Path, Vec<Held>)> = BTreeMap::new();
    for (path, held) in pager.held {
        by_path.entry(path.name.clone()).or_insert_with(|| (path, Vec::new())).1.push(held);
    }
    for (path, held) in by_path.into_values() {
        let of_path = |incident: &&Incident| {
            incident.origin.storm().is_some() && incident.state.is_live() && incident.path.name == path.name
        };
        let planned = plan.incidents.iter().position(|incident| of_path(&incident));
        let planned = planned.map(|place| plan.incidents.remove(place));
        let storm = planned.or_else(|| known.iter().find(of_path).cloned());
        let mut storm = storm.unwrap_or_else(|| new_storm(&path, &held, now_ms));
        let new: u64 = held.into_iter().map(|held| add_held_page(&mut storm, held, now_ms)).sum();
        if new > 0 || storm.heard.is_none() {
            announce_storm(&mut storm, now_ms, plan);
        }
        push_changed_incident(storm, plan);
    }
}

/// Returns a storm without notifying anyone.
fn new_storm(path: &Path, held: &[Held], now_ms: u64) -> Incident {
    let first = held.first().map_or("", |held| held.incident.as_str());
    let first = FindingId::of_occasion("storm", &format!("{}/{first}", path.name), &now_ms.to_string());
    let origin = Origin::Storm { storm: Storm::default() };
    let mut incident = system_incident(&first, origin, path, (STORM, Severity::Info), now_ms);
    incident.heard = None;
    incident.set_label(format!("Storm on path {}", path.name));
    incident.page.purpose =
        format!("Path {} pages at most {PAGES_MAX} times a minute. Each incident listed here is kept", path.name);
    incident
}

/// Adds a page held back, and returns the number of its findings that are new to the storm.
fn add_held_page(incident: &mut Incident, held: Held, now_ms: u64) -> u64 {
    let Some(storm) = incident.origin.storm_mut() else { return 0 };
    let findings = held.findings;
    storm.last_ms = now_ms;
    storm.findings += findings;
    storm.untold += findings;
    incident.findings += findings;
    incident.standing += findings;
    incident.severity = incident.severity.max(held.severity);
    match storm.held.iter_mut().find(|known| known.incident == held.incident) {
        Some(known) => {
            known.findings += findings;
            if (held.severity, held.own, held.weight) >= (known.severity, known.own, known.weight) {
                (known.severity, known.headline) = (held.severity, held.headline);
                (known.own, known.weight) = (held.own, held.weight);
            }
        }
        None => storm.held.push(held),
    }
    storm.held.sort_by_key(|held| Reverse((held.severity, held.own, held.weight)));
    storm.more += storm.held.len().saturating_sub(HELD_MAX) as u64;
    storm.held.truncate(HELD_MAX);
    describe_storm(incident);
    findings
}

/// Writes the storm's page.
fn describe_storm(incident: &mut Incident) {
    let Some(storm) = incident.origin.storm() else { return };
    let incidents = storm.held.len() + usize::try_from(storm.more).unwrap_or(usize::MAX);
    let findings = usize::try_from(storm.findings).unwrap_or(usize::MAX);
    let loudest = storm.held.first().map_or("", |held| held.headline.as_str());
    let incidents = format_more_count(incidents, "incident");
    let what = match findings {
        0 => format!("the next step of {incidents} is late"),
        n => format!("{} of {incidents} paged nobody", format_more_count(n, "finding")),
    };
    incident.page.headline = clean_line(&format!(
        "Path {} reached {PAGES_MAX} pages in a minute: {what}; the loudest: {loudest}",
        incident.path.name
    ));
    let line = |held: &Held| {
        let findings = format_more_count(usize::try_from(held.findings).unwrap_or(usize::MAX), "finding");
        clean_line(&format!(
            "{}: {}, {findings}, the last: {} ({})",
            held.severity, held.label, held.headline, held.incident
        ))
    };
    incident.page.report = storm.held.iter().map(line).collect();
    if storm.more > 0 {
        incident.page.report.push(format!("and {} more incidents", storm.more));
    }
    let first =
        storm.held.first().map(|held| Way::new("show the first of them", format!("incidents show {}", held.incident)));
    incident.page.ways = first.into_iter().chain([Way::new("list all", "incidents list")]).collect();
}

/// Notifies people of additions to a storm: at once if it is new or louder, otherwise once in [`WINDOW_MS`].
fn announce_storm(incident: &mut Incident, now_ms: u64, plan: &mut ChangeSet) {
    let out = &mut plan.deliveries;
    let louder = incident.heard.is_none_or(|heard| incident.severity > heard);
    let Some(storm) = incident.origin.storm() else { return };
    let again = now_ms >= storm.told_ms.saturating_add(WINDOW_MS);
    let said = Some(format!(
        "{} more were held back",
        format_more_count(usize::try_from(storm.untold).unwrap_or(usize::MAX), "finding")
    ));
    match incident.state.kind() {
        _ if incident.heard.is_none() => {
            incident.heard = Some(incident.severity);
            start_escalation(incident, now_ms, None, out);
        }
        // The acknowledgement covers what the storm listed then, not this addition.
        State::Acknowledged if louder || again => {
            incident.heard = Some(incident.severity);
            incident.state.reopen();
            incident.cycle += 1;
            start_escalation(incident, now_ms, said, out);
        }
        State::Open if louder => {
            incident.heard = Some(incident.severity);
            incident.cycle += 1;
            let steps = paged_destinations(incident);
            notify_destinations(incident, DeliveryKind::Trigger, &steps, said, out);
        }
        State::Open if again => {
            let told = incident.told.clone();
            notify_destinations(incident, DeliveryKind::Update, &told, said, out);
        }
        _ => return,
    }
    if let Some(storm) = incident.origin.storm_mut() {
        (storm.told_ms, storm.untold) = (now_ms, 0);
    }
}

/// Applies the passing of time to a storm, apart from its escalation; returns whether anything changed.
pub(super) fn advance_storm(incident: &Incident, now_ms: u64, plan: &mut ChangeSet) -> bool {
    let Some(storm) = incident.origin.storm().filter(|_| incident.state.is_live()) else { return false };
    let mut next = incident.clone();
    if storm.untold > 0 && now_ms >= storm.told_ms.saturating_add(WINDOW_MS) {
        announce_storm(&mut next, now_ms, plan);
    } else if incident.state.is_acknowledged() && now_ms >= storm.last_ms.saturating_add(CALM_MS) {
        let closing = (Resolution::Resolved, CloseCause::Itself("it is over".to_owned()));
        let said = "The storm is over: nothing was held back for ten minutes".to_owned();
        close_incident(&mut next, closing, said, now_ms, &mut plan.deliveries);
    } else {
        return false;
    }
    push_changed_incident(next, plan);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paged(n: usize, at_ms: u64) -> Vec<Paged> {
        vec![Paged { path: "treasury".into(), severity: Severity::High, at_ms }; n]
    }

    #[test]
    fn a_path_pages_twelve_times_a_minute_and_each_path_for_itself() {
        let now = 1_000_000;
        let mut limit = PageLimit::new(&paged(11, now - WINDOW_MS + 1), now);
        assert!(limit.admit("treasury", Severity::High, Claim::Ordinary));
        assert!(!limit.admit("treasury", Severity::High, Claim::Ordinary));
        assert!(!limit.admit("treasury", Severity::Warning, Claim::Ordinary));
        assert!(limit.admit("token", Severity::High, Claim::Ordinary), "another path");
        assert!(limit.admit("treasury", Severity::High, Claim::Exempt), "what is exempt");
        assert!(limit.admit("treasury", Severity::Critical, Claim::Ordinary), "what is louder than all of them");
        assert!(!limit.admit("treasury", Severity::Critical, Claim::Ordinary), "once");
        let own = (0..20).filter(|_| limit.admit("treasury", Severity::High, Claim::Own)).count();
        assert_eq!(own, OWN_PAGES_MAX - 2, "what strangers did not take; two more were exempt and louder");
    }

    #[test]
    fn pages_of_long_ago_and_of_a_clock_that_was_set_back_count_for_nothing() {
        let now = 1_000_000;
        assert!(PageLimit::new(&paged(12, now - WINDOW_MS), now).admit("treasury", Severity::High, Claim::Ordinary));
        assert!(PageLimit::new(&paged(12, now + AHEAD_MS + 1), now).admit("treasury", Severity::High, Claim::Ordinary));
        let by_another = paged(12, now + 1);
        assert!(
            !PageLimit::new(&by_another, now).admit("treasury", Severity::High, Claim::Ordinary),
            "written while this one waited"
        );
        assert!(!PageLimit::new(&paged(12, now), now).admit("treasury", Severity::High, Claim::Ordinary));
    }
}

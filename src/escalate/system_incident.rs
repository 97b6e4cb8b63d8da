//! Incidents that no transaction caused: a test page, a message that cannot be delivered.

use super::headline::clean_line;
use super::lifecycle::{
    begin_round, format_more_count, notify_destinations, paged_destinations, start_escalation, tell_news,
};
use super::news::{IncidentNews, Pager};
use super::responses::push_changed_incident;
use super::routing::Routing;
use super::storm::Claim;
use super::{page, storm};
use crate::model::incident::{Body, ChangeSet, Delivery, DeliveryKind, Incident, OpenState};
use crate::model::origin::{LOST_MAX, Undelivered};
use crate::model::path::Path;
use crate::model::record::Line;
use crate::model::{ChainId, DeliveryKey, FindingId, IncidentId, Origin, Severity, WatchInfo};
use alloy_primitives::Address;

/// Name of the built-in that raises dead letters.
pub const UNDELIVERABLE: &str = "builtin/undeliverable";
/// Name of the built-in of a test page.
const TEST: &str = "builtin/test-page";

/// Sends a page marked `TEST` to a path. It escalates and can be acknowledged like any other page.
///
/// The page is about the first watch on the path, so that it looks like a real one.
#[must_use]
pub fn test_page(path: &Path, roster: &Routing, now_ms: u64) -> ChangeSet {
    let first = FindingId::of_occasion("test", &path.name, &now_ms.to_string());
    let watch = roster.watches.iter().find(|watch| *watch.path == *path.name);
    let origin = Origin::Test { watch: watch.map(WatchInfo::watched_address) };
    let mut incident = system_incident(&first, origin, path, (TEST, path.page_at), now_ms);
    if let Some(watch) = watch {
        describe_watch(&mut incident, watch);
    }
    incident.marked = Some("TEST".to_owned());
    incident.page.headline = format!("This is a test of the path {}: nothing happened", path.name);
    let mut plan = ChangeSet::default();
    start_escalation(&mut incident, now_ms, None, &mut plan.deliveries);
    push_changed_incident(incident, &mut plan);
    plan
}

/// Opens or extends an incident for a message that cannot be delivered. The incident uses the message's path without
/// the dead destination. If no step of the path is left, all other destinations of the configuration are notified at
/// once.
///
/// There is one incident for each cause, whatever the path: further destinations that fail alike join it, each of them once, and
/// whoever of their paths has not heard of it is paged. So are people for each further incident whose page reaches nobody, once. A dead letter about a dead letter so comes to an end with the last destination.
/// `standing` holds the live incidents of all chains.
#[must_use]
pub fn dead_letter(letter: &Delivery, error: &str, standing: &OpenState, roster: &Routing, now_ms: u64) -> ChangeSet {
    let live = &standing.incidents;
    let about = live.iter().find(|incident| Some(&incident.id) == letter.incident.as_ref());
    let watch = dead_letter_watch(letter, roster);
    let path = match (about, &letter.body, watch) {
        (Some(incident), ..) => incident.path.clone(),
        (None, Body::Page(page), _) => roster.path(&page.path),
        (None, Body::Line(_), Some(watch)) => roster.path(&watch.path),
        (None, Body::Line(_), None) => roster.path_to_everybody("everybody"),
    };
    let cause = failure_cause(error, &letter.destination);
    let lists = |incident: &&Incident| {
        let failed = incident.origin.delivery_failure();
        failed.is_some_and(|failed| failed.cause == cause || failed.destinations.contains(&letter.destination))
    };
    let mut plan = ChangeSet::default();
    let mut pager = Pager::new(&standing.paged, now_ms);
    if let Some(known) = live.iter().filter(|incident| incident.state.is_live()).find(lists) {
        let mut known = known.clone();
        let letter = Letter { letter, error, cause, about, watch };
        join_dead_letter(&mut known, &letter, &path, roster, &mut pager);
        push_changed_incident(known, &mut plan);
    } else {
        let letter = Letter { letter, error, cause, about, watch };
        begin_undelivered(&letter, path, roster, &mut pager, &mut plan);
    }
    plan.deliveries.append(&mut pager.out);
    storm::gather_storms(pager, live, &mut plan);
    plan
}

/// A dead letter and its context.
struct Letter<'a> {
    letter: &'a Delivery,
    error: &'a str,
    cause: String,
    about: Option<&'a Incident>,
    watch: Option<&'a WatchInfo>,
}

/// Opens the incident of a cause.
fn begin_undelivered(letter: &Letter<'_>, path: Path, roster: &Routing, pager: &mut Pager, plan: &mut ChangeSet) {
    let Letter { letter, error, cause, about, watch } = letter;
    let path = detour_path(path, std::slice::from_ref(&letter.destination), roster);
    let first = FindingId::of_occasion("dead-letter", &letter.destination, letter.key.as_str());
    let is_page = matches!(letter.body, Body::Page(_));
    let severity = if is_page { letter.severity.max(Severity::High) } else { Severity::Warning };
    let paged = about.filter(|_| letter.kind == DeliveryKind::Trigger);
    let lost = paged.iter().map(|incident| incident.id.clone()).collect();
    let failure = Undelivered { cause: cause.clone(), destinations: vec![letter.destination.clone()], lost };
    let origin = Origin::DeliveryFailure { watch: watch.map(WatchInfo::watched_address), failure };
    let mut incident = system_incident(&first, origin, &path, (UNDELIVERABLE, severity), pager.now_ms);
    if let Some(watch) = watch {
        describe_watch(&mut incident, watch);
    }
    let what = if is_page { letter.kind.as_str() } else { "line of the feed" };
    let whose = about.map_or_else(String::new, |incident| format!(" about {}", incident.label));
    incident.page.headline =
        clean_line(&format!("A {what}{whose} could not be delivered to {}: {error}", letter.destination));
    name_undelivered(&mut incident);
    if let Body::Page(page) = &letter.body {
        incident.marked.clone_from(&page.marked);
    }
    let notify = path.notify.clone();
    if severity >= path.page_at || notify.is_empty() {
        // The storm limit does not apply to failures of the notification itself.
        pager.limit.admit(&path.name, severity, Claim::Exempt);
        start_escalation(&mut incident, pager.now_ms, None, &mut pager.out);
    } else {
        notify_destinations(&mut incident, DeliveryKind::Trigger, &notify, None, &mut pager.out);
    }
    push_changed_incident(incident, plan);
}

/// Further message that failed for the same cause, or at a destination that is known to fail, with its path.
fn join_dead_letter(incident: &mut Incident, letter: &Letter<'_>, path: &Path, roster: &Routing, pager: &mut Pager) {
    incident.findings += 1;
    incident.standing += 1;
    let destination = &letter.letter.destination;
    let Some(failed) = incident.origin.delivery_failure_mut() else { return };
    let is_new = !failed.destinations.contains(destination) && failed.destinations.len() < DESTINATIONS_MAX;
    if is_new {
        failed.destinations.push(destination.clone());
    }
    let failed = failed.destinations.clone();
    // Whoever else should have had the message.
    let own = detour_path(path.clone(), &failed, roster);
    if is_new {
        name_undelivered(incident);
        incident.path = detour_path(incident.path.clone(), &failed, roster);
    }
    if let Some(about) = letter.about.filter(|about| is_lost(incident, about, letter.letter)) {
        return page_of_lost(incident, letter, about, &own, pager);
    }
    if !is_new {
        return;
    }
    let said = clean_line(&format!("{destination} cannot be told either: {}", letter.error));
    let alive: Vec<String> = incident.told.iter().filter(|to| !failed.contains(to)).cloned().collect();
    notify_destinations(incident, DeliveryKind::Update, &alive, Some(said.clone()), &mut pager.out);
    // And who is next where nobody alive has heard of it.
    let steps = own.steps.iter().chain(incident.path.steps.iter().filter(|_| alive.is_empty()));
    let unheard = |to: &&String| !incident.told.contains(to);
    let next = steps.map(|step| step.to.iter().filter(unheard).cloned().collect::<Vec<_>>()).find(|to| !to.is_empty());
    let first = own.steps.first().is_none_or(|step| step.to.iter().all(|to| incident.told.contains(to)));
    let is_page = matches!(letter.letter.body, Body::Page(_));
    let Some(to) = next.filter(|_| is_page && (!first || alive.is_empty())) else { return };
    pager.limit.admit(&incident.path.name, incident.severity, Claim::Exempt);
    if !incident.paging {
        start_escalation(incident, pager.now_ms, Some(said.clone()), &mut pager.out);
    }
    let to: Vec<String> = to.into_iter().filter(|to| !incident.told.contains(to)).collect();
    notify_destinations(incident, DeliveryKind::Trigger, &to, Some(said), &mut pager.out);
}

/// Returns whether `letter` is the page of another, unacknowledged incident that reached none of the destinations paged for it so far, and
/// that no page of `incident` names. A store of an earlier version names it by its first page.
fn is_lost(incident: &Incident, about: &Incident, letter: &Delivery) -> bool {
    let Some(failed) = incident.origin.delivery_failure() else { return false };
    let in_vain = || paged_destinations(about).iter().all(|to| failed.destinations.contains(to));
    letter.kind == DeliveryKind::Trigger
        && about.origin.delivery_failure().is_none()
        && about.state.is_open()
        && about.paging
        && !failed.lost.contains(&about.id)
        && in_vain()
}

/// Pages people who can be told of a page that was lost, whatever they acknowledged before: nobody could see this one.
fn page_of_lost(incident: &mut Incident, letter: &Letter<'_>, about: &Incident, own: &Path, pager: &mut Pager) {
    let severity = letter.letter.severity.max(Severity::High);
    let headline = clean_line(&format!(
        "A page about {} could not be delivered to {}: {}",
        about.label, letter.letter.destination, about.page.headline
    ));
    let news = IncidentNews { severity, headline, evidence: None, more: None };
    if about.marked.is_none() {
        incident.marked = None;
    }
    incident.severity = incident.severity.max(severity);
    // Whoever causes findings causes these pages as well.
    if !pager.limit.admit(&incident.path.name, severity, Claim::Ordinary) {
        return pager.hold_page(incident, &news, 1);
    }
    incident.heard = incident.heard.max(Some(severity));
    if let Some(failed) = incident.origin.delivery_failure_mut() {
        failed.lost.push(about.id.clone());
        let over = failed.lost.len().saturating_sub(LOST_MAX);
        failed.lost.drain(..over);
    }
    let mut to: Vec<String> = own.steps.first().map(|step| step.to.clone()).unwrap_or_default();
    if !incident.paging || !incident.state.is_open() {
        incident.state.reopen();
        let begun = begin_round(incident, pager.now_ms);
        to.extend(begun.into_iter().filter(|name| own.steps.first().is_none_or(|step| !step.to.contains(name))));
    } else if to.is_empty() {
        to = paged_destinations(incident);
    }
    incident.cycle += 1;
    let failed = incident.origin.delivery_failure().map(|failed| failed.destinations.clone()).unwrap_or_default();
    let rest = incident.told.iter().filter(|name| !to.contains(name) && !failed.contains(name));
    let rest: Vec<String> = rest.cloned().collect();
    tell_news(incident, DeliveryKind::Trigger, &to, &news, &mut pager.out);
    tell_news(incident, DeliveryKind::Update, &rest, &news, &mut pager.out);
}

/// Maximum number of destinations that one incident lists as failing; no single person configures more.
const DESTINATIONS_MAX: usize = 256;

/// Returns the common part of failures: the error without the destination's name, the number of attempts, and the
/// answer of the other side.
fn failure_cause(error: &str, destination: &str) -> String {
    let named = |word: &&str| word.trim_matches(['`', ':', ',']) == destination;
    let other = |word: &str| if named(&word) { word.replace(destination, "it") } else { word.to_owned() };
    let error: Vec<String> = error.split(' ').map(other).collect();
    let error = error.join(" ");
    let last = error.split_once("the last of which ").map_or(&*error, |(_, last)| last);
    clean_line(last.split(": ").next().unwrap_or_default())
}

/// Names the incident after the failing destinations.
fn name_undelivered(incident: &mut Incident) {
    let Some(failed) = incident.origin.delivery_failure() else { return };
    let label = match failed.destinations.as_slice() {
        [] => "Delivery".to_owned(),
        [one] => format!("Delivery to {one}"),
        [first, rest @ ..] => format!("Delivery to {first} and {}", format_more_count(rest.len(), "other")),
    };
    let report = match failed.destinations.as_slice() {
        [] | [_] => Vec::new(),
        several => vec![clean_line(&format!(
            "{} destinations cannot be told ({}): {}",
            several.len(),
            failed.cause,
            several.join(", ")
        ))],
    };
    incident.set_label(label);
    incident.page.report = report;
}

/// The message about `incident` once more, for whoever is next while nothing can be written down: the first step of its path that does not
/// consist of destinations that refused it, else everybody else. Empty where nobody is left. They count as told.
#[must_use]
pub fn pass_on(incident: &mut Incident, message: &Delivery, refused: &[String], roster: &Routing) -> Vec<Delivery> {
    let path = detour_path(incident.path.clone(), refused, roster);
    let to = path.steps.into_iter().next().map(|step| step.to).unwrap_or_default();
    for name in &to {
        if !incident.told.contains(name) {
            incident.told.push(name.clone());
        }
    }
    let for_one = |name: String| Delivery {
        key: DeliveryKey::new(
            incident.id.as_str(),
            incident.cycle,
            incident.step,
            &name,
            message.kind.as_str(),
            incident.revision,
        ),
        destination: name,
        ..message.clone()
    };
    to.into_iter().map(for_one).collect()
}

/// Returns the path without dead destinations, or a path to everybody else if no step is left.
fn detour_path(path: Path, dead: &[String], roster: &Routing) -> Path {
    let without = |path: Path| {
        let mut path = path;
        path.notify.retain(|to| !dead.contains(to));
        path.steps.iter_mut().for_each(|step| step.to.retain(|to| !dead.contains(to)));
        path.steps.retain(|step| !step.to.is_empty());
        path
    };
    let name = path.name.clone();
    let rest = without(path);
    if rest.steps.is_empty() { without(roster.path_to_everybody(&name)) } else { rest }
}

/// The watch a message is about, if the configuration still has it.
fn dead_letter_watch<'a>(letter: &Delivery, roster: &'a Routing) -> Option<&'a WatchInfo> {
    let is = |chain: &str, address: Address| {
        roster.watches.iter().find(|watch| *watch.chain.name == *chain && watch.address == address)
    };
    match &letter.body {
        Body::Page(page) => is(&page.chain, page.watch?),
        Body::Line(line) => match &**line {
            Line::Verdict(verdict) => is(&verdict.chain, verdict.address.parse().ok()?),
            // A retraction names its finding alone; the lane has the watch.
            _ => {
                let mut parts = letter.lane.split('/').skip(1);
                let chain = ChainId(parts.next()?.parse().ok()?);
                let address: Address = parts.next()?.parse().ok()?;
                roster.watches.iter().find(|watch| watch.chain.id == chain && watch.address == address)
            }
        },
    }
}

/// Returns an incident without a finding on `path`, raised by the built-in `rule`.
pub(super) fn system_incident(
    first: &FindingId,
    origin: Origin,
    path: &Path,
    (rule, severity): (&str, Severity),
    now_ms: u64,
) -> Incident {
    let mut incident = Incident::new(IncidentId::new(&path.name, first), origin, "", path, now_ms);
    (incident.severity, incident.heard) = (severity, Some(severity));
    incident.rules.push(rule.to_owned());
    incident
}

/// Adds to an incident what the configuration says about the watch that it names.
fn describe_watch(incident: &mut Incident, watch: &WatchInfo) {
    incident.set_label(watch.label.to_string());
    page::describe_watch(&mut incident.page, watch);
    page::add_explorer_links(&mut incident.page, &watch.chain);
}

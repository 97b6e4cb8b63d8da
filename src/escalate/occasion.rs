//! Incidents that no transaction caused: a test page, a message that cannot be delivered.

use super::answers::changed;
use super::blindness::BLINDNESS;
use super::life::{start, tell};
use super::page;
use super::roster::Roster;
use crate::model::incident::{Body, Delivery, DeliveryKind, Incident, Plan, State};
use crate::model::page::Page;
use crate::model::path::Path;
use crate::model::record::Line;
use crate::model::{ChainId, FindingId, IncidentId, Severity, WatchInfo};
use alloy_primitives::Address;

/// The built-in that raises a message nobody could be given.
pub const UNDELIVERABLE: &str = "builtin/undeliverable";
/// The built-in behind a test page.
const TEST: &str = "builtin/test-page";

/// A page marked `TEST` down a path, which escalates and can be acknowledged as any other.
///
/// It speaks of the first watch that takes the path, so that it looks as a real one will.
#[must_use]
pub fn test_page(path: &Path, roster: &Roster, now_ms: u64) -> Plan {
    let first = FindingId::of_occasion("test", &path.name, &now_ms.to_string());
    let watch = roster.watches.iter().find(|watch| *watch.path == *path.name);
    let mut incident = occasion(&first, path, watch, TEST, path.page_at, now_ms);
    incident.marked = Some("TEST".to_owned());
    incident.page.headline = format!("This is a test of the path {}: nothing happened", path.name);
    let mut plan = Plan::default();
    start(&mut incident, now_ms, None, &mut plan.deliveries);
    changed(incident, &mut plan);
    plan
}

/// A message that cannot be delivered is an incident by another road: the path it was on, without the destination that is
/// dead. Where nothing is left of the path, every other destination of the configuration is told at once.
///
/// Further dead letters of the same destination and path join the first without a word: one broken webhook is one incident.
/// A dead letter about a dead letter loses one more destination and asks nobody outside its path, so that it comes to an end.
/// `live` are the live incidents.
#[must_use]
pub fn dead_letter(letter: &Delivery, error: &str, live: &[Incident], roster: &Roster, now_ms: u64) -> Plan {
    let about = live.iter().find(|incident| Some(&incident.id) == letter.incident.as_ref());
    let watch = subject(letter, roster);
    let path = match (about, &letter.body, watch) {
        (Some(incident), ..) => incident.path.clone(),
        (None, Body::Page(page), _) => roster.path(&page.path),
        (None, Body::Line(_), Some(watch)) => roster.path(&watch.path),
        (None, Body::Line(_), None) => roster.everybody("everybody"),
    };
    let label = format!("Delivery to {}", letter.destination);
    let mut plan = Plan::default();
    let same = |incident: &&Incident| {
        incident.rules.iter().any(|rule| rule == UNDELIVERABLE)
            && incident.label == label
            && incident.path.name == path.name
    };
    if let Some(known) = live.iter().find(same) {
        let more = known.findings + 1;
        changed(Incident { findings: more, standing: known.standing + 1, ..known.clone() }, &mut plan);
        return plan;
    }
    let again = about.is_some_and(|incident| incident.rules.iter().any(|rule| rule == UNDELIVERABLE));
    let path = detour(path, &letter.destination, again, roster);
    let first = FindingId::of_occasion("dead-letter", &letter.destination, letter.key.as_str());
    let is_page = matches!(letter.body, Body::Page(_));
    let severity = if is_page { letter.severity.max(Severity::High) } else { Severity::Warning };
    let mut incident = occasion(&first, &path, watch, UNDELIVERABLE, severity, now_ms);
    let what = if is_page { letter.kind.as_str() } else { "line of the feed" };
    let whose = about.map_or_else(String::new, |incident| format!(" about {}", incident.label));
    incident.page.headline =
        super::headline::clean(&format!("A {what}{whose} could not be delivered to {}: {error}", letter.destination));
    incident.label.clone_from(&label);
    incident.page.label = label;
    if let Body::Page(page) = &letter.body {
        incident.marked.clone_from(&page.marked);
    }
    let notify = path.notify.clone();
    if severity >= path.page_at || notify.is_empty() {
        start(&mut incident, now_ms, None, &mut plan.deliveries);
    } else {
        tell(&mut incident, DeliveryKind::Trigger, &notify, None, &mut plan.deliveries);
    }
    changed(incident, &mut plan);
    plan
}

/// The path without a destination; where no step is left of it, everybody else, unless nobody else is to be asked.
fn detour(path: Path, dead: &str, to_the_end: bool, roster: &Roster) -> Path {
    let without = |path: Path| {
        let mut path = path;
        path.notify.retain(|to| to != dead);
        path.steps.iter_mut().for_each(|step| step.to.retain(|to| to != dead));
        path.steps.retain(|step| !step.to.is_empty());
        path
    };
    let name = path.name.clone();
    let rest = without(path);
    if rest.steps.is_empty() && !to_the_end { without(roster.everybody(&name)) } else { rest }
}

/// The watch a message is about, if the configuration still has it.
fn subject<'a>(letter: &Delivery, roster: &'a Roster) -> Option<&'a WatchInfo> {
    let is = |chain: &str, address: Address| {
        roster.watches.iter().find(|watch| *watch.chain.name == *chain && watch.address == address)
    };
    match &letter.body {
        Body::Page(page) => is(&page.chain, page.watch),
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

/// Whether no transaction caused it.
pub(super) fn is_occasion(incident: &Incident) -> bool {
    let built_in = |rule: &String| [TEST, UNDELIVERABLE, BLINDNESS].contains(&rule.as_str());
    incident.marked.is_some() || incident.rules.iter().any(built_in)
}

/// An incident without a finding, on its way down `path`. It is about `watch` where there is one, else about no address.
pub(super) fn occasion(
    first: &FindingId,
    path: &Path,
    watch: Option<&WatchInfo>,
    rule: &str,
    severity: Severity,
    now_ms: u64,
) -> Incident {
    let id = IncidentId::new(&path.name, first);
    let (chain, address) = watch.map_or((ChainId(0), Address::ZERO), |watch| (watch.chain.id, watch.address));
    let mut incident = Incident {
        page: watch.map_or_else(|| blank(&id, path), |watch| page::of_watch(&id, watch, path)),
        label: watch.map_or_else(String::new, |watch| watch.label.to_string()),
        id,
        chain,
        watch: address,
        touches: Vec::new(),
        path: path.clone(),
        severity,
        heard: Some(severity),
        mentioned: false,
        state: State::Open,
        close_reason: None,
        closed_by: None,
        closed_at: None,
        opened_at: now_ms,
        paging: false,
        step: 0,
        next_escalation: None,
        told: Vec::new(),
        findings: 0,
        standing: 0,
        footing: None,
        rules: vec![rule.to_owned()],
        cycle: 0,
        revision: 0,
        acked_by: None,
        ack_expires: None,
        marked: None,
        blindness: None,
        noise: None,
    };
    if let Some(watch) = watch {
        page::link(&mut incident.page, &watch.chain);
    }
    incident
}

/// A page about no watch at all.
fn blank(id: &IncidentId, path: &Path) -> Page {
    Page {
        incident: id.clone(),
        cycle: 0,
        marked: None,
        state: State::Open,
        severity: Severity::Info,
        label: String::new(),
        watch: Address::ZERO,
        chain: String::new(),
        chain_id: ChainId(0),
        headline: String::new(),
        evidence: Vec::new(),
        more: 0,
        finality: None,
        touches: Vec::new(),
        purpose: String::new(),
        runbook: None,
        report: Vec::new(),
        links: Vec::new(),
        path: path.name.clone(),
        step: 1,
        next: None,
        acked_by: None,
        change: None,
    }
}

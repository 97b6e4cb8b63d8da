//! Lack of sight is an incident of its own: told once to every path that watches the chain, and over when sight returns.

use super::answers::changed;
use super::headline::clean;
use super::life::{close, start, tell};
use super::occasion::occasion;
use super::roster::Roster;
use crate::model::incident::{DeliveryKind, Incident, Plan, State};
use crate::model::record::{BlindnessLine, Line};
use crate::model::watch::ChainInfo;
use crate::model::{FindingId, Severity};
use std::collections::BTreeMap;

/// The built-in that raises a chain nobody can see.
pub const BLINDNESS: &str = "builtin/blindness";

/// A chain cannot be seen: an incident on each path that a watch of the chain takes. Whoever knows already is not told again,
/// whatever the reason has become meanwhile. `live` are the live incidents.
#[must_use]
pub fn blind(line: &BlindnessLine, chain: &ChainInfo, live: &[Incident], roster: &Roster, now_ms: u64) -> Plan {
    let mut plan = Plan { lines: vec![Line::Blindness(line.clone())], ..Plan::default() };
    let mut paths = BTreeMap::new();
    for watch in roster.watches.iter().filter(|watch| watch.chain.id == chain.id) {
        paths.entry(&watch.path).or_insert(watch);
    }
    for (name, watch) in paths {
        if live.iter().any(|incident| is_of(incident, chain) && incident.path.name == **name) {
            continue;
        }
        let path = roster.path(name);
        let about = format!("{}/{}/{}", chain.id, line.kind, line.endpoint.as_deref().unwrap_or_default());
        let first = FindingId::of_occasion("blindness", &about, &line.since);
        let mut incident = occasion(&first, &path, Some(watch), BLINDNESS, Severity::High, now_ms);
        incident.label = format!("Sight of {}", chain.name);
        incident.page.label.clone_from(&incident.label);
        let why = line.why.as_ref().unwrap_or(&line.kind);
        incident.page.headline = clean(&format!("{} cannot be seen since {}: {why}", chain.name, line.since));
        incident.page.purpose = clean(&format!("While it lasts these are not watched: {}", line.blinds.join(", ")));
        incident.page.runbook = None;
        incident.page.links.clear();
        if Severity::High >= path.page_at || path.notify.is_empty() {
            start(&mut incident, now_ms, None, &mut plan.deliveries);
        } else {
            tell(&mut incident, DeliveryKind::Trigger, &path.notify, None, &mut plan.deliveries);
        }
        changed(incident, &mut plan);
    }
    plan
}

/// The chain is seen again: its blindness closes by itself, on every path.
#[must_use]
pub fn sighted(line: &BlindnessLine, chain: &ChainInfo, live: &[Incident], now_ms: u64) -> Plan {
    let mut plan = Plan { lines: vec![Line::Blindness(line.clone())], ..Plan::default() };
    for incident in live.iter().filter(|incident| is_of(incident, chain)) {
        let mut incident = incident.clone();
        incident.close_reason = Some("sight returned".to_owned());
        let change = format!("{} is seen again", chain.name);
        close(&mut incident, State::Resolved, change, now_ms, &mut plan.deliveries);
        changed(incident, &mut plan);
    }
    plan
}

fn is_of(incident: &Incident, chain: &ChainInfo) -> bool {
    incident.chain == chain.id && incident.rules.iter().any(|rule| rule == BLINDNESS)
}

//! Catch-up report of an outage: the blocks that were seen late because of it, the findings in them, and the message
//! about them.
//!
//! Blocks are counted in the transaction that commits them, so that a crash during the catch-up loses none.

use super::headline::clean_line;
use super::lines::format_rfc3339;
use super::outage::is_dark;
use super::routing::StepJudged;
use crate::model::incident::{Finding, Incident};
use crate::model::record::{BlindnessLine, Line};
use crate::model::span::format_duration;
use crate::model::{Blindness, BlindnessKind, HealthIssue, IncidentScope, LateBlocks, LateFinding, Severity};
use std::cmp::Reverse;

/// Maximum number of findings named from late blocks; the rest is counted, and the store has all of them.
const FOUND_MAX: usize = 5;
/// Maximum number of chains in the report of one outage of the store.
const CHAINS_MAX: usize = 32;

/// Adds the blocks of a step, and the findings in them, to the report of each outage that made them late. Returns the
/// indices of the changed incidents.
pub(super) fn record_late_blocks(incidents: &mut [Incident], step: &StepJudged<'_>, found: &[Finding]) -> Vec<usize> {
    let (Some(first), Some(last)) = (step.blocks.first(), step.blocks.last()) else { return Vec::new() };
    let hidden = |incident: &Incident| {
        let here = incident.origin.scope().includes(IncidentScope::Chain(step.chain.id));
        // A disk that is only nearly full delays nothing.
        let total = incident.origin.outage().is_some_and(|blindness| {
            let warned = blindness.kind == BlindnessKind::StoreRefuses && incident.severity < Severity::High;
            blindness.kind.is_total() && !warned
        });
        here && total && is_dark(incident)
    };
    let mut places = Vec::new();
    for (place, incident) in incidents.iter_mut().enumerate().filter(|(_, incident)| hidden(incident)) {
        let Some(blindness) = incident.origin.outage_mut() else { continue };
        let Some(late) = of_chain(blindness, &step.chain.name, first.anchor.number()) else { continue };
        let gone = step.retract.iter().filter(|gone| gone.number >= late.from).count() as u64;
        late.from = late.from.min(first.anchor.number());
        late.to = last.anchor.number();
        late.blocks = late.blocks.saturating_sub(gone) + step.blocks.len() as u64;
        for finding in found {
            late.findings += 1;
            late.severity = late.severity.max(Some(finding.severity));
            late.found.push(LateFinding {
                finding_id: finding.id.clone(),
                severity: finding.severity,
                headline: finding.headline.clone(),
            });
        }
        late.found.sort_by_key(|finding| Reverse(finding.severity));
        late.found.truncate(FOUND_MAX);
        places.push(place);
    }
    places
}

/// Returns the report of one chain, creating it if needed.
fn of_chain<'a>(blindness: &'a mut Blindness, chain: &str, from: u64) -> Option<&'a mut LateBlocks> {
    let known = blindness.late.iter().position(|late| late.chain == chain);
    let place = known.or_else(|| {
        let empty = LateBlocks {
            chain: chain.to_owned(),
            from,
            to: from,
            blocks: 0,
            findings: 0,
            severity: None,
            found: Vec::new(),
        };
        (blindness.late.len() < CHAINS_MAX).then(|| blindness.late.push(empty))?;
        blindness.late.len().checked_sub(1)
    })?;
    blindness.late.get_mut(place)
}

/// Returns one sentence that the outage is over.
pub(super) fn outage_end_sentence(incident: &Incident) -> String {
    let Some(blindness) = incident.origin.outage() else { return format!("{} is back", incident.label) };
    let after = format_duration(dark_ms(blindness) / 1000);
    let chain = &incident.page.chain;
    let said = match (blindness.kind, &blindness.endpoint) {
        (BlindnessKind::StoreRefuses, _) if incident.severity < Severity::High => "There is room again".to_owned(),
        (BlindnessKind::StoreRefuses, _) => "What is seen can be written down again".to_owned(),
        (BlindnessKind::NotRunning, _) => format!("{chain} is watched again"),
        (kind, None) if kind.is_total() => format!("{chain} is seen again"),
        (kind, None) => format!("{kind} on {chain} is over"),
        (kind, Some(endpoint)) => format!("{kind} at {endpoint} is over"),
    };
    let late: u64 = blindness.late.iter().map(|late| late.blocks).sum();
    let findings: u64 = blindness.late.iter().map(|late| late.findings).sum();
    let missed = match (late, findings) {
        (0, _) => String::new(),
        (blocks, 0) => format!(": {} seen late, nothing found in them", format_count(blocks, "block")),
        (blocks, findings) => {
            format!(": {} seen late, {} in them", format_count(blocks, "block"), format_count(findings, "finding"))
        }
    };
    clean_line(&format!("{said} after {after}{missed}"))
}

/// Returns the lines of the page about an outage beside its headline; empty while the outage is new.
pub(super) fn catch_up_lines(incident: &Incident) -> Vec<String> {
    let Some(blindness) = incident.origin.outage() else { return Vec::new() };
    let mut said = Vec::new();
    if let Some(over) = blindness.over {
        let times = match blindness.times {
            1 => String::new(),
            times => format!(" in {times} stretches"),
        };
        let (first, over) = (format_rfc3339(blindness.first / 1000), format_rfc3339(over / 1000));
        said.push(format!("From {first} to {over}: {}{times}", format_duration(dark_ms(blindness) / 1000)));
        if blindness.kind.is_total() && blindness.late.is_empty() && incident.severity >= Severity::High {
            said.push("No block was seen late".to_owned());
        }
    }
    for late in &blindness.late {
        let blocks = format_count(late.blocks, "block");
        let which = if late.from == late.to { late.from.to_string() } else { format!("{} to {}", late.from, late.to) };
        let found = match (late.findings, late.severity) {
            (0, _) | (_, None) => "nothing was found in them".to_owned(),
            (n, Some(loudest)) => format!("{} in them, the loudest {loudest}", format_count(n, "finding")),
        };
        said.push(format!("{}: {blocks} seen late, {which}; {found}", late.chain));
        said.extend(late.found.iter().map(|f| format!("{}: {} ({})", f.severity, f.headline, f.finding_id)));
        let more = late.findings.saturating_sub(late.found.len() as u64);
        if more > 0 {
            said.push(format!("and {more} more"));
        }
    }
    said.extend(blindness.evidence.iter().map(|file| format!("Evidence: {file}")));
    said.iter().map(|line| clean_line(line)).collect()
}

/// Returns the line of an outage that begins or gets a higher severity.
pub(super) fn outage_began_line(
    incident: &Incident,
    trouble: &HealthIssue,
    chain: Option<&str>,
    blinds: Vec<String>,
) -> Line {
    let evidence = incident.origin.outage().map(|blindness| blindness.evidence.clone()).unwrap_or_default();
    Line::Blindness(BlindnessLine {
        kind: trouble.kind.name().to_owned(),
        why: Some(clean_line(&trouble.why)),
        severity: trouble.severity.to_string(),
        incident_id: incident.id.to_string(),
        chain: chain.map(str::to_owned),
        endpoint: trouble.endpoint.as_ref().map(ToString::to_string),
        since: trouble.since.to_string(),
        until: None,
        seconds: None,
        times: None,
        blocks: None,
        late: Vec::new(),
        evidence,
        ways: trouble.ways.clone(),
        blinds,
    })
}

/// Returns the line of an outage that is over.
pub(super) fn outage_ended_line(incident: &Incident, chain: Option<&str>) -> Option<Line> {
    let blindness = incident.origin.outage()?;
    let late: u64 = blindness.late.iter().map(|late| late.blocks).sum();
    Some(Line::Blindness(BlindnessLine {
        kind: blindness.kind.name().to_owned(),
        why: None,
        severity: incident.severity.to_string(),
        incident_id: incident.id.to_string(),
        chain: chain.map(str::to_owned),
        endpoint: blindness.endpoint.clone(),
        since: format_rfc3339_millis(blindness.first),
        until: blindness.over.map(format_rfc3339_millis),
        seconds: Some(dark_ms(blindness) / 1000),
        times: (blindness.times > 1).then_some(blindness.times),
        blocks: blindness.kind.is_total().then_some(late),
        late: blindness.late.clone(),
        evidence: blindness.evidence.clone(),
        ways: Vec::new(),
        blinds: Vec::new(),
    }))
}

/// Returns the total duration of an outage over all its stretches, in milliseconds.
fn dark_ms(blindness: &Blindness) -> u64 {
    let last = blindness.over.or(blindness.lifted).unwrap_or(blindness.since).saturating_sub(blindness.since);
    blindness.earlier.saturating_add(last)
}

/// Formats milliseconds as RFC 3339 in UTC.
fn format_rfc3339_millis(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| ms.to_string(), |time| time.to_string())
}

fn format_count(n: u64, one: &str) -> String {
    let many = if n == 1 { "" } else { "s" };
    format!("{n} {one}{many}")
}

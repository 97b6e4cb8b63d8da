//! Page of an incident, for a reader: kept up to date with each finding that joins, moves or goes.

use super::group::RaisedFinding;
use super::headline::{activity_headline, clean_line, wrapper_descriptions};
use super::news::IncidentNews;
use super::routing::Routing;
use super::shown::{acting_party, activity_reach, shown_content};
use crate::model::activity::Stage;
use crate::model::coverage::Doer;
use crate::model::incident::{Finding, Incident};
use crate::model::page::{EVIDENCE_MAX, Evidence, Gist, Link, NextStep, PARTIES_MAX, Page, Party};
use crate::model::value::Value;
use crate::model::watch::ChainInfo;
use crate::model::{Activity, Confidence, IncidentId, JudgedBlock, WatchInfo};
use alloy_primitives::Address;
use std::cmp::Reverse;
use std::collections::HashSet;

/// Adds to a page what the configuration says about its watch.
pub(super) fn describe_watch(page: &mut Page, watch: &WatchInfo) {
    page.label = watch.label.to_string();
    page.chain = watch.chain.name.to_string();
    page.purpose = watch.purpose.to_string();
    page.runbook = watch.runbook.as_ref().map(ToString::to_string);
}

/// A finding as evidence.
pub(super) fn finding_evidence(
    finding: &Finding,
    raised: &RaisedFinding<'_>,
    block: &JudgedBlock,
    roster: &Routing,
) -> Evidence {
    let activity = &raised.judged.activity;
    let party = |address| roster.names.party(block.chain, address);
    let others = other_parties(activity, raised.watch.address);
    Evidence {
        finding: finding.id.clone(),
        revision: finding.revision,
        severity: finding.severity,
        rule: finding.rule.clone(),
        headline: finding.headline.clone(),
        reasons: finding.reasons.iter().take(raised.abnormal.near).cloned().collect(),
        other_rules: finding.reasons.len().saturating_sub(raised.abnormal.near) as u64,
        orphaned: false,
        own: acting_party(activity, raised.watch.address) >= Doer::Outflow,
        alike: 0,
        weight: 0,
        stoppable: activity_reach(activity).is_stoppable(),
        late: None,
        watch: Party { address: raised.watch.address, name: Some(raised.watch.label.to_string()), looks_like: None },
        sender: (!block.transaction_of(activity).is_zero()).then(|| party(activity.origin)),
        signers: activity.signers.as_ref().map(|signers| signers.iter().copied().map(party).collect()),
        more_parties: others.len().saturating_sub(PARTIES_MAX) as u64,
        parties: others.into_iter().take(PARTIES_MAX).map(party).collect(),
        via: wrapper_descriptions(activity, block.chain, &roster.names),
        stage: stage_name(activity.stage).to_owned(),
        block: block.anchor.number(),
        block_hash: block.anchor.block().map(|block| block.hash),
        time: block.time,
        tx: block.transaction_of(activity),
        footing: finding.footing,
    }
}

/// Returns the other parties of an activity: the actor if that is not the sender, the target, and every address among
/// the arguments.
fn other_parties(activity: &Activity, watch: Address) -> Vec<Address> {
    let mut others = vec![activity.from];
    others.extend(activity.to);
    let mut open: Vec<&Value> = activity.deed.args.iter().rev().map(|arg| &arg.value).collect();
    while let Some(value) = open.pop() {
        match value {
            Value::Address(address) => others.push(*address),
            Value::Array(items) => open.extend(items.iter().rev()),
            Value::Tuple(fields) => open.extend(fields.iter().rev().map(|field| &field.value)),
            _ => {}
        }
    }
    let mut seen = HashSet::from([watch, activity.origin, Address::ZERO]);
    others.retain(|address| seen.insert(*address));
    others
}

/// Returns the finding of a raised verdict, at its first revision.
pub(super) fn raised_finding(
    raised: &RaisedFinding<'_>,
    incident: &IncidentId,
    block: &JudgedBlock,
    roster: &Routing,
) -> Finding {
    let activity = &raised.judged.activity;
    Finding {
        id: raised.id.clone(),
        incident: incident.clone(),
        revision: 1,
        chain: block.chain,
        anchor: block.anchor_of(activity),
        tx: block.transaction_of(activity),
        watch: raised.watch.address,
        rule: raised.abnormal.rule.to_string(),
        severity: raised.abnormal.severity,
        orphaned: false,
        observe: raised.observe,
        headline: activity_headline(activity, raised.watch, roster),
        reasons: raised.abnormal.reasons.iter().map(|reason| clean_line(reason)).collect(),
        footing: Confidence::new(block.sight),
        pending: (activity.stage == Stage::Pending).then_some(raised.watch.pending),
        act: Some(Box::new(shown_content(raised, roster))),
    }
}

/// Adds evidence to the page, replacing earlier evidence of the same finding.
pub(super) fn put_evidence(page: &mut Page, evidence: Evidence) {
    page.evidence.retain(|known| known.finding != evidence.finding);
    page.evidence.push(evidence);
    sort_evidence(page);
    page.evidence.truncate(EVIDENCE_MAX);
}

/// Marks a finding on the page as retracted.
pub(super) fn mark_orphaned(page: &mut Page, finding: &Finding) {
    for known in page.evidence.iter_mut().filter(|known| known.finding == finding.id) {
        known.orphaned = true;
        known.stoppable = false;
        known.revision = finding.revision;
    }
    sort_evidence(page);
}

/// Sorts the evidence: standing evidence before what was taken back, then by severity, then the subject's own acts,
/// then by weight, then the newest block, and within one block the first. An attacker who floods a page, from outside
/// or with crumbs from inside, cannot push off it what matters.
fn sort_evidence(page: &mut Page) {
    page.evidence.sort_by_key(|e| (e.orphaned, Reverse(e.severity), !e.own, Reverse(e.weight), Reverse(e.block)));
}

/// Updates the confidence of the incident: exact while its page lists all active findings, otherwise never better than
/// before.
pub(super) fn set_confidence(incident: &mut Incident) {
    let listed = incident.page.evidence.iter().filter(|evidence| !evidence.orphaned);
    let all = listed.clone().map(|evidence| 1 + evidence.alike).sum::<u64>() >= incident.standing;
    let least = listed.map(|evidence| evidence.footing).reduce(Confidence::weaker_of);
    incident.footing = match (least, incident.footing) {
        _ if incident.standing == 0 => None,
        (Some(least), Some(before)) if !all => Some(least.weaker_of(before)),
        (Some(least), _) => Some(least),
        (None, before) => before,
    };
}

/// Updates the page from its incident.
pub(super) fn refresh_page(incident: &mut Incident) {
    let next = incident.state.next_escalation().and_then(|at| {
        let last = incident.path.steps.len().checked_sub(1)?;
        let step = incident.path.steps.get(last.min(incident.step as usize + 1))?;
        Some(NextStep { at, to: step.to.clone() })
    });
    let page = &mut incident.page;
    page.cycle = incident.cycle;
    page.marked.clone_from(&incident.marked);
    page.state = incident.state.kind();
    page.severity = incident.heard.unwrap_or(incident.severity);
    page.touches.clone_from(&incident.touches);
    page.more = incident.findings.saturating_sub(page.n_listed());
    page.finality = incident.footing.map(|footing| footing.finality);
    page.step = incident.step + 1;
    page.next = next;
    page.acked_by = incident.state.acknowledged_by().map(str::to_owned);
    page.change = None;
    if let Some(loudest) = page.evidence.iter().find(|e| !e.orphaned) {
        page.headline.clone_from(&loudest.headline);
    }
}

/// Returns the page for a message that begins with newer evidence than the incident's first.
pub(super) fn leading_with(page: &Page, news: &IncidentNews) -> Page {
    let mut led = page.clone();
    let other = page.headline != news.headline || page.severity != news.severity;
    led.loudest = other.then(|| Gist { severity: page.severity, headline: page.headline.clone() });
    led.headline.clone_from(&news.headline);
    led.severity = news.severity;
    led.change.clone_from(&news.more);
    led.again = true;
    if let Some((evidence, links)) = news.evidence.as_deref() {
        let all = led.more + led.n_listed();
        led.evidence.retain(|known| known.finding != evidence.finding);
        led.evidence.insert(0, evidence.clone());
        // The last line of a full page is dropped.
        led.evidence.truncate(EVIDENCE_MAX);
        led.links.clone_from(links);
        led.more = all.saturating_sub(led.n_listed());
    }
    led
}

/// Explorer links for the page's first evidence and its watch.
pub(super) fn add_explorer_links(page: &mut Page, chain: &ChainInfo) {
    page.links = links_of(page, page.evidence.first(), chain);
}

/// Explorer links for this evidence and the page's watch; none without an explorer.
pub(super) fn links_of(page: &Page, evidence: Option<&Evidence>, chain: &ChainInfo) -> Vec<Link> {
    let Some(explorer) = &chain.explorer else { return Vec::new() };
    evidence
        // A queued transaction and a missing action are in no block, and no explorer knows their hash.
        .filter(|first| !first.tx.is_zero() && first.block_hash.is_some())
        .map(|first| Link { text: "Transaction".to_owned(), href: format!("{explorer}/tx/{:#x}", first.tx) })
        .into_iter()
        .chain(page.watch.map(|watch| Link {
            text: page.label.clone(),
            href: format!("{explorer}/address/{}", watch.to_checksum(None)),
        }))
        .collect()
}

/// The word for a stage.
pub(super) const fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Proposed => "proposed",
        Stage::Pending => "pending",
        Stage::Included => "included",
        Stage::Reverted => "reverted",
    }
}

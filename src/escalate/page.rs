//! What a person reads: the page of an incident, kept up to date with each finding that joins, moves or goes.

use super::group::Raised;
use super::headline::{clean, headline, via};
use super::roster::Roster;
use crate::model::activity::Stage;
use crate::model::incident::State;
use crate::model::incident::{Finding, Incident};
use crate::model::page::{EVIDENCE_MAX, Evidence, Link, NextStep, Page, Party};
use crate::model::path::Path;
use crate::model::watch::ChainInfo;
use crate::model::{Footing, IncidentId, JudgedBlock, Severity, WatchInfo};
use std::cmp::Reverse;

/// An empty page about a watch.
pub(super) fn of_watch(incident: &IncidentId, watch: &WatchInfo, path: &Path) -> Page {
    Page {
        incident: incident.clone(),
        cycle: 0,
        marked: None,
        state: State::Open,
        severity: Severity::Info,
        label: watch.label.to_string(),
        watch: watch.address,
        chain: watch.chain.name.to_string(),
        chain_id: watch.chain.id,
        headline: String::new(),
        evidence: Vec::new(),
        more: 0,
        finality: None,
        touches: Vec::new(),
        purpose: watch.purpose.to_string(),
        runbook: watch.runbook.as_ref().map(ToString::to_string),
        report: Vec::new(),
        links: Vec::new(),
        path: path.name.clone(),
        step: 1,
        next: None,
        acked_by: None,
        change: None,
    }
}

/// A finding as evidence.
pub(super) fn evidence(finding: &Finding, raised: &Raised<'_>, block: &JudgedBlock, roster: &Roster) -> Evidence {
    let activity = &raised.judged.activity;
    let party = |address| roster.names.party(block.chain, address);
    Evidence {
        finding: finding.id.clone(),
        revision: finding.revision,
        severity: finding.severity,
        rule: finding.rule.clone(),
        headline: finding.headline.clone(),
        reasons: finding.reasons.iter().take(raised.abnormal.near).cloned().collect(),
        other_rules: finding.reasons.len().saturating_sub(raised.abnormal.near) as u64,
        orphaned: false,
        late: None,
        watch: Party { address: raised.watch.address, name: Some(raised.watch.label.to_string()) },
        sender: (!block.transaction_of(activity).is_zero()).then(|| party(activity.origin)),
        signers: activity.signers.as_ref().map(|signers| signers.iter().copied().map(party).collect()),
        via: via(activity, block.chain, &roster.names),
        stage: stage(activity.stage).to_owned(),
        block: block.at.number,
        block_hash: block.at.hash,
        time: block.time,
        tx: block.transaction_of(activity),
        footing: finding.footing,
    }
}

/// The finding a raised verdict becomes, at its first revision.
pub(super) fn finding(raised: &Raised<'_>, incident: &IncidentId, block: &JudgedBlock, roster: &Roster) -> Finding {
    let activity = &raised.judged.activity;
    Finding {
        id: raised.id.clone(),
        incident: incident.clone(),
        revision: 1,
        chain: block.chain,
        at: block.at,
        tx: block.transaction_of(activity),
        watch: raised.watch.address,
        rule: raised.abnormal.rule.to_string(),
        severity: raised.abnormal.severity,
        orphaned: false,
        observe: raised.observe,
        headline: headline(activity, raised.watch, roster),
        reasons: raised.abnormal.reasons.iter().map(|reason| clean(reason)).collect(),
        footing: Footing::new(block.sight),
        pending: (activity.stage == Stage::Pending).then_some(raised.watch.pending),
    }
}

/// Puts evidence on the page, in place of what it said of the same finding before.
pub(super) fn put(page: &mut Page, evidence: Evidence) {
    page.evidence.retain(|known| known.finding != evidence.finding);
    // Newest first among equals.
    page.evidence.insert(0, evidence);
    arrange(page);
    page.evidence.truncate(EVIDENCE_MAX);
}

/// Marks a finding as taken back.
pub(super) fn strike(page: &mut Page, finding: &Finding) {
    for known in page.evidence.iter_mut().filter(|known| known.finding == finding.id) {
        known.orphaned = true;
        known.revision = finding.revision;
    }
    arrange(page);
}

/// What stands before what was taken back, then the loudest, then the newest.
fn arrange(page: &mut Page) {
    page.evidence.sort_by_key(|e| (e.orphaned, Reverse(e.severity), Reverse(e.block)));
}

/// Says how surely the incident stands: exactly while its page lists all that stands, else never better than before.
pub(super) fn foot(incident: &mut Incident) {
    let listed = incident.page.evidence.iter().filter(|evidence| !evidence.orphaned);
    let all = listed.clone().count() as u64 >= incident.standing;
    let least = listed.map(|evidence| evidence.footing).reduce(Footing::least);
    incident.footing = match (least, incident.footing) {
        _ if incident.standing == 0 => None,
        (Some(least), Some(before)) if !all => Some(least.least(before)),
        (Some(least), _) => Some(least),
        (None, before) => before,
    };
}

/// Brings the page in line with its incident.
pub(super) fn refresh(incident: &mut Incident) {
    let next = incident.next_escalation.and_then(|at| {
        let last = incident.path.steps.len().checked_sub(1)?;
        let step = incident.path.steps.get(last.min(incident.step as usize + 1))?;
        Some(NextStep { at, to: step.to.clone() })
    });
    let page = &mut incident.page;
    page.cycle = incident.cycle;
    page.marked.clone_from(&incident.marked);
    page.state = incident.state;
    page.severity = incident.heard.unwrap_or(incident.severity);
    page.touches.clone_from(&incident.touches);
    page.more = incident.findings.saturating_sub(page.evidence.len() as u64);
    page.finality = incident.footing.map(|footing| footing.finality);
    page.step = incident.step + 1;
    page.next = next;
    page.acked_by.clone_from(&incident.acked_by);
    page.change = None;
    if let Some(loudest) = page.evidence.iter().find(|e| !e.orphaned) {
        page.headline.clone_from(&loudest.headline);
    }
}

/// Explorer links for the page's first evidence and its watch.
pub(super) fn link(page: &mut Page, chain: &ChainInfo) {
    let Some(explorer) = &chain.explorer else { return };
    page.links = page
        .evidence
        .first()
        // What is queued, or did not come, is in no block, and no explorer knows its hash.
        .filter(|first| !first.tx.is_zero() && !first.block_hash.is_zero())
        .map(|first| Link { text: "Transaction".to_owned(), href: format!("{explorer}/tx/{:#x}", first.tx) })
        .into_iter()
        .chain([Link {
            text: page.label.clone(),
            href: format!("{explorer}/address/{}", page.watch.to_checksum(None)),
        }])
        .collect();
}

/// The word for a stage.
pub(super) const fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Proposed => "proposed",
        Stage::Pending => "pending",
        Stage::Included => "included",
        Stage::Reverted => "reverted",
    }
}

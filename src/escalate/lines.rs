//! JSON lines of verdicts and incidents.

use super::headline::{activity_headline, argument_amount, clean_line, wrapper_descriptions};
use super::page;
use super::routing::{Routing, StepJudged};
use crate::model::activity::{Fate, Operation};
use crate::model::amount::Unit;
use crate::model::incident::{Finding, Incident};
use crate::model::record::{FindingLine, IncidentLine, Line, VerdictLine};
use crate::model::value::Arg;
use crate::model::{FindingId, IncidentId, Judged, JudgedBlock, Verdict, Verification, WatchInfo};
use alloy_primitives::{Address, B256};
use serde_json::{Map, Value as Json};

/// Returns the line of one judged activity. `own` is its finding, if it has one of its own. `incident` is the incident
/// it belongs to; a repeated verdict shares the incident of the original.
#[must_use]
pub fn verdict_line(
    step: &StepJudged<'_>,
    block: &JudgedBlock,
    judged: &Judged,
    watch: &WatchInfo,
    roster: &Routing,
    own: Option<&Finding>,
    incident: Option<&IncidentId>,
) -> VerdictLine {
    let activity = &judged.activity;
    let (verdict, by, severity, reasons, near) = match &judged.verdict {
        Verdict::Normal { by } => ("normal", by.to_string(), None, Vec::new(), 0),
        Verdict::Abnormal(abnormal) => {
            let reasons = abnormal.reasons.iter().map(|reason| clean_line(reason)).collect();
            ("abnormal", abnormal.rule.to_string(), Some(abnormal.severity.to_string()), reasons, abnormal.near)
        }
    };
    VerdictLine {
        chain: step.chain.name.to_string(),
        block: block.anchor.number(),
        block_hash: block.anchor.block_hash(),
        time: format_rfc3339(block.time),
        tx: transaction_or_empty(block.transaction_of(activity)),
        position: activity.position.to_string(),
        watch: watch.label.to_string(),
        address: watch.address.to_checksum(None),
        activity: activity.kind.as_str().to_owned(),
        function: clean_line(&activity.deed.signature),
        stage: page::stage_name(activity.stage).to_owned(),
        fate: outcome_name(activity.fate).to_owned(),
        verdict: verdict.to_owned(),
        by,
        severity,
        reasons,
        near,
        finding_id: own.map(|finding| finding.id.to_string()),
        incident_id: incident.map(ToString::to_string),
        revision: own.map_or(1, |finding| finding.revision),
        headline: activity_headline(activity, watch, roster),
        args: arguments_by_name(&activity.deed.args, |arg| Some(arg.value.to_json())),
        args_human: arguments_by_name(&activity.deed.args, |arg| {
            argument_amount(arg, activity, block.chain, roster).map(Json::String)
        }),
        value: activity.value.to_string(),
        value_human: Unit::ether().format_amount(activity.value),
        via: wrapper_descriptions(activity, block.chain, &roster.names),
        from: activity.from.to_checksum(None),
        origin: address_or_empty(activity.origin),
        to: activity.to.map(|to| to.to_checksum(None)),
        operation: match activity.operation {
            Operation::Call => "call",
            Operation::Delegatecall => "delegatecall",
            Operation::Create => "create",
        }
        .to_owned(),
        signers: activity.signers.as_deref().map(checksummed_addresses),
        implementation: activity.executed_code().map(|(code, _)| code.to_checksum(None)),
        abi: activity.executed_code().and_then(|(_, abi)| abi.map(ToString::to_string)),
        sources: block.sight.sources,
        verified: block.sight.proof == Verification::Proven,
        late: None,
    }
}

/// Returns the line of an incident. It names `findings` in addition to those on its page. A store passes all of them.
#[must_use]
pub fn incident_line(incident: &Incident, findings: &[FindingId]) -> Line {
    let listed = || incident.page.evidence.iter().map(|evidence| &evidence.finding);
    // The page lists a handful; the rest may be thousands, each named once already.
    let more = findings.iter().filter(|id| listed().all(|known| known != *id));
    let named = listed().chain(more).map(ToString::to_string).collect();
    Line::Incident(Box::new(IncidentLine {
        incident_id: incident.id.to_string(),
        watch: incident.label.clone(),
        path: incident.path.name.clone(),
        state: incident.state.kind().as_str().to_owned(),
        severity: incident.severity.to_string(),
        opened: format_rfc3339(incident.opened_at / 1000),
        findings: named,
        step: incident.step + 1,
        next_escalation: incident.state.next_escalation().map(|at| format_rfc3339(at / 1000)),
        acked_by: incident.state.acknowledged_by().map(str::to_owned),
        headline: incident.page.headline.clone(),
        finality: incident.footing.map(|footing| footing.finality.as_str().to_owned()),
        sources: incident.footing.map(|footing| footing.sources),
        verified: incident.footing.and_then(|footing| footing.verified),
    }))
}

/// Returns the line of a finding as the store keeps it. A watch that the configuration no longer has is shown by its
/// address.
#[must_use]
pub fn finding_line(finding: &Finding, roster: &Routing) -> Line {
    let watch = roster.watches.iter().find(|w| w.address == finding.watch && w.chain.id == finding.chain);
    let chain = roster.watches.iter().find(|watch| watch.chain.id == finding.chain);
    let address = finding.watch.to_checksum(None);
    let footing = finding.footing;
    Line::Finding(Box::new(FindingLine {
        finding_id: finding.id.to_string(),
        incident_id: finding.incident.to_string(),
        revision: finding.revision,
        chain: chain.map_or_else(|| finding.chain.to_string(), |watch| watch.chain.name.to_string()),
        block: finding.anchor.number(),
        block_hash: finding.anchor.block_hash(),
        tx: transaction_or_empty(finding.tx),
        watch: watch.map_or_else(|| address.clone(), |watch| watch.label.to_string()),
        address,
        by: finding.rule.clone(),
        severity: finding.severity.to_string(),
        headline: finding.headline.clone(),
        reasons: finding.reasons.clone(),
        orphaned: finding.orphaned,
        finality: (!finding.orphaned && finding.pending.is_none()).then(|| footing.finality.as_str().to_owned()),
        sources: footing.sources,
        endpoints: footing.endpoints,
        verified: footing.verified,
    }))
}

/// Formats a time as RFC 3339 in UTC. A time outside the calendar, which only a hostile header can hold, stays a number
/// of seconds.
#[must_use]
pub fn format_rfc3339(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(|| seconds.to_string(), |time| time.to_string())
}

/// Returns the arguments by name. An argument without a name, or with a name that is taken, goes by its position.
fn arguments_by_name(args: &[Arg], told: impl Fn(&Arg) -> Option<Json>) -> Map<String, Json> {
    let mut map = Map::new();
    for (place, arg) in args.iter().enumerate() {
        let taken = args[..place].iter().any(|before| before.name == arg.name);
        let name = if arg.name.is_empty() || taken { format!("#{place}") } else { clean_line(&arg.name) };
        if let Some(told) = told(arg) {
            map.insert(name, told);
        }
    }
    map
}

/// Formats a transaction hash; empty if no transaction caused it.
fn transaction_or_empty(tx: B256) -> String {
    if tx.is_zero() { String::new() } else { format!("{tx:#x}") }
}

/// Formats an address; empty for the zero address.
fn address_or_empty(address: Address) -> String {
    if address.is_zero() { String::new() } else { address.to_checksum(None) }
}

fn checksummed_addresses(addresses: &[Address]) -> Vec<String> {
    addresses.iter().map(|address| address.to_checksum(None)).collect()
}

const fn outcome_name(fate: Fate) -> &'static str {
    match fate {
        Fate::Executed => "executed",
        Fate::Reverted => "reverted",
        Fate::Failed => "failed",
        Fate::Waiting => "waiting",
        Fate::Unconfirmed => "unconfirmed",
    }
}

//! JSON lines: one object a line, `type` first. The format is a compatibility promise to other programs; see
//! docs/output.md.
//!
//! Addresses are in EIP-55, hashes in lower case, amounts as decimal strings in the smallest unit beside a
//! human-readable string, times in RFC 3339 UTC, block numbers as numbers; absent values are omitted.

use super::LateBlocks;
use super::page::Way;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// A line of the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Line {
    /// An activity was judged.
    Verdict(Box<VerdictLine>),
    /// A finding was retracted.
    Retraction(RetractionLine),
    /// An incident opened or changed.
    Incident(Box<IncidentLine>),
    /// Blocks have reached a higher finality, or were confirmed by endpoints.
    Footing(FootingLine),
    /// Current state of a finding.
    Finding(Box<FindingLine>),
    /// Current state of a chain in the store.
    Chain(Box<ChainLine>),
    /// An outage began or ended.
    Blindness(BlindnessLine),
    /// A message was sent, or could not be sent.
    Delivery(DeliveryLine),
    /// Totals at the end.
    Summary(SummaryLine),
}

/// A judged activity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictLine {
    /// Chain name.
    pub chain: String,
    /// Block number.
    pub block: u64,
    /// Block hash; absent for what is proposed or pending, which is in no block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_hash: Option<String>,
    /// Block time.
    pub time: String,
    /// Transaction hash; absent where no transaction caused it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tx: String,
    /// `call`, `call.0.2`, `log.5`; `due.1795194000` for an expected action that did not come by that time, in Unix
    /// seconds.
    pub position: String,
    /// Label of the watch.
    pub watch: String,
    /// Watched address.
    pub address: String,
    /// `call`, `act`, `event`, `move`.
    pub activity: String,
    /// Function or event signature; `ether` for a plain payment.
    pub function: String,
    /// `proposed`, `pending`, `included`, `reverted`.
    pub stage: String,
    /// `executed`, `failed`, `reverted`, `waiting`, `unconfirmed`.
    pub fate: String,
    /// `normal` or `abnormal`.
    pub verdict: String,
    /// Rule or built-in that vouched for it or raised it.
    pub by: String,
    /// Severity; only for abnormal activities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// Reasons, nearest first; empty when normal.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// Number of reasons, from the first, that are about this very function; the others are rules about something else.
    #[serde(default)]
    pub near: usize,
    /// Identity, if the activity is a finding of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding_id: Option<String>,
    /// The incident it joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident_id: Option<String>,
    /// Grows with each retraction and re-inclusion; 1 at first.
    pub revision: u32,
    /// Description of the event, in one sentence with units.
    pub headline: String,
    /// Arguments by name; an argument without a name as `#0`.
    pub args: Map<String, Json>,
    /// Human form of those arguments that are amounts of a token with known decimals.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub args_human: Map<String, Json>,
    /// Wei.
    pub value: String,
    /// Human form of `value`.
    pub value_human: String,
    /// Wrappers, outermost first.
    pub via: Vec<String>,
    /// Acting address.
    pub from: String,
    /// Sender of the transaction; absent if no transaction caused the activity.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub origin: String,
    /// Counterparty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// `call`, `delegatecall`, `create`.
    pub operation: String,
    /// Approvers; absent when unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signers: Option<Vec<String>>,
    /// Implementation that a proxy ran for it, where its registry lists the allowed implementations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub implementation: Option<String>,
    /// Watchlist name of the ABI of that code; absent for the watch's own ABI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abi: Option<String>,
    /// Number of endpoints that report it.
    pub sources: u32,
    /// True if the block was verified against its header.
    pub verified: bool,
    /// Seconds between the block's time and its judging, when that is longer than it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<u64>,
}

/// A retracted finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetractionLine {
    /// Identity of the finding.
    pub finding_id: String,
    /// Revision of the finding, one more than that of the retracted line.
    pub revision: u32,
    /// `reorg`; for a pending transaction `replaced`, `expired`, or `included` where its block leads to a different
    /// finding.
    pub reason: String,
    /// Number of the block that was removed; for a pending transaction, of the newest block when it was first seen.
    pub orphaned_block: u64,
    /// Hash of that block; absent for pending transactions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orphaned_hash: Option<String>,
    /// Hash of the block now at that height, or of the transaction that took the nonce, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
}

/// Current state of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentLine {
    /// Identity.
    pub incident_id: String,
    /// Label of the owning watch.
    pub watch: String,
    /// Path name.
    pub path: String,
    /// `open`, `acknowledged`, `resolved`, `false-alarm`.
    pub state: String,
    /// Severity of the most severe finding.
    pub severity: String,
    /// Time of opening.
    pub opened: String,
    /// Ids of its findings.
    pub findings: Vec<String>,
    /// Last step of the path that was notified, from 1.
    pub step: u32,
    /// Time at which the next step is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_escalation: Option<String>,
    /// Name of the person who acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acked_by: Option<String>,
    /// Headline, in one sentence.
    pub headline: String,
    /// `included`, `safe` or `finalized`: finality of the newest of its active findings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finality: Option<String>,
    /// Number of endpoints that report the blocks of all active findings as theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<u32>,
    /// True if the blocks of all active findings were proven by their headers; absent where verification was not
    /// requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
}

/// All blocks up to this one have reached the given finality, or are confirmed by the given number of endpoints: one of
/// `finality` and `sources` is present.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FootingLine {
    /// Chain name.
    pub chain: String,
    /// Number of the newest block it applies to.
    pub block: u64,
    /// Hash of that block.
    pub block_hash: String,
    /// `safe` or `finalized`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finality: Option<String>,
    /// Number of endpoints that report the block as theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<u32>,
    /// Ids of the active findings that it affects, oldest first.
    pub findings: Vec<String>,
    /// Number of further findings, if the list would be too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<u64>,
}

/// Current state of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingLine {
    /// Identity.
    pub finding_id: String,
    /// The incident it joined.
    pub incident_id: String,
    /// Grows with each retraction and re-inclusion; 1 at first.
    pub revision: u32,
    /// Chain name.
    pub chain: String,
    /// Number of the block that contains it, or contained it; of what is in no block, number of the newest block when it
    /// was first seen.
    pub block: u64,
    /// Hash of the block that contains it, or contained it; absent for what is proposed or pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_hash: Option<String>,
    /// Transaction hash; absent where no transaction caused it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tx: String,
    /// Label of the watch.
    pub watch: String,
    /// Watched address.
    pub address: String,
    /// The rule or built-in that raised it.
    pub by: String,
    /// Severity of the finding.
    pub severity: String,
    /// Description of the event, in one sentence with units.
    pub headline: String,
    /// Reasons, nearest first.
    pub reasons: Vec<String>,
    /// True if a reorg took it away.
    pub orphaned: bool,
    /// `included`, `safe` or `finalized`; absent where a reorg retracted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finality: Option<String>,
    /// Number of endpoints that report its block as theirs.
    pub sources: u32,
    /// Number of endpoints that could have reported it when it was judged.
    pub endpoints: u32,
    /// True if its block was proven by its header; absent where verification was not requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
}

/// Current state of a chain in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainLine {
    /// Chain name.
    pub chain: String,
    /// EIP-155 id.
    pub chain_id: u64,
    /// Number of the first judged block; absent before the first start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    /// Number of the newest judged block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<u64>,
    /// Hash of that block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_hash: Option<String>,
    /// Time of that block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Age of that block in seconds, by our clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_seconds: Option<u64>,
    /// Number of the newest safe block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safe: Option<u64>,
    /// Hash of that block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safe_hash: Option<String>,
    /// Number of the newest finalized block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finalized: Option<u64>,
    /// Hash of that block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finalized_hash: Option<String>,
    /// A block on the branch that may undo finalized blocks, while an operator allows that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<String>,
    /// Name of the person who allows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_by: Option<String>,
    /// Start time of that permission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_at: Option<String>,
}

/// An outage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlindnessLine {
    /// Name of a [`BlindnessKind`](super::BlindnessKind), the same at the beginning and at the end.
    pub kind: String,
    /// Cause of the outage, in words; absent at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Severity of the outage, current or final.
    pub severity: String,
    /// Incident that records the outage.
    pub incident_id: String,
    /// Chain name; absent for an outage of the store, which all chains share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
    /// Name of the endpoint, never its address; absent when the outage affects the whole chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Start of the outage.
    pub since: String,
    /// End of the outage, when all missed blocks have been judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Total duration in seconds, once the outage is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// Number of occurrences; absent for a single one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Number of blocks judged late, once the outage is over, if nothing was seen while it lasted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocks: Option<u64>,
    /// Blocks that were judged late, chain by chain, with the findings in them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub late: Vec<LateBlocks>,
    /// Files that contain an endpoint's responses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// Commands with which an operator can end it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ways: Vec<Way>,
    /// Labels of the watches that cannot be seen because of it; if there are many, only their number.
    pub blinds: Vec<String>,
}

/// An attempt at a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryLine {
    /// Identity.
    pub key: String,
    /// Destination's name.
    pub destination: String,
    /// `trigger`, `update` ...
    pub kind: String,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// `sent`, `retry`, `dead`.
    pub outcome: String,
    /// Description of the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Totals of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SummaryLine {
    /// Blocks committed.
    pub blocks: u64,
    /// Activities judged.
    pub activities: u64,
    /// Number of normal activities among them.
    pub normal: u64,
    /// Findings.
    pub findings: u64,
    /// Findings that were retracted and did not occur again.
    pub retracted: u64,
    /// Incidents opened.
    pub incidents: u64,
    /// Messages sent.
    pub deliveries: u64,
    /// Messages that could not be sent (dead letters).
    pub dead: u64,
    /// Ranges that were requested and not reached, one sentence for each chain; the exit code is then 2.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<String>,
}

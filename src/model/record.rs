//! JSON lines: one object a line, `type` first. A promise to other programs; see the README's "Output" section.
//!
//! Addresses in EIP-55, hashes lower-case, amounts decimal strings in the smallest unit beside a human string, times RFC 3339
//! UTC, block numbers as numbers, absent as missing.

use super::LateBlocks;
use super::page::Way;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Line {
    /// An activity was judged.
    Verdict(Box<VerdictLine>),
    /// A finding was taken back.
    Retraction(RetractionLine),
    /// An incident opened or changed.
    Incident(Box<IncidentLine>),
    /// Blocks have become more final, or are confirmed.
    Footing(FootingLine),
    /// A finding as it stands.
    Finding(Box<FindingLine>),
    /// A chain as it stands in the store.
    Chain(Box<ChainLine>),
    /// We could not see.
    Blindness(BlindnessLine),
    /// A message was sent, or could not be.
    Delivery(DeliveryLine),
    /// At the end.
    Summary(SummaryLine),
}

/// One judged activity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictLine {
    /// Chain name.
    pub chain: String,
    /// Block number.
    pub block: u64,
    /// Block hash.
    pub block_hash: String,
    /// Block time.
    pub time: String,
    /// Transaction hash; absent where no transaction caused it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tx: String,
    /// `call`, `call.0.2`, `log.5`; `due.1795194000` for what did not come by that time, in Unix seconds.
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
    /// What vouched, or what raised.
    pub by: String,
    /// Only when abnormal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// Why, nearest first; empty when normal.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// How many of the reasons, from the first, are about this very function; the others are rules about something else.
    #[serde(default)]
    pub near: usize,
    /// Identity, when it is a finding of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding_id: Option<String>,
    /// The incident it joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident_id: Option<String>,
    /// Grows with each retraction and re-inclusion; 1 at first.
    pub revision: u32,
    /// What happened, in one sentence with units.
    pub headline: String,
    /// By name, else `#0`.
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
    /// Who acts.
    pub from: String,
    /// Who sent the transaction; absent where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub origin: String,
    /// The other side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// `call`, `delegatecall`, `create`.
    pub operation: String,
    /// Whose approval it carries; absent when unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signers: Option<Vec<String>>,
    /// The code that a proxy ran for it, where its registry lists what it may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub implementation: Option<String>,
    /// What the watchlist calls the ABI of that code; absent where it is the watch's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abi: Option<String>,
    /// How many endpoints say so.
    pub sources: u32,
    /// Whether the block was verified against its header.
    pub verified: bool,
    /// Seconds between the block's time and its judging, when that is longer than it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<u64>,
}

/// A finding taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetractionLine {
    /// Which finding.
    pub finding_id: String,
    /// Its revision, one more than what it takes back.
    pub revision: u32,
    /// `reorg`; of what was pending `replaced`, `expired`, or `included` where the block shows it in another light.
    pub reason: String,
    /// Number of the block that is gone; of what was pending the newest one when it was first seen.
    pub orphaned_block: u64,
    /// Its hash; zero of what was pending.
    pub orphaned_hash: String,
    /// Hash of the block now at that height, or of the transaction that took the nonce, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
}

/// An incident as it stands.
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
    /// Loudest finding.
    pub severity: String,
    /// When it opened.
    pub opened: String,
    /// Ids of its findings.
    pub findings: Vec<String>,
    /// Step of the path told last, from 1.
    pub step: u32,
    /// When the next step is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_escalation: Option<String>,
    /// Who took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acked_by: Option<String>,
    /// One sentence.
    pub headline: String,
    /// `included`, `safe` or `finalized`: how far the newest of its standing findings is from being undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finality: Option<String>,
    /// How many endpoints say of every standing finding's block that it is theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<u32>,
    /// Whether every standing finding's block was proven by its header; absent where nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
}

/// Every block up to this one has become so final, or is held by so many endpoints: one of `finality` and `sources` is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FootingLine {
    /// Chain name.
    pub chain: String,
    /// Number of the newest block it holds for.
    pub block: u64,
    /// Its hash.
    pub block_hash: String,
    /// `safe` or `finalized`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finality: Option<String>,
    /// How many endpoints say that it is theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<u32>,
    /// Ids of standing findings that gained by it, oldest first.
    pub findings: Vec<String>,
    /// How many more there are, where it would be too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<u64>,
}

/// A finding as it stands.
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
    /// Number of the block it stands in, or stood in.
    pub block: u64,
    /// That block's hash.
    pub block_hash: String,
    /// Transaction hash; absent where no transaction caused it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tx: String,
    /// Label of the watch.
    pub watch: String,
    /// Watched address.
    pub address: String,
    /// The rule or built-in that raised it.
    pub by: String,
    /// How loud.
    pub severity: String,
    /// What happened, in one sentence with units.
    pub headline: String,
    /// Why, nearest first.
    pub reasons: Vec<String>,
    /// Whether a reorg took it away.
    pub orphaned: bool,
    /// `included`, `safe` or `finalized`; absent where a reorg took it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finality: Option<String>,
    /// How many endpoints say that its block is theirs.
    pub sources: u32,
    /// How many there were to say so when it was judged.
    pub endpoints: u32,
    /// Whether its block was proven by its header; absent where nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
}

/// A chain as it stands in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainLine {
    /// Chain name.
    pub chain: String,
    /// EIP-155 id.
    pub chain_id: u64,
    /// Number of the first block that is judged; absent before the first start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    /// Number of the newest block that was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<u64>,
    /// Its hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_hash: Option<String>,
    /// Its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// How many seconds ago that is, by our clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_seconds: Option<u64>,
    /// Number of the newest safe block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safe: Option<u64>,
    /// Its hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safe_hash: Option<String>,
    /// Number of the newest finalized block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finalized: Option<u64>,
    /// Its hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finalized_hash: Option<String>,
    /// A block on the branch that may undo what is finalized, while somebody allows that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<String>,
    /// Who allows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_by: Option<String>,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_at: Option<String>,
}

/// A stretch without sight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlindnessLine {
    /// The name of a [`BlindnessKind`](super::BlindnessKind), the same when it begins and when it ends.
    pub kind: String,
    /// What stands in the way, in words; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// How loud it is, or was.
    pub severity: String,
    /// The incident it is.
    pub incident_id: String,
    /// Chain name; absent when it is about the store, which all chains share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
    /// Endpoint's name, never its address; absent when it is about the chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Since when.
    pub since: String,
    /// Until when, once it is over: when all that was missed has been judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// How long it lasted in all, once it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// How often it began; absent for once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// How many blocks were seen late, once it is over and nothing was seen while it lasted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocks: Option<u64>,
    /// Which blocks those are, chain by chain, and what was found in them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub late: Vec<LateBlocks>,
    /// Files that hold what an endpoint gave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// Commands by which a person ends it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ways: Vec<Way>,
    /// Labels of the watches that cannot be seen because of it; many are counted.
    pub blinds: Vec<String>,
}

/// One attempt at a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryLine {
    /// Identity.
    pub key: String,
    /// Destination's name.
    pub destination: String,
    /// `trigger`, `update` ...
    pub kind: String,
    /// From 1.
    pub attempt: u32,
    /// `sent`, `retry`, `dead`.
    pub outcome: String,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SummaryLine {
    /// Blocks committed.
    pub blocks: u64,
    /// Activities judged.
    pub activities: u64,
    /// Of them normal.
    pub normal: u64,
    /// Findings.
    pub findings: u64,
    /// Findings taken back and not seen again.
    pub retracted: u64,
    /// Incidents opened.
    pub incidents: u64,
    /// Messages sent.
    pub deliveries: u64,
    /// Messages that could not be.
    pub dead: u64,
    /// What was asked for and not reached, one sentence for each chain; the exit code is 2 then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<String>,
}

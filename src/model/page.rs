//! What a person reads when woken. Destinations choose their form; the facts and their order are here.
//!
//! Every string may hold text from the chain and is escaped by the destination that shows it.

use super::block::Finality;
use super::footing::Footing;
use super::ids::{ChainId, FindingId, IncidentId};
use super::incident::State;
use super::severity::Severity;
use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

/// An address with the name the address book has for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// The address.
    pub address: Address,
    /// A watch's label, a `[name]`, or of whom the registry says that it is an owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The address with a name that it only looks like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looks_like: Option<Box<Party>>,
}

/// A link a responder can follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// What it shows.
    pub text: String,
    /// Where it leads.
    pub href: String,
}

/// A command that leads out of what a page tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// What it is for: `restore a backup`.
    pub to: String,
    /// The subcommand with its own arguments, quoted for a shell: `store restore FILE`. Shown, it names the configuration too.
    pub command: String,
}

impl Way {
    /// Returns the way that `command` is, `to` do something.
    #[must_use]
    pub fn new(to: impl Into<String>, command: impl Into<String>) -> Self {
        Self { to: to.into(), command: command.into() }
    }
}

/// What happens if nobody acknowledges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextStep {
    /// Wall-clock milliseconds.
    pub at: u64,
    /// Destinations told then.
    pub to: Vec<String>,
}

/// One piece of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Identity of the finding.
    pub finding: FindingId,
    /// Its revision.
    pub revision: u32,
    /// How loud.
    pub severity: Severity,
    /// The rule or built-in.
    pub rule: String,
    /// What happened, in one sentence with units.
    pub headline: String,
    /// Why it is abnormal, nearest first.
    pub reasons: Vec<String>,
    /// How many more rules there are, all about something else.
    #[serde(default)]
    pub other_rules: u64,
    /// Taken back by a reorg.
    pub orphaned: bool,
    /// The subject's own act, or value that leaves it; anything else is a stranger's doing, or nobody's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
    /// How many more findings of its transaction the line stands for: they differ from it in nothing but the amount, and `headline` says
    /// what all of them come to.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub alike: u64,
    /// Order among evidence of one severity: the larger, the more of a holding is at stake. It is comparable and means nothing else.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub weight: u64,
    /// It is proposed or pending, and nothing was seen so far that ended it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stoppable: bool,
    /// Seconds between its block and our judging it, when that is longer than it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<u64>,
    /// Where it happened.
    pub watch: Party,
    /// Who sent the transaction; absent where no transaction caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<Party>,
    /// Who approved it, where known.
    pub signers: Option<Vec<Party>>,
    /// The other sides: the target and every address among the arguments, each once, at most [`PARTIES_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parties: Vec<Party>,
    /// How many more of them there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_parties: u64,
    /// Wrappers it came through, outermost first, such as `execTransaction at Treasury Safe`.
    pub via: Vec<String>,
    /// `included`, `proposed`, `reverted`.
    pub stage: String,
    /// Block number.
    pub block: u64,
    /// Block hash.
    pub block_hash: B256,
    /// Block time, Unix seconds.
    pub time: u64,
    /// Transaction hash; absent where no transaction caused it.
    #[serde(default, skip_serializing_if = "B256::is_zero")]
    pub tx: B256,
    /// How surely it stands.
    #[serde(flatten)]
    pub footing: Footing,
}

/// The loudest evidence of an incident, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gist {
    /// How loud.
    pub severity: Severity,
    /// What happened, in one sentence with units.
    pub headline: String,
}

/// A page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The incident.
    pub incident: IncidentId,
    /// See [`super::incident::Incident::cycle`].
    pub cycle: u32,
    /// `TEST`, `DRILL`: shown before anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marked: Option<String>,
    /// Where the incident stands.
    pub state: State,
    /// Loudest finding; of an update, the loudest of what is new.
    pub severity: Severity,
    /// Label of the owning watch.
    pub label: String,
    /// The watched address.
    pub watch: Address,
    /// Chain name.
    pub chain: String,
    /// Chain id.
    pub chain_id: ChainId,
    /// One sentence: the loudest evidence's headline; of an update, that of what is new.
    pub headline: String,
    /// What the incident's loudest evidence is, where `headline` speaks of something newer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loudest: Option<Gist>,
    /// Evidence, what is new first, then the loudest, the subject's own, what weighs most and the newest first; at most [`EVIDENCE_MAX`], the rest counted in `more`.
    pub evidence: Vec<Evidence>,
    /// How many findings are not listed.
    pub more: u64,
    /// How far the newest of its standing findings is from being undone; absent where none stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finality: Option<Finality>,
    /// Labels of other watches touched.
    pub touches: Vec<String>,
    /// Why the watch exists.
    pub purpose: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// Of a blindness: how long it lasted, which blocks came late, what was in them, where evidence is kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub report: Vec<String>,
    /// Commands beside the acknowledgement that lead on, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ways: Vec<Way>,
    /// Explorer links.
    pub links: Vec<Link>,
    /// Path name.
    pub path: String,
    /// Step of the path this page belongs to, from 1.
    pub step: u32,
    /// What comes next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<NextStep>,
    /// Who acknowledged, once somebody has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acked_by: Option<String>,
    /// What changed since the last message, for updates and retractions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// Whether the message begins with what is new of an incident that people were told of before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
}

impl Page {
    /// Returns how many findings the lines of evidence stand for.
    #[must_use]
    pub fn n_listed(&self) -> u64 {
        self.evidence.iter().map(|evidence| 1 + evidence.alike).sum()
    }
}

/// Most counterparties that one piece of evidence lists.
pub const PARTIES_MAX: usize = 12;

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Most pieces of evidence one page lists.
pub const EVIDENCE_MAX: usize = 10;

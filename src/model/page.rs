//! Content of a page for the responder. Destinations choose the format; the facts and their order are defined here.
//!
//! Every string may contain text from the chain; the destination that shows it must escape it.

use super::block::Finality;
use super::confidence::Confidence;
use super::ids::{ChainId, FindingId, IncidentId};
use super::incident_state::State;
use super::origin::Origin;
use super::path::Path;
use super::severity::Severity;
use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

/// An address with its name in the address book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// The address.
    pub address: Address,
    /// A watch's label, a `[name]`, or the role of an owner in a registry, such as "owner of Treasury Safe".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The named address that it resembles without being it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looks_like: Option<Box<Party>>,
}

/// A link for the responder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Text of the link.
    pub text: String,
    /// Target of the link.
    pub href: String,
}

/// A command that resolves the problem on a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// Purpose of the command: `restore a backup`.
    pub to: String,
    /// The subcommand with its own arguments, quoted for a shell: `store restore FILE`. When shown, it also names the
    /// configuration.
    pub command: String,
}

impl Way {
    /// Returns a way with `command`, whose purpose is `to`.
    #[must_use]
    pub fn new(to: impl Into<String>, command: impl Into<String>) -> Self {
        Self { to: to.into(), command: command.into() }
    }
}

/// Next step if nobody acknowledges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextStep {
    /// Wall-clock milliseconds.
    pub at: u64,
    /// Destinations that were notified at that time.
    pub to: Vec<String>,
}

/// A piece of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Identity of the finding.
    pub finding: FindingId,
    /// Revision of the finding.
    pub revision: u32,
    /// Severity of the finding.
    pub severity: Severity,
    /// The rule or built-in.
    pub rule: String,
    /// Description of the event, in one sentence with units.
    pub headline: String,
    /// Reasons why it is abnormal, nearest first.
    pub reasons: Vec<String>,
    /// Number of further rules, all about something else.
    #[serde(default)]
    pub other_rules: u64,
    /// Retracted by a reorg.
    pub orphaned: bool,
    /// True for the subject's own act, or value that leaves it; false for an act of a stranger or a change without an
    /// author.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
    /// Number of further findings of its transaction that this line represents: they differ from it only in the amount,
    /// and `headline` gives the total of all of them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub alike: u64,
    /// Order among evidence of one severity: the larger, the more of a holding is at stake. It is useful only for
    /// comparison.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub weight: u64,
    /// True if it is proposed or pending, and no event that ended it has been seen so far.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stoppable: bool,
    /// Delay between the block's time and its judging, in seconds, when that is longer than it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<u64>,
    /// Watch in which it happened.
    pub watch: Party,
    /// Sender of the transaction; absent where no transaction caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<Party>,
    /// Approvers, where known.
    pub signers: Option<Vec<Party>>,
    /// Counterparties: the target and every address among the arguments, each once, at most [`PARTIES_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parties: Vec<Party>,
    /// Number of further parties, beyond those listed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_parties: u64,
    /// Wrappers it came through, outermost first, such as `execTransaction at Treasury Safe`.
    pub via: Vec<String>,
    /// `included`, `proposed`, `reverted`.
    pub stage: String,
    /// Block number.
    pub block: u64,
    /// Block hash; absent for what is in no block yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_hash: Option<B256>,
    /// Block time, Unix seconds.
    pub time: u64,
    /// Transaction hash; absent where no transaction caused it.
    #[serde(default, skip_serializing_if = "B256::is_zero")]
    pub tx: B256,
    /// Confidence in the finding.
    #[serde(flatten)]
    pub footing: Confidence,
}

/// Short form of the most severe evidence of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gist {
    /// Severity of the evidence.
    pub severity: Severity,
    /// Description of the event, in one sentence with units.
    pub headline: String,
}

/// A page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The incident.
    pub incident: IncidentId,
    /// See [`super::incident::Incident::cycle`].
    pub cycle: u32,
    /// `TEST`, `DRILL`: shown before all other text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marked: Option<String>,
    /// State of the incident.
    pub state: State,
    /// Severity of the most severe finding; in an update, of the most severe new finding.
    pub severity: Severity,
    /// Label of the owning watch.
    pub label: String,
    /// The watched address; absent for an incident about the program itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<Address>,
    /// Chain name; empty for an incident about the whole program.
    pub chain: String,
    /// Chain id; absent for an incident about the whole program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain_id: Option<ChainId>,
    /// Headline of the most severe evidence, in one sentence; for an update, that of the new evidence.
    pub headline: String,
    /// Most severe evidence of the incident, if `headline` describes something newer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loudest: Option<Gist>,
    /// Evidence, sorted: new evidence first, then the most severe, the subject's own acts, the largest weight and the
    /// newest; at most [`EVIDENCE_MAX`], the rest counted in `more`.
    pub evidence: Vec<Evidence>,
    /// Number of findings that are not listed.
    pub more: u64,
    /// Finality of the newest active finding; absent if there are no active findings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finality: Option<Finality>,
    /// Labels of other watches touched.
    pub touches: Vec<String>,
    /// Purpose of the watch.
    pub purpose: String,
    /// Instructions for the responder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// Report of an outage: its duration, the blocks that were judged late, the findings in them, the location of
    /// evidence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub report: Vec<String>,
    /// Commands beside the acknowledgement that help the responder, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ways: Vec<Way>,
    /// Explorer links.
    pub links: Vec<Link>,
    /// Path name.
    pub path: String,
    /// Step of the path this page belongs to, from 1.
    pub step: u32,
    /// Next step of the escalation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<NextStep>,
    /// Name of the person who acknowledged, once the incident is acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acked_by: Option<String>,
    /// Change since the last message, for updates and retractions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// True if the message begins with the news of an incident that was announced before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
}

impl Page {
    /// Returns the page of a new incident, without any evidence.
    #[must_use]
    pub fn new(incident: &IncidentId, origin: &Origin, label: &str, path: &Path) -> Self {
        Self {
            incident: incident.clone(),
            cycle: 0,
            marked: None,
            state: State::Open,
            severity: Severity::Info,
            label: label.to_owned(),
            watch: origin.watch().map(|watch| watch.address),
            chain: String::new(),
            chain_id: origin.scope().chain(),
            headline: String::new(),
            loudest: None,
            evidence: Vec::new(),
            more: 0,
            finality: None,
            touches: Vec::new(),
            purpose: String::new(),
            runbook: None,
            report: Vec::new(),
            ways: Vec::new(),
            links: Vec::new(),
            path: path.name.clone(),
            step: 1,
            next: None,
            acked_by: None,
            change: None,
            again: false,
        }
    }

    /// Returns the number of findings that the lines of evidence represent.
    #[must_use]
    pub fn n_listed(&self) -> u64 {
        self.evidence.iter().map(|evidence| 1 + evidence.alike).sum()
    }
}

/// Maximum number of counterparties in one piece of evidence.
pub const PARTIES_MAX: usize = 12;

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Maximum number of pieces of evidence on one page.
pub const EVIDENCE_MAX: usize = 10;

//! Related findings with a common lifecycle.

use super::anchor::Anchor;
use super::block::BlockRef;
use super::confidence::Confidence;
use super::coverage::{Coverage, Paged, Shown};
use super::ids::{ChainId, DeliveryKey, FindingId, IncidentId};
use super::incident_state::IncidentState;
use super::origin::Origin;
use super::page::Page;
use super::path::{Path, SELF_PATH};
use super::pending::PendingVoice;
use super::record::Line;
use super::severity::Severity;
use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

/// A finding as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Identity; the same after a reorg, a restart or on another machine.
    pub id: FindingId,
    /// The incident it joined.
    pub incident: IncidentId,
    /// Grows with each retraction and each re-inclusion; starts at 1.
    pub revision: u32,
    /// Chain.
    pub chain: ChainId,
    /// Place relative to the chain: the block that contains it, or contained it before it was orphaned.
    pub anchor: Anchor,
    /// Transaction.
    pub tx: B256,
    /// Watched address.
    pub watch: Address,
    /// Rule or built-in.
    pub rule: String,
    /// Severity of the finding.
    pub severity: Severity,
    /// A reorg removed its block, and no block has included it again yet.
    pub orphaned: bool,
    /// Judged and recorded only: it pages nobody and is no evidence on a page.
    pub observe: bool,
    /// Description of the event in one sentence, with units.
    pub headline: String,
    /// Reasons why it is abnormal, nearest first.
    pub reasons: Vec<String>,
    /// Confidence in the finding. The store keeps it up to date.
    #[serde(default)]
    pub footing: Confidence,
    /// Paging setting while its transaction is pending, which says whether people were paged; absent once a block
    /// contains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<PendingVoice>,
    /// The act, used after a reorg to check whether the same transaction still does the same; absent where no
    /// transaction caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Box<Shown>>,
}

/// An incident as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Identity.
    pub id: IncidentId,
    /// Subject of the incident.
    pub origin: Origin,
    /// Label of its watch when the incident opened, or a name for what else it is about.
    pub label: String,
    /// Labels of outer watches that one of its transactions passed through, or also touched.
    pub touches: Vec<String>,
    /// Path that was configured when it opened.
    pub path: Path,
    /// Highest severity among its findings so far.
    pub severity: Severity,
    /// Highest severity of which people were notified; absent while all findings are only observed.
    pub heard: Option<Severity>,
    /// True if a pending transaction was announced to anybody in this round, before there was anything to page for.
    #[serde(default)]
    pub mentioned: bool,
    /// State in its lifecycle.
    pub state: IncidentState,
    /// Milliseconds since the Unix epoch, wall clock.
    pub opened_at: u64,
    /// True if people are paged: false while every finding is below `page_at`, or only observed.
    pub paging: bool,
    /// Last step of the path that was notified, from 0.
    pub step: u32,
    /// Number of times that paging started again: 0 at first; grows when an acknowledged incident must page again.
    pub cycle: u32,
    /// Grows with each message about it, so that no two messages share a delivery key.
    pub revision: u32,
    /// Destinations notified so far, in the order of their first message: they also receive updates.
    pub told: Vec<String>,
    /// Number of findings that ever joined it.
    pub findings: u64,
    /// Number of active findings, that is, findings that no reorg took away.
    pub standing: u64,
    /// Weakest footing among the active findings; never overstated. Absent where no finding is active.
    #[serde(default)]
    pub footing: Option<Confidence>,
    /// Rules and built-ins that raised its findings.
    pub rules: Vec<String>,
    /// Mark of a test page or a drill, shown wherever it appears.
    pub marked: Option<String>,
    /// Acts that its pages have shown so far. An acknowledgement covers these and nothing else.
    #[serde(default)]
    pub coverage: Coverage,
    /// Blocks with evidence that a reorg removed, but that some endpoints still have: the incident stays open as long
    /// as any does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contested: Vec<BlockRef>,
    /// Current page of the incident.
    pub page: Page,
}

impl Incident {
    /// Returns an open incident of which nobody was notified yet. `now_ms` is wall-clock milliseconds.
    #[must_use]
    pub fn new(id: IncidentId, origin: Origin, label: &str, path: &Path, now_ms: u64) -> Self {
        Self {
            page: Page::new(&id, &origin, label, path),
            id,
            origin,
            label: label.to_owned(),
            touches: Vec::new(),
            path: path.clone(),
            severity: Severity::Info,
            heard: None,
            mentioned: false,
            state: IncidentState::default(),
            opened_at: now_ms,
            paging: false,
            step: 0,
            cycle: 0,
            revision: 0,
            told: Vec::new(),
            findings: 0,
            standing: 0,
            footing: None,
            rules: Vec::new(),
            marked: None,
            coverage: Coverage::default(),
            contested: Vec::new(),
        }
    }

    /// Changes the label of the incident and of its page.
    pub fn set_label(&mut self, label: String) {
        self.page.label.clone_from(&label);
        self.label = label;
    }
}

/// A block that was retracted although some endpoints still have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contested {
    /// Chain of the block.
    pub chain: ChainId,
    /// The block.
    pub block: BlockRef,
    /// Names of the endpoints that still have it.
    pub by: Vec<String>,
}

/// Purpose of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryKind {
    /// Pages a responder.
    Trigger,
    /// Adds news to an incident that was already notified.
    Update,
    /// Reports that the incident was acknowledged.
    Acknowledge,
    /// Reports that the incident is over.
    Resolve,
    /// A reorg retracted evidence.
    Retract,
    /// A line of the feed.
    Feed,
}

impl DeliveryKind {
    /// Returns its name as text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Update => "update",
            Self::Acknowledge => "acknowledge",
            Self::Resolve => "resolve",
            Self::Retract => "retract",
            Self::Feed => "feed",
        }
    }
}

/// Content of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// A message about an incident.
    Page(Box<Page>),
    /// A line of the feed.
    Line(Box<Line>),
}

/// A message to one destination, to be written to the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Identity, repeated in every retry: the `webhook-id`.
    pub key: DeliveryKey,
    /// Name of the destination.
    pub destination: String,
    /// Purpose of the message.
    pub kind: DeliveryKind,
    /// The incident it is about, if any.
    pub incident: Option<IncidentId>,
    /// Severity of the news in this message, which may be lower than that of its incident.
    pub severity: Severity,
    /// Content of the message.
    pub body: Body,
    /// Messages with the same lane and destination go out in the order they were written (a feed's watch, an incident).
    pub lane: String,
}

/// Capacity at a destination that is reserved for one sort of messages, so that a flood of another sort cannot use it
/// up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Budget {
    /// Messages about incidents.
    Pages,
    /// Messages about the program itself, on the path `self`.
    Own,
    /// Lines of the feed.
    Feed,
}

impl Budget {
    /// All budgets, in the order in which they are served.
    pub const ALL: [Self; 3] = [Self::Own, Self::Pages, Self::Feed];
}

/// Order in which waiting messages of one budget are sent: the smallest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// First page of an incident.
    FirstPage,
    /// Page of an incident that paged before: because of a higher severity, an escalation, or an expired
    /// acknowledgement.
    NextPage,
    /// Retraction of evidence.
    Retraction,
    /// Updates, acknowledgements and closings.
    Rest,
    /// Lines of the feed, all with equal urgency.
    Line,
}

impl Delivery {
    /// Returns the budget that the message counts towards at its destination.
    #[must_use]
    pub fn budget(&self) -> Budget {
        match &self.body {
            Body::Line(_) => Budget::Feed,
            Body::Page(page) if page.path == SELF_PATH => Budget::Own,
            Body::Page(_) => Budget::Pages,
        }
    }

    /// Returns the urgency of the message among those of its budget. Messages of equal urgency are sent by severity.
    #[must_use]
    pub fn urgency(&self) -> Urgency {
        match (self.kind, &self.body) {
            (_, Body::Line(_)) | (DeliveryKind::Feed, _) => Urgency::Line,
            (DeliveryKind::Trigger, Body::Page(page)) if page.change.is_none() && !page.again => Urgency::FirstPage,
            (DeliveryKind::Trigger, _) => Urgency::NextPage,
            (DeliveryKind::Retract, _) => Urgency::Retraction,
            _ => Urgency::Rest,
        }
    }
}

/// Changes that the escalation engine wants to commit. All of them are written in one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeSet {
    /// New or changed incidents, in full.
    pub incidents: Vec<Incident>,
    /// New or changed findings, in full.
    pub findings: Vec<Finding>,
    /// Messages to send, in order.
    pub deliveries: Vec<Delivery>,
    /// Feed lines of this step, for printing.
    pub lines: Vec<Line>,
}

/// State that the escalation engine needs before it plans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenState {
    /// Live incidents, and those that the findings below belong to.
    pub incidents: Vec<Incident>,
    /// Active findings in retracted blocks, and those whose ids occur again in the new blocks.
    pub findings: Vec<Finding>,
    /// Recent pages of the paths of all chains.
    pub paged: Vec<Paged>,
    /// Retracted blocks of all chains that some endpoints still have.
    pub contested: Vec<Contested>,
}

//! Findings that belong together, with one life.

use super::blindness::Blindness;
use super::block::BlockRef;
use super::coverage::{Coverage, Paged, Shown, Storm};
use super::footing::Footing;
use super::ids::{ChainId, DeliveryKey, FindingId, IncidentId};
use super::page::Page;
use super::path::{Path, SELF_PATH};
use super::pending::PendingVoice;
use super::record::Line;
use super::severity::Severity;
use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where an incident stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nobody has taken it yet.
    Open,
    /// Somebody has.
    Acknowledged,
    /// Done.
    Resolved,
    /// It was nothing, or a reorg undid all of it.
    FalseAlarm,
}

impl State {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
            Self::FalseAlarm => "false-alarm",
        }
    }

    /// Whether findings still join it.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Open | Self::Acknowledged)
    }
}

/// A finding as the store keeps it.
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
    /// Block it stands in, or stood in when orphaned.
    pub at: BlockRef,
    /// Transaction.
    pub tx: B256,
    /// Watched address.
    pub watch: Address,
    /// Rule or built-in.
    pub rule: String,
    /// How loud.
    pub severity: Severity,
    /// A reorg took its block away and nothing brought it back yet.
    pub orphaned: bool,
    /// Judged and recorded only: it pages nobody and is no evidence on a page.
    pub observe: bool,
    /// What happened in one sentence with units.
    pub headline: String,
    /// Why it is abnormal, nearest first.
    pub reasons: Vec<String>,
    /// How surely it stands. The store keeps it up to date.
    #[serde(default)]
    pub footing: Footing,
    /// Whether people were paged, while its transaction is pending; absent once a block holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<PendingVoice>,
    /// The act, to see after a reorg whether the same transaction still does the same; absent where no transaction caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Box<Shown>>,
}

/// Noise of one day and one watch, which is told of once, when the day is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noise {
    /// Days since the Unix epoch, by block time.
    pub day: u64,
    /// How many findings of each sort ever joined; the sorts are a handful of words of ours.
    pub sorts: BTreeMap<String, u64>,
}

/// An incident as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Identity.
    pub id: IncidentId,
    /// Chain of the owning watch.
    pub chain: ChainId,
    /// Address of the watch that owns it: where the innermost abnormal leaf acts.
    pub watch: Address,
    /// Label of that watch when it opened.
    pub label: String,
    /// Labels of outer watches that one of its transactions passed through, or that it touched as well.
    pub touches: Vec<String>,
    /// The path in force when it opened.
    pub path: Path,
    /// Loudest of its findings so far.
    pub severity: Severity,
    /// Loudest of those that people were told of; absent while all of them are only observed.
    pub heard: Option<Severity>,
    /// Whether anybody was told in this round of what is only pending, before there was anything to page for.
    #[serde(default)]
    pub mentioned: bool,
    /// Where it stands.
    pub state: State,
    /// Why it closed by itself, such as `reorg`.
    pub close_reason: Option<String>,
    /// Who closed it, when somebody did.
    pub closed_by: Option<String>,
    /// When it closed, wall-clock milliseconds.
    pub closed_at: Option<u64>,
    /// Milliseconds since the Unix epoch, wall clock.
    pub opened_at: u64,
    /// Whether anybody is paged: false while every finding is below `page_at`, or only observed.
    pub paging: bool,
    /// The step of the path told last, from 0.
    pub step: u32,
    /// When the next step is due, wall-clock milliseconds; absent when acknowledged, closed or not paging.
    pub next_escalation: Option<u64>,
    /// How often paging began anew: 0 at first; grows when an acknowledged incident must page again.
    pub cycle: u32,
    /// Grows with each message about it, so that no two messages share a delivery key.
    pub revision: u32,
    /// Destinations told so far, in the order they were first told: they hear how it goes on.
    pub told: Vec<String>,
    /// How many findings ever joined it.
    pub findings: u64,
    /// How many of them stand, that is, no reorg took them away.
    pub standing: u64,
    /// The weakest footing of those that stand; never better than it is. Absent where none stands.
    #[serde(default)]
    pub footing: Option<Footing>,
    /// The rules and built-ins its findings come from.
    pub rules: Vec<String>,
    /// Who acknowledged.
    pub acked_by: Option<String>,
    /// When an acknowledgement stops holding, wall-clock milliseconds.
    pub ack_expires: Option<u64>,
    /// A test page or a drill, marked wherever it appears.
    pub marked: Option<String>,
    /// What could not be seen, when it is about that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blindness: Option<Blindness>,
    /// A day's noise, when it is about that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<Noise>,
    /// What its pages showed so far: an acknowledgement covers that and nothing else.
    #[serde(default)]
    pub coverage: Coverage,
    /// What a path held back, when it is about that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storm: Option<Storm>,
    /// Which destinations cannot be told, when it is about that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undelivered: Option<Undelivered>,
    /// Blocks that a reorg took back with evidence in them, while endpoints still hold them: it stays open for as long as any does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contested: Vec<BlockRef>,
    /// What is told of it: the page as it stands.
    pub page: Page,
}

/// A block that was taken back although not every endpoint has let go of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contested {
    /// Its chain.
    pub chain: ChainId,
    /// Which block.
    pub block: BlockRef,
    /// Names of the endpoints that hold it.
    pub by: Vec<String>,
}

/// Destinations that messages cannot be delivered to, for one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undelivered {
    /// What all of them have in common, such as `answered 410, gone for good`.
    pub cause: String,
    /// Their names, in the order in which they failed.
    pub destinations: Vec<String>,
    /// Incidents whose pages were lost with them, and that pages of this one name; at most [`LOST_MAX`], the newest. Whatever is
    /// forgotten pages anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<IncidentId>,
}

/// Incidents that [`Undelivered::lost`] remembers: as many as people deal with at once.
pub const LOST_MAX: usize = 64;

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryKind {
    /// Wakes somebody.
    Trigger,
    /// Adds to what was told.
    Update,
    /// Somebody took it.
    Acknowledge,
    /// It is over.
    Resolve,
    /// Evidence was taken back by a reorg.
    Retract,
    /// A line of the feed.
    Feed,
}

impl DeliveryKind {
    /// The word for it.
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

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// About an incident.
    Page(Box<Page>),
    /// A line of the feed.
    Line(Box<Line>),
}

/// One message to one destination, to be written to the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Identity, repeated by every retry: the `webhook-id`.
    pub key: DeliveryKey,
    /// Destination's name.
    pub destination: String,
    /// What it is for.
    pub kind: DeliveryKind,
    /// The incident it is about, if any.
    pub incident: Option<IncidentId>,
    /// Severity of the news that this message brings, which may be below that of its incident.
    pub severity: Severity,
    /// What it says.
    pub body: Body,
    /// Messages with the same lane and destination go out in the order they were written (a feed's watch, an incident).
    pub lane: String,
}

/// Room at a destination that messages of one sort have to themselves, so that a flood of another sort cannot take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Budget {
    /// Messages about incidents.
    Pages,
    /// Messages about the program itself, along the path `self`.
    Own,
    /// Lines of the feed.
    Feed,
}

impl Budget {
    /// All of them, in the order in which they are served.
    pub const ALL: [Self; 3] = [Self::Own, Self::Pages, Self::Feed];
}

/// Order in which waiting messages of one budget leave: the smallest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// First page of an incident.
    FirstPage,
    /// Page of an incident that paged before: louder, escalated, or an acknowledgement that expired.
    NextPage,
    /// Evidence that was taken back.
    Retraction,
    /// Updates, acknowledgements and ends.
    Rest,
    /// Lines of the feed, all alike.
    Line,
}

impl Delivery {
    /// Returns the room that the message takes at its destination.
    #[must_use]
    pub fn budget(&self) -> Budget {
        match &self.body {
            Body::Line(_) => Budget::Feed,
            Body::Page(page) if page.path == SELF_PATH => Budget::Own,
            Body::Page(_) => Budget::Pages,
        }
    }

    /// Returns how urgent the message is among those of its budget. Messages that are equally urgent leave by severity.
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

/// What the escalation engine wants committed. Everything in it is written in one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// New or changed incidents, whole.
    pub incidents: Vec<Incident>,
    /// New or changed findings, whole.
    pub findings: Vec<Finding>,
    /// Messages to send, in order.
    pub deliveries: Vec<Delivery>,
    /// Feed lines of this step, for whoever prints them.
    pub lines: Vec<Line>,
}

/// What the engine must know before it plans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Live incidents, and those that the findings below belong to.
    pub incidents: Vec<Incident>,
    /// Findings standing in retracted blocks, and those whose ids the new blocks repeat.
    pub findings: Vec<Finding>,
    /// Pages that paths of any chain sent lately.
    pub paged: Vec<Paged>,
    /// Blocks of all chains that were taken back, and that endpoints still hold.
    pub contested: Vec<Contested>,
}

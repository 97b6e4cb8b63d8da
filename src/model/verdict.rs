//! Verdict on an activity.

use super::activity::{Activity, Position};
use super::anchor::Anchor;
use super::confidence::Provenance;
use super::ids::{ChainId, FindingId};
use super::severity::Severity;
use alloy_primitives::{Address, B256, U256};
use std::fmt;
use std::sync::Arc;

/// Result of judging an activity: normal or abnormal. A decode failure is abnormal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A rule, a built-in, an act or an envelope vouches for it.
    Normal {
        /// Rule or mechanism that vouches.
        by: Voucher,
    },
    /// A finding.
    Abnormal(Abnormal),
}

/// Rule or mechanism that vouched for a normal activity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Voucher {
    /// A rule of the watch, by name.
    Rule(Arc<str>),
    /// A built-in, such as `builtin/inbound`.
    Builtin(&'static str),
    /// The judged act at this position explains it.
    EffectOf(Position),
    /// An envelope whose own conditions hold and whose leaves are all normal.
    Envelope,
}

impl fmt::Display for Voucher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(name) => f.write_str(name),
            Self::Builtin(name) => f.write_str(name),
            Self::EffectOf(position) => write!(f, "effect of {position}"),
            Self::Envelope => f.write_str("builtin/envelope"),
        }
    }
}

/// Reason why an activity is a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abnormal {
    /// Rule that raised it, or name of a built-in such as `builtin/unvouched`. Part of the finding's identity.
    pub rule: Arc<str>,
    /// Severity of the finding.
    pub severity: Severity,
    /// Reasons, nearest first: the mismatch of each rule, one sentence each.
    pub reasons: Vec<String>,
    /// Number of reasons, from the first, that are about this very function or event. The others come from rules about
    /// something else; a page counts them and does not list them.
    pub near: usize,
    /// Judged and recorded without paging.
    pub observe: bool,
    /// Sent as an update to the destinations of the incident, without a page of its own: the same act may have paged a
    /// short time ago.
    pub hushed: bool,
    /// Index of the activity of the same block whose verdict this one repeats (as an effect, or as the envelope around
    /// an abnormal leaf). Only verdicts without it become findings.
    pub repeats: Option<usize>,
}

/// The built-in for address poisoning, whose findings anyone can cause: a log that names the subject but moves none of
/// its assets.
pub const POISONING: &str = "builtin/poisoning";

/// Prefix of the window names for expected actions that came late; their amount is the due time that was missed. They
/// are used to report the end of an absence that was reported.
pub const CAME_LATE: &str = "builtin/came-late:";

impl Abnormal {
    /// Returns true if it is noise: recorded like every finding, counted, reported once a day, and never a page by
    /// itself.
    #[must_use]
    pub fn is_noise(&self) -> bool {
        *self.rule == *POISONING && self.severity == Severity::Info
    }

    /// Returns the same finding with one more reason, placed after those about this function or event and before those
    /// of other rules.
    #[must_use]
    pub fn with_reason(mut self, why: String) -> Self {
        self.near = self.near.min(self.reasons.len());
        self.reasons.insert(self.near, why);
        self.near += 1;
        self
    }
}

/// An activity with its verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Judged activity.
    pub activity: Activity,
    /// Verdict on the activity.
    pub verdict: Verdict,
}

impl Judged {
    /// Identity of the finding, if it is one of its own.
    #[must_use]
    pub fn finding_id(&self, chain: ChainId, watch: Address) -> Option<FindingId> {
        match &self.verdict {
            Verdict::Abnormal(a) if a.repeats.is_none() => {
                let Activity { tx, position, deed, .. } = &self.activity;
                if !matches!(position, Position::State(_)) {
                    return Some(FindingId::new(chain, watch, *tx, position, &a.rule));
                }
                let values: Vec<String> = deed.args.iter().map(|arg| arg.value.to_string()).collect();
                Some(FindingId::of_state(chain, watch, *tx, position, &values, &a.rule))
            }
            _ => None,
        }
    }
}

/// Amount that a vouched, executed activity adds to a rule's rolling window, or that an unvouched attempt adds to the
/// count of attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowEntry {
    /// Watched address.
    pub watch: Address,
    /// Rule name, or a built-in's.
    pub rule: Arc<str>,
    /// Amount to add: 1, or an amount in its smallest unit.
    pub amount: U256,
}

impl JudgedBlock {
    /// Returns the transaction that caused it; zero where no transaction did.
    #[must_use]
    pub fn transaction_of(&self, activity: &Activity) -> B256 {
        let is_block = self.anchor.block().is_some_and(|block| block.hash == activity.tx);
        if is_block { B256::ZERO } else { activity.tx }
    }

    /// Returns the place of one of its activities: that of the block, unless it is about an expected action.
    #[must_use]
    pub fn anchor_of(&self, activity: &Activity) -> Anchor {
        match (&activity.position, self.anchor) {
            (Position::Due(due), Anchor::Block(block)) => Anchor::Due { block, due: *due },
            (_, anchor) => anchor,
        }
    }
}

/// A block with a verdict for every activity, or the moment at which an activity was first seen that is in no block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedBlock {
    /// Chain id.
    pub chain: ChainId,
    /// The block, or the moment.
    pub anchor: Anchor,
    /// Hash of the parent block.
    pub parent: B256,
    /// Block timestamp, Unix seconds.
    pub time: u64,
    /// In transaction order.
    pub judged: Vec<Judged>,
    /// Amounts that it adds to rolling windows.
    pub deltas: Vec<WindowEntry>,
    /// Confidence in the block at the time it was judged.
    pub sight: Provenance,
}

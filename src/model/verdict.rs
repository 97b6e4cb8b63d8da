//! What was decided of an activity.

use super::activity::{Activity, Position};
use super::block::BlockRef;
use super::footing::Sight;
use super::ids::{ChainId, FindingId};
use super::severity::Severity;
use alloy_primitives::{Address, B256, U256};
use std::fmt;
use std::sync::Arc;

/// Two outcomes; a decode failure is a finding. There is no third.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Something named vouches for it.
    Normal {
        /// What vouches.
        by: Voucher,
    },
    /// A finding.
    Abnormal(Abnormal),
}

/// What vouched for a normal activity.
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

/// Why something is a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abnormal {
    /// The rule that raised it, or a built-in's name such as `builtin/unvouched`. Part of the finding's identity.
    pub rule: Arc<str>,
    /// How loud.
    pub severity: Severity,
    /// Why, nearest first: each rule's refusal, one sentence each.
    pub reasons: Vec<String>,
    /// How many of the reasons, from the first, are about this very function or event. The others are rules that speak of
    /// something else; a page counts them and does not list them.
    pub near: usize,
    /// Judged and recorded; nobody is paged.
    pub observe: bool,
    /// Tells those who hear of the incident, and pages nobody by itself: the same may have paged a short time ago.
    pub hushed: bool,
    /// This verdict only repeats that of another activity of the same block (an effect, or the envelope around an abnormal leaf):
    /// index of the one it repeats. Only verdicts without it become findings.
    pub repeats: Option<usize>,
}

/// The built-in behind findings that anyone can cause at will: a log that names the subject and moves nothing of its own.
pub const POISONING: &str = "builtin/poisoning";

/// Beginning of the names of windows that say what was expected and came late; their amount is the due time that was missed.
/// Whoever told of the absence tells of its end by them.
pub const CAME_LATE: &str = "builtin/came-late:";

impl Abnormal {
    /// Whether it is noise: recorded like every finding, counted, told of once a day, and never a page by itself.
    #[must_use]
    pub fn is_noise(&self) -> bool {
        *self.rule == *POISONING && self.severity == Severity::Info
    }

    /// The same finding with one more reason, behind those about this function or event and before those of other rules.
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
    /// What happened.
    pub activity: Activity,
    /// What is thought of it.
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

/// What a vouched, executed activity adds to a rule's rolling window, or an unvouched attempt to the count of attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// Watched address.
    pub watch: Address,
    /// Rule name, or a built-in's.
    pub rule: Arc<str>,
    /// What is counted: 1, or an amount in its smallest unit.
    pub amount: U256,
}

impl JudgedBlock {
    /// The transaction that caused it; zero where none did.
    #[must_use]
    pub fn transaction_of(&self, activity: &Activity) -> B256 {
        if activity.tx == self.at.hash { B256::ZERO } else { activity.tx }
    }
}

/// A block whose every activity has its verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedBlock {
    /// Chain id.
    pub chain: ChainId,
    /// Which block.
    pub at: BlockRef,
    /// Its parent.
    pub parent: B256,
    /// Its timestamp, Unix seconds.
    pub time: u64,
    /// In transaction order.
    pub judged: Vec<Judged>,
    /// What it adds to rolling windows.
    pub deltas: Vec<Delta>,
    /// How well it was seen.
    pub sight: Sight,
}

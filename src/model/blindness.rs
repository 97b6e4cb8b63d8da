//! Ways of not seeing.
//!
//! A blindness is told to people, so each way has a name that stays ([`BlindnessKind::name`]) and a severity that says whether
//! somebody is woken by it.

use super::Severity;
use jiff::Timestamp;
use std::fmt;
use std::sync::Arc;

/// What keeps us from seeing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BlindnessKind {
    /// No endpoint of the chain answers.
    Unreachable,
    /// One endpoint of several does not answer.
    EndpointDown,
    /// An endpoint serves another chain.
    WrongChain,
    /// An endpoint serves a chain of the same id that began with another block.
    WrongGenesis,
    /// Endpoints answer, but none gives the block that is next.
    NoBlock,
    /// No new block for longer than the chain's pace allows.
    StaleHead,
    /// An endpoint stays behind the others.
    Lag,
    /// Endpoints name different blocks at one height, and go on doing so.
    Disagreement,
    /// Blocks come, and none of them becomes final.
    FinalityStalled,
    /// The chain that is served now does not contain what was final.
    FinalizedReorg,
    /// An endpoint gave a block that contradicts its own header.
    RefusedBlock,
    /// A block was judged although its header could not vouch for it.
    UnverifiedBlock,
    /// An endpoint can no longer do what it could.
    AbilityLost,
    /// Block times lie ahead of our clock.
    ClockSkew,
    /// What was judged cannot be written down: the disk is full or broken.
    StoreRefuses,
}

/// One way of not seeing, which lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What it is. With `endpoint` it says which trouble is meant when it ends.
    pub kind: BlindnessKind,
    /// Name of the endpoint it is about; absent when it is about the chain.
    pub endpoint: Option<Arc<str>>,
    /// How loud it is. It may be told again, louder.
    pub severity: Severity,
    /// When it began: when something was seen last.
    pub since: Timestamp,
    /// What stands in the way, in words of ours or a node's, shortened and without an address.
    pub why: String,
    /// What the endpoint gave, when that is what is wrong.
    pub evidence: Option<Arc<Evidence>>,
}

/// An answer that contradicts itself, kept for whoever has to talk to the endpoint's owner.
#[derive(Clone, PartialEq, Eq)]
pub struct Evidence {
    /// What was asked for, as words: `block 0x…`.
    pub asked: String,
    /// What is wrong with the answer.
    pub flaw: String,
    /// The answers as they came, each with what it answers.
    pub answers: Vec<(&'static str, Box<str>)>,
}

impl BlindnessKind {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Unreachable,
        Self::EndpointDown,
        Self::WrongChain,
        Self::WrongGenesis,
        Self::NoBlock,
        Self::StaleHead,
        Self::Lag,
        Self::Disagreement,
        Self::FinalityStalled,
        Self::FinalizedReorg,
        Self::RefusedBlock,
        Self::UnverifiedBlock,
        Self::AbilityLost,
        Self::ClockSkew,
        Self::StoreRefuses,
    ];

    /// What records, metrics and messages call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::EndpointDown => "endpoint-down",
            Self::WrongChain => "wrong-chain",
            Self::WrongGenesis => "wrong-genesis",
            Self::NoBlock => "no-block",
            Self::StaleHead => "stale-head",
            Self::Lag => "lag",
            Self::Disagreement => "disagreement",
            Self::FinalityStalled => "finality-stalled",
            Self::FinalizedReorg => "finalized-reorg",
            Self::RefusedBlock => "refused-block",
            Self::UnverifiedBlock => "unverified-block",
            Self::AbilityLost => "ability-lost",
            Self::ClockSkew => "clock-skew",
            Self::StoreRefuses => "store-refuses",
        }
    }

    /// Whether nothing new is seen of the chain while it lasts, rather than less or by fewer endpoints.
    #[must_use]
    pub const fn is_total(self) -> bool {
        matches!(self, Self::Unreachable | Self::NoBlock | Self::StaleHead | Self::FinalizedReorg | Self::StoreRefuses)
    }
}

impl fmt::Display for BlindnessKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes: Vec<_> = self.answers.iter().map(|(what, text)| (*what, text.len())).collect();
        f.debug_struct("Evidence").field("asked", &self.asked).field("flaw", &self.flaw).field("bytes", &sizes).finish()
    }
}

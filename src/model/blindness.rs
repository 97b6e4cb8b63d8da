//! Ways of not seeing.
//!
//! A blindness is told to people, so each way has a name that stays ([`BlindnessKind::name`]) and a severity that says whether
//! somebody is woken by it. [`Trouble`] is what a source or a lookout reports; [`Blindness`] is what an incident remembers of it.

use super::page::Way;
use super::{FindingId, Severity};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// What keeps us from seeing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
    /// The state of watches cannot be read, though it could before.
    StateUnread,
    /// Block times lie ahead of our clock.
    ClockSkew,
    /// The wall clock of this machine was set while we ran.
    ClockStepped,
    /// What was judged cannot be written down: the disk is full or broken.
    StoreRefuses,
    /// This program itself did not run.
    NotRunning,
    /// The service that keeps Safes' queues does not answer, or not as often as it has to be asked.
    ServiceDown,
    /// The service says what cannot be true: of another Safe or chain, under hashes that are not those of its fields, or nonsense.
    ServiceLies,
    /// The service stays behind the chain.
    ServiceStale,
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
    /// Commands by which a person ends it, where there are any.
    pub ways: Vec<Way>,
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

/// A blindness as its incident remembers it, from the first time to the last if it comes and goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blindness {
    /// What keeps us from seeing.
    pub kind: BlindnessKind,
    /// Name of the endpoint it is about; absent when it is about the chain, or about the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// When it began first, wall-clock milliseconds.
    pub first: u64,
    /// When it began last, wall-clock milliseconds.
    pub since: u64,
    /// When what stood in the way went away, wall-clock milliseconds; absent while it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted: Option<u64>,
    /// When everything was seen again, wall-clock milliseconds: later than `lifted` by as long as it took to catch up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<u64>,
    /// How often it began, from 1.
    pub times: u32,
    /// How long it lasted before it began last, in milliseconds.
    pub earlier: u64,
    /// When the next step of the path would have been due had it not ended, wall-clock milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumes: Option<u64>,
    /// Names of files that hold what an endpoint gave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// What was seen late because of it, chain by chain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub late: Vec<LateBlocks>,
}

/// Blocks of one chain that were judged later than they should have been.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateBlocks {
    /// Chain name.
    pub chain: String,
    /// Number of the first.
    pub from: u64,
    /// Number of the last.
    pub to: u64,
    /// How many there are; fewer than from `from` to `to` when sight came and went.
    pub blocks: u64,
    /// How many findings are in them.
    pub findings: u64,
    /// How loud the loudest finding is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Some of the findings, the loudest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<LateFinding>,
}

/// A finding in a block that was judged late.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateFinding {
    /// Its identity.
    pub finding_id: FindingId,
    /// How loud it is.
    pub severity: Severity,
    /// What happened, in one sentence.
    pub headline: String,
}

impl BlindnessKind {
    /// All of them.
    pub const ALL: [Self; 21] = [
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
        Self::StateUnread,
        Self::ClockSkew,
        Self::ClockStepped,
        Self::StoreRefuses,
        Self::NotRunning,
        Self::ServiceDown,
        Self::ServiceLies,
        Self::ServiceStale,
    ];

    /// Those that are of a service beside the chain, whose queue cannot be seen while the chain can.
    pub const OF_SERVICES: [Self; 3] = [Self::ServiceDown, Self::ServiceLies, Self::ServiceStale];

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
            Self::StateUnread => "state-unread",
            Self::ClockSkew => "clock-skew",
            Self::ClockStepped => "clock-stepped",
            Self::StoreRefuses => "store-refuses",
            Self::NotRunning => "not-running",
            Self::ServiceDown => "service-down",
            Self::ServiceLies => "service-lies",
            Self::ServiceStale => "service-stale",
        }
    }

    /// Whether nothing new is seen of the chain while it lasts, rather than less or by fewer endpoints.
    #[must_use]
    pub const fn is_total(self) -> bool {
        matches!(
            self,
            Self::Unreachable
                | Self::NoBlock
                | Self::StaleHead
                | Self::FinalizedReorg
                | Self::StoreRefuses
                | Self::NotRunning
        )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_one_name_wherever_it_is_written() {
        for kind in BlindnessKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }
}

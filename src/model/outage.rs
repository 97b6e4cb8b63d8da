//! Kinds of outages: reasons why the program cannot see a part of what it watches.
//!
//! An outage is announced to responders, so each kind has a fixed name ([`BlindnessKind::name`]) and a severity that
//! decides whether it pages. [`HealthIssue`] is the report of a source or of the visibility checks; [`Blindness`] is the record in an
//! incident.

use super::page::Way;
use super::{FindingId, Severity};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Kind of outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlindnessKind {
    /// No endpoint of the chain responds.
    Unreachable,
    /// An endpoint does not answer, while others do.
    EndpointDown,
    /// An endpoint serves another chain.
    WrongChain,
    /// An endpoint serves a chain with the same id but another genesis block.
    WrongGenesis,
    /// Endpoints respond, but none returns the next block.
    NoBlock,
    /// No new block for longer than the chain's usual interval allows.
    StaleHead,
    /// An endpoint is persistently behind the others.
    Lag,
    /// Endpoints persistently report different blocks at one height.
    Disagreement,
    /// New blocks arrive, but none of them becomes final.
    FinalityStalled,
    /// The chain that is served now does not contain a block that was final.
    FinalizedReorg,
    /// An endpoint returned a block that contradicts its own header.
    RefusedBlock,
    /// A block was judged although it could not be verified against its header.
    UnverifiedBlock,
    /// An endpoint lost a capability that it had.
    AbilityLost,
    /// The state of watches cannot be read any more.
    StateUnread,
    /// Block times are ahead of the local clock.
    ClockSkew,
    /// The wall clock of this machine was changed while the program ran.
    ClockStepped,
    /// Verdicts cannot be written to the store: the disk is full or broken.
    StoreRefuses,
    /// The program itself was not running.
    NotRunning,
    /// The service that keeps Safes' queues does not respond, or allows fewer requests than are needed.
    ServiceDown,
    /// The service returns data that cannot be true: of another Safe or chain, under hashes that do not match their
    /// fields, or malformed.
    ServiceLies,
    /// The service is persistently behind the chain.
    ServiceStale,
}

/// A lasting health issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthIssue {
    /// Kind of outage. Together with `endpoint` it identifies the health issue when it ends.
    pub kind: BlindnessKind,
    /// Name of the affected endpoint; absent when the trouble affects the whole chain.
    pub endpoint: Option<Arc<str>>,
    /// Severity of the outage. The same health issue may be reported again with a higher severity.
    pub severity: Severity,
    /// Start of the outage: the time of the last successful observation.
    pub since: Timestamp,
    /// Cause of the outage, in words of ours or a node's, shortened and without an address.
    pub why: String,
    /// Response of the endpoint, if the response itself is the problem.
    pub evidence: Option<Arc<Evidence>>,
    /// Commands with which an operator can end it, if there are any.
    pub ways: Vec<Way>,
}

/// A response that contradicts itself, kept as evidence for the endpoint's operator.
#[derive(Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Question asked, as words: `block 0x…`.
    pub asked: String,
    /// Error in the response.
    pub flaw: String,
    /// The responses as received, each with the request it answers.
    pub answers: Vec<(&'static str, Box<str>)>,
}

/// An outage as recorded in its incident; if it recurs, from the first beginning to the last end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blindness {
    /// Kind of outage.
    pub kind: BlindnessKind,
    /// Name of the affected endpoint; absent when the outage affects the whole chain, or the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Start of the first occurrence, wall-clock milliseconds.
    pub first: u64,
    /// Start of the latest occurrence, wall-clock milliseconds.
    pub since: u64,
    /// Time at which the cause went away, wall-clock milliseconds; absent while it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted: Option<u64>,
    /// Time at which everything had been read again, wall-clock milliseconds: later than `lifted` by the time needed to
    /// catch up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<u64>,
    /// Number of occurrences, from 1.
    pub times: u32,
    /// Total duration of the occurrences before the latest, in milliseconds.
    pub earlier: u64,
    /// Time at which the next step of the path would have been due if the outage had not ended, wall-clock
    /// milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumes: Option<u64>,
    /// Names of files that contain the endpoint's responses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// Blocks judged late because of it, chain by chain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub late: Vec<LateBlocks>,
}

/// Blocks of one chain that were judged later than they should have been.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateBlocks {
    /// Name of the chain.
    pub chain: String,
    /// Number of the first block.
    pub from: u64,
    /// Number of the last block.
    pub to: u64,
    /// Number of late blocks; fewer than from `from` to `to` if the outage was intermittent.
    pub blocks: u64,
    /// Number of findings in these blocks.
    pub findings: u64,
    /// Severity of the most severe finding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Some of the findings, the most severe first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<LateFinding>,
}

/// A finding in a block that was judged late.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateFinding {
    /// Identity of the finding.
    pub finding_id: FindingId,
    /// Severity of the finding.
    pub severity: Severity,
    /// Description of the event, in one sentence.
    pub headline: String,
}

impl BlindnessKind {
    /// All kinds of outages.
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

    /// Kinds that affect a service beside the chain, whose proposals cannot be read although the chain can.
    pub const OF_SERVICES: [Self; 3] = [Self::ServiceDown, Self::ServiceLies, Self::ServiceStale];

    /// Returns the name used in records, metrics and messages.
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

    /// Returns true if no new data of the chain is seen during the outage; false if less is seen, or through fewer
    /// endpoints.
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

//! Confidence in a block or finding: the endpoints that confirm it, verification against the header, and finality.

use super::block::Finality;
use serde::{Deserialize, Serialize};

/// Confidence in a block at the time it was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// Number of endpoints that reported the block as theirs, including the one that it came from.
    pub sources: u32,
    /// Number of endpoints of the chain, that is, the largest possible value of `sources`.
    pub endpoints: u32,
    /// Result of verifying the block against its header.
    pub proof: Verification,
}

/// Result of verifying a block against its own header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Verification {
    /// Verification was not requested.
    #[default]
    NotAsked,
    /// The header could not prove it: the block contains something that we cannot hash.
    Unproven,
    /// Header hash and roots match the judged data.
    Proven,
}

/// Confidence in a finding, or in an incident by its weakest finding.
///
/// In records `verified` is missing where no verification was requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Confidence {
    /// Finality of its block.
    pub finality: Finality,
    /// Number of endpoints that have reported its block as theirs so far.
    pub sources: u32,
    /// Number of endpoints that could have reported it when it was judged.
    pub endpoints: u32,
    /// True if its block was proven by its header; absent where verification was not requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
}

impl Default for Provenance {
    /// Returns the report of a single endpoint, without verification.
    fn default() -> Self {
        Self { sources: 1, endpoints: 1, proof: Verification::NotAsked }
    }
}

impl Verification {
    /// Returns whether there is a proof; absent where none was requested.
    #[must_use]
    pub const fn is_verified(self) -> Option<bool> {
        match self {
            Self::NotAsked => None,
            Self::Unproven => Some(false),
            Self::Proven => Some(true),
        }
    }
}

impl Default for Confidence {
    fn default() -> Self {
        Self::new(Provenance::default())
    }
}

impl Confidence {
    /// Returns the footing of data that was judged just now.
    #[must_use]
    pub const fn new(sight: Provenance) -> Self {
        Self {
            finality: Finality::Included,
            sources: sight.sources,
            endpoints: sight.endpoints,
            verified: sight.proof.is_verified(),
        }
    }

    /// Returns the weaker of the two in every respect.
    #[must_use]
    pub fn weaker_of(self, other: Self) -> Self {
        let verified = match (self.verified, other.verified) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        };
        Self {
            finality: self.finality.min(other.finality),
            sources: self.sources.min(other.sources),
            endpoints: self.endpoints.max(other.endpoints),
            verified,
        }
    }

    /// Returns true if a second endpoint could confirm it and has not done so. With one endpoint there is no
    /// confirmation to wait for.
    #[must_use]
    pub const fn is_unconfirmed(&self) -> bool {
        self.endpoints > 1 && self.sources < 2
    }

    /// Returns true if its block was judged although its header could not prove it.
    #[must_use]
    pub const fn is_unverified(&self) -> bool {
        matches!(self.verified, Some(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn footing(finality: Finality, sources: u32, endpoints: u32, proof: Verification) -> Confidence {
        Confidence { finality, ..Confidence::new(Provenance { sources, endpoints, proof }) }
    }

    #[test]
    fn two_stand_as_surely_as_the_weaker_of_them_in_every_respect() {
        let firm = footing(Finality::Finalized, 3, 3, Verification::Proven);
        let fresh = footing(Finality::Included, 1, 2, Verification::NotAsked);
        let doubtful = footing(Finality::Safe, 2, 3, Verification::Unproven);
        assert_eq!(firm.weaker_of(fresh), footing(Finality::Included, 1, 3, Verification::NotAsked));
        assert_eq!(fresh.weaker_of(doubtful), footing(Finality::Included, 1, 3, Verification::Unproven));
        assert_eq!(firm.weaker_of(firm), firm);
        assert_eq!(firm.weaker_of(doubtful), doubtful.weaker_of(firm));
    }

    #[test]
    fn one_endpoint_alone_leaves_nothing_to_wait_for() {
        assert!(!footing(Finality::Included, 1, 1, Verification::NotAsked).is_unconfirmed());
        assert!(footing(Finality::Included, 1, 2, Verification::NotAsked).is_unconfirmed());
        assert!(!footing(Finality::Included, 2, 3, Verification::NotAsked).is_unconfirmed());
    }

    #[test]
    fn what_was_written_before_there_were_footings_is_read_as_one_endpoint_s_word() {
        assert_eq!(serde_json::from_str::<Confidence>("{}").unwrap(), Confidence::default());
        let written = serde_json::to_value(Confidence::default()).unwrap();
        assert_eq!(written, serde_json::json!({ "finality": "included", "sources": 1, "endpoints": 1 }));
    }
}

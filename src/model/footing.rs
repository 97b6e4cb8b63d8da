//! How surely something stands: who says so, whether its header vouches for it, and how far it is from being undone.

use super::block::Finality;
use serde::{Deserialize, Serialize};

/// How well a block was seen when it was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// How many endpoints said that it is theirs, the one it came from included.
    pub sources: u32,
    /// How many endpoints the chain has, that is, how many might say so.
    pub endpoints: u32,
    /// What its header says of it.
    pub proof: Proof,
}

/// What came of holding a block against its own header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Proof {
    /// Nobody asked for it.
    #[default]
    NotAsked,
    /// The header could not vouch for it: it has something in it that we cannot hash.
    Unproven,
    /// Header hash and roots are those of what was judged.
    Proven,
}

/// How surely a finding stands, or an incident by the weakest of its findings.
///
/// On the wire `verified` is missing where nobody asked for a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Footing {
    /// How far its block is from being undone.
    pub finality: Finality,
    /// How many endpoints have said by now that its block is theirs.
    pub sources: u32,
    /// How many might have said so when it was judged.
    pub endpoints: u32,
    /// Whether its block was proven by its header; absent where nobody asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
}

impl Default for Sight {
    /// What one endpoint says, taken at its word.
    fn default() -> Self {
        Self { sources: 1, endpoints: 1, proof: Proof::NotAsked }
    }
}

impl Proof {
    /// Whether there is a proof; absent where nobody asked for one.
    #[must_use]
    pub const fn verified(self) -> Option<bool> {
        match self {
            Self::NotAsked => None,
            Self::Unproven => Some(false),
            Self::Proven => Some(true),
        }
    }
}

impl Default for Footing {
    fn default() -> Self {
        Self::new(Sight::default())
    }
}

impl Footing {
    /// The footing of what was judged just now.
    #[must_use]
    pub const fn new(sight: Sight) -> Self {
        Self {
            finality: Finality::Included,
            sources: sight.sources,
            endpoints: sight.endpoints,
            verified: sight.proof.verified(),
        }
    }

    /// The weaker of the two in every respect: what holds for both.
    #[must_use]
    pub fn least(self, other: Self) -> Self {
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

    /// Whether a second endpoint could say so, and none has. With one endpoint there is nothing to wait for.
    #[must_use]
    pub const fn is_unconfirmed(&self) -> bool {
        self.endpoints > 1 && self.sources < 2
    }

    /// Whether its block was judged although its header could not vouch for it.
    #[must_use]
    pub const fn is_unverified(&self) -> bool {
        matches!(self.verified, Some(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn footing(finality: Finality, sources: u32, endpoints: u32, proof: Proof) -> Footing {
        Footing { finality, ..Footing::new(Sight { sources, endpoints, proof }) }
    }

    #[test]
    fn two_stand_as_surely_as_the_weaker_of_them_in_every_respect() {
        let firm = footing(Finality::Finalized, 3, 3, Proof::Proven);
        let fresh = footing(Finality::Included, 1, 2, Proof::NotAsked);
        let doubtful = footing(Finality::Safe, 2, 3, Proof::Unproven);
        assert_eq!(firm.least(fresh), footing(Finality::Included, 1, 3, Proof::NotAsked));
        assert_eq!(fresh.least(doubtful), footing(Finality::Included, 1, 3, Proof::Unproven));
        assert_eq!(firm.least(firm), firm);
        assert_eq!(firm.least(doubtful), doubtful.least(firm));
    }

    #[test]
    fn one_endpoint_alone_leaves_nothing_to_wait_for() {
        assert!(!footing(Finality::Included, 1, 1, Proof::NotAsked).is_unconfirmed());
        assert!(footing(Finality::Included, 1, 2, Proof::NotAsked).is_unconfirmed());
        assert!(!footing(Finality::Included, 2, 3, Proof::NotAsked).is_unconfirmed());
    }

    #[test]
    fn what_was_written_before_there_were_footings_is_read_as_one_endpoint_s_word() {
        assert_eq!(serde_json::from_str::<Footing>("{}").unwrap(), Footing::default());
        let written = serde_json::to_value(Footing::default()).unwrap();
        assert_eq!(written, serde_json::json!({ "finality": "included", "sources": 1, "endpoints": 1 }));
    }
}

//! Subjects of incidents: the origin says what an incident is about, and carries the data that only such an incident
//! has.

use super::coverage::Storm;
use super::ids::{ChainId, IncidentId};
use super::outage::Blindness;
use alloy_primitives::Address;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A watched address on its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WatchedAddress {
    /// Chain of the watch.
    pub chain: ChainId,
    /// Address of the watch.
    pub address: Address,
}

/// Part of the program that an incident concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IncidentScope {
    /// A chain, or a watch on it.
    Chain(ChainId),
    /// The whole program: its store, its clock, one of its paths.
    Program,
}

impl IncidentScope {
    /// Returns the scope of `chain`, or of the whole program where there is none.
    #[must_use]
    pub fn from_chain(chain: Option<ChainId>) -> Self {
        chain.map_or(Self::Program, Self::Chain)
    }

    /// Returns the chain; absent for the whole program.
    #[must_use]
    pub const fn chain(self) -> Option<ChainId> {
        match self {
            Self::Chain(chain) => Some(chain),
            Self::Program => None,
        }
    }

    /// Checks whether an incident of this scope concerns `other` as well: one of the whole program concerns every chain.
    #[must_use]
    pub fn includes(self, other: Self) -> bool {
        self == Self::Program || self == other
    }
}

/// Subject of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Origin {
    /// Findings of a watch.
    Findings {
        /// Watch that owns the incident: where the innermost abnormal leaf acts.
        watch: WatchedAddress,
    },
    /// Noise of one day of a watch.
    Noise {
        /// Watch that owns the incident.
        watch: WatchedAddress,
        /// Counts of the day.
        noise: Noise,
    },
    /// Outage of a chain, of one of its endpoints, or of a service beside it.
    Outage {
        /// Chain that is seen incompletely or not at all.
        chain: ChainId,
        /// Record of the outage.
        outage: Blindness,
    },
    /// The store rejects writes, or soon will.
    StoreFailure {
        /// Record of the outage.
        outage: Blindness,
    },
    /// The wall clock of this machine was changed.
    ClockStep {
        /// Record of the outage.
        outage: Blindness,
    },
    /// Messages cannot be delivered.
    DeliveryFailure {
        /// Watch that the first such message was about, if the configuration had it.
        watch: Option<WatchedAddress>,
        /// Destinations that cannot be reached.
        failure: Undelivered,
    },
    /// Pages that a path held back.
    Storm {
        /// Pages held back.
        storm: Storm,
    },
    /// A test page.
    Test {
        /// Watch that the page names, so that it looks like a real one.
        watch: Option<WatchedAddress>,
    },
}

/// Noise of one day and one watch, reported once after the day has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noise {
    /// Days since the Unix epoch, by block time.
    pub day: u64,
    /// Number of findings of each kind that ever joined; the kinds are a small, fixed set of words.
    pub sorts: BTreeMap<String, u64>,
}

/// Destinations to which messages cannot be delivered, for one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undelivered {
    /// Cause that all of them share, such as `answered 410, gone for good`.
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

impl Origin {
    /// Returns its name, as in the store's column.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Findings { .. } => "findings",
            Self::Noise { .. } => "noise",
            Self::Outage { .. } => "outage",
            Self::StoreFailure { .. } => "store-failure",
            Self::ClockStep { .. } => "clock-step",
            Self::DeliveryFailure { .. } => "delivery-failure",
            Self::Storm { .. } => "storm",
            Self::Test { .. } => "test",
        }
    }

    /// Returns the watch that it is about, or that its page names.
    #[must_use]
    pub const fn watch(&self) -> Option<WatchedAddress> {
        match self {
            Self::Findings { watch } | Self::Noise { watch, .. } => Some(*watch),
            Self::DeliveryFailure { watch, .. } | Self::Test { watch } => *watch,
            Self::Outage { .. } | Self::StoreFailure { .. } | Self::ClockStep { .. } | Self::Storm { .. } => None,
        }
    }

    /// Returns the part of the program that it concerns.
    #[must_use]
    pub fn scope(&self) -> IncidentScope {
        match self {
            Self::Outage { chain, .. } => IncidentScope::Chain(*chain),
            _ => IncidentScope::from_chain(self.watch().map(|watch| watch.chain)),
        }
    }

    /// Returns true if findings in transactions caused it, and false if the program itself is its subject.
    #[must_use]
    pub const fn is_about_findings(&self) -> bool {
        matches!(self, Self::Findings { .. } | Self::Noise { .. })
    }

    /// Returns the record of an outage; absent for an incident about anything else.
    #[must_use]
    pub const fn outage(&self) -> Option<&Blindness> {
        match self {
            Self::Outage { outage, .. } | Self::StoreFailure { outage } | Self::ClockStep { outage } => Some(outage),
            _ => None,
        }
    }

    /// Returns the record of an outage, to be changed.
    pub const fn outage_mut(&mut self) -> Option<&mut Blindness> {
        match self {
            Self::Outage { outage, .. } | Self::StoreFailure { outage } | Self::ClockStep { outage } => Some(outage),
            _ => None,
        }
    }

    /// Returns the noise of a day; absent for an incident about anything else.
    #[must_use]
    pub const fn noise(&self) -> Option<&Noise> {
        match self {
            Self::Noise { noise, .. } => Some(noise),
            _ => None,
        }
    }

    /// Returns the noise of a day, to be changed.
    pub const fn noise_mut(&mut self) -> Option<&mut Noise> {
        match self {
            Self::Noise { noise, .. } => Some(noise),
            _ => None,
        }
    }

    /// Returns the pages that a path held back; absent for an incident about anything else.
    #[must_use]
    pub const fn storm(&self) -> Option<&Storm> {
        match self {
            Self::Storm { storm } => Some(storm),
            _ => None,
        }
    }

    /// Returns the pages that a path held back, to be changed.
    pub const fn storm_mut(&mut self) -> Option<&mut Storm> {
        match self {
            Self::Storm { storm } => Some(storm),
            _ => None,
        }
    }

    /// Returns the destinations that cannot be reached; absent for an incident about anything else.
    #[must_use]
    pub const fn delivery_failure(&self) -> Option<&Undelivered> {
        match self {
            Self::DeliveryFailure { failure, .. } => Some(failure),
            _ => None,
        }
    }

    /// Returns the destinations that cannot be reached, to be changed.
    pub const fn delivery_failure_mut(&mut self) -> Option<&mut Undelivered> {
        match self {
            Self::DeliveryFailure { failure, .. } => Some(failure),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_of_the_program_concerns_every_chain_and_one_of_a_chain_only_that_chain() {
        let (here, there) = (IncidentScope::Chain(ChainId(1)), IncidentScope::Chain(ChainId(10)));
        assert!(
            IncidentScope::Program.includes(here)
                && IncidentScope::Program.includes(IncidentScope::Program)
                && here.includes(here)
        );
        assert!(!here.includes(there) && !here.includes(IncidentScope::Program));
    }

    #[test]
    fn an_origin_has_one_name_wherever_it_is_written() {
        let watch = WatchedAddress { chain: ChainId(1), address: Address::repeat_byte(1) };
        let noise = Noise { day: 1, sorts: BTreeMap::new() };
        let failure = Undelivered { cause: String::new(), destinations: vec![], lost: vec![] };
        for origin in [
            Origin::Findings { watch },
            Origin::Noise { watch, noise },
            Origin::DeliveryFailure { watch: None, failure },
            Origin::Storm { storm: Storm::default() },
            Origin::Test { watch: Some(watch) },
        ] {
            let written = serde_json::to_value(&origin).unwrap();
            assert_eq!(written["kind"], origin.as_str());
            assert_eq!(serde_json::from_value::<Origin>(written).unwrap(), origin);
        }
    }
}

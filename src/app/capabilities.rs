//! Abilities of a chain's endpoints, for the terminal: printed once each endpoint has been probed, and again when they
//! change.

use super::endpoint_gaps::{Found, capability_gaps, capability_summary};
use crate::source::Capabilities;
use crate::watchlist::{ChainBook, Config};
use std::sync::Arc;

/// Capabilities of a chain's endpoints; see the module documentation.
#[derive(Default)]
pub(super) struct CapabilityReport {
    found: Vec<Found>,
    told: bool,
}

impl CapabilityReport {
    /// Records the capabilities of a probed endpoint, and returns lines to print if they are new.
    pub(super) fn record_probe(
        &mut self,
        endpoint: Arc<str>,
        abilities: Capabilities,
        book: &Config,
        chain: &ChainBook,
    ) -> Vec<String> {
        let name = &chain.info.name;
        let known = self.found.iter().position(|found| found.endpoint == endpoint);
        let before = known.map(|at| capability_summary(name, &self.found.remove(at)));
        let found = Found { endpoint, abilities: Ok(abilities) };
        let now = capability_summary(name, &found);
        self.found.push(found);
        let mut lines: Vec<String> = (before.as_ref() != Some(&now)).then_some(now).into_iter().collect();
        let changed = before.is_some() && !lines.is_empty();
        // A gap is something that no endpoint can show, so all endpoints have to be probed first.
        if changed || (!self.told && self.found.len() == chain.endpoints.len()) {
            self.told = true;
            lines.extend(capability_gaps(book, chain, &self.found).iter().flat_map(super::endpoint_gaps::Gap::lines));
        }
        lines
    }
}

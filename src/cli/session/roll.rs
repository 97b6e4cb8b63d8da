//! What the endpoints of a chain can do, for whoever watches the terminal: said once each has been tried out, and again when it
//! changes.

use crate::cli::abilities::{Found, gaps, summary};
use crate::source::Abilities;
use crate::watchlist::{Book, ChainBook};
use std::sync::Arc;

/// See the module's head.
#[derive(Default)]
pub(super) struct Roll {
    found: Vec<Found>,
    told: bool,
}

impl Roll {
    /// An endpoint was tried out: lines to write, if it says something new.
    pub(super) fn probed(
        &mut self,
        endpoint: Arc<str>,
        abilities: Abilities,
        book: &Book,
        chain: &ChainBook,
    ) -> Vec<String> {
        let name = &chain.info.name;
        let known = self.found.iter().position(|found| found.endpoint == endpoint);
        let before = known.map(|at| summary(name, &self.found.remove(at)));
        let found = Found { endpoint, abilities: Ok(abilities) };
        let now = summary(name, &found);
        self.found.push(found);
        let mut lines: Vec<String> = (before.as_ref() != Some(&now)).then_some(now).into_iter().collect();
        let changed = before.is_some() && !lines.is_empty();
        // What stays unseen is what no endpoint can show, so all of them have to be heard first.
        if changed || (!self.told && self.found.len() == chain.endpoints.len()) {
            self.told = true;
            lines.extend(gaps(book, chain, &self.found).iter().flat_map(crate::cli::abilities::Gap::lines));
        }
        lines
    }
}

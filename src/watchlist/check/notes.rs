//! What an operator should know of a configuration that has no mistake.

use crate::source::FinalityRule;
use crate::watchlist::book::{Book, ChainBook, ChainClock};
use std::sync::Arc;

/// A weakness that was chosen, or not thought of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The chain it is about.
    pub chain: Arc<str>,
    /// What does not hold because of it, and what to write instead; one sentence without a period.
    pub text: String,
}

/// What each chain's own settings leave unseen or unconfirmed. Chains of a developer's machine, which keep no clock, are what they
/// are.
#[must_use]
pub fn notes(book: &Book) -> Vec<Note> {
    let chains = book.chains.iter().filter(|chain| chain.clock == ChainClock::Wall);
    chains.flat_map(|chain| of(chain).map(|text| Note { chain: chain.info.name.clone(), text })).collect()
}

fn of(chain: &ChainBook) -> impl Iterator<Item = String> {
    let alone = (chain.endpoints.len() < 2).then(|| {
        "one endpoint: while it is away nothing is seen, and nobody contradicts it; name a second one that somebody else runs".to_owned()
    });
    let believed = (!chain.verify).then(|| {
        "blocks are not verified: what an endpoint leaves out of them is missed; remove `verify = false`".to_owned()
    });
    let open = (chain.finality == FinalityRule::Never).then(|| {
        "no block ever counts as final; say `finality = \"tags\"`, or `{ safe = …, finalized = … }` in blocks"
            .to_owned()
    });
    [alone, believed, open].into_iter().flatten()
}

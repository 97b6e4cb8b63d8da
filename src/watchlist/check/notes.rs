//! Notes on a configuration without mistakes, for its operator.

use crate::classify::rule::{Polarity, Rule, ValueRule};
use crate::contracts::{self, Property};
use crate::decode::TOKENS_AT_ONCE;
use crate::model::{ActivityKind, Kind};
use crate::safe_service::{monthly_requests, sustainable_interval};
use crate::settings::{Problem, show_duration};
use crate::source::FinalityRule;
use crate::watchlist::book::{ChainBook, ChainClock, Config, QueueBook};
use std::sync::Arc;

/// A weakness of the configuration, chosen or overlooked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Name of the chain, for a note about a chain.
    pub chain: Option<Arc<str>>,
    /// Place as `file:line:column`, for a note about written text.
    pub place: Option<Arc<str>>,
    /// Consequence of the configuration, and what to write instead; one sentence without a period.
    pub text: String,
}

/// Returns notes on what each chain's own settings leave unseen or unconfirmed, and notes on what is written. The notes
/// on a chain's own settings skip chains of a developer's machine, which keep no clock.
#[must_use]
pub fn config_notes(book: &Config) -> Vec<Note> {
    let chains = book.chains.iter().filter(|chain| chain.clock == ChainClock::Wall);
    let of_chains = chains.flat_map(|chain| chain_notes(chain).map(|text| of_chain(&chain.info.name, text)));
    let of_queues = book.queues.iter().filter_map(of_queue);
    let unseen = book.chains.iter().filter_map(|chain| untraced_note(chain, book));
    of_chains.chain(unseen).chain(of_queues).chain(idle_rules(book)).chain(book.notes.iter().map(of_place)).collect()
}

/// Returns a note about contracts whose own calls are not visible without traces.
fn untraced_note(chain: &ChainBook, book: &Config) -> Option<Note> {
    let here = book.watches.iter().filter(|watch| watch.chain.id == chain.info.id);
    let own_code = |kind: Kind| {
        let contract = contracts::of_kind(kind);
        ![Property::CarriesOut, Property::Account, Property::Name].iter().any(|one| contract.has(*one))
    };
    let labels: Vec<String> =
        here.filter(|watch| own_code(watch.kind)).map(|watch| format!("`{}`", watch.label)).collect();
    let (first, n_more) = (labels.first()?, labels.len() - 1);
    let whose = if n_more == 0 { first.clone() } else { format!("{first} and {n_more} more") };
    let text = format!(
        "`traces = false`: ether that leaves {whose} inside of a call is seen by the balance after the block alone, and not at all where as much arrives by a call inside another contract in the same block; remove `traces = false` where an endpoint traces"
    );
    (!chain.subjects.looks_inside()).then(|| of_chain(&chain.info.name, text))
}

/// Returns notes about rules that have no effect, or less than they seem to have.
fn idle_rules(book: &Config) -> Vec<Note> {
    let mut notes = Vec::new();
    for (watch, rules) in book.watches.iter().zip(&book.rules.watches) {
        let chain = book.chains.iter().find(|chain| chain.info.id == watch.chain.id);
        let blind = chain.is_some_and(|chain| !chain.subjects.looks_inside());
        let normal = || rules.rules.iter().filter(|rule| rule.polarity == Polarity::Normal);
        let open: Vec<&str> = normal().filter(|rule| rule.effects).map(|rule| &*rule.name).collect();
        let contract = contracts::of_kind(watch.kind);
        let only_inside = !contract.has(Property::CarriesOut) && !contract.has(Property::Account);
        let mut note = |text: String| notes.push(of_chain(&watch.chain.name, text));
        for rule in normal().filter(|rule| matches!(rule.kind, ActivityKind::Act | ActivityKind::Move)) {
            if rule.kind == ActivityKind::Act && blind && only_inside {
                note(format!(
                    "`{}`: rule `{}` is never asked, since only traces show what a contract does and `traces = false`; write it about `move`, `event` or `state`",
                    watch.label, rule.name
                ));
            } else if !open.is_empty() && only_inside && holds_back(rule) {
                note(format!(
                    "`{}`: rule `{}` holds nothing back inside of what `{}` vouches for, which says `effects = \"any\"`; remove that, or the rule",
                    watch.label,
                    rule.name,
                    open.join("`, `")
                ));
            }
        }
    }
    notes
}

/// Returns whether the rule has a condition that could refuse one act and accept another.
fn holds_back(rule: &Rule) -> bool {
    let bounded = matches!(&rule.value, ValueRule::Within { min, max } if min.is_some() || max.is_some());
    bounded || !(rule.conditions.is_empty() && rule.limits.is_empty() && rule.habits.is_empty())
}

fn of_chain(chain: &Arc<str>, text: String) -> Note {
    Note { chain: Some(Arc::clone(chain)), place: None, text }
}

/// Returns a note of the compiler with its place, for display.
#[must_use]
pub fn format_note(note: &Problem) -> String {
    let Note { place, text, .. } = of_place(note);
    format!("{}: {text}", place.as_deref().unwrap_or_default())
}

fn of_place(note: &Problem) -> Note {
    let hint = note.hint.as_ref().map_or_else(String::new, |hint| format!("; {hint}"));
    Note { chain: None, place: Some(note.spot.to_string().into()), text: format!("{}{hint}", note.message) }
}

/// Returns a note about a quota that is too small for the intended polling interval of the queues.
fn of_queue(queue: &QueueBook) -> Option<Note> {
    let service = &queue.service;
    let sustained = sustainable_interval(service.requests_per_month, queue.safes.len());
    let (cold, lets) = (show_duration(service.cold), show_duration(sustained));
    let text = format!(
        "{} requests a month let {} look at each of {} quiet queues every {lets}, not every {cold}, which would take {}",
        service.requests_per_month,
        service.name,
        queue.safes.len(),
        monthly_requests(queue.safes.len(), service.cold)
    );
    (sustained > service.cold).then(|| of_chain(&queue.chain.name, text))
}

fn chain_notes(chain: &ChainBook) -> impl Iterator<Item = String> {
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
    let n_tokens = chain.subjects.counted_tokens().len();
    let in_turns = (n_tokens > TOKENS_AT_ONCE && chain.subjects.looks_at_state()).then(|| {
        let n_beats = n_tokens.div_ceil(TOKENS_AT_ONCE);
        format!(
            "{n_tokens} tokens are listed, and {TOKENS_AT_ONCE} balances of a watch are read at once: each is read on one of {n_beats} beats, so that a balance that changes without a log of its token is found that much later"
        )
    });
    [alone, believed, open, in_turns].into_iter().flatten()
}

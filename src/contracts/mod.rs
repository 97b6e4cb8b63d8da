//! Kinds of contracts and accounts that can be watched: one file per kind, one list of all.
//!
//! Input: a [`Kind`]. Output: everything that is specific to it, as a [`ContractKind`]: its ABI, the functions that the
//! decoder opens, the state that is read, what explains a change, the functions that change control, its words. Never
//! here: frames, traces, questions to a node, verdicts, or the contents of a watchlist. The rooms above ask this list and
//! know no kind by its name.
//!
//! A new kind is one file here, and one line in [`CONTRACTS`].

mod access_control;
mod announced;
mod any_contract;
mod contract;
mod control;
mod ens_name;
mod eoa;
mod erc20;
mod governor;
mod kind;
mod minime;
mod multisig;
mod ownable;
mod parity_multisig;
mod proxy;
mod safe;
mod shared_state;
mod state;
mod timelock;
mod vesting;

pub use announced::{
    AnnouncedCall, Announces, CallSource, GovernorTimelock, LoggedCalls, ReadCalls, RequestedCalls, StoredCalls, Verb,
    address_at, bytes_at, parallel_list_calls, uint_at, word_at,
};
pub use any_contract::{EVENTS, FUNCTIONS, assess_any_contract, is_assessed_by_arguments, is_meant};
pub use control::{Control, ControlRow, Found, WatchedContract};
pub use kind::{ContractKind, Envelope, NormalAct, Property};
pub use shared_state::{BEACON, GET_IMPLEMENTATION, HAS_ROLE, IMPLEMENTATION, PROXIABLE, ZOS_IMPLEMENTATION};
pub use state::{CauseRow, ItemChange, ReadMethod, StateGroup, StateLine, StatedValue};

use crate::model::Kind;

/// All kinds, in the order in which they are listed to people.
pub static CONTRACTS: &[&ContractKind] = &[
    &safe::CONTRACT,
    &multisig::CONTRACT,
    &parity_multisig::CONTRACT,
    &timelock::CONTRACT,
    &governor::CONTRACT,
    &erc20::CONTRACT,
    &minime::CONTRACT,
    &proxy::CONTRACT,
    &ownable::CONTRACT,
    &access_control::CONTRACT,
    &vesting::CONTRACT,
    &ens_name::CONTRACT,
    &contract::CONTRACT,
    &eoa::CONTRACT,
];

/// Returns the description of a kind.
#[must_use]
pub fn of_kind(kind: Kind) -> &'static ContractKind {
    CONTRACTS.iter().find(|contract| contract.word == kind.as_str()).copied().unwrap_or(&contract::CONTRACT)
}

/// Returns the kind with this word in watchlists.
#[must_use]
pub fn kind_named(word: &str) -> Option<Kind> {
    CONTRACTS.iter().find(|contract| contract.word == word).map(|contract| contract.kind())
}

/// Returns the kind of a contract of which nothing is known in advance.
#[must_use]
pub fn unknown_kind() -> Kind {
    contract::CONTRACT.kind()
}

/// Returns the kind of a proxy in front of another contract.
#[must_use]
pub fn proxy_kind() -> Kind {
    proxy::CONTRACT.kind()
}

/// Returns the kinds that have a property, as a noun phrase for messages.
#[must_use]
pub fn list_kinds(property: Property) -> String {
    let with = CONTRACTS.iter().filter(|contract| contract.has(property));
    let words: Vec<String> = with.map(|contract| format!("`{}`", contract.word)).collect();
    format!("a watch of the kind {}", words.join(" or "))
}

#[cfg(test)]
mod tests;

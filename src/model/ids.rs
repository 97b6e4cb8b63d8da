//! Identities that stay the same across reorgs, restarts, reloads and a second machine.
//!
//! Every identity is a hash over length-prefixed parts, so that two different lists of parts cannot have the same
//! encoding. It never contains a block number or a log's index within a block, because a reorg changes these.

use alloy_primitives::{Address, B256, hex, keccak256};
use serde::{Deserialize, Serialize};
use std::fmt;

use super::activity::Position;

/// EIP-155 chain id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChainId(pub u64);

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// Prefix of the id before its hash.
            pub const PREFIX: &'static str = $prefix;

            fn of(parts: &[&[u8]]) -> Self {
                Self(format!("{}{}", $prefix, hex::encode(&hash_with_domain($prefix, parts)[..16])))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

id! {
    /// Identity of a finding: chain, watched address, cause and rule name.
    FindingId, "fnd_"
}
id! {
    /// Identity of an incident: its path and its first finding.
    IncidentId, "inc_"
}
id! {
    /// Identity of a delivery: its content, the cycle, step, destination, kind and revision. Every retry carries the
    /// same key.
    DeliveryKey, "dlv_"
}

impl FindingId {
    /// Identity of a finding caused at `position` of transaction `tx`.
    ///
    /// `rule` is a rule's name or a built-in's such as `builtin/unvouched`.
    #[must_use]
    pub fn new(chain: ChainId, watch: Address, tx: B256, position: &Position, rule: &str) -> Self {
        Self::of(&[
            &chain.0.to_be_bytes(),
            watch.as_slice(),
            tx.as_slice(),
            position.to_string().as_bytes(),
            rule.as_bytes(),
        ])
    }

    /// Returns the identity of a finding about a change of state: like [`FindingId::new`], and additionally over the
    /// finding's values, because two changes of one item are two causes. Where no transaction caused the change, the
    /// block's hash takes the place of `tx`.
    #[must_use]
    pub fn of_state(
        chain: ChainId,
        watch: Address,
        tx: B256,
        position: &Position,
        values: &[String],
        rule: &str,
    ) -> Self {
        let (chain, position) = (chain.0.to_be_bytes(), position.to_string());
        let mut parts = vec![chain.as_slice(), watch.as_slice(), tx.as_slice(), position.as_bytes()];
        parts.extend(values.iter().map(String::as_bytes));
        parts.push(rule.as_bytes());
        Self::of(&parts)
    }

    /// Returns the identity of a finding without a transaction: a dead letter, a test page.
    #[must_use]
    pub fn of_occasion(kind: &str, about: &str, since: &str) -> Self {
        Self::of(&[kind.as_bytes(), about.as_bytes(), since.as_bytes()])
    }
}

impl IncidentId {
    /// Identity of the incident that `first` opens on `path`.
    #[must_use]
    pub fn new(path: &str, first: &FindingId) -> Self {
        Self::of(&[path.as_bytes(), first.0.as_bytes()])
    }
}

impl DeliveryKey {
    /// Returns the identity of one message. `about` is the id of an incident or a finding.
    #[must_use]
    pub fn new(about: &str, cycle: u32, step: u32, destination: &str, kind: &str, revision: u32) -> Self {
        Self::of(&[
            about.as_bytes(),
            &cycle.to_be_bytes(),
            &step.to_be_bytes(),
            destination.as_bytes(),
            kind.as_bytes(),
            &revision.to_be_bytes(),
        ])
    }
}

fn hash_with_domain(domain: &str, parts: &[&[u8]]) -> B256 {
    let mut bytes = Vec::with_capacity(128);
    for part in std::iter::once(domain.as_bytes()).chain(parts.iter().copied()) {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    keccak256(bytes)
}

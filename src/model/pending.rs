//! A transaction that was announced and is in no block yet: early warning, and nothing more.
//!
//! Anybody can announce anything, most of it for nothing, and what goes to a block builder directly is never announced. So what is
//! pending is judged, remembered for a while, and either comes true in a block or ends here.

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

/// How a pending transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// A block holds it.
    Included,
    /// Another transaction of the same sender has its nonce.
    Replaced,
    /// No block took it in time.
    Expired,
}

impl Ending {
    /// The word for it: the reason of a retraction, and of an incident that closes by it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Included => "included",
            Self::Replaced => "replaced",
            Self::Expired => "expired",
        }
    }
}

/// A pending transaction that something is found in, from when it was first seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Its hash, held against its fields.
    pub hash: B256,
    /// Who sent it, recovered from its signature.
    pub from: Address,
    /// The sender's nonce.
    pub nonce: u64,
    /// The newest judged block when it was first seen.
    pub first: u64,
    /// When it was first seen, wall-clock milliseconds.
    pub seen_at: u64,
    /// How it ended; absent while it waits.
    pub ended: Option<Ending>,
}

/// What became of a pending transaction, for whoever was told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its hash.
    pub tx: B256,
    /// How it ended.
    pub how: Ending,
    /// The transaction that took its nonce, where it is known.
    pub by: Option<B256>,
}

/// Whether anybody is woken by what is pending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PendingVoice {
    /// It is written down, and told to whoever is only notified.
    #[default]
    Quiet,
    /// It pages as what a block holds.
    Page,
}

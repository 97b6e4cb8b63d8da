//! A transaction that was announced but is in no block yet: an early warning only.
//!
//! Anyone can announce any transaction, mostly at no cost, and transactions sent directly to a block builder are never
//! announced. Pending transactions are therefore judged and remembered for a limited time; each is either included in a
//! block or ended here.

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

/// Outcome of a pending transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// A block includes it.
    Included,
    /// Another transaction of the same sender used its nonce.
    Replaced,
    /// No block took it in time.
    Expired,
}

impl Ending {
    /// Returns its name as text: the reason of a retraction, and of an incident that is closed by it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Included => "included",
            Self::Replaced => "replaced",
            Self::Expired => "expired",
        }
    }
}

/// A pending transaction with a finding, recorded from when it was first seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Transaction hash, verified against its fields.
    pub hash: B256,
    /// Sender, recovered from the signature.
    pub from: Address,
    /// The sender's nonce.
    pub nonce: u64,
    /// The newest judged block when it was first seen.
    pub first: u64,
    /// Time at which it was first seen, wall-clock milliseconds.
    pub seen_at: u64,
    /// Outcome; absent while it is pending.
    pub ended: Option<Ending>,
}

/// Outcome of a pending transaction, for the recipients who were notified of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Transaction hash.
    pub tx: B256,
    /// Outcome of the transaction.
    pub how: Ending,
    /// The transaction that used its nonce, where it is known.
    pub by: Option<B256>,
}

/// Paging setting for pending transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PendingVoice {
    /// Recorded, and sent only to the destinations that are notified without paging.
    #[default]
    Quiet,
    /// Paged like a finding in a block.
    Page,
}

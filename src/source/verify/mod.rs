//! Verification of a block against its own hash.
//!
//! Comes in: a [`Sealed`] block from one node. Goes out: the [`Gap`]s, the parts of the block that its hash does not
//! prove, or the [`Flaw`] that shows that the block is false. Never here: a request to a node, or trust in a value that
//! can be computed. An unknown transaction type or header field is a gap in the proof, never a reason to reject the
//! block.
//!
//! The hash covers the header, the header's roots cover transactions, receipts and withdrawals, and a transaction's
//! signature covers its sender. The right hash therefore identifies the right block, whichever node sent it. The choice
//! of the right hash is not made here.

mod fill;
mod header;
mod raw;
mod receipt;
mod rlp;
mod roots;
mod state;
mod tx;

use crate::model::Link;
use crate::wire::Sealed;
use crate::wire::seal::Header;
use alloy_primitives::{Address, B256};
pub use fill::fill_in;
pub use raw::{RAW_TXS_MAX, Raw, Wanted};
pub use state::{is_of, prove_account};
use std::fmt;
pub use tx::{NoSender, by_itself, recover_sender};

/// Part of a block that could not be checked against the hash because it is newer than this program. Nothing in it is
/// known to be false.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Gap {
    /// The header does not hash to the block's hash, and has these unknown fields.
    #[error("the header has fields that are not known here: {}", .0.join(", "))]
    Header(Vec<String>),
    /// Transactions of unknown types, without their raw bytes.
    #[error("transactions of unknown types, {n} of them, the first of type {kind:#x}")]
    Transactions {
        /// Type of the first.
        kind: u64,
        /// Number of transactions.
        n: usize,
    },
    /// Receipts of unknown types, whose encoding differs from all earlier types.
    #[error("receipts of unknown types, {n} of them, the first of type {kind:#x}")]
    Receipts {
        /// Type of the first.
        kind: u64,
        /// Number of receipts.
        n: usize,
    },
    /// The hash proves the bytes of a transaction or of its receipt, but does not prove that they have the content that
    /// the node reports.
    #[error("transaction {index} is of type {kind:#x}, and its bytes do not show what the node says of it")]
    Meaning {
        /// Place in the block.
        index: u32,
        /// Type of the transaction.
        kind: u64,
    },
    /// The sender of a transaction of an unknown type.
    #[error("transaction {index} is of type {kind:#x}, and its sender cannot be recovered")]
    Sender {
        /// Place in the block.
        index: u32,
        /// Type of the transaction.
        kind: u64,
    },
}

/// Reason why a block is false. Short, and without any text of the node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The header has another hash.
    #[error("its header hashes to {found} instead of {expected}")]
    Header {
        /// Hash of the block.
        expected: B256,
        /// Hash of the given header.
        found: B256,
    },
    /// The header lacks a field that every header has.
    #[error("its header has no {0} that can be read")]
    Lacks(&'static str),
    /// Root that differs from the header's, computed from the data that came with the header.
    #[error("its {root} is {expected}, and what came with it has the root {found}")]
    Root {
        /// Kind of the root.
        root: Root,
        /// Root in the header.
        expected: B256,
        /// Root computed from the data.
        found: B256,
    },
    /// The header's bloom does not match its receipts.
    #[error("its logsBloom is not that of its receipts")]
    Bloom,
    /// A transaction has another hash.
    #[error("transaction {index} hashes to {found} instead of {expected}")]
    Tx {
        /// Place in the block.
        index: u32,
        /// Hash that the node reported.
        expected: B256,
        /// Hash of the reported fields.
        found: B256,
    },
    /// A transaction or its receipt cannot be valid as the node reported it.
    #[error("transaction {index}: {what}")]
    Malformed {
        /// Place in the block.
        index: u32,
        /// Description of the flaw.
        what: &'static str,
    },
    /// Transaction signed by another account.
    #[error("transaction {index} is signed by {found}, not by {claimed}")]
    Sender {
        /// Place in the block.
        index: u32,
        /// Sender named by the node.
        claimed: Address,
        /// Account that signed the transaction.
        found: Address,
    },
    /// Claim about an account that does not follow from the header's state root.
    #[error("the {what} of {of} is not what follows from the block's stateRoot")]
    State {
        /// Account that it belongs to.
        of: Address,
        /// `account`, `storage` or `code`.
        what: &'static str,
    },
}

impl Flaw {
    /// Returns the name of the false part in metrics.
    #[must_use]
    pub const fn metric_label(&self) -> &'static str {
        match self {
            Self::Header { .. } | Self::Lacks(_) => "header",
            Self::Root { .. } => "root",
            Self::Bloom => "bloom",
            Self::Tx { .. } | Self::Malformed { .. } => "transaction",
            Self::Sender { .. } => "sender",
            Self::State { .. } => "state",
        }
    }
}

/// The roots of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// Root of the transactions.
    Transactions,
    /// Root of the receipts.
    Receipts,
    /// Root of the withdrawals.
    Withdrawals,
}

/// Verifies a block against its own hash. Without a gap the whole block is proven, except for senders. `raw` is for
/// unknown types; call this without it first, and [`wants_raw`] tells whether more bytes would help.
///
/// Checked: the header's hash, the roots of transactions, receipts and withdrawals (if the node sent withdrawals), the
/// bloom, every transaction's hash, the address of each created contract. Not checked: whether other blocks build on
/// this hash, and senders, see [`verify_senders`].
pub fn verify_block(sealed: &Sealed, raw: &Raw) -> Result<Vec<Gap>, Flaw> {
    let mut gaps = Vec::new();
    header::verify_header(sealed.block.link(), &sealed.header, &mut gaps)?;
    roots::verify_transactions_root(sealed, raw, &mut gaps)?;
    roots::verify_receipts_root(sealed, raw, &mut gaps)?;
    roots::verify_withdrawals_root(sealed)?;
    Ok(gaps)
}

/// Verifies a block without its receipts against its own hash, as far as possible.
pub fn prove_body(sealed: &Sealed) -> Result<(), Flaw> {
    let mut gaps = Vec::new();
    match header::verify_header(sealed.block.link(), &sealed.header, &mut gaps) {
        // The missing field may follow from the receipts.
        Err(Flaw::Lacks(_)) => Ok(()),
        checked => checked.and_then(|()| roots::verify_transactions_root(sealed, &Raw::default(), &mut gaps)),
    }
}

/// Verifies a header alone against its own hash. The result has at most one gap. A node may omit a field that every
/// header has: such a header proves nothing, but it is not a false answer.
pub fn prove_header(link: Link, header: &Header) -> Result<Vec<Gap>, Flaw> {
    let mut gaps = Vec::new();
    match header::verify_header(link, header, &mut gaps) {
        Err(Flaw::Lacks(name)) => Ok(vec![Gap::Header(vec![name.to_owned()])]),
        checked => checked.map(|()| gaps),
    }
}

/// Recovers the senders of the transactions at these indices of a block, each in about 175 µs, and compares them with
/// those that the node reports. Indices beyond the block's end are skipped.
pub fn verify_senders(sealed: &Sealed, which: impl IntoIterator<Item = u32>) -> Result<Vec<Gap>, Flaw> {
    let mut gaps = Vec::new();
    for index in which {
        let place = usize::try_from(index).unwrap_or(usize::MAX);
        let (Some(tx), Some(seal)) = (sealed.block.txs.get(place), sealed.txs.get(place)) else { continue };
        match recover_sender(tx, seal) {
            Ok(found) if found == tx.from => {}
            Ok(found) => return Err(Flaw::Sender { index, claimed: tx.from, found }),
            Err(NoSender::UnknownType(kind)) => gaps.push(Gap::Sender { index, kind }),
            Err(NoSender::Malformed(what)) => return Err(Flaw::Malformed { index, what }),
        }
    }
    Ok(gaps)
}

/// Returns the data to request from the node so that a block can still be proven; `None` if nothing would help.
#[must_use]
pub fn wants_raw(sealed: &Sealed, gaps: &[Gap]) -> Option<Wanted> {
    let of_txs = gaps.iter().any(|gap| matches!(gap, Gap::Transactions { .. }));
    let receipts = gaps.iter().any(|gap| matches!(gap, Gap::Receipts { .. }));
    let unknown = sealed.block.txs.iter().filter(|tx| of_txs && !tx::is_known(tx.kind));
    let txs: Vec<(u32, B256)> = unknown.map(|tx| (tx.index, tx.hash)).collect();
    if txs.len() > RAW_TXS_MAX {
        return None;
    }
    (of_txs || receipts).then_some(Wanted { txs, receipts })
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transactions => "transactionsRoot",
            Self::Receipts => "receiptsRoot",
            Self::Withdrawals => "withdrawalsRoot",
        })
    }
}

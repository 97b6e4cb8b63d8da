//! A block is held against its own hash.
//!
//! Comes in: a [`Sealed`] block as one node gave it. Goes out: the [`Gap`]s, what of the block does not follow from its hash, or the
//! [`Flaw`] that shows it to be false. What never happens here: a question to a node, or a belief in anything that can be
//! computed. An unknown transaction type or header field is a gap in the proof, never a reason to refuse.
//!
//! A hash covers the header, the header's roots cover transactions, receipts and withdrawals, and a transaction's signature covers
//! its sender. So whoever has the right hash has the right block, whatever node it came from; where the right hash comes from is
//! not decided here.

mod fill;
mod header;
mod raw;
mod receipt;
mod rlp;
mod roots;
mod state;
mod tx;

use crate::model::seal::Header;
use crate::model::{Link, Sealed};
use alloy_primitives::{Address, B256};
pub use fill::fill_in;
pub use raw::{RAW_TXS_MAX, Raw, Wanted};
pub use state::{is_of, prove_account};
use std::fmt;
pub use tx::{NoSender, by_itself, sender};

/// What could not be held against the hash, since it is newer than we are. Nothing in it is known to be false.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Gap {
    /// The header does not hash to what it should, and has fields of an unknown meaning, by name.
    #[error("the header has fields that are not known here: {}", .0.join(", "))]
    Header(Vec<String>),
    /// Transactions of unknown types, whose own bytes are not at hand.
    #[error("transactions of unknown types, {n} of them, the first of type {kind:#x}")]
    Transactions {
        /// Type of the first.
        kind: u64,
        /// How many.
        n: usize,
    },
    /// Receipts of unknown types, which are encoded in another way than all before them.
    #[error("receipts of unknown types, {n} of them, the first of type {kind:#x}")]
    Receipts {
        /// Type of the first.
        kind: u64,
        /// How many.
        n: usize,
    },
    /// The bytes of a transaction or of its receipt follow from the hash, but do not show that they mean what the node says.
    #[error("transaction {index} is of type {kind:#x}, and its bytes do not show what the node says of it")]
    Meaning {
        /// Place in the block.
        index: u32,
        /// Its type.
        kind: u64,
    },
    /// The sender of a transaction of an unknown type.
    #[error("transaction {index} is of type {kind:#x}, and its sender cannot be recovered")]
    Sender {
        /// Place in the block.
        index: u32,
        /// Its type.
        kind: u64,
    },
}

/// Why a block is false. Short, and without a word of the node's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The header has another hash.
    #[error("its header hashes to {found} instead of {expected}")]
    Header {
        /// Hash of the block.
        expected: B256,
        /// Hash of what was given.
        found: B256,
    },
    /// The header lacks a field that every header has.
    #[error("its header has no {0} that can be read")]
    Lacks(&'static str),
    /// What came with the header has another root.
    #[error("its {root} is {expected}, and what came with it has the root {found}")]
    Root {
        /// Which.
        root: Root,
        /// What the header says.
        expected: B256,
        /// What follows from the rest.
        found: B256,
    },
    /// The header's bloom is not what its receipts add up to.
    #[error("its logsBloom is not that of its receipts")]
    Bloom,
    /// A transaction has another hash.
    #[error("transaction {index} hashes to {found} instead of {expected}")]
    Tx {
        /// Place in the block.
        index: u32,
        /// Hash that the node gave.
        expected: B256,
        /// Hash of what it gave.
        found: B256,
    },
    /// A transaction or its receipt cannot be what the node says.
    #[error("transaction {index}: {what}")]
    Malformed {
        /// Place in the block.
        index: u32,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Somebody else signed a transaction.
    #[error("transaction {index} is signed by {found}, not by {claimed}")]
    Sender {
        /// Place in the block.
        index: u32,
        /// Who sent it, as the node says.
        claimed: Address,
        /// Who signed it.
        found: Address,
    },
    /// What is said of an account is not in the state that the header stands for.
    #[error("the {what} of {of} is not what follows from the block's stateRoot")]
    State {
        /// Whose.
        of: Address,
        /// `account`, `storage` or `code`.
        what: &'static str,
    },
}

impl Flaw {
    /// Which part is false, as metrics call it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
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
    /// Of the transactions.
    Transactions,
    /// Of the receipts.
    Receipts,
    /// Of the withdrawals.
    Withdrawals,
}

/// Holds a block against its own hash. Without a gap all of it is proven, but for senders. `raw` is for unknown types; try without it,
/// and [`wants_raw`] says whether more would help.
///
/// Checked: the header's hash, the roots of transactions, receipts and withdrawals (where the node gave withdrawals), the bloom,
/// every transaction's hash, the address of each created contract. Not checked: that anybody built on this hash, and senders, see
/// [`senders`].
pub fn prove(sealed: &Sealed, raw: &Raw) -> Result<Vec<Gap>, Flaw> {
    let mut gaps = Vec::new();
    header::check(sealed.block.link(), &sealed.header, &mut gaps)?;
    roots::transactions(sealed, raw, &mut gaps)?;
    roots::receipts(sealed, raw, &mut gaps)?;
    roots::withdrawals(sealed)?;
    Ok(gaps)
}

/// Holds a block whose receipts are not there yet against its own hash, as far as that goes.
pub fn prove_body(sealed: &Sealed) -> Result<(), Flaw> {
    let mut gaps = Vec::new();
    match header::check(sealed.block.link(), &sealed.header, &mut gaps) {
        // What it lacks may follow from the receipts.
        Err(Flaw::Lacks(_)) => Ok(()),
        checked => checked.and_then(|()| roots::transactions(sealed, &Raw::default(), &mut gaps)),
    }
}

/// Holds a header alone against its own hash. It may have a gap at most. A field that every header has may be missing from what a node
/// writes of one: without it the header shows nothing, which is no lie.
pub fn prove_header(link: Link, header: &Header) -> Result<Vec<Gap>, Flaw> {
    let mut gaps = Vec::new();
    match header::check(link, header, &mut gaps) {
        Err(Flaw::Lacks(name)) => Ok(vec![Gap::Header(vec![name.to_owned()])]),
        checked => checked.map(|()| gaps),
    }
}

/// Recovers who signed the transactions at these places of a block, each for about 175 µs, and holds it against what the node
/// says. Places beyond the block's end are passed over.
pub fn senders(sealed: &Sealed, which: impl IntoIterator<Item = u32>) -> Result<Vec<Gap>, Flaw> {
    let mut gaps = Vec::new();
    for index in which {
        let place = usize::try_from(index).unwrap_or(usize::MAX);
        let (Some(tx), Some(seal)) = (sealed.block.txs.get(place), sealed.txs.get(place)) else { continue };
        match sender(tx, seal) {
            Ok(found) if found == tx.from => {}
            Ok(found) => return Err(Flaw::Sender { index, claimed: tx.from, found }),
            Err(NoSender::UnknownType(kind)) => gaps.push(Gap::Sender { index, kind }),
            Err(NoSender::Malformed(what)) => return Err(Flaw::Malformed { index, what }),
        }
    }
    Ok(gaps)
}

/// What to ask the node for, so that a block can be proven after all; `None` when nothing would help.
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

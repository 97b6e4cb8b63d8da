//! Proposals in a Safe's queue: transactions for which the owners collect signatures off chain, before they can be
//! executed.
//!
//! These data come from a service that keeps such queues, and are its claims. The signers are recovered from the
//! signatures, and the threshold is read from the chain; see `decode::queued`.

use super::block::BlockRef;
use super::read::Read;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A Safe transaction that waits in the queue, as reported by a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queued {
    /// The Safe that would execute it.
    pub safe: Address,
    /// Target of the call.
    pub to: Address,
    /// Ether sent with it, in wei.
    pub value: U256,
    /// Calldata.
    pub data: Bytes,
    /// 0 for a call, 1 for a delegatecall; any other value reverts.
    pub operation: U256,
    /// Gas for the inner call; if it is not zero, the inner call can fail without reverting the execution.
    pub safe_tx_gas: U256,
    /// Gas that is refunded in addition to that of the inner call.
    pub base_gas: U256,
    /// Refund per unit of gas; zero for no refund.
    pub gas_price: U256,
    /// The token of the refund; zero for ether.
    pub gas_token: Address,
    /// Recipient of the refund; zero for the account that executes.
    pub refund_receiver: Address,
    /// The Safe's nonce at which it can be executed.
    pub nonce: U256,
    /// The hash that the service names for it.
    pub claimed: B256,
    /// Proposer, as reported by the service; absent if nobody proposed it and it was only seen on chain.
    pub proposer: Option<Address>,
    /// Time of submission, as reported by the service, Unix seconds.
    pub submitted: Option<u64>,
    /// Confirmations, as reported by the service.
    pub confirmations: Vec<Confirmation>,
}

/// Confirmation by one owner, as reported by a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// Owner to whom the service attributes it.
    pub owner: Address,
    /// Signature in the Safe's own encoding: r, s, v, and for a contract the data that follows.
    pub signature: Bytes,
}

/// Progress of a proposal towards execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The nonce it waits for.
    pub nonce: U256,
    /// Number of owners whose signature or approval was verified.
    pub confirmed: u32,
    /// Number of confirmations that the Safe requires.
    pub threshold: u32,
    /// True if the Safe's nonce is this one: with enough confirmations anybody can execute it.
    pub next: bool,
}

impl Queued {
    /// Returns true if it is an empty call of the Safe to itself, by which owners use up the nonce of a transaction
    /// that they reject.
    #[must_use]
    pub fn is_rejection(&self) -> bool {
        self.to == self.safe
            && self.value.is_zero()
            && self.data.is_empty()
            && self.operation.is_zero()
            && self.gas_price.is_zero()
    }
}

impl Progress {
    /// Returns true if anybody can execute it now.
    #[must_use]
    pub const fn is_executable(&self) -> bool {
        self.next && self.threshold > 0 && self.confirmed >= self.threshold
    }
}

impl fmt::Display for Progress {
    /// `queued at nonce 7, 1 of 2 confirmed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "queued at nonce {}, {} of {} confirmed", self.nonce, self.confirmed, self.threshold)?;
        if self.is_executable() { f.write_str(", can be executed now") } else { Ok(()) }
    }
}

/// State of a Safe at one block, as the Safe reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafeState {
    /// The nonce of its next execution.
    pub nonce: U256,
    /// Number of owners who must confirm.
    pub threshold: u32,
    /// Owners of the Safe.
    pub owners: Vec<Address>,
    /// EIP-712 domain under which its owners sign.
    pub domain: B256,
}

/// Result of checking the signatures of a proposal, each against the proposal's fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Hash that its owners sign, computed from its fields and the Safe's own domain.
    pub hash: B256,
    /// Owners of the Safe who signed or approved, each once.
    pub signers: Vec<Address>,
    /// Owners whose claimed signature over this hash is not theirs, each with the actual signer where it can be
    /// recovered.
    pub forged: Vec<(Address, Option<Address>)>,
    /// Owners whose approval only the chain can confirm, but the chain does not.
    pub unproven: Vec<Address>,
    /// Reads required before the result is final.
    pub wanted: Vec<Read>,
}

/// Outcome of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Waits {
    /// Still pending.
    Queued,
    /// Executed.
    Executed,
    /// Another transaction used its nonce.
    Replaced,
    /// No longer listed by its service, with its nonce unused.
    Withdrawn,
}

impl Waits {
    /// Returns its name as text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Executed => "executed",
            Self::Replaced => "replaced",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// A queued transaction as it is remembered, from when it was first seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// The hash its owners sign, as computed here.
    pub hash: B256,
    /// The nonce it waits for, or waited for.
    pub nonce: U256,
    /// Outcome of the proposal.
    pub waits: Waits,
    /// Number of the newest judged block when it was first seen. Its findings are assigned to that block and stay even
    /// if the block is retracted: a reorg does not undo a proposal.
    pub first: u64,
    /// Time of that block, Unix seconds: its rules are evaluated at this time.
    pub time: u64,
    /// Time at which it was first seen, wall-clock milliseconds.
    pub seen_at: u64,
    /// True if it is an empty call of the Safe to itself, by which owners use up a nonce.
    pub rejects: bool,
    /// Digest of the inputs of the last verdict: progress, signatures, problems, and the rules.
    pub judged: B256,
    /// Progress at that time.
    pub progress: Progress,
    /// True if the last poll left something uncertain that counts at the next poll: an approval that the chain does not
    /// show yet, a gap.
    pub doubtful: bool,
}

/// A log of the Safe that must match a transaction in the queue, as it was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Sequence number in the store, by which it is read once.
    pub seq: i64,
    /// True for an execution, successful or failed; false for an owner's approval.
    pub executed: bool,
    /// Safe transaction hash in the log.
    pub hash: B256,
    /// Owner who approved.
    pub owner: Option<Address>,
    /// Transaction on chain that contains the log.
    pub tx: B256,
    /// Sender of that transaction.
    pub origin: Address,
    /// Ordinal of the log in it.
    pub ordinal: u32,
    /// Block of the log.
    pub at: BlockRef,
    /// Time of that block, Unix seconds.
    pub time: u64,
}

/// Returns a digest of all inputs to the judgement of a queued transaction: with the same digest it would be judged the
/// same, so it need not be judged again.
#[must_use]
pub fn proposal_digest(parts: &[&[u8]]) -> B256 {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    keccak256(bytes)
}

/// Maximum number of owners that are read from a Safe. Each signature costs an execution at least 6,000 gas, and a Safe
/// whose threshold is above this could never execute.
pub const OWNERS_MAX: usize = 1_024;

//! A wallet's queue: transactions that a Safe's owners gather signatures for off the chain, before anybody can execute them.
//!
//! What is written here comes from a service that keeps such queues, and is its claim. Who signed what is recovered from the
//! signatures, and how many must sign is read from the chain; see `decode::queued`.

use super::block::BlockRef;
use super::read::Read;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A transaction of a Safe, as a service says that it waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queued {
    /// The Safe that would execute it.
    pub safe: Address,
    /// Target of the call.
    pub to: Address,
    /// Wei that goes along.
    pub value: U256,
    /// Calldata.
    pub data: Bytes,
    /// 0 for a call, 1 for a delegatecall; anything else reverts.
    pub operation: U256,
    /// Gas for the inner call; with anything but zero its failure is swallowed.
    pub safe_tx_gas: U256,
    /// Gas that is refunded beside that of the inner call.
    pub base_gas: U256,
    /// What each unit of gas is refunded with; zero for no refund.
    pub gas_price: U256,
    /// The token of the refund; zero for ether.
    pub gas_token: Address,
    /// Who is refunded; zero for whoever executes.
    pub refund_receiver: Address,
    /// The Safe's nonce at which it can be executed.
    pub nonce: U256,
    /// The hash that the service names for it.
    pub claimed: B256,
    /// Who put it there, as the service says; absent where nobody did and it was only seen on chain.
    pub proposer: Option<Address>,
    /// When that was, as the service says, Unix seconds.
    pub submitted: Option<u64>,
    /// Who agreed, as the service says.
    pub confirmations: Vec<Confirmation>,
}

/// One owner's agreement, as a service says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// Whose it is said to be.
    pub owner: Address,
    /// Their signature in the Safe's own encoding: r, s, v, and what follows for a contract.
    pub signature: Bytes,
}

/// How far a queued transaction is from being executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The nonce it waits for.
    pub nonce: U256,
    /// Owners whose agreement was found to be theirs.
    pub confirmed: u32,
    /// How many the Safe asks for.
    pub threshold: u32,
    /// Whether the Safe's nonce is this one: with enough agreement anybody can execute it.
    pub next: bool,
}

impl Queued {
    /// Whether it is an empty call of the Safe to itself, by which owners use up the nonce of what they do not want.
    #[must_use]
    pub fn rejects(&self) -> bool {
        self.to == self.safe
            && self.value.is_zero()
            && self.data.is_empty()
            && self.operation.is_zero()
            && self.gas_price.is_zero()
    }
}

impl Progress {
    /// Whether whoever wants to can execute it now.
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

/// What a Safe says of itself at one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafeState {
    /// The nonce of its next execution.
    pub nonce: U256,
    /// How many owners must agree.
    pub threshold: u32,
    /// Its owners.
    pub owners: Vec<Address>,
    /// The EIP-712 domain that its owners sign under.
    pub domain: B256,
}

/// What the signatures of a queued transaction come to, each held against its fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The hash that its owners sign, from its fields and the Safe's own domain.
    pub hash: B256,
    /// Owners of the Safe who agreed, each once.
    pub signers: Vec<Address>,
    /// Owners whose signature is not theirs over this hash, each with who signed instead where that can be told.
    pub forged: Vec<(Address, Option<Address>)>,
    /// Owners whose agreement only the chain can tell of, and it does not.
    pub unproven: Vec<Address>,
    /// What has to be read before this is final.
    pub wanted: Vec<Read>,
}

/// Where a queued transaction ended up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Waits {
    /// It waits.
    Queued,
    /// It was executed.
    Executed,
    /// Another transaction used its nonce up.
    Replaced,
    /// Its service shows it no more, and its nonce was not used.
    Withdrawn,
}

impl Waits {
    /// The word for it.
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
    /// What became of it.
    pub waits: Waits,
    /// The newest judged block when it was first seen. Its findings stand there, whatever happens to that block: no reorg undoes
    /// what somebody proposed.
    pub first: u64,
    /// That block's time, Unix seconds: the time by which its rules are tried.
    pub time: u64,
    /// When it was first seen, wall-clock milliseconds.
    pub seen_at: u64,
    /// Whether it is an empty call of the Safe to itself, by which owners use a nonce up.
    pub rejects: bool,
    /// What it was judged by last: its progress, its signatures, what is wrong with them, and the rules.
    pub judged: B256,
    /// Its progress then.
    pub progress: Progress,
    /// What was not certain at the last look and counts at the next: an approval that the chain does not show yet, a gap.
    pub doubtful: bool,
}

/// Something on chain that the queue has to account for: a log of the Safe, as it was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Its place in the store, by which it is read once.
    pub seq: i64,
    /// Whether it is an execution, well or badly; else an owner's approval.
    pub executed: bool,
    /// The Safe transaction hash that it names.
    pub hash: B256,
    /// Whose approval it is.
    pub owner: Option<Address>,
    /// The chain's transaction.
    pub tx: B256,
    /// Who sent that.
    pub origin: Address,
    /// Ordinal of the log in it.
    pub ordinal: u32,
    /// Its block.
    pub at: BlockRef,
    /// That block's time, Unix seconds.
    pub time: u64,
}

/// Stands for everything that a queued transaction is judged by: what has the same is judged alike, and need not be judged again.
#[must_use]
pub fn digest(parts: &[&[u8]]) -> B256 {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    keccak256(bytes)
}

/// Longest list of owners that is read from a Safe. Each signature costs an execution 6,000 gas and more, and a Safe whose threshold
/// is above this could never execute.
pub const OWNERS_MAX: usize = 1_024;

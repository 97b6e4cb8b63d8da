//! Calls inside a transaction, as a node reports them, in the order in which they began.

use super::block::Log;
use alloy_primitives::{Address, B256, Bytes, U256};

/// The calls of one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxTrace {
    /// Transaction hash, where the node states it; the traces of older nodes are matched by position only.
    pub tx: Option<B256>,
    /// The transaction's own call first; every call precedes the calls it makes.
    pub calls: Vec<TracedCall>,
    /// True if calls contain the logs they wrote. The logs are then verified against the receipt.
    pub has_logs: bool,
}

impl TxTrace {
    /// Returns its approximate size in memory, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        let log = |log: &Log| size_of::<Log>() + log.topics.len() * size_of::<B256>() + log.data.len();
        let call =
            |call: &TracedCall| size_of::<TracedCall>() + call.input.len() + call.logs.iter().map(log).sum::<usize>();
        size_of::<Self>() + self.calls.iter().map(call).sum::<usize>()
    }
}

/// A call in a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracedCall {
    /// Index of the calling call in the same list; smaller than its own index. `None` for the transaction's own call.
    pub parent: Option<u32>,
    /// Type of call.
    pub how: CallHow,
    /// Caller: for a delegatecall, the contract whose storage and money the code uses.
    pub from: Address,
    /// Address whose code runs: the target, or the created contract. For a self-destruct, the recipient of the
    /// remaining ether. `None` for a creation that failed.
    pub to: Option<Address>,
    /// Wei transferred; zero for a delegatecall, whatever the node reports.
    pub value: U256,
    /// Calldata, or init code.
    pub input: Bytes,
    /// True if the call failed, together with all calls that it made.
    pub failed: bool,
    /// Logs that the call itself wrote.
    pub logs: Vec<Log>,
}

/// Type of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallHow {
    /// An ordinary call.
    Call,
    /// Foreign code with the caller's storage and funds; also the old CALLCODE.
    Delegatecall,
    /// A call that cannot change state.
    Staticcall,
    /// A contract creation.
    Create,
    /// The caller destroys itself, and its ether goes to another address.
    SelfDestruct,
}

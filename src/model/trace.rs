//! What ran inside a transaction, as a node tells it: every call, in the order in which they began.

use super::block::Log;
use alloy_primitives::{Address, B256, Bytes, U256};

/// The calls of one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxTrace {
    /// Which transaction, where the node says; older nodes tell them apart by their place alone.
    pub tx: Option<B256>,
    /// The transaction's own call first, then each call before those it makes.
    pub calls: Vec<TracedCall>,
    /// Whether calls hold the logs they wrote: then these are held against the receipt.
    pub has_logs: bool,
}

impl TxTrace {
    /// Returns about how many bytes of memory it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        let log = |log: &Log| size_of::<Log>() + log.topics.len() * size_of::<B256>() + log.data.len();
        let call =
            |call: &TracedCall| size_of::<TracedCall>() + call.input.len() + call.logs.iter().map(log).sum::<usize>();
        size_of::<Self>() + self.calls.iter().map(call).sum::<usize>()
    }
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracedCall {
    /// Index of the call that made it, in the same list; smaller than its own. None for the transaction's own.
    pub parent: Option<u32>,
    /// How.
    pub how: CallHow,
    /// Who calls: of a delegatecall the contract whose storage and money the code uses.
    pub from: Address,
    /// Whose code runs: the target, or the contract made. A self-destruct names who gets the rest. None for a creation that failed.
    pub to: Option<Address>,
    /// Wei handed over; none by a delegatecall, whatever the node says.
    pub value: U256,
    /// Calldata, or init code.
    pub input: Bytes,
    /// Whether it failed, and with it whatever it made.
    pub failed: bool,
    /// Logs it wrote itself.
    pub logs: Vec<Log>,
}

/// How a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallHow {
    /// An ordinary call.
    Call,
    /// Foreign code with the caller's storage and money; the old CALLCODE too.
    Delegatecall,
    /// A call that can change nothing.
    Staticcall,
    /// A contract creation.
    Create,
    /// The caller ends itself, and its ether goes to somebody.
    SelfDestruct,
}

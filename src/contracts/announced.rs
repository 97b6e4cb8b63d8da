//! Calls that a wallet records in a log of its own, as a kind describes them: what its logs say, and which calls of it
//! make it write them.

use crate::model::DecodedCall;
use crate::model::value::Value;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};

/// Announcements of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Announces {
    /// Event by which it announces that calls are to be made later.
    pub proposes: &'static str,
    /// Event by which it reports that calls were made.
    pub carries_out: &'static str,
    /// Reads a log; the number is the time of its block in Unix seconds.
    pub by_log: fn(&DecodedCall, u64) -> Option<LoggedCalls>,
    /// Reads a call that makes the contract write such a log.
    pub by_call: fn(&DecodedCall) -> Option<RequestedCalls>,
    /// Events that belong to the same operation as an announcement, with the index of the argument that names it.
    pub companions: &'static [(&'static str, usize)],
    /// True if it writes a log for each call, false if it writes one log for all calls.
    pub log_per_call: bool,
    /// True if another contract makes the calls in its name, such as a governor's timelock.
    pub by_others: bool,
    /// Timelock through which it may execute.
    pub timelock: Option<GovernorTimelock>,
}

/// Action that a log reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Announces that the calls are to be made later.
    Proposes,
    /// Reports that the calls were made.
    CarriesOut,
}

/// Call as a log reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnouncedCall {
    /// Target of the call; `None` for a creation.
    pub to: Option<Address>,
    /// Value in wei.
    pub value: U256,
    /// Calldata.
    pub data: Bytes,
}

/// Place of the announced calls.
#[derive(Clone, Debug)]
pub enum CallSource {
    /// The log or the calldata lists them.
    Listed(Vec<AnnouncedCall>),
    /// The contract stores them under this number.
    Stored(&'static StoredCalls, U256),
}

/// Calls that a contract stores under a number.
#[derive(Debug)]
pub struct StoredCalls {
    /// Function whose encoded arguments hash to the number, so that the calldata of any call of it proves the calls.
    pub bound_by: Option<(&'static str, ReadCalls)>,
    /// Views of the contract that return the calls, the first that answers counts.
    pub views: &'static [(&'static str, ReadCalls)],
    /// Reason on a page where none of them answers.
    pub unread: fn(U256) -> String,
}

/// Reader of calls from arguments or returned values; `None` where they contain no calls.
pub type ReadCalls = fn(&DecodedCall) -> Option<Vec<AnnouncedCall>>;

/// Content of a log.
#[derive(Clone, Debug)]
pub struct LoggedCalls {
    /// Action that the log reports.
    pub verb: Verb,
    /// The operation or proposal, as numbered by the wallet.
    pub id: Option<B256>,
    /// Seconds until it may be executed, where the log contains them.
    pub delay: Option<u64>,
    /// The calls.
    pub calls: CallSource,
}

/// Log that a call requests from a wallet.
#[derive(Clone, Debug)]
pub struct RequestedCalls {
    /// Action that the log will report, if the call determines it.
    pub verb: Option<Verb>,
    /// Calls in the calldata.
    pub calls: Option<Vec<AnnouncedCall>>,
    /// Number of the operation in the calldata.
    pub id: Option<B256>,
    /// Place where the contract stores the calls of that number.
    pub stored: Option<&'static StoredCalls>,
    /// True if the wallet has to write the log when the call succeeds.
    pub must: bool,
}

/// Timelock of a governor.
#[derive(Clone, Copy, Debug)]
pub struct GovernorTimelock {
    /// Selector of the view that returns its address.
    pub view: [u8; 4],
    /// Reads a call of the governor that makes its timelock announce calls.
    pub by_call: fn(&DecodedCall) -> Option<(Verb, CallSource)>,
}

impl RequestedCalls {
    /// A log with these calls, which the wallet has to write.
    pub(super) fn new(verb: Verb, calls: Option<Vec<AnnouncedCall>>) -> Self {
        Self { verb: Some(verb), calls, id: None, stored: None, must: true }
    }
}

/// Returns the address at `index`.
#[must_use]
pub fn address_at(deed: &DecodedCall, index: usize) -> Option<Address> {
    deed.args.get(index).and_then(|arg| arg.value.as_address())
}

/// Returns the unsigned number at `index`.
#[must_use]
pub fn uint_at(deed: &DecodedCall, index: usize) -> Option<U256> {
    deed.args.get(index).and_then(|arg| arg.value.as_uint())
}

/// Returns the payload at `index`.
#[must_use]
pub fn bytes_at(deed: &DecodedCall, index: usize) -> Option<&Bytes> {
    deed.args.get(index).and_then(|arg| arg.value.as_bytes())
}

/// Returns the number or hash at `index` as a word.
#[must_use]
pub fn word_at(deed: &DecodedCall, index: usize) -> Option<B256> {
    match &deed.args.get(index)?.value {
        Value::FixedBytes(word, 32) => Some(*word),
        Value::Uint(number) => Some(B256::from(*number)),
        _ => None,
    }
}

/// Reads one call, whose target, value and calldata are at these indices.
pub(super) fn single_call(deed: &DecodedCall, to: usize, value: usize, data: usize) -> Option<Vec<AnnouncedCall>> {
    let (to, value, data) = (address_at(deed, to)?, uint_at(deed, value)?, bytes_at(deed, data)?.clone());
    Some(vec![AnnouncedCall { to: Some(to), value, data }])
}

/// Reads calls whose parts are in parallel lists. Lists of different lengths contain no calls.
#[must_use]
pub fn parallel_list_calls(
    deed: &DecodedCall,
    targets: usize,
    values: usize,
    signatures: Option<usize>,
    payloads: usize,
) -> Option<Vec<AnnouncedCall>> {
    let list = |index: usize| deed.args.get(index)?.value.as_array();
    let (targets, values, payloads) = (list(targets)?, list(values)?, list(payloads)?);
    let signatures = signatures.map(list);
    if values.len() != targets.len() || payloads.len() != targets.len() {
        return None;
    }
    let parts = targets.iter().zip(values).zip(payloads).enumerate();
    parts
        .map(|(at, ((to, value), data))| {
            let signature = signatures.flatten().and_then(|list| list.get(at));
            let data = match signature {
                Some(Value::String(signature)) => calldata_from_signature(signature, data.as_bytes()?),
                _ => data.as_bytes()?.clone(),
            };
            Some(AnnouncedCall { to: Some(to.as_address()?), value: value.as_uint()?, data })
        })
        .collect()
}

/// Returns calldata whose function Compound's contracts store separately from its arguments.
pub(super) fn calldata_from_signature(signature: &Bytes, data: &Bytes) -> Bytes {
    if signature.is_empty() { data.clone() } else { [&keccak256(signature)[..4], data].concat().into() }
}

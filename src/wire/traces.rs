//! Traces of a block: geth's trees of calls, and the flat lists introduced by OpenEthereum.
//!
//! Trees are parsed one level of nesting at a time and not by recursion, because the sender of a transaction determines
//! how deep its calls go.

use super::{ParseError, hex, parse_json};
use crate::model::block::Log;
use crate::model::trace::{CallHow, TracedCall, TxTrace};
use alloy_primitives::{Address, B256, Bytes, U256};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// Maximum number of calls in one block. Each costs at least 100 gas and most cost thousands, so an honest block
/// contains far fewer.
pub const CALLS_MAX: usize = 1 << 18;
/// Maximum number of bytes scanned in total. A tree is scanned once for each of its levels, so a deep one with much
/// data at its end would take very long; for an honest block of a megabyte about twenty megabytes are scanned.
const BYTES_MAX: usize = 1 << 30;

/// Reads the response to `debug_traceBlockByHash` with `callTracer`: one tree for each transaction.
///
/// # Errors
/// When it is anything else, a transaction has no trace, or there is more than is looked through.
pub fn call_trees(text: &str) -> Result<Vec<TxTrace>, ParseError> {
    #[derive(Deserialize)]
    struct Traced<'a> {
        #[serde(default, rename = "txHash", deserialize_with = "hex::deserialize_lenient")]
        tx: Option<B256>,
        #[serde(borrow)]
        result: Option<&'a RawValue>,
    }
    let AtMost::<_, CALLS_MAX>(results) = parse_json::<AtMost<Traced<'_>, CALLS_MAX>>("traces", text)?;
    let mut budget = Budget { calls: CALLS_MAX, bytes: BYTES_MAX };
    results
        .into_iter()
        .map(|of| {
            let root = of.result.ok_or_else(|| traces_error("a transaction was not traced"))?;
            Ok(TxTrace { tx: of.tx, calls: parse_call_tree(root, &mut budget)?, has_logs: true })
        })
        .collect()
}

/// Reads the response to `debug_traceTransaction` with `callTracer`.
///
/// # Errors
/// As [`call_trees`].
pub fn call_tree(tx: B256, text: &str) -> Result<TxTrace, ParseError> {
    let root: &RawValue = parse_json("trace", text)?;
    let calls = parse_call_tree(root, &mut Budget { calls: CALLS_MAX, bytes: BYTES_MAX })?;
    Ok(TxTrace { tx: Some(tx), calls, has_logs: true })
}

/// Reads the response to `trace_block`: a list of calls, each with its trace address. Rewards of miners are ignored.
///
/// # Errors
/// When it is anything else, is of another block, or a call stands before the one that made it.
pub fn flat_traces(text: &str, block: B256) -> Result<Vec<TxTrace>, ParseError> {
    let AtMost::<_, CALLS_MAX>(list) = parse_json::<AtMost<&RawValue, CALLS_MAX>>("traces", text)?;
    let mut txs: Vec<TxTrace> = Vec::new();
    // Index of the call at each level of the most recent path.
    let mut way: Vec<u32> = Vec::new();
    for raw in list {
        // Calls are parsed one at a time: a parsed call takes several times the memory of its text.
        let flat: Flat<'_> = parse_json("trace", raw.get())?;
        if flat.block_hash != block {
            return Err(traces_error("the traces are of another block"));
        }
        let Some(tx) = flat.transaction_hash else { continue };
        let depth = flat.trace_address.len();
        if depth == 0 {
            txs.push(TxTrace { tx: Some(tx), calls: vec![], has_logs: false });
            way.clear();
        }
        let Some(trace) = txs.last_mut().filter(|trace| trace.tx == Some(tx)) else {
            return Err(traces_error("a call stands before the transaction's own"));
        };
        if depth > way.len() {
            return Err(traces_error("a call stands before the one that made it"));
        }
        way.truncate(depth);
        let parent = way.last().copied();
        way.push(index(trace.calls.len()));
        trace.calls.push(flat.into_traced_call(parent)?);
    }
    Ok(txs)
}

/// Remaining budget.
struct Budget {
    calls: usize,
    bytes: usize,
}

fn parse_call_tree(root: &RawValue, budget: &mut Budget) -> Result<Vec<TracedCall>, ParseError> {
    let mut calls = Vec::new();
    let mut open = vec![(None, root)];
    while let Some((parent, raw)) = open.pop() {
        budget.calls =
            budget.calls.checked_sub(1).ok_or_else(|| traces_error("more calls than are followed in one block"))?;
        let left = budget.bytes.checked_sub(raw.get().len());
        budget.bytes = left.ok_or_else(|| traces_error("calls too deep for what they carry"))?;
        let node: Node<'_> = parse_json("trace", raw.get())?;
        let me = index(calls.len());
        open.extend(node.calls.iter().flat_map(|calls| &calls.0).rev().map(|inner| (Some(me), *inner)));
        calls.push(node.into_traced_call(parent)?);
    }
    Ok(calls)
}

fn index(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn traces_error(why: &str) -> ParseError {
    ParseError::Json { what: "traces", why: why.to_owned() }
}

/// A list with at most `MAX` items: an item of two bytes in JSON may take sixteen or more when parsed.
struct AtMost<T, const MAX: usize>(Vec<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for AtMost<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Items<T, const MAX: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Items<T, MAX> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    if items.len() == MAX {
                        return Err(A::Error::custom("more calls than are followed in one block"));
                    }
                    items.push(item);
                }
                Ok(items)
            }
        }

        from.deserialize_seq(Items::<T, MAX>(PhantomData)).map(Self)
    }
}

/// A call in geth's format.
#[derive(Deserialize)]
struct Node<'a> {
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(deserialize_with = "hex::deserialize_address")]
    from: Address,
    #[serde(default, deserialize_with = "hex::maybe_address")]
    to: Option<Address>,
    #[serde(default, deserialize_with = "hex::maybe_quantity")]
    value: Option<U256>,
    #[serde(default, deserialize_with = "hex::some_bytes")]
    input: Option<Bytes>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    // Some nodes write null for an empty list.
    #[serde(borrow)]
    calls: Option<AtMost<&'a RawValue, CALLS_MAX>>,
    logs: Option<AtMost<NodeLog, CALLS_MAX>>,
}

#[derive(Deserialize)]
struct NodeLog {
    #[serde(deserialize_with = "hex::deserialize_address")]
    address: Address,
    #[serde(deserialize_with = "hex::deserialize_topics")]
    topics: Vec<B256>,
    #[serde(default, deserialize_with = "hex::some_bytes")]
    data: Option<Bytes>,
}

#[derive(Clone, Copy)]
enum Kind {
    Call,
    Delegatecall,
    Staticcall,
    Create,
    SelfDestruct,
}

impl<'de> Deserialize<'de> for Kind {
    /// geth writes upper case, Parity's format lower case, and zkSync a capital first letter.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text: Cow<'de, str> = Deserialize::deserialize(from)?;
        Ok(match text.get(..16.min(text.len())).unwrap_or_default().to_ascii_lowercase().as_str() {
            "call" => Self::Call,
            "delegatecall" | "callcode" => Self::Delegatecall,
            "staticcall" => Self::Staticcall,
            "create" | "create2" => Self::Create,
            "selfdestruct" | "suicide" => Self::SelfDestruct,
            _ => return Err(D::Error::custom("a call of a kind that nobody knows")),
        })
    }
}

impl Kind {
    fn call_how(self) -> CallHow {
        match self {
            Self::Call => CallHow::Call,
            Self::Delegatecall => CallHow::Delegatecall,
            Self::Staticcall => CallHow::Staticcall,
            Self::Create => CallHow::Create,
            Self::SelfDestruct => CallHow::SelfDestruct,
        }
    }
}

impl Node<'_> {
    fn into_traced_call(self, parent: Option<u32>) -> Result<TracedCall, ParseError> {
        let how = self.kind.call_how();
        if self.to.is_none() && how != CallHow::Create {
            return Err(traces_error("a call has no target"));
        }
        let carries = matches!(how, CallHow::Call | CallHow::Create | CallHow::SelfDestruct);
        let logs = self.logs.into_iter().flat_map(|logs| logs.0).zip(0..);
        Ok(TracedCall {
            parent,
            how,
            from: self.from,
            to: self.to,
            value: self.value.filter(|_| carries).unwrap_or_default(),
            input: self.input.unwrap_or_default(),
            failed: is_said(self.error),
            logs: logs
                .map(|(log, ordinal)| Log {
                    address: log.address,
                    topics: log.topics,
                    data: log.data.unwrap_or_default(),
                    ordinal,
                })
                .collect(),
        })
    }
}

/// Checks whether the trace names an error: a few nodes write an empty error for a call that succeeded.
fn is_said(error: Option<&RawValue>) -> bool {
    error.is_some_and(|error| !matches!(error.get(), "null" | "\"\"" | "false"))
}

/// A call in the format of `trace_block`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Flat<'a> {
    block_hash: B256,
    transaction_hash: Option<B256>,
    trace_address: Vec<serde::de::IgnoredAny>,
    #[serde(rename = "type")]
    kind: Box<str>,
    action: Action,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    result: Option<Made>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Action {
    call_type: Option<Kind>,
    #[serde(default, deserialize_with = "hex::maybe_address")]
    from: Option<Address>,
    #[serde(default, deserialize_with = "hex::maybe_address")]
    to: Option<Address>,
    #[serde(default, deserialize_with = "hex::maybe_quantity")]
    value: Option<U256>,
    #[serde(default, deserialize_with = "hex::some_bytes")]
    input: Option<Bytes>,
    #[serde(default, deserialize_with = "hex::some_bytes")]
    init: Option<Bytes>,
    // The address of a self-destruct.
    #[serde(default, deserialize_with = "hex::maybe_address")]
    address: Option<Address>,
    #[serde(default, deserialize_with = "hex::maybe_address")]
    refund_address: Option<Address>,
    #[serde(default, deserialize_with = "hex::maybe_quantity")]
    balance: Option<U256>,
}

#[derive(Deserialize)]
struct Made {
    #[serde(default, deserialize_with = "hex::maybe_address")]
    address: Option<Address>,
}

impl Flat<'_> {
    fn into_traced_call(self, parent: Option<u32>) -> Result<TracedCall, ParseError> {
        let Action { call_type, from, to, value, input, init, address, refund_address, balance } = self.action;
        let (how, from, to, value, input) = match &*self.kind {
            "call" => {
                let how = call_type.unwrap_or(Kind::Call).call_how();
                let carries = how == CallHow::Call;
                (
                    how,
                    from,
                    Some(to.ok_or_else(|| traces_error("a call has no target"))?),
                    value.filter(|_| carries),
                    input,
                )
            }
            "create" => (CallHow::Create, from, self.result.and_then(|made| made.address), value, init),
            "suicide" | "selfdestruct" => {
                (CallHow::SelfDestruct, address.or(from), refund_address.or(to), balance, None)
            }
            _ => return Err(traces_error("a call of a kind that nobody knows")),
        };
        Ok(TracedCall {
            parent,
            how,
            from: from.ok_or_else(|| traces_error("a call comes from nobody"))?,
            to,
            value: value.unwrap_or_default(),
            input: input.unwrap_or_default(),
            failed: is_said(self.error),
            logs: vec![],
        })
    }
}

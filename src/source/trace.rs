//! Traces of a whole block: the calls inside its transactions, as reported by the node.
//!
//! Nodes trace in one of two formats, and some in neither. An answer is accepted only if it has one result for each
//! transaction of the block and is not empty: some nodes answer `{}` with success for an unknown tracer. The content of
//! the traces is not verified here.

use super::bulk_failures::BulkMethod;
use super::intake::BoundedText;
use super::node::Node;
use super::rpc::NodeError;
use crate::model::{Block, BlockRef, TxTrace};
use crate::wire;
use crate::wire::ParseError;
use alloy_primitives::B256;
use futures::StreamExt;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::fmt;

/// Maximum number of transactions of one block that are traced one by one, if the block cannot be traced as a whole;
/// each of these traces runs the block again up to its transaction.
const TRACED_ALONE_MAX: usize = 256;
/// Number of such transactions traced at once.
const TRACED_AT_ONCE: usize = 4;

/// Method of tracing a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TraceMethod {
    /// `debug_traceBlockByHash` with geth's `callTracer` and its logs: one tree of calls for each transaction.
    CallTracer,
    /// `trace_block`, introduced by OpenEthereum: a flat list of calls, in the order in which they began.
    TraceBlock,
}

/// Traces of a block, exactly as the node wrote them.
#[derive(Clone)]
pub struct RawTraces {
    /// Requested method.
    pub method: TraceMethod,
    /// Answer of the node.
    pub answer: Box<RawValue>,
}

/// Reference for a check of traces: a block, and its transactions in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    /// Block that was traced.
    pub at: BlockRef,
    /// Hashes of its transactions.
    pub txs: Vec<B256>,
}

impl TraceMethod {
    /// Both methods.
    pub const ALL: [Self; 2] = [Self::CallTracer, Self::TraceBlock];

    /// Returns the name of the JSON-RPC method.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CallTracer => "debug_traceBlockByHash",
            Self::TraceBlock => "trace_block",
        }
    }

    /// The method of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }
}

impl Node {
    /// The traces of a block; `None` when the node has no such method.
    ///
    /// # Errors
    /// When the node does not answer in time, or answers with something that is not the traces of this block.
    pub async fn fetch_traces(&self, of: &Traced, method: TraceMethod) -> Result<Option<RawTraces>, NodeError> {
        let answer = match self.ask_for_traces(of.at, method).await {
            Err(error) if error.lacks_the_method() => return Ok(None),
            answer => answer?,
        };
        if answer.get() == "null" {
            return Err(NodeError::Missing(format!("traces of block {}", of.at.hash)));
        }
        let traces = RawTraces { method, answer: answer.into_raw() };
        traces.check_against(of).map_err(|why| ParseError::Json { what: "traces", why: why.to_owned() })?;
        Ok(Some(traces))
    }

    /// Returns the calls inside the transactions of a block; `None` if the node supports no way of tracing.
    ///
    /// # Errors
    /// When the node does not answer in time, or with something that is not traces of this block.
    pub async fn call_traces(&self, at: BlockRef) -> Result<Option<Vec<TxTrace>>, NodeError> {
        let methods = match self.known_trace_methods() {
            Some(methods) => methods,
            None => self.trace_methods().await?.to_vec(),
        };
        let mut failed = None;
        for (tried, method) in methods.iter().enumerate() {
            if self.lapses().has_lapse(BulkMethod::Traces, at.hash) {
                break;
            }
            match self.traced_by(at, *method).await {
                Err(error) if error.lacks_the_method() => {}
                Err(error) if error.is_of_this_question() || error.is_wrong() => failed = Some(error),
                Err(error) => {
                    if matches!(error, NodeError::TimedOut { .. }) {
                        self.lapses().record_lapse(BulkMethod::Traces, at.hash);
                    }
                    return Err(error);
                }
                Ok(traces) => {
                    if failed.is_none() {
                        self.note_trace_methods(methods[tried..].to_vec());
                    }
                    return Ok(Some(traces));
                }
            }
        }
        if failed.is_none() && !self.lapses().has_lapse(BulkMethod::Traces, at.hash) {
            self.note_trace_methods(vec![]);
            return Ok(None);
        }
        // One transaction that no tracer gets through should not hide what the others did.
        let traces = self.traces_one_by_one(at).await;
        let traces = traces.inspect_err(|_| self.lapses().clear_lapse(BulkMethod::Traces, at.hash));
        traces.map(Some).map_err(|error| failed.unwrap_or(error))
    }

    async fn traced_by(&self, at: BlockRef, method: TraceMethod) -> Result<Vec<TxTrace>, NodeError> {
        let answer = self.ask_for_traces(at, method).await?;
        Ok(match method {
            TraceMethod::CallTracer => wire::call_trees(answer.get())?,
            TraceMethod::TraceBlock => wire::flat_traces(answer.get(), at.hash)?,
        })
    }

    /// The traces of those transactions of a block that can be traced by themselves.
    async fn traces_one_by_one(&self, at: BlockRef) -> Result<Vec<TxTrace>, NodeError> {
        let block = self.send_request("eth_getBlockByHash", (at.hash, false), self.deadlines().block).await?;
        let txs = wire::tx_hashes(block.get())?;
        let asked = txs.into_iter().take(TRACED_ALONE_MAX).map(|tx| self.call_trace(tx));
        let traced: Vec<_> = futures::stream::iter(asked).buffered(TRACED_AT_ONCE).collect().await;
        let mut failed = None;
        let traces = traced.into_iter().filter_map(|trace| trace.map_err(|error| failed = Some(error)).ok());
        let traces: Vec<TxTrace> = traces.collect();
        match failed {
            Some(error) if traces.is_empty() => Err(error),
            _ => Ok(traces),
        }
    }

    /// Returns the calls inside one transaction, in whichever block the node has it.
    ///
    /// # Errors
    /// When the node has no way to tell, or does not in time.
    pub async fn call_trace(&self, tx: B256) -> Result<TxTrace, NodeError> {
        let tracer = json!({ "tracer": "callTracer", "tracerConfig": { "withLog": true } });
        let answer = self.send_request("debug_traceTransaction", (tx, tracer), self.deadlines().trace).await?;
        Ok(wire::call_tree(tx, answer.get())?)
    }

    async fn ask_for_traces(&self, at: BlockRef, method: TraceMethod) -> Result<BoundedText, NodeError> {
        match method {
            TraceMethod::CallTracer => {
                let tracer = json!({ "tracer": "callTracer", "tracerConfig": { "withLog": true } });
                self.send_request(method.name(), (at.hash, tracer), self.deadlines().trace).await
            }
            // Not every node takes a hash here. A number may mean another block by now, but each trace names its block.
            TraceMethod::TraceBlock => {
                self.send_request(method.name(), [format!("{:#x}", at.number)], self.deadlines().trace).await
            }
        }
    }

    /// Returns the methods to try, the best one first.
    pub async fn trace_methods(&self) -> Result<[TraceMethod; 2], NodeError> {
        // Anvil runs the whole block again for each transaction when it traces in geth's format. A node that does not
        // return its name is treated as another client.
        let quadratic = match self.send_request("web3_clientVersion", [(); 0], self.deadlines().head).await {
            Ok(version) => version.get().to_ascii_lowercase().contains("anvil"),
            Err(error) if error.is_of_this_question() => false,
            Err(error) => return Err(error),
        };
        let [calls, flat] = TraceMethod::ALL;
        Ok(if quadratic { [flat, calls] } else { [calls, flat] })
    }
}

impl RawTraces {
    /// Checks whether there is one non-empty result for each transaction of the block.
    ///
    /// # Errors
    /// What is amiss.
    pub fn check_against(&self, of: &Traced) -> Result<(), &'static str> {
        match self.method {
            TraceMethod::CallTracer => {
                let results = parse_trace_list(&self.answer)?;
                if results.len() != of.txs.len() {
                    return Err("the traces are not as many as the transactions");
                }
                results.iter().zip(&of.txs).try_for_each(|(raw, tx)| check_call_tree(raw, tx))
            }
            TraceMethod::TraceBlock => check_flat_calls(&self.answer, of),
        }
    }

    /// Returns the trace of each transaction, if the method separates them.
    #[must_use]
    pub fn by_tx(&self) -> Option<Vec<Box<RawValue>>> {
        #[derive(Deserialize)]
        struct Result {
            result: Box<RawValue>,
        }
        let results: Vec<Result> = match self.method {
            TraceMethod::CallTracer => serde_json::from_str(self.answer.get()).ok()?,
            TraceMethod::TraceBlock => return None,
        };
        Some(results.into_iter().map(|of| of.result).collect())
    }
}

impl Traced {
    /// Returns the reference for checking traces of this block.
    #[must_use]
    pub fn from_block(block: &Block) -> Self {
        Self { at: block.at, txs: block.txs.iter().map(|tx| tx.hash).collect() }
    }
}

fn parse_trace_list(list: &RawValue) -> Result<Vec<&RawValue>, &'static str> {
    serde_json::from_str(list.get()).map_err(|_| "the traces are no list")
}

/// Checks the call tree of one transaction.
fn check_call_tree(raw: &RawValue, tx: &B256) -> Result<(), &'static str> {
    #[derive(Deserialize)]
    struct Result<'a> {
        // Older nodes identify transactions only by their position.
        #[serde(rename = "txHash")]
        tx: Option<B256>,
        #[serde(borrow)]
        result: Option<HashMap<String, &'a RawValue>>,
    }
    let Ok(Result { tx: of, result: Some(frame) }) = serde_json::from_str::<Result<'_>>(raw.get()) else {
        return Err("a transaction was not traced");
    };
    if of.is_some_and(|of| of != *tx) {
        return Err("a trace is of another transaction");
    }
    let named = |field: &str| frame.get(field).is_some_and(|value| value.get().starts_with('"'));
    if named("type") && named("from") { Ok(()) } else { Err("a trace is empty") }
}

/// Checks the flat list of calls of a block.
fn check_flat_calls(list: &RawValue, of: &Traced) -> Result<(), &'static str> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Call {
        block_hash: B256,
        // The list also contains the rewards of miners, which belong to no transaction.
        transaction_hash: Option<B256>,
        trace_address: Vec<IgnoredAny>,
        #[serde(rename = "action")]
        _action: HashMap<String, IgnoredAny>,
    }
    let calls: Vec<Call> = serde_json::from_str(list.get()).map_err(|_| "a trace cannot be read")?;
    if calls.iter().any(|call| call.block_hash != of.at.hash) {
        return Err("the traces are of another block");
    }
    let tops = calls.iter().filter(|call| call.trace_address.is_empty()).filter_map(|call| call.transaction_hash);
    if tops.eq(of.txs.iter().copied()) { Ok(()) } else { Err("the traces are not those of the transactions") }
}

impl fmt::Debug for RawTraces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawTraces({}, {} bytes)", self.method.name(), self.answer.get().len())
    }
}

impl PartialEq for RawTraces {
    fn eq(&self, other: &Self) -> bool {
        self.method == other.method && self.answer.get() == other.answer.get()
    }
}

impl Eq for RawTraces {}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use serde_json::value::to_raw_value;

    fn of(n_txs: u8) -> Traced {
        let at = BlockRef { number: 7, hash: B256::repeat_byte(0xb1) };
        Traced { at, txs: (1..=n_txs).map(B256::repeat_byte).collect() }
    }

    fn check(method: TraceMethod, answer: &Value, of: &Traced) -> Result<(), &'static str> {
        RawTraces { method, answer: to_raw_value(answer).expect("JSON") }.check_against(of)
    }

    #[test]
    fn trees_are_taken_only_when_each_transaction_has_one_with_something_in_it() {
        let frame = json!({ "type": "CALL", "from": "0x01", "calls": [{}] });
        let result = |tx: u8| json!({ "txHash": B256::repeat_byte(tx), "result": frame });
        let check = |answer: &Value, n_txs| check(TraceMethod::CallTracer, answer, &of(n_txs));
        assert_eq!(check(&json!([result(1), result(2)]), 2), Ok(()));
        assert_eq!(check(&json!([{ "result": frame }]), 1), Ok(()), "an old node");
        assert_eq!(check(&json!([]), 0), Ok(()));
        assert!(check(&json!([]), 1).is_err());
        assert!(check(&json!({}), 0).is_err(), "success, and nothing in it");
        assert!(check(&json!([{ "txHash": B256::repeat_byte(1), "result": {} }]), 1).is_err());
        assert!(check(&json!([{ "txHash": B256::repeat_byte(1), "error": "out of time" }]), 1).is_err());
        assert!(check(&json!([result(2), result(1)]), 2).is_err(), "out of order");
        assert!(check(&json!([result(1), {}]), 2).is_err());
    }

    #[test]
    fn a_flat_list_is_taken_only_when_it_is_of_this_block_and_of_all_its_transactions() {
        let hash = of(0).at.hash;
        let call = |tx: u8, place: Value| {
            json!({ "blockHash": hash, "transactionHash": B256::repeat_byte(tx), "traceAddress": place, "type": "call",
                    "action": { "from": "0x01" } })
        };
        let reward =
            json!({ "blockHash": hash, "transactionHash": null, "traceAddress": [], "type": "reward", "action": {} });
        let check = |answer: &Value, n_txs| check(TraceMethod::TraceBlock, answer, &of(n_txs));
        assert_eq!(check(&json!([call(1, json!([])), call(1, json!([0])), call(2, json!([])), reward]), 2), Ok(()));
        assert!(check(&json!([call(1, json!([]))]), 2).is_err(), "one is missing");
        assert!(check(&json!([call(1, json!([0]))]), 1).is_err(), "the call itself is missing");
        assert!(check(&json!({}), 0).is_err());
        let mut other = call(1, json!([]));
        other["blockHash"] = json!(B256::ZERO);
        assert!(check(&json!([other]), 1).is_err(), "the height holds another block by now");
    }
}

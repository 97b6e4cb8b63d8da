//! Probe of a node's capabilities.
//!
//! A method counts as supported only if its answer is correct, so every answer is compared with known data: a receipt
//! with its block, a trace with its transaction, raw bytes with their hash, a call with its expected result. An empty
//! answer does not count, because some nodes answer `{}` for tracers that they do not have. The probe is small: one
//! recent block, one transaction of it, and three batches of trivial requests, because hosted nodes count requests.

use super::capabilities::{Capabilities, Capability, Support};
use super::intake::BoundedText;
use super::node::Node;
use super::rpc::{Connection, NodeError};
use crate::model::text::escape_unprintable;
use crate::model::{BlockRef, Link};
use crate::runtime::monotonic_now;
use crate::wire::{self, WHY_MAX};
use alloy_primitives::{Address, B256, Bytes, address, b256, keccak256};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use serde_json::value::RawValue;
use std::time::Duration;
use tokio::time::Instant;

/// Number of blocks, from the newest back, that are searched for a transaction to test with. Mainnet has one in every
/// block; a quiet chain may have none, and then the capability stays unknown.
const SEARCHED_BLOCKS_MAX: usize = 16;
/// Longest time for a whole probe. Each request has its own deadline; this limit bounds a node that misses all of them.
const PROBE_MAX: Duration = Duration::from_secs(60);
/// Batch sizes that are tried, until one fails. No part of the program sends larger ones.
const BATCHES: [usize; 3] = [1, 10, 100];
/// Maximum length of the name of a node's software, in characters.
const CLIENT_CHARS_MAX: usize = 80;
/// Maximum length of an invalid answer in a message, in characters.
const SHOWN_CHARS_MAX: usize = 40;

/// Precompiled contract that returns its input. Source: Ethereum yellow paper, appendix E.
const IDENTITY: Address = address!("0000000000000000000000000000000000000004");
/// Input for the precompiled contract. A node that executes nothing cannot return it as a constant answer.
const ECHO: B256 = b256!("77617463686669726500000000000000000000000000000000000000000a5eed");
/// Hash of a block that does not exist, which a node that checks the hash has to refuse.
const NOWHERE: B256 = b256!("6e6f77686572650000000000000000000000000000000000000000000000beef");

/// Probes the capabilities of `node` over a separate connection, so that a request without an answer does not disturb
/// other users of the node. The requests are sent one after the other.
///
/// # Errors
///
/// When the node cannot be reached, serves another chain, or does not return its newest block. A later failure means
/// that a capability is missing or unknown.
pub async fn probe_node(node: &Node) -> Result<Capabilities, NodeError> {
    let wire = Box::pin(node.open_connection()).await?;
    let mut probe = Probe { node, wire: Some(wire), until: monotonic_now() + PROBE_MAX };
    let head = probe.fetch_head().await?;
    let (client, genesis) = (probe.client_version().await, probe.genesis_hash().await);
    let sample = Box::pin(probe.sample_block(head.at)).await;
    let batch_max = Box::pin(probe.largest_batch()).await;
    let mut can = Capability::ALL.map(|_| Support::Yes);
    for (ability, can) in Capability::ALL.into_iter().zip(&mut can) {
        let tried = match ability {
            Capability::BlockReceipts => probe.block_receipts(&sample).await,
            Capability::Receipts => probe.check_receipt(&sample).await,
            Capability::StateReads => probe.state_reads(head.at).await,
            Capability::CallTracer => probe.call_tracer(&sample).await,
            Capability::TraceBlock => probe.trace_block(&sample).await,
            Capability::Proofs => probe.check_proof(head.at).await,
            Capability::Logs => probe.check_logs(head.at).await,
            Capability::RawTransactions => probe.raw_transaction(&sample).await,
            Capability::RawReceipts => probe.raw_receipts(&sample).await,
            Capability::SafeTag => probe.check_tag("safe").await,
            Capability::FinalizedTag => probe.check_tag("finalized").await,
            Capability::Subscriptions => Box::pin(probe.check_subscription()).await,
            Capability::Batches => batch_max.clone().map(|_| ()),
            Capability::Pending => Box::pin(probe.check_pending()).await,
        };
        if let Err(why) = tried {
            *can = why;
        }
    }
    Ok(Capabilities { client, chain: node.chain_id(), genesis, head, can, batch_max: batch_max.unwrap_or(0) })
}

struct Probe<'n> {
    node: &'n Node,
    wire: Option<Connection>,
    /// Deadline for the last answer.
    until: Instant,
}

/// Block with at least one transaction, and one of its transactions.
#[derive(Clone, Copy)]
struct Sample {
    at: BlockRef,
    n_txs: usize,
    tx: B256,
}

/// Result of a test: success, or the state of an ability that is missing or unknown; never [`Support::Yes`].
type Tried<T = ()> = Result<T, Support>;

/// Part of a receipt that identifies it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReceiptWire {
    transaction_hash: B256,
    block_hash: B256,
}

/// Part of a call frame that identifies it.
#[derive(Deserialize)]
struct FrameWire {
    from: Option<Address>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// Part of a Parity trace that identifies it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TraceWire {
    block_hash: Option<B256>,
    transaction_hash: Option<B256>,
    action: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProofWire {
    account_proof: Vec<Bytes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RootWire {
    state_root: B256,
}

impl Probe<'_> {
    async fn fetch_head(&mut self) -> Result<Link, NodeError> {
        let answer = self.request_raw("eth_getBlockByNumber", json!(["latest", false])).await?;
        Ok(wire::parse_header(answer.get())?)
    }

    async fn client_version(&mut self) -> Option<String> {
        let name: String = self.request_parsed("web3_clientVersion", json!([])).await.ok()?;
        Some(escape_unprintable(name.trim(), CLIENT_CHARS_MAX)).filter(|name| !name.is_empty())
    }

    async fn genesis_hash(&mut self) -> Option<B256> {
        let answer = self.request_raw("eth_getBlockByNumber", json!(["0x0", false])).await.ok()?;
        Some(wire::parse_header(answer.get()).ok()?.at.hash)
    }

    /// Returns the newest block with a transaction, searched from `head` back.
    async fn sample_block(&mut self, head: BlockRef) -> Tried<Sample> {
        let mut hash = head.hash;
        for _ in 0..SEARCHED_BLOCKS_MAX {
            let answer =
                self.request_raw("eth_getBlockByHash", json!([hash, false])).await.map_err(capability_from_error)?;
            let block = wire::parse_header(answer.get()).map_err(|error| capability_from_error(error.into()))?;
            let txs = wire::tx_hashes(answer.get()).map_err(|error| capability_from_error(error.into()))?;
            // The last one, since the first of a rollup's block is the rollup's own.
            if let Some(tx) = txs.last() {
                return Ok(Sample { at: block.at, n_txs: txs.len(), tx: *tx });
            }
            if block.at.number == 0 {
                break;
            }
            hash = block.parent;
        }
        Err(Support::Unknown("its last blocks hold no transaction to try it on".to_owned()))
    }

    async fn block_receipts(&mut self, sample: &Tried<Sample>) -> Tried {
        let Sample { at, n_txs, tx } = sample.clone()?;
        let receipts: Vec<ReceiptWire> = self.request_parsed("eth_getBlockReceipts", json!([at.hash])).await?;
        if receipts.len() != n_txs {
            return Err(unavailable_because(format!(
                "{} receipts for a block of {n_txs} transactions",
                receipts.len()
            )));
        }
        let whole = receipts.iter().all(|receipt| receipt.block_hash == at.hash);
        let ours = receipts.iter().any(|receipt| receipt.transaction_hash == tx);
        if whole && ours { Ok(()) } else { Err(unavailable_because("the receipts are of another block")) }
    }

    async fn check_receipt(&mut self, sample: &Tried<Sample>) -> Tried {
        let Sample { at, tx, .. } = sample.clone()?;
        let receipt: ReceiptWire = self.request_parsed("eth_getTransactionReceipt", json!([tx])).await?;
        let ours = receipt.transaction_hash == tx && receipt.block_hash == at.hash;
        if ours { Ok(()) } else { Err(unavailable_because("the receipt is of another transaction or block")) }
    }

    async fn state_reads(&mut self, at: BlockRef) -> Tried {
        let call =
            |hash: B256| json!([{ "to": IDENTITY, "data": ECHO }, { "blockHash": hash, "requireCanonical": false }]);
        let echoed: Bytes = self.request_parsed("eth_call", call(at.hash)).await?;
        if echoed[..] != ECHO[..] {
            return Err(unavailable_because("a call whose result is certain gave another"));
        }
        match self.request_raw("eth_call", call(NOWHERE)).await {
            Err(NodeError::Refused { .. }) => Ok(()),
            Ok(answer) if answer.get() == "null" => Ok(()),
            Ok(_) => {
                Err(unavailable_because("it answers for a block that does not exist, so it does not look at the hash"))
            }
            Err(error) => Err(capability_from_error(error)),
        }
    }

    async fn call_tracer(&mut self, sample: &Tried<Sample>) -> Tried {
        let Sample { tx, .. } = sample.clone()?;
        let frame: FrameWire =
            self.request_parsed("debug_traceTransaction", json!([tx, { "tracer": "callTracer" }])).await?;
        match (frame.from, frame.kind) {
            (Some(_), Some(kind)) if !kind.is_empty() => Ok(()),
            _ => Err(unavailable_because("a trace without a call in it, as of a tracer that is not there")),
        }
    }

    async fn trace_block(&mut self, sample: &Tried<Sample>) -> Tried {
        let Sample { at, tx, .. } = sample.clone()?;
        let traces: Vec<TraceWire> = self.request_parsed("trace_block", json!([format!("{:#x}", at.number)])).await?;
        // Traces are requested by number, and the node may have another block at that number by now.
        if traces.iter().any(|trace| trace.block_hash.is_some_and(|hash| hash != at.hash)) {
            return Err(Support::Unknown("the block was replaced meanwhile".to_owned()));
        }
        let ours = |trace: &TraceWire| {
            trace.transaction_hash == Some(tx) && trace.action.as_ref().is_some_and(|action| !action.is_empty())
        };
        if traces.iter().any(ours) {
            Ok(())
        } else {
            Err(unavailable_because("traces without what the block's transaction did"))
        }
    }

    async fn check_proof(&mut self, at: BlockRef) -> Tried {
        let block: RootWire = self.request_parsed("eth_getBlockByHash", json!([at.hash, false])).await?;
        let proof: ProofWire =
            self.request_parsed("eth_getProof", json!([IDENTITY, [], { "blockHash": at.hash }])).await?;
        let root = proof.account_proof.first().map(keccak256);
        if root == Some(block.state_root) {
            Ok(())
        } else {
            Err(unavailable_because("the proof does not begin at the block's state root"))
        }
    }

    /// Requests the logs of one block, with any content: every node that can search logs has those.
    async fn check_logs(&mut self, at: BlockRef) -> Tried {
        let answer = self.request_present("eth_getLogs", json!([{ "blockHash": at.hash }])).await?;
        let logs = wire::parse_logs(answer.get()).map_err(|error| capability_from_error(error.into()))?;
        let ours = logs.iter().all(|log| log.block_number == at.number);
        if ours { Ok(()) } else { Err(unavailable_because("the logs are of another block")) }
    }

    async fn raw_transaction(&mut self, sample: &Tried<Sample>) -> Tried {
        let Sample { tx, .. } = sample.clone()?;
        let raw: Bytes = self.request_parsed("eth_getRawTransactionByHash", json!([tx])).await?;
        if keccak256(&raw) == tx {
            Ok(())
        } else {
            Err(unavailable_because("the bytes do not hash to the transaction"))
        }
    }

    async fn raw_receipts(&mut self, sample: &Tried<Sample>) -> Tried {
        let Sample { at, n_txs, .. } = sample.clone()?;
        let raw: Vec<Bytes> = self.request_parsed("debug_getRawReceipts", json!([at.hash])).await?;
        let whole = raw.len() == n_txs && raw.iter().all(|receipt| !receipt.is_empty());
        if whole {
            Ok(())
        } else {
            Err(unavailable_because(format!("{} receipts for a block of {n_txs} transactions", raw.len())))
        }
    }

    async fn check_tag(&mut self, tag: &str) -> Tried {
        let answer = self.request_present("eth_getBlockByNumber", json!([tag, false])).await?;
        wire::parse_header(answer.get()).map(|_| ()).map_err(|error| capability_from_error(error.into()))
    }

    async fn check_subscription(&mut self) -> Tried {
        if !self.node.has_socket() {
            return Err(unavailable_because("plain HTTP announces nothing; heads are polled"));
        }
        self.node.subscribe_to_heads().await.map(drop).map_err(capability_from_error)
    }

    /// Tests whether the node accepts a subscription or a filter. Announcements themselves depend on the senders of
    /// transactions.
    async fn check_pending(&mut self) -> Tried {
        if self.node.has_socket() && self.node.subscribe_to_pending(false).await.is_ok() {
            return Ok(());
        }
        let filter = self.request_present("eth_newPendingTransactionFilter", json!([])).await?;
        // The node drops the filter by itself, but later.
        let _ = self.request_raw("eth_uninstallFilter", json!([filter])).await;
        Ok(())
    }

    /// The largest batch that was answered in full.
    async fn largest_batch(&mut self) -> Tried<usize> {
        let mut largest = 0;
        for size in BATCHES {
            let after = self.time_left("batch").map_err(capability_from_error)?;
            let wire = self.current_connection().await.map_err(capability_from_error)?;
            self.node.wait_for_turn(size).await;
            let why = match tokio::time::timeout(after, wire.probe_batch(size)).await {
                Ok(None) => return Err(Support::Unknown("over a socket each question goes alone".to_owned())),
                Ok(Some(Ok(answered))) if answered == size => {
                    largest = size;
                    continue;
                }
                Ok(Some(Ok(answered))) => unavailable_because(format!("{answered} answers to {size} questions")),
                Ok(Some(Err(error))) => capability_from_error(error),
                Err(_) => capability_from_error(NodeError::TimedOut { method: "batch", after }),
            };
            return if largest > 0 { Ok(largest) } else { Err(why) };
        }
        Ok(largest)
    }

    /// Returns an answer that is present and has this form.
    async fn request_parsed<T: DeserializeOwned>(
        &mut self,
        method: &'static str,
        params: serde_json::Value,
    ) -> Tried<T> {
        let answer = self.request_present(method, params).await?;
        serde_json::from_str(answer.get()).map_err(|_| {
            unavailable_because(format!("it answered {}", escape_unprintable(answer.get(), SHOWN_CHARS_MAX)))
        })
    }

    /// Returns an answer that is present. Nodes behind one address may differ by a block or two, so no request is
    /// repeated.
    async fn request_present(&mut self, method: &'static str, params: serde_json::Value) -> Tried<Box<RawValue>> {
        for pause in [Some(self.node.deadlines().confirm), None] {
            let answer = self.request_raw(method, params.clone()).await.map_err(capability_from_error)?;
            match pause {
                _ if answer.get() != "null" => return Ok(answer),
                Some(pause) => tokio::time::sleep(pause).await,
                None => {}
            }
        }
        Err(unavailable_because("it answered null"))
    }

    async fn request_raw(
        &mut self,
        method: &'static str,
        params: serde_json::Value,
    ) -> Result<Box<RawValue>, NodeError> {
        let after = self.time_left(method)?;
        let wire = self.current_connection().await?;
        let answer = self.node.send_request_within(after, &wire, method, params).await;
        if answer.as_ref().is_err_and(NodeError::breaks_the_wire) {
            self.wire = None;
        }
        answer.map(BoundedText::into_raw)
    }

    async fn current_connection(&mut self) -> Result<Connection, NodeError> {
        if let Some(wire) = &self.wire {
            return Ok(wire.clone());
        }
        let wire = Box::pin(self.node.open_connection()).await?;
        Ok(self.wire.insert(wire).clone())
    }

    /// Returns the time left for the next request.
    fn time_left(&self, method: &'static str) -> Result<Duration, NodeError> {
        // A wait for the rate limit says nothing about the endpoint.
        let until = self.until + self.node.limited_time();
        let left = until.saturating_duration_since(monotonic_now()).min(self.node.deadlines().block);
        if left.is_zero() { Err(NodeError::TimedOut { method, after: PROBE_MAX }) } else { Ok(left) }
    }
}

fn unavailable_because(why: impl Into<String>) -> Support {
    Support::No(why.into())
}

/// Returns the state of an ability after a failure: a refusal is an answer, silence is not.
fn capability_from_error(error: NodeError) -> Support {
    match error {
        NodeError::Refused { message, .. } => Support::No(escape_unprintable(message, WHY_MAX)),
        NodeError::Bad(_) | NodeError::Another | NodeError::Lie { .. } | NodeError::Missing(_) => {
            Support::No(escape_unprintable(error.to_string(), WHY_MAX))
        }
        _ => Support::Unknown(escape_unprintable(error.to_string(), WHY_MAX)),
    }
}

//! Requests to a node: heads, headers, whole blocks and read calls, all by hash where there is one.

use super::bulk_failures::BulkMethod;
use super::check::{Accepted, Unverified};
use super::intake::{ANSWER_BYTES_MAX, BoundedText, block_bytes, header_bytes};
use super::node::Node;
use super::rpc::{NodeError, RpcRequest};
use super::{Fetched, RawText};
use crate::model::read::{Answer, Read};
use crate::model::{BlockRef, Link};
use crate::wire;
use crate::wire::{BlockWire, ReceiptsWire};
use alloy_primitives::B256;
use futures::{StreamExt, TryStreamExt};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use tracing::debug;

/// Number of receipts or transactions requested at the same time, for nodes that return them only one by one.
const ONE_BY_ONE_AT_ONCE: usize = 16;

impl Node {
    /// The newest block of the node; `None` while it has none.
    pub async fn fetch_head(&self) -> Result<Option<Link>, NodeError> {
        self.fetch_tagged_block("latest").await
    }

    /// The block that a tag such as `finalized` names; `None` while there is none.
    pub async fn fetch_tagged_block(&self, tag: &'static str) -> Result<Option<Link>, NodeError> {
        let limit = header_bytes(self.state_roots().gas_limit());
        let asking = RpcRequest { method: "eth_getBlockByNumber", params: (tag, false), limit };
        let answer = self.ask_for(asking, self.deadlines().head).await?;
        if is_null(&answer) { Ok(None) } else { self.head_let_through(&answer).map(Some) }
    }

    /// Returns the header with this hash, verified against it.
    pub async fn fetch_header(&self, hash: B256) -> Result<Link, NodeError> {
        let limit = header_bytes(self.state_roots().gas_limit());
        let asking = RpcRequest { method: "eth_getBlockByHash", params: (hash, false), limit };
        let answer = self.ask_for(asking, self.deadlines().head).await?;
        self.header_let_through(hash, &require_result(answer, || format!("block {hash}"))?)
    }

    /// Returns the block with this hash and its receipts. Both are requested by that hash and verified against it as
    /// the node's [`Checks`] state; with [`RawText::Kept`] the node's own text is kept too. A request that fails in bulk is
    /// repeated in parts, so that no block depends on one method.
    ///
    /// [`Checks`]: super::Checks
    pub async fn fetch_block(&self, hash: B256, raw_text: RawText) -> Result<Fetched, NodeError> {
        let one_by_one = self.lacks_block_receipts() || self.lapses().has_lapse(BulkMethod::Receipts, hash);
        let (body, receipts) = if one_by_one {
            (self.whole_block(hash, raw_text).await?, None)
        } else {
            let (body, receipts) =
                futures::join!(self.whole_block(hash, raw_text), self.fetch_receipts(hash, raw_text));
            (body?, Some(receipts))
        };
        self.join_block(hash, body, receipts).await
    }

    /// Returns the node's block at this height, with its receipts, which are requested by the block's hash. It is
    /// checked like every other block.
    pub async fn block_numbered(&self, number: u64, raw_text: RawText) -> Result<Fetched, NodeError> {
        let height = format!("{number:#x}");
        let (what, limit) = (|| format!("block {number}"), block_bytes(None));
        let asking = RpcRequest { method: "eth_getBlockByNumber", params: (&height, true), limit };
        let text = match self.ask_for(asking, self.deadlines().block).await {
            Err(error) if error.is_of_this_question() => {
                let header =
                    self.send_request("eth_getBlockByNumber", (&height, false), self.deadlines().block).await?;
                self.with_txs_one_by_one(&require_result(header, what)?).await?.into()
            }
            text => require_result(text?, what)?,
        };
        let body = self.read_block_body(text, raw_text)?;
        if body.wire.number() != number {
            return Err(NodeError::Another);
        }
        let hash = body.wire.hash();
        let one_by_one = self.lacks_block_receipts() || self.lapses().has_lapse(BulkMethod::Receipts, hash);
        let receipts = if one_by_one { None } else { Some(self.fetch_receipts(hash, raw_text).await) };
        self.join_block(hash, body, receipts).await
    }

    /// Joins a block with its receipts, which are requested one by one if the bulk request failed.
    async fn join_block(
        &self,
        hash: B256,
        body: Unverified<BlockWire>,
        receipts: Option<Result<Unverified<ReceiptsWire>, NodeError>>,
    ) -> Result<Fetched, NodeError> {
        let (receipts, in_bulk) = match receipts {
            Some(Ok(receipts)) => (receipts, true),
            None => (self.receipts_one_by_one(&body).await?, false),
            Some(Err(error)) if error.lacks_the_method() => {
                self.note_lack_of_block_receipts();
                (self.receipts_one_by_one(&body).await?, false)
            }
            Some(Err(error)) if error.is_of_this_question() => {
                self.lapses().record_lapse(BulkMethod::Receipts, hash);
                debug!(endpoint = self.name(), "fetching the receipts of block {hash} one by one: {error}");
                (self.receipts_one_by_one(&body).await?, false)
            }
            Some(Err(error)) => {
                if matches!(error, NodeError::TimedOut { .. } | NodeError::Bad(_)) {
                    self.lapses().record_lapse(BulkMethod::Receipts, hash);
                }
                return Err(error);
            }
        };
        let fetched = self.let_through(hash, body, receipts).await;
        if fetched.as_ref().is_err_and(NodeError::is_wrong) {
            // The answer is wrong and counts against the node; the other way of asking may give a correct one.
            if in_bulk {
                self.lapses().record_lapse(BulkMethod::Receipts, hash);
            } else {
                self.lapses().clear_lapse(BulkMethod::Receipts, hash);
            }
        }
        fetched
    }

    /// The block that includes this transaction; `None` when the node knows of none.
    pub async fn block_of(&self, tx: B256) -> Result<Option<B256>, NodeError> {
        let answer = self.send_request("eth_getTransactionReceipt", [tx], self.deadlines().head).await?;
        if is_null(&answer) { Ok(None) } else { Ok(Some(wire::block_hash(answer.get())?)) }
    }

    /// Returns whether this block is still on the node's chain.
    pub async fn is_canonical(&self, at: BlockRef) -> Result<bool, NodeError> {
        let height = format!("{:#x}", at.number);
        let answer = self.send_request("eth_getBlockByNumber", (height, false), self.deadlines().head).await?;
        if is_null(&answer) { Ok(false) } else { Ok(wire::parse_header(answer.get())?.at == at) }
    }

    /// Returns the answer to one read, requested only by the hash of the block: data, traces, or the revert of a
    /// contract.
    ///
    /// # Errors
    /// When the node does not answer in time. What it cannot tell, it does not know: [`NodeError::Missing`].
    pub async fn answer_read(&self, at: BlockRef, read: &Read) -> Result<Answer, NodeError> {
        let told = match read {
            Read::Traces => match self.call_traces(at).await {
                Ok(Some(traces)) => Ok(Answer::Traces(traces.into())),
                Ok(None) => Err(NodeError::Missing("what runs inside transactions".to_owned())),
                Err(error) => Err(error),
            },
            Read::Trace(tx) => self.call_trace(*tx).await.map(|trace| Answer::Traces(vec![trace].into())),
            Read::Grants { by, since } => self.fetch_role_members(*by, *since..=at.number).await.map(Answer::Data),
            Read::Uses { token, by } => self.fetch_token_use(*token, *by, at.number).await.map(Answer::Data),
            Read::UsedOf { tokens, by } => self.used_of(tokens, *by, at.number).await.map(Answer::Data),
            _ => self.read_state(at, read).await.map(Answer::Data),
        };
        match told {
            Err(NodeError::Refused { code, message, data }) if is_revert(code, &message, data) => Ok(Answer::Reverted),
            // Pruned state, or a method that the node lacks: neither counts against the node.
            Err(NodeError::Refused { message, .. }) => Err(NodeError::Missing(message)),
            told => told,
        }
    }

    async fn whole_block(&self, hash: B256, raw_text: RawText) -> Result<Unverified<BlockWire>, NodeError> {
        let what = || format!("block {hash}");
        if !self.lapses().has_lapse(BulkMethod::Txs, hash) {
            let limit = block_bytes(self.state_roots().gas_used(hash));
            let asking = RpcRequest { method: "eth_getBlockByHash", params: (hash, true), limit };
            match self.ask_for(asking, self.deadlines().block).await {
                Err(error) if error.is_of_this_question() => {
                    self.lapses().record_lapse(BulkMethod::Txs, hash);
                    debug!(endpoint = self.name(), "fetching the transactions of block {hash} one by one: {error}");
                }
                text => return self.read_block_body(require_result(text?, what)?, raw_text),
            }
        }
        let parts = async {
            let header = self.send_request("eth_getBlockByHash", (hash, false), self.deadlines().block).await?;
            let block = self.with_txs_one_by_one(&require_result(header, what)?).await?;
            self.read_block_body(block.into(), raw_text)
        };
        parts.await.inspect_err(|_| self.lapses().clear_lapse(BulkMethod::Txs, hash))
    }

    async fn fetch_receipts(&self, hash: B256, raw_text: RawText) -> Result<Unverified<ReceiptsWire>, NodeError> {
        let limit = block_bytes(self.state_roots().gas_used(hash));
        let asking = RpcRequest { method: "eth_getBlockReceipts", params: [hash], limit };
        let text = self.ask_for(asking, self.deadlines().block).await?;
        let text = require_result(text, || format!("receipts of block {hash}"))?;
        let wire = wire::read_receipts(text.get())?;
        Ok(Unverified { wire, text: Accepted::from_text(text, raw_text), raw_text })
    }

    /// Returns the receipts in the form of `eth_getBlockReceipts`, each parsed when it arrives.
    async fn receipts_one_by_one(&self, body: &Unverified<BlockWire>) -> Result<Unverified<ReceiptsWire>, NodeError> {
        let receipts = self.each_receipt(body).await;
        // A node may lack the parts, and the failure of the bulk request may have been temporary.
        receipts.inspect_err(|_| self.lapses().clear_lapse(BulkMethod::Receipts, body.wire.hash()))
    }

    async fn each_receipt(&self, body: &Unverified<BlockWire>) -> Result<Unverified<ReceiptsWire>, NodeError> {
        let raw_text = body.raw_text;
        let asked = body.wire.tx_hashes().map(|tx| async move {
            let text = self.send_request("eth_getTransactionReceipt", [tx], self.deadlines().block).await?;
            let text = require_result(text, || format!("receipt of {tx}"))?;
            Ok::<_, NodeError>((wire::read_receipt(text.get())?, (raw_text == RawText::Kept).then(|| text.into_raw())))
        });
        // Collected first: a lazy map's closure would tie the future to one lifetime, and it could not be boxed.
        let asked: Vec<_> = asked.collect();
        let all: Vec<_> = futures::stream::iter(asked).buffered(ONE_BY_ONE_AT_ONCE).try_collect().await?;
        let (mut wire, mut texts) = (ReceiptsWire::default(), Vec::new());
        for (receipt, text) in all {
            wire.append(receipt);
            texts.extend(text);
        }
        let text =
            serde_json::value::to_raw_value(&texts).map_err(|error| NodeError::Unreachable(error.to_string()))?;
        Ok(Unverified { wire, text: Accepted::Whole(text), raw_text })
    }

    /// Returns a block with whole transactions, built from one with their hashes.
    async fn with_txs_one_by_one(&self, block: &RawValue) -> Result<Box<RawValue>, NodeError> {
        let txs = self.each_of("eth_getTransactionByHash", wire::tx_hashes(block.get())?).await?;
        let unwritable = |error: serde_json::Error| NodeError::Unreachable(error.to_string());
        let mut fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(block.get()).map_err(unwritable)?;
        fields.insert("transactions".to_owned(), serde_json::value::to_raw_value(&txs).map_err(unwritable)?);
        serde_json::value::to_raw_value(&fields).map_err(unwritable)
    }

    /// Returns the node's answers for these transactions, in their order.
    async fn each_of(&self, method: &'static str, txs: Vec<B256>) -> Result<Vec<Box<RawValue>>, NodeError> {
        let asked = txs.into_iter().map(|tx| async move {
            let text = self.send_request(method, [tx], self.deadlines().block).await?;
            require_result(text, || format!("transaction {tx}")).map(BoundedText::into_raw)
        });
        let mut answers = futures::stream::iter(asked).buffered(ONE_BY_ONE_AT_ONCE);
        let (mut all, mut n_bytes) = (Vec::new(), 0);
        while let Some(answer) = answers.try_next().await? {
            n_bytes += answer.get().len();
            if n_bytes > ANSWER_BYTES_MAX {
                return Err(NodeError::TooLarge { method, limit: ANSWER_BYTES_MAX });
            }
            all.push(answer);
        }
        Ok(all)
    }
}

/// Returns the answer, or an error if it is `null`.
fn require_result(answer: BoundedText, what: impl FnOnce() -> String) -> Result<BoundedText, NodeError> {
    if is_null(&answer) { Err(NodeError::Missing(what())) } else { Ok(answer) }
}

fn is_null(answer: &RawValue) -> bool {
    answer.get() == "null"
}

/// Returns whether the contract caused the error, rather than the node. Code 3 is geth's for a revert; other nodes
/// report a revert in words. An invalid opcode and exhausted gas are caused by the contract too.
pub(super) fn is_revert(code: i64, message: &str, data: bool) -> bool {
    let message = message.to_ascii_lowercase();
    code == 3
        || ["revert", "invalid opcode", "out of gas", "stack underflow", "invalid jump"]
            .iter()
            .any(|w| message.contains(w))
        || (data && message.contains("vm execution error"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusing_contract_is_told_from_a_node_that_cannot_say() {
        assert!(is_revert(3, "execution reverted", true));
        assert!(is_revert(-32000, "execution reverted: GS001", false));
        assert!(is_revert(-32015, "VM execution error.", true));
        assert!(is_revert(-32000, "invalid opcode: INVALID", false));
        assert!(!is_revert(-32000, "header not found", false));
        assert!(!is_revert(-32000, "missing trie node 0123", false));
    }
}

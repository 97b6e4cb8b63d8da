//! A branch that no node ever made, and that every verifier accepts: empty blocks whose headers hash to their hashes, on top of
//! a real one. An endpoint that serves it is wrong about the chain and caught by nothing but another endpoint.

use super::wire::{hex, number};
use alloy_consensus::Header;
use alloy_consensus::constants::{EMPTY_RECEIPTS, EMPTY_TRANSACTIONS};
use alloy_primitives::Bloom;
use serde_json::{Value, json};

/// See the module's head.
pub(crate) struct Fork {
    /// The last real block.
    base: u64,
    /// What follows it, oldest first; never empty.
    blocks: Vec<Value>,
}

impl Fork {
    /// A branch of one block on top of `parent`, as a node writes it.
    pub(crate) fn on(parent: &Value) -> Self {
        Self { base: number(&parent["number"]).expect("a block has a number"), blocks: vec![child(parent)] }
    }

    /// One more block; returns it.
    pub(crate) fn grow(&mut self) -> Value {
        self.blocks.push(child(self.tip()));
        self.tip().clone()
    }

    /// What a node on this branch answers; `None` where it answers as any other.
    pub(crate) fn answer(&self, method: &str, params: &Value) -> Option<Result<Value, Value>> {
        let ours = |hash: &Value| self.blocks.iter().find(|block| block["hash"] == *hash);
        let lost = || Err(json!({ "code": -32_000, "message": "header not found" }));
        match method {
            "eth_blockNumber" => Some(Ok(self.tip()["number"].clone())),
            "eth_getBlockByNumber" if params[0] == "latest" => Some(Ok(self.tip().clone())),
            "eth_getBlockByNumber" => {
                let place = number(&params[0])?.checked_sub(self.base + 1)?;
                Some(Ok(usize::try_from(place).ok().and_then(|n| self.blocks.get(n)).cloned().unwrap_or(Value::Null)))
            }
            "eth_getBlockByHash" => ours(&params[0]).cloned().map(Ok),
            "eth_getBlockReceipts" => ours(&params[0]).map(|_| Ok(json!([]))),
            "eth_call" => ours(&params[1]["blockHash"]).map(|_| lost()),
            _ => None,
        }
    }

    fn tip(&self) -> &Value {
        self.blocks.last().expect("never empty")
    }
}

/// An empty block a second after `parent`.
fn child(parent: &Value) -> Value {
    let mut block = parent.clone();
    block["number"] = hex(number(&parent["number"]).expect("a number") + 1);
    block["timestamp"] = hex(number(&parent["timestamp"]).expect("a time") + 1);
    block["parentHash"] = parent["hash"].clone();
    block["transactions"] = json!([]);
    block["transactionsRoot"] = json!(EMPTY_TRANSACTIONS);
    block["receiptsRoot"] = json!(EMPTY_RECEIPTS);
    block["logsBloom"] = json!(Bloom::ZERO);
    block["gasUsed"] = "0x0".into();
    // Tells it from the block that the node makes in its place, should that one be empty as well.
    block["extraData"] = "0xf0".into();
    let header: Header = serde_json::from_value(block.clone()).expect("a node's header");
    block["hash"] = json!(header.hash_slow());
    block
}

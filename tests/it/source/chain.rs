//! A chain made up for tests, with all its forks, in the JSON a node would write.

use alloy_primitives::{B256, keccak256};
use serde_json::{Value, json};
use std::collections::HashMap;
use watchfire::model::{BlockRef, Link};

/// A block in the shapes it is asked for in.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) link: Link,
    pub(crate) block: Value,
    pub(crate) receipts: Value,
}

impl Made {
    /// With transaction hashes alone, or without transactions at all.
    pub(crate) fn brief(&self, hashes: bool) -> Value {
        let mut brief = self.block.clone();
        let txs = brief["transactions"].take();
        let list = txs.as_array().into_iter().flatten().map(|tx| tx["hash"].clone()).collect();
        let fields = brief.as_object_mut().expect("a block is an object");
        fields.remove("transactions");
        if hashes {
            fields.insert("transactions".to_owned(), Value::Array(list));
        }
        brief
    }
}

impl Made {
    /// Its transactions, each with its number of logs.
    pub(crate) fn contents(&self) -> Vec<(B256, usize)> {
        let receipts = self.receipts.as_array().into_iter().flatten();
        let content = |receipt: &Value| {
            let hash = receipt["transactionHash"].as_str().and_then(|hash| hash.parse().ok()).unwrap_or_default();
            (hash, receipt["logs"].as_array().map_or(0, Vec::len))
        };
        receipts.map(content).collect()
    }
}

/// Every block ever made, and which of them are canonical now.
pub(crate) struct Chain {
    pub(crate) blocks: HashMap<B256, Made>,
    pub(crate) canonical: Vec<B256>,
    n_made: u64,
}

impl Chain {
    /// A chain of this many blocks, genesis included.
    pub(crate) fn new(n: usize) -> Self {
        let mut chain = Self { blocks: HashMap::new(), canonical: Vec::new(), n_made: 0 };
        chain.extend(n);
        chain
    }

    pub(crate) fn extend(&mut self, n: usize) {
        for _ in 0..n {
            self.n_made += 1;
            let parent = self.canonical.last().copied().unwrap_or_default();
            let made = make(self.canonical.len() as u64, parent, self.n_made);
            self.canonical.push(made.link.at.hash);
            self.blocks.insert(made.link.at.hash, made);
        }
    }

    /// Replaces the newest `depth` blocks by `n` others.
    pub(crate) fn reorg(&mut self, depth: usize, n: usize) {
        self.canonical.truncate(self.canonical.len().saturating_sub(depth).max(1));
        self.extend(n);
    }

    pub(crate) fn head(&self) -> &Made {
        &self.blocks[self.canonical.last().expect("there is a genesis")]
    }

    pub(crate) fn numbered(&self, number: u64) -> Option<&Made> {
        self.canonical.get(usize::try_from(number).ok()?).map(|hash| &self.blocks[hash])
    }
}

/// Some transactions with some logs, different in every block.
fn make(number: u64, parent: B256, salt: u64) -> Made {
    let hash = keccak256([parent.as_slice(), &salt.to_be_bytes()].concat());
    let address = |n: u64| format!("{n:#042x}");
    let (mut txs, mut receipts, mut n_logs) = (Vec::new(), Vec::new(), 0u64);
    for index in 0..salt % 4 {
        let tx = keccak256([hash.as_slice(), &index.to_be_bytes()].concat());
        txs.push(json!({
            "hash": tx, "transactionIndex": format!("{index:#x}"), "type": "0x2", "from": address(salt), "to": address(index),
            "value": format!("{salt:#x}"), "input": "0x", "nonce": "0x0", "blockHash": hash,
        }));
        let logs: Vec<Value> = (0..(salt + index) % 3)
            .map(|_| {
                n_logs += 1;
                json!({ "address": address(index), "topics": [hash], "data": "0x", "logIndex": format!("{:#x}", n_logs - 1) })
            })
            .collect();
        receipts.push(json!({ "transactionHash": tx, "blockHash": hash, "status": "0x1", "logs": logs }));
    }
    let time = 1_700_000_000 + number;
    let block = json!({
        "number": format!("{number:#x}"), "hash": hash, "parentHash": parent, "timestamp": format!("{time:#x}"),
        "transactions": txs, "extraData": "0x",
    });
    Made { link: Link { at: BlockRef { number, hash }, parent, time }, block, receipts: receipts.into() }
}

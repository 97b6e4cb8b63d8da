//! Watchfire as a library: a watchlist out of a string, one block in, one line for each verdict out.
//!
//! ```text
//! cargo run --example embed                     # a block of two payments, below
//! cargo run --example embed -- block.json       # {"block": <eth_getBlockByHash>, "receipts": <eth_getBlockReceipts>}
//! ```
//!
//! Nothing is stored and nobody is told: what is done with a verdict is up to whoever embeds this. A program that follows a
//! chain takes `source::Source` for the blocks and `pipeline::Watcher` for the rest.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example answers on the terminal")]

use anyhow::{Context, anyhow};
use futures::future::BoxFuture;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::path::Path;
use watchfire::classify::History;
use watchfire::escalate::{StepJudged, step_change_set};
use watchfire::model::incident::OpenState;
use watchfire::model::read::{Answer, Read};
use watchfire::model::{BlockRef, json};
use watchfire::pipeline::{Reader, examine_block};
use watchfire::settings::Secrets;
use watchfire::watchlist::{Memory, compile_config};
use watchfire::wire;

/// Chains and paths stand in the main file. The endpoint is asked for and never used here.
const MAIN: &str = r#"
watchlists = ["petty-cash.toml"]

[chain.mainnet]
id = 1
endpoint = "ws://127.0.0.1:8545"

[destination.screen]
kind = "terminal"

[path.self]
steps = [{ to = ["screen"], ack_within = "5m" }]

[path.office]
steps = [{ to = ["screen"], ack_within = "15m" }]
"#;

/// What is normal for one account: small payments to one receiver. Everything else is a finding.
const WATCHLIST: &str = r#"
[name]
"0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC" = "Coffee supplier"

[[watch]]
label = "Petty cash"
chain = "mainnet"
address = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
kind = "eoa"
purpose = "Pays for coffee"
path = "office"

[[watch.normal]]
name = "coffee"
act = "ether"
to = ["0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"]
value = { max = "0.1 ether" }
limit = { sum = "value", max = "0.5 ether", per = "7d" }
"#;

/// Two payments by petty cash: 0.05 ether for coffee, and 3 ether to somebody.
const BLOCK: &str = r#"{
  "block": {
    "number": "0x10", "hash": "0x1000000000000000000000000000000000000000000000000000000000000000",
    "parentHash": "0x0f00000000000000000000000000000000000000000000000000000000000000", "timestamp": "0x6b00b1a0",
    "transactions": [
      { "hash": "0xa000000000000000000000000000000000000000000000000000000000000000", "transactionIndex": "0x0",
        "from": "0x70997970c51812dc3a010c7d01b50e0d17dc79c8", "to": "0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc",
        "value": "0xb1a2bc2ec50000", "input": "0x", "nonce": "0x0" },
      { "hash": "0xa100000000000000000000000000000000000000000000000000000000000000", "transactionIndex": "0x1",
        "from": "0x70997970c51812dc3a010c7d01b50e0d17dc79c8", "to": "0xa0ee7a142d267c1f36714e4a8f75612f20a79720",
        "value": "0x29a2241af62c0000", "input": "0x", "nonce": "0x1" }
    ]
  },
  "receipts": [
    { "transactionHash": "0xa000000000000000000000000000000000000000000000000000000000000000", "transactionIndex": "0x0",
      "blockHash": "0x1000000000000000000000000000000000000000000000000000000000000000", "status": "0x1", "logs": [] },
    { "transactionHash": "0xa100000000000000000000000000000000000000000000000000000000000000", "transactionIndex": "0x1",
      "blockHash": "0x1000000000000000000000000000000000000000000000000000000000000000", "status": "0x1", "logs": [] }
  ]
}"#;

/// A block with its receipts, as files of recorded blocks hold it.
#[derive(Deserialize)]
struct Pair<'a> {
    #[serde(borrow)]
    block: &'a RawValue,
    #[serde(borrow)]
    receipts: &'a RawValue,
}

/// Some questions only a node can answer, such as what a multisig's submission does. Without one, whatever depends on the
/// answer is a finding that says so.
struct Nobody;

impl Reader for Nobody {
    fn read<'a>(&'a self, _: BlockRef, reads: &'a [Read]) -> BoxFuture<'a, Vec<Answer>> {
        Box::pin(std::future::ready(vec![Answer::Unavailable; reads.len()]))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // A configuration that cannot be understood is told whole: every problem with its place.
    let files = Memory::new([("watchfire.toml", MAIN), ("petty-cash.toml", WATCHLIST)]);
    let book = compile_config(Path::new("watchfire.toml"), &files, Secrets::NamesOnly)
        .map_err(|problems| anyhow!("{}", problems.render(false)))?;
    let chain = book.chain("mainnet").context("the configuration has no chain `mainnet`")?;

    let text = match std::env::args().nth(1) {
        Some(path) => std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?,
        None => BLOCK.to_owned(),
    };
    let pair: Pair<'_> = serde_json::from_str(&text).context("read a block and its receipts")?;
    let block = wire::parse_block(pair.block.get(), pair.receipts.get())?;

    // Limits over days need the days before: whoever keeps the deltas of each block puts them into the history.
    let judged = examine_block(&block, chain, &book, &History::default(), &Nobody).await.judged;
    let step = StepJudged { chain: &chain.info, retract: &[], blocks: std::slice::from_ref(&judged) };
    let plan = step_change_set(&step, &OpenState::default(), &book.roster, block.time * 1_000);
    for line in &plan.lines {
        println!("{}", json::to_json_line(line)?);
    }
    eprintln!("activities: {}, findings: {}", judged.judged.len(), plan.findings.len());
    Ok(())
}

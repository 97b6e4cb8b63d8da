//! `watchfire chain`: state of each chain in the store, and the decision on a reorg of final blocks, which only a
//! person can make.

use super::explain::chosen;
use super::{Global, Outcome, Printer, opened};
use crate::escalate::utc;
use crate::model::BlockRef;
use crate::model::record::{ChainLine, Line};
use crate::model::text::printable;
use crate::runtime::{self, SystemClock};
use crate::store::{OverrideEnd, ReorgOverride, Store};
use crate::watchlist::ChainBook;
use alloy_primitives::B256;
use anyhow::Context as _;
use clap::{Args, Subcommand};

/// Maximum number of earlier allowances listed by `chain status`.
const LISTED_MAX: u32 = 5;

/// Position of each chain, and permission to undo final blocks.
#[derive(Debug, Subcommand)]
pub(crate) enum ChainCommand {
    /// Show the newest judged, safe and final block, and who allowed a reorg.
    Status(Status),
    /// Allow final blocks to be undone, once, in favor of the branch with this block.
    AllowReorg(AllowReorg),
    /// Take back an allowance that was not used yet.
    ForbidReorg(ForbidReorg),
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Only this chain.
    chain: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct AllowReorg {
    /// Name of the chain.
    chain: String,
    /// Hash of a block that is on the right branch and not on the one that was judged, such as the one the incident names.
    #[arg(value_parser = parse_block)]
    block: B256,
    /// Person who allows it.
    #[arg(long, value_name = "NAME", env = "USER")]
    by: String,
}

fn parse_block(text: &str) -> Result<B256, String> {
    let advice = "write the block's hash, `0x` and 64 hexadecimal digits, as the incident names it";
    text.trim().parse().map_err(|_| advice.to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct ForbidReorg {
    /// Name of the chain.
    chain: String,
    /// Person who withdraws the permission.
    #[arg(long, value_name = "NAME", env = "USER")]
    by: String,
}

pub(crate) async fn chain(command: &ChainCommand, global: &Global, printer: &Printer) -> anyhow::Result<Outcome> {
    let (book, store) = match opened(global, printer).await? {
        Ok(opened) => opened,
        Err(outcome) => return Ok(outcome),
    };
    let now = runtime::millis(&SystemClock);
    match command {
        ChainCommand::Status(args) => {
            let only = args.chain.as_deref().map(|name| chosen(&book, Some(name))).transpose()?;
            for chain in only.map_or_else(|| book.chains.iter().collect(), |only| vec![only]) {
                status(&store, chain, now, printer).await?;
            }
        }
        ChainCommand::AllowReorg(args) => {
            let chain = chosen(&book, Some(&args.chain))?;
            store.allow(chain.info.id, args.block, &args.by, now).await.context("failed to allow it")?;
            status(&store, chain, now, printer).await?;
            printer
                .progress("a running `watchfire run` makes use of it within seconds, if that block is on the branch");
        }
        ChainCommand::ForbidReorg(args) => {
            let chain = chosen(&book, Some(&args.chain))?;
            let withdrawn = store.withdraw(chain.info.id, &args.by, now).await.context("failed to take it back")?;
            if withdrawn.is_none() {
                anyhow::bail!("nothing is allowed on {}", chain.info.name);
            }
            status(&store, chain, now, printer).await?;
        }
    }
    Ok(Outcome::Calm)
}

async fn status(store: &Store, chain: &ChainBook, now_ms: u64, printer: &Printer) -> anyhow::Result<()> {
    let id = chain.info.id;
    let tip = store.tip(id).await.context("failed to read the newest block")?;
    let settled = store.finality(id).await.context("failed to read what is final")?;
    let allowances = store.allowances(id, LISTED_MAX).await.context("failed to read what was allowed")?;
    let open = store.allowance(id).await.context("failed to read what is allowed")?;
    let lag_seconds = tip.map(|tip| (now_ms / 1_000).saturating_sub(tip.time));
    if printer.is_json() {
        let hash = |at: Option<BlockRef>| at.map(|at| format!("{:#x}", at.hash));
        let number = |at: Option<BlockRef>| at.map(|at| at.number);
        let at = tip.map(|tip| tip.at);
        printer.json(&Line::Chain(Box::new(ChainLine {
            chain: chain.info.name.to_string(),
            chain_id: id.0,
            first: store.first(id).await.context("failed to read where watching began")?,
            block: number(at),
            block_hash: hash(at),
            time: tip.map(|tip| utc(tip.time)),
            lag_seconds,
            safe: number(settled.safe),
            safe_hash: hash(settled.safe),
            finalized: number(settled.finalized),
            finalized_hash: hash(settled.finalized),
            allowed: open.as_ref().map(|open| format!("{:#x}", open.block)),
            allowed_by: open.as_ref().map(|open| open.by.clone()),
            allowed_at: open.as_ref().map(|open| utc(open.at_ms / 1_000)),
        })));
        return Ok(());
    }
    let Some(tip) = tip else {
        printer.text(&format!("{}  no block was judged yet", chain.info.name));
        return Ok(());
    };
    let ago = lag_seconds.unwrap_or_default();
    printer.text(&format!("{}  block {}, {ago} s ago", chain.info.name, tip.at));
    for (word, at) in [("safe", settled.safe), ("finalized", settled.finalized)] {
        match at {
            Some(at) => {
                let behind = tip.at.number.saturating_sub(at.number);
                printer.text(&format!("  {word:<9}  block {at}, {behind} behind"));
            }
            None => printer.text(&format!("  {word:<9}  not known")),
        }
    }
    for allowance in &allowances {
        printer.text(&format!("  {}", told(allowance)));
    }
    Ok(())
}

fn told(allowance: &ReorgOverride) -> String {
    let name = |name: &str| printable(name, 80);
    let end = match &allowance.end {
        None => "not used yet".to_owned(),
        Some(OverrideEnd::Used { at_ms, undone }) => {
            format!("used at {}: block {undone} was undone", utc(at_ms / 1_000))
        }
        Some(OverrideEnd::Replaced { by, at_ms }) => format!("replaced by {} at {}", name(by), utc(at_ms / 1_000)),
        Some(OverrideEnd::Withdrawn { by, at_ms }) => format!("taken back by {} at {}", name(by), utc(at_ms / 1_000)),
    };
    let since = utc(allowance.at_ms / 1_000);
    format!("reorg      to the branch with {}, allowed by {} at {since}, {end}", allowance.block, name(&allowance.by))
}

//! `watchfire chain`: state of each chain in the store, and the decision on a reorg of final blocks, which only a
//! person can make.

use super::explain::select_chain;
use super::{Global, Outcome, Printer, load_config_and_store};
use crate::app::{CommandError, Commands};
use crate::escalate::format_rfc3339;
use crate::model::BlockRef;
use crate::model::record::{ChainLine, Line};
use crate::model::text::escape_unprintable;
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

pub(crate) async fn run_chain(command: &ChainCommand, global: &Global, printer: &Printer) -> anyhow::Result<Outcome> {
    let (book, store) = match load_config_and_store(global, printer).await? {
        Ok(opened) => opened,
        Err(outcome) => return Ok(outcome),
    };
    let now = runtime::steady_millis(&SystemClock);
    let commands = Commands::new(store.clone(), book.roster.clone());
    match command {
        ChainCommand::Status(args) => {
            let only = args.chain.as_deref().map(|name| select_chain(&book, Some(name))).transpose()?;
            for chain in only.map_or_else(|| book.chains.iter().collect(), |only| vec![only]) {
                print_chain_status(&store, chain, now, printer).await?;
            }
        }
        ChainCommand::AllowReorg(args) => {
            let chain = select_chain(&book, Some(&args.chain))?;
            commands.override_reorg(chain.info.id, args.block, &args.by).await?;
            print_chain_status(&store, chain, now, printer).await?;
            printer
                .progress("a running `watchfire run` makes use of it within seconds, if that block is on the branch");
        }
        ChainCommand::ForbidReorg(args) => {
            let chain = select_chain(&book, Some(&args.chain))?;
            commands.withdraw_reorg_override(chain.info.id, &args.by).await.map_err(|error| match error {
                CommandError::NoOverride(_) => anyhow::anyhow!("nothing is allowed on {}", chain.info.name),
                error => error.into(),
            })?;
            print_chain_status(&store, chain, now, printer).await?;
        }
    }
    Ok(Outcome::Calm)
}

async fn print_chain_status(store: &Store, chain: &ChainBook, now_ms: u64, printer: &Printer) -> anyhow::Result<()> {
    let id = chain.info.id;
    let tip = store.chain_tip(id).await.context("failed to read the newest block")?;
    let settled = store.settled_finality(id).await.context("failed to read what is final")?;
    let allowances = store.list_reorg_overrides(id, LISTED_MAX).await.context("failed to read what was allowed")?;
    let open = store.open_reorg_override(id).await.context("failed to read what is allowed")?;
    let lag_seconds = tip.map(|tip| (now_ms / 1_000).saturating_sub(tip.time));
    if printer.is_json() {
        let hash = |at: Option<BlockRef>| at.map(|at| format!("{:#x}", at.hash));
        let number = |at: Option<BlockRef>| at.map(|at| at.number);
        let at = tip.map(|tip| tip.at);
        printer.json(&Line::Chain(Box::new(ChainLine {
            chain: chain.info.name.to_string(),
            chain_id: id.0,
            first: store.first_block_number(id).await.context("failed to read where watching began")?,
            block: number(at),
            block_hash: hash(at),
            time: tip.map(|tip| format_rfc3339(tip.time)),
            lag_seconds,
            safe: number(settled.safe),
            safe_hash: hash(settled.safe),
            finalized: number(settled.finalized),
            finalized_hash: hash(settled.finalized),
            allowed: open.as_ref().map(|open| format!("{:#x}", open.block)),
            allowed_by: open.as_ref().map(|open| open.by.clone()),
            allowed_at: open.as_ref().map(|open| format_rfc3339(open.at_ms / 1_000)),
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
        printer.text(&format!("  {}", describe_reorg_override(allowance)));
    }
    Ok(())
}

fn describe_reorg_override(allowance: &ReorgOverride) -> String {
    let name = |name: &str| escape_unprintable(name, 80);
    let end = match &allowance.end {
        None => "not used yet".to_owned(),
        Some(OverrideEnd::Used { at_ms, undone }) => {
            format!("used at {}: block {undone} was undone", format_rfc3339(at_ms / 1_000))
        }
        Some(OverrideEnd::Replaced { by, at_ms }) => {
            format!("replaced by {} at {}", name(by), format_rfc3339(at_ms / 1_000))
        }
        Some(OverrideEnd::Withdrawn { by, at_ms }) => {
            format!("taken back by {} at {}", name(by), format_rfc3339(at_ms / 1_000))
        }
    };
    let since = format_rfc3339(allowance.at_ms / 1_000);
    format!("reorg      to the branch with {}, allowed by {} at {since}, {end}", allowance.block, name(&allowance.by))
}

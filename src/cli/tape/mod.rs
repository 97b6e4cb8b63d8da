//! `watchfire tape`: record a stretch of chain, import recorded blocks, look at a tape, play it back.

mod import;
mod info;
mod play;
mod record;

use super::{Global, Outcome, Printer};
use clap::Subcommand;
pub(crate) use play::{load, play_through, refuse_false};

/// Record, import, examine and play tapes.
#[derive(Debug, Subcommand)]
pub(crate) enum TapeCommand {
    /// Follow the chain and write what is seen to a file: blocks, receipts, reorgs, and what was read from the node.
    Record(record::Record),
    /// Make a tape of blocks that were recorded as JSON-RPC answers, packed or not.
    Import(import::Import),
    /// Say what is on a tape, and whether it is whole.
    Info(info::Info),
    /// Judge a tape with the configuration's watchlists, the real way; nobody is told.
    Play(play::Play),
}

pub(crate) async fn tape(command: &TapeCommand, global: &Global, printer: &Printer) -> anyhow::Result<Outcome> {
    match command {
        TapeCommand::Record(args) => Box::pin(record::record(args, global, printer)).await,
        TapeCommand::Import(args) => import::import(args, printer),
        TapeCommand::Info(args) => info::info(args, printer),
        TapeCommand::Play(args) if args.serve => play::serve(args, printer).await,
        TapeCommand::Play(args) => play::play(args, global, printer).await,
    }
}

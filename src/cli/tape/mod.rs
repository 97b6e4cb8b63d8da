//! `watchfire tape`: record a part of a chain, import recorded blocks, inspect a tape, play it.

mod import;
mod info;
mod play;
mod record;

use super::{Global, Outcome, Printer};
use clap::Subcommand;
pub(crate) use play::{load_tape, play_through, refuse_false};

/// Record, import, examine and play tapes.
#[derive(Debug, Subcommand)]
pub(crate) enum TapeCommand {
    /// Follow the chain and write blocks, receipts, reorgs and the answers of the node to a file.
    Record(record::Record),
    /// Make a tape of blocks that were recorded as JSON-RPC answers, packed or not.
    Import(import::Import),
    /// Show the contents of a tape, and whether it is complete.
    Info(info::Info),
    /// Judge a tape with the configuration's watchlists, through the ordinary pipeline; no one is notified.
    Play(play::Play),
}

pub(crate) async fn run_tape(command: &TapeCommand, global: &Global, printer: &Printer) -> anyhow::Result<Outcome> {
    match command {
        TapeCommand::Record(args) => Box::pin(record::run_record(args, global, printer)).await,
        TapeCommand::Import(args) => import::run_import(args, printer),
        TapeCommand::Info(args) => info::run_info(args, printer),
        TapeCommand::Play(args) if args.serve => play::run_tape_server(args, printer).await,
        TapeCommand::Play(args) => play::run_play(args, global, printer).await,
    }
}

//! `watchfire run`: runs the whole pipeline for every chain of the configuration.

use super::store::timestamp_suffix;
use super::{Global, Outcome, Printer, load_config};
use crate::app::{App, Recording};
use crate::model::text::format_count;
use crate::runtime::Stop;
use crate::settings::Secrets;
use crate::store::Store;
use crate::telemetry::Outlet;
use crate::watchlist::check;
use crate::web::Console;
use anyhow::{Context as _, bail};
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;

/// Watch, until stopped.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Stop once this block is committed on every chain and all messages due by then are sent.
    #[arg(long, value_name = "N")]
    until_block: Option<u64>,
    /// Stop after this long (`30s`, `5m`).
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    for_: Option<Duration>,
    /// On the first start, begin with this block instead of the newest.
    #[arg(long, value_name = "N")]
    from_block: Option<u64>,
    /// Begin with a new store; an existing one is moved aside. The new store does not know what was judged and reported
    /// before.
    #[arg(long)]
    new_store: bool,
    /// Record the observed blocks to this file, like `tape record`, as a flight recorder that keeps the newest ones.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Maximum size of the recording (`64M`, `2G`): half of it in FILE, and the part before that in FILE.1.
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "1G", requires = "record")]
    record_max: u64,
    /// Record the traces of each block too, where the node gives them.
    #[arg(long, requires = "record")]
    traces: bool,
}

/// Minimum size of a flight recorder in bytes: some blocks of mainnet.
const RECORD_BYTES_MIN: u64 = 1 << 20;

/// Reads `64M` or `2G`, in powers of 1,024.
fn parse_size(text: &str) -> Result<u64, String> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let shift = ["", "K", "M", "G", "T"].iter().position(|it| *it == unit.trim_end_matches("iB"));
    let size = digits.parse::<u64>().ok().zip(shift).and_then(|(n, shift)| n.checked_mul(1 << (10 * shift)));
    match size {
        Some(size) if size >= RECORD_BYTES_MIN => Ok(size),
        Some(_) => Err(format!("`{text}` is less than a block; the least is 1M")),
        None => Err(format!("`{text}` is no size; write one such as 64M or 2G")),
    }
}

pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    crate::settings::parse_duration(text)
}

pub(crate) async fn run(args: &Run, global: &Global, printer: &Printer, logs: &Outlet) -> anyhow::Result<Outcome> {
    let book = match load_config(global, Secrets::Resolve, printer) {
        Ok(book) => Arc::new(book),
        Err(outcome) => return Ok(outcome),
    };
    let stop = Stop::new();
    stop_on_signal(stop.clone());
    stop_after(args.for_, &stop);
    let (aside, answers) = printer.detach_output(logs).context("failed to start to print")?;
    ignore_hangup(&aside)?;
    if args.new_store
        && let Some(before) =
            Store::begin_anew(&book.store, &timestamp_suffix()).await.context("failed to begin with a new store")?
    {
        printer.progress(&format!("the earlier store was moved to {}", before.display()));
    }
    let Some(session) = App::open(book.clone(), Arc::new(aside), &stop).await? else { return Ok(Outcome::Unknown) };
    let recording = args.record.clone().map(|file| Recording { file, bytes_max: args.record_max, traces: args.traces });
    let session = session.with_recording(recording);
    session.signs.register_outlet("answers", answers.clone());
    session.signs.register_outlet("log", logs.clone());
    let console = match book.console {
        Some(address) => {
            Some(Console::bind(address, session.signs.metrics.clone(), session.signs.checks.clone()).await?)
        }
        None => None,
    };
    if let Some(console) = &console {
        printer.progress(&format!("metrics and readiness at http://{}", console.listen_address()));
    }
    for note in &book.notes {
        printer.progress(&format!("note: {}", check::format_note(note)));
    }
    for chain in &book.chains {
        printer.progress(&format!(
            "watching {} on {} through {}",
            format_count(chain.subjects.len(), "address", "addresses"),
            chain.info.name,
            chain.endpoints.iter().map(|endpoint| &*endpoint.name).collect::<Vec<_>>().join(", ")
        ));
    }
    let until = args.until_block;
    let from = args.from_block;
    let outcome = session.follow_chains(console, &stop, from, until).await;
    if !answers.finish_within(super::FAREWELL) || answers.dropped_lines() > 0 {
        warn!(
            "dropped {} lines of stdout: the reader stopped reading; the store holds their content",
            answers.dropped_lines()
        );
    }
    match answers.write_failure() {
        Some(error) => bail!("failed to write answers to stdout: {error}; the store has what they said"),
        None => outcome,
    }
}

pub(crate) fn stop_after(time: Option<Duration>, stop: &Stop) {
    let Some(time) = time else { return };
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::time::sleep(time).await;
        stop.cancel();
    });
}

pub(crate) fn stop_on_signal(stop: Stop) {
    tokio::spawn(async move {
        let interrupt = tokio::signal::ctrl_c();
        let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else {
            let _ = interrupt.await;
            return stop.cancel();
        };
        tokio::select! {
            _ = interrupt => {}
            _ = terminate.recv() => {}
        }
        stop.cancel();
    });
}

/// Ignores SIGHUP from now on and prints a message each time: its sender may expect a reload, and a watch must not end
/// with its terminal.
///
/// # Errors
/// When the system refuses to tell of signals.
pub(crate) fn ignore_hangup(printer: &Printer) -> anyhow::Result<()> {
    let kind = tokio::signal::unix::SignalKind::hangup();
    let mut hangup = tokio::signal::unix::signal(kind).context("failed to listen for SIGHUP")?;
    let printer = printer.clone();
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            printer.progress("SIGHUP ignored: there is no reload, restart to take over a changed configuration");
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_powers_of_1024_and_too_small_ones_refused() {
        assert_eq!(
            ["64M", "2G", "1GiB", "2097152"].map(parse_size),
            [Ok(64 << 20), Ok(2 << 30), Ok(1 << 30), Ok(2 << 20)]
        );
        for wrong in ["", "M", "-1G", "1.5G", "2 G", "1P", "99999999999T", "17"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }
}

//! `tape record`: records a part of a chain while it happens.

use crate::app::{App, pool_of};
use crate::cli::run::{ignore_hangup, parse_duration, stop_after, stop_on_signal};
use crate::cli::{Global, Outcome, Printer, explain, load_config};
use crate::runtime::{Clock, Stop, SystemClock};
use crate::settings::Secrets;
use crate::source::{Options, Priority, RawText, Source, Window};
use crate::store::Store;
use crate::tape::{Backpressure, Head, Recorder, Rotation};
use crate::telemetry::Metrics;
use anyhow::Context as _;
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

#[derive(Debug, Args)]
pub(crate) struct Record {
    /// The tape to write; packed with zstd if its name ends in .zst, with gzip otherwise.
    file: PathBuf,
    /// Name of the chain, if the configuration has several.
    #[arg(long, value_name = "NAME")]
    chain: Option<String>,
    /// Begin with this block instead of the newest.
    #[arg(long, value_name = "N")]
    from_block: Option<u64>,
    /// End with this block.
    #[arg(long, value_name = "N")]
    until_block: Option<u64>,
    /// End after this long (`30s`, `5m`).
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    for_: Option<Duration>,
    /// Content of the tape, in a sentence.
    #[arg(long, default_value = "")]
    note: String,
    /// Record the traces of each block too, where the node gives them.
    #[arg(long)]
    traces: bool,
}

pub(super) async fn run_record(args: &Record, global: &Global, printer: &Printer) -> anyhow::Result<Outcome> {
    let book = match load_config(global, Secrets::OnUse, printer) {
        Ok(book) => Arc::new(book),
        Err(outcome) => return Ok(outcome),
    };
    if args.until_block.is_none() && args.for_.is_none() {
        printer.progress("recording until stopped (Ctrl-C); --until-block or --for end it earlier");
    }
    let chain = Arc::new(explain::select_chain(&book, args.chain.as_deref())?.clone());
    let pool = pool_of(&chain, &Metrics::default())?;
    let first = match args.from_block {
        Some(first) => first,
        None => {
            let newest = pool.fetch_newest_head().await.context("failed to ask the node for its newest block")?;
            newest.context("the chain has no block")?.at.number
        }
    };
    let head = Head { chain: chain.info.id, note: args.note.clone(), began: Some(SystemClock.now()) };
    let reel = Rotation::new(&args.file, head).with_context(|| format!("failed to create {}", args.file.display()))?;
    // Tracing takes long and must not delay the source: it has a priority, and connections, of its own.
    let tracing = if args.traces { pool.with_priority(Priority::Recorder).nodes().collect() } else { Vec::new() };
    let recorder =
        Recorder::start_recording(reel, tracing, Backpressure::Waits).context("failed to start to record")?;
    let stop = Stop::new();
    stop_on_signal(stop.clone());
    stop_after(args.for_, &stop);
    ignore_hangup(printer)?;
    // Blocks are judged like in `run`, so that every question of the decoder is on the tape with its answer.
    let store = Store::in_memory().await.context("failed to make room for what is seen")?;
    store.begin_chain(chain.info.id, first).await.context("failed to write down where recording begins")?;
    let session = App::new(book.clone(), store, Arc::new(printer.clone()));
    let options = Options { raw_text: RawText::Kept, finality: chain.finality, ..Options::for_chain(chain.info.id) };
    let source = Source::follow_chain(pool, Window { first, links: Vec::new() }, options, SystemClock, &stop);
    let nudge = Arc::new(Notify::new());
    let pumped = Box::pin(session.commit_steps(source, chain, nudge, &stop, args.until_block, Some(&recorder))).await;
    // Whatever ended the recording, the tape holds everything seen up to then.
    recorder.finish().await.with_context(|| format!("failed to write {}", args.file.display()))?;
    pumped?;
    printer.progress(&format!("wrote {}", args.file.display()));
    Ok(session.print_summary())
}

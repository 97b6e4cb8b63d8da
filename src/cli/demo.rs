//! `watchfire demo`: a recorded treasury on a normal day and during an attack, read through the ordinary source from
//! the program's own JSON-RPC server on loopback.

use super::tape::play_through;
use super::{Outcome, Printer};
use crate::app::App;
use crate::settings::Secrets;
use crate::store::Store;
use crate::tape::{Pace, Reader, Tape};
use crate::watchlist;
use anstyle::AnsiColor;
use anyhow::{Context as _, ensure};
use clap::Args;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Show a treasury on a normal day and during an attack.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Without pauses.
    #[arg(long)]
    fast: bool,
}

/// Recorded from a real node with real bytecode by `tests/world/record-demo`.
const TAPE: &[u8] = include_bytes!("../../examples/demo/treasury.tape.gz");
const CONFIG: &str = include_str!("../../examples/demo/watchfire.toml");
const BOX: &str = include_str!("../../examples/demo/box.json");
const WATCHLIST: &str = include_str!("../../examples/demo/treasury.toml");

/// Time between two blocks: long enough to read a line.
const PACE: Duration = Duration::from_millis(900);

pub(crate) async fn run_demo(args: &Demo, printer: &Printer) -> anyhow::Result<Outcome> {
    let files = watchlist::Memory::new([("watchfire.toml", CONFIG), ("treasury.toml", WATCHLIST), ("box.json", BOX)]);
    let book = watchlist::compile_config(Path::new("watchfire.toml"), &files, Secrets::Resolve);
    let book = match book {
        Ok(book) => Arc::new(book),
        Err(problems) => {
            super::print_problems(&problems, printer);
            return Ok(Outcome::Unknown);
        }
    };
    let tape = Tape::from_reader(Reader::new(TAPE).context("failed to open the bundled tape")?)
        .context("failed to read the bundled tape")?;
    let chain = book.chains.first().cloned().map(Arc::new).context("the bundled configuration has no chain")?;
    let store = Store::in_memory().await.context("failed to make room for what is seen")?;
    let session = App::new(book, store, Arc::new(printer.clone()));
    let worker = session.delivery_worker();
    let pace = if args.fast { Pace::AtOnce } else { Pace::Every(PACE) };
    let heading = AnsiColor::Cyan.on_default().bold();
    play_through(&session, &chain, tape, pace, Some(worker), |caption| {
        if !printer.is_json() {
            printer.text(&format!("\n{}", printer.paint(heading, caption)));
        }
    })
    .await?;
    if !printer.is_json() {
        printer.text("");
    }
    let told = session.store.counts().await.context("failed to count what was told")?;
    session.print_summary();
    ensure!(session.finding_count() > 0 && told.sent > 0, "the demo did not show what it should: no finding was paged");
    if !printer.is_json() {
        printer.text(
            "\nNothing left this machine. To watch your own Safe: examples/minimal and the README's five minutes.",
        );
    }
    Ok(Outcome::Calm)
}

//! `watchfire tape`: record a stretch of chain, import recorded blocks, play a tape back.

use super::run::parse_duration;
use super::session::{Session, pool_of};
use super::{Global, Outcome, Printer, book};
use crate::deliver::Worker;
use crate::pipeline::Watcher;
use crate::runtime::{Stop, SystemClock};
use crate::settings::Secrets;
use crate::source::tape::{self, Head, Pace, Recorder, Tape, TapeServer, Writer};
use crate::source::{Deadlines, Endpoint, Event, Node, Options, Source, Window};
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::watchlist::ChainBook;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Record, import and play tapes.
#[derive(Debug, Subcommand)]
pub(crate) enum TapeCommand {
    /// Follow the chain and write what is seen to a file: blocks, receipts, and what was read from the node.
    Record(Record),
    /// Make a tape of files that hold `{"block": ..., "receipts": [...]}` as a node wrote them, gzip'd or not.
    Import(Import),
    /// Judge a tape with the configuration's watchlists, the real way; nobody is told.
    Play(Play),
}

#[derive(Debug, Args)]
pub(crate) struct Record {
    /// The tape to write.
    file: PathBuf,
    /// On which chain, where the configuration has several.
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
    /// What the tape shows, in a sentence.
    #[arg(long, default_value = "")]
    note: String,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The tape to write.
    file: PathBuf,
    /// Files to import.
    #[arg(required = true)]
    from: Vec<PathBuf>,
    /// EIP-155 id of the chain the blocks are of.
    #[arg(long, value_name = "ID", default_value_t = 1)]
    chain_id: u64,
    /// What the tape shows, in a sentence.
    #[arg(long, default_value = "")]
    note: String,
}

#[derive(Debug, Args)]
pub(crate) struct Play {
    /// The tape.
    file: PathBuf,
    /// Time between blocks (`500ms`, `2s`); none where absent.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pace: Option<Duration>,
    /// Serve the tape as a node over WebSocket until stopped, instead of judging it.
    #[arg(long)]
    serve: bool,
}

pub(crate) async fn tape(command: &TapeCommand, global: &Global, printer: &Printer) -> anyhow::Result<Outcome> {
    match command {
        TapeCommand::Record(args) => record(args, global, printer).await,
        TapeCommand::Import(args) => import(args, printer),
        TapeCommand::Play(args) if args.serve => serve(args, printer).await,
        TapeCommand::Play(args) => play(args, global, printer).await,
    }
}

async fn record(args: &Record, global: &Global, printer: &Printer) -> anyhow::Result<Outcome> {
    let book = match book(global, Secrets::Resolve, printer) {
        Ok(book) => Arc::new(book),
        Err(outcome) => return Ok(outcome),
    };
    if args.until_block.is_none() && args.for_.is_none() {
        printer.progress("recording until stopped (Ctrl-C); --until-block or --for end it earlier");
    }
    let chain = Arc::new(super::explain::chosen(&book, args.chain.as_deref())?.clone());
    let pool = pool_of(&chain, &Metrics::default())?;
    let first = match args.from_block {
        Some(first) => first,
        None => {
            pool.newest()
                .await
                .context("ask the node where the chain stands")?
                .context("the chain has no block")?
                .at
                .number
        }
    };
    let head = Head { chain: chain.info.id, note: args.note.clone() };
    let file = File::create(&args.file).with_context(|| format!("create {}", args.file.display()))?;
    let mut recorder = Recorder::new(Writer::new(BufWriter::new(file), &head).context("write to the tape")?);
    let stop = Stop::new();
    super::run::stop_on_signal(stop.clone());
    super::run::stop_after(args.for_, &stop);
    // Judged as `run` does, so that every question the decoder asks is on the tape with its answer.
    let store = Store::in_memory().await.context("make room for what is seen")?;
    store.begin_chain(chain.info.id, first).await.context("write down where recording begins")?;
    let session = Session::new(book.clone(), store, printer.clone());
    let options = Options { keep_raw: true, ..Options::for_chain(chain.info.id) };
    let source = Source::follow(pool, Window { first, links: Vec::new() }, options, SystemClock, &stop);
    session.pump(source, chain, Arc::new(Notify::new()), &stop, args.until_block, Some(&mut recorder)).await?;
    recorder.finish().context("finish the tape")?;
    printer.progress(&format!("wrote {}", args.file.display()));
    Ok(session.end())
}

fn import(args: &Import, printer: &Printer) -> anyhow::Result<Outcome> {
    let file = File::create(&args.file).with_context(|| format!("create {}", args.file.display()))?;
    let head = Head { chain: crate::model::ChainId(args.chain_id), note: args.note.clone() };
    let mut writer = Writer::new(BufWriter::new(file), &head).context("write to the tape")?;
    let imported = match tape::import(&args.from, &mut writer) {
        Ok(imported) => imported,
        Err(error) => {
            // Half a tape would look like a whole one.
            let _ = std::fs::remove_file(&args.file);
            return Err(error).context("import");
        }
    };
    writer.finish().context("finish the tape")?;
    printer.progress(&format!(
        "wrote {}: {} blocks in {} stretches",
        args.file.display(),
        imported.n_blocks,
        imported.n_stretches
    ));
    Ok(Outcome::Calm)
}

async fn serve(args: &Play, printer: &Printer) -> anyhow::Result<Outcome> {
    let tape = Tape::load(&args.file).context("read the tape")?;
    let [stretch] = <[_; 1]>::try_from(tape.stretches).map_err(|stretches| {
        anyhow::anyhow!("the tape has {} stretches that do not join: a node has one chain", stretches.len())
    })?;
    let server = TapeServer::start(tape.head.chain, stretch, pace(args.pace)).await.context("serve the tape")?;
    printer.text(server.url());
    let stop = Stop::new();
    super::run::stop_on_signal(stop.clone());
    stop.cancelled().await;
    Ok(Outcome::Calm)
}

async fn play(args: &Play, global: &Global, printer: &Printer) -> anyhow::Result<Outcome> {
    let book = match book(global, Secrets::NamesOnly, printer) {
        Ok(book) => Arc::new(book),
        Err(outcome) => return Ok(outcome),
    };
    let tape = Tape::load(&args.file).context("read the tape")?;
    let Some(chain) = book.chains.iter().find(|chain| chain.info.id == tape.head.chain) else {
        bail!("the tape is of chain {}, which the configuration does not have", tape.head.chain);
    };
    let chain = Arc::new(chain.clone());
    let store = Store::in_memory().await.context("make room for what is seen")?;
    let session = Session::new(book, store, printer.clone());
    play_through(&session, &chain, tape, pace(args.pace), None, |_| ()).await?;
    Ok(session.end())
}

fn pace(between: Option<Duration>) -> Pace {
    between.map_or(Pace::AtOnce, Pace::Every)
}

/// Plays every stretch of a tape through its own server and the ordinary source. `worker` sends what each step makes due before
/// the next one is looked at; without it nobody is told. `say` is handed the captions.
pub(crate) async fn play_through(
    session: &Session,
    chain: &Arc<ChainBook>,
    tape: Tape,
    pace: Pace,
    mut worker: Option<Worker>,
    say: impl Fn(&str),
) -> anyhow::Result<()> {
    let id = chain.info.id;
    let mut watcher = Watcher::open(
        session.book.clone(),
        chain.clone(),
        session.store.clone(),
        session.clock.clone(),
        Arc::new(Notify::new()),
    )
    .await?;
    for stretch in tape.stretches {
        let (Some(first), Some(last)) = (stretch.first(), stretch.last()) else { continue };
        let captions: Vec<(u64, String)> =
            stretch.captions.iter().map(|(before, caption)| (first + *before as u64, caption.clone())).collect();
        let server = TapeServer::start(id, stretch, pace).await.context("serve the tape")?;
        // A stretch that does not join the one before is a chain of its own to the follower.
        session.store.begin_stretch(id, first).await.context("write down where the stretch begins")?;
        let endpoint = Endpoint { name: "tape".into(), url: server.url().to_owned().into() };
        let node = Node::new(&endpoint, id, Deadlines::default()).context("use the tape's server")?;
        let stop = Stop::new();
        let window = Window { first, links: Vec::new() };
        let mut source = Source::follow(node.into(), window, Options::for_chain(id), SystemClock, &stop);
        let mut spoken = 0;
        loop {
            let step = match source.next().await.context("follow the tape")? {
                Event::Step(step) => step,
                Event::Troubled(trouble) => bail!("the tape's server cannot be followed: {}", trouble.why),
                Event::Promoted { .. }
                | Event::Confirmed { .. }
                | Event::Phase(_)
                | Event::Probed { .. }
                | Event::Cleared { .. } => {
                    continue;
                }
            };
            let tip = step.append.last().map_or(first, |fetched| fetched.block.at.number);
            while let Some((_, caption)) = captions.get(spoken).filter(|(before, _)| *before <= tip) {
                say(caption);
                spoken += 1;
            }
            let committed = watcher.apply(*step, &source).await?;
            session.tell(&committed);
            if let Some(worker) = &mut worker {
                worker.drain().await.context("deliver")?;
            }
            if tip >= last {
                break;
            }
        }
        for (_, caption) in captions.iter().skip(spoken) {
            say(caption);
        }
    }
    Ok(())
}

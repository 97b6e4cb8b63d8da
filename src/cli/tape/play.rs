//! `tape play`: judges a tape through the ordinary pipeline, or serves it as a node.

use crate::app::{App, checks_of};
use crate::cli::run::{ignore_hangup, stop_on_signal};
use crate::cli::{Global, Outcome, Printer, load_config};
use crate::deliver::Worker;
use crate::model::BlockRef;
use crate::model::text::format_count;
use crate::pipeline::Watcher;
use crate::runtime::{Stop, SystemClock, command_line};
use crate::settings::{Secrets, parse_duration};
use crate::source::{Deadlines, Endpoint, Event, FinalityRule, Node, Options, Source, Window};
use crate::store::Store;
use crate::tape::{Fault, Pace, Playing, Scene, Script, Stretch, Tape, TapeServer, is_provable};
use crate::watchlist::ChainBook;
use anyhow::{Context as _, bail};
use clap::Args;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Time for which the played node must name an older block before the rollback is accepted: the tape prescribes it, and
/// no other node reports it.
const ROLLBACK_AFTER: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(crate) struct Play {
    /// The tape.
    file: PathBuf,
    /// Time between blocks (`500ms`, `2s`), or `1x` for the recorded speed, `10x` for ten times faster; no pause if
    /// absent.
    #[arg(long, value_name = "PACE", value_parser = parse_pace)]
    pace: Option<Pace>,
    /// Serve the tape as a node over WebSocket and HTTP until stopped, instead of judging it.
    #[arg(long)]
    pub(super) serve: bool,
    /// Serve it on this port instead of one that is free.
    #[arg(long, requires = "serve", default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// Add a fault to the served node: `drop-socket@block=114`, `mute@from=3,for=30s`, `lag=3`, `delay=2s`, `error`,
    /// `null`, `empty-receipts`, `drop-log@block=117,times=1`. May be given several times.
    #[arg(long = "fault", value_name = "FAULT", requires = "serve")]
    fault: Vec<Fault>,
    /// Serve this stretch alone, counted from 1, of a tape whose stretches do not join; a follower cannot cross from one to the next.
    #[arg(long, value_name = "N", requires = "serve")]
    stretch: Option<usize>,
    /// Serve blocks that contradict their own hash too.
    #[arg(long, requires = "serve")]
    unverified: bool,
    /// Add the faults of this TOML file: `faults = ["lag=3", "..."]`.
    #[arg(long, value_name = "FILE", requires = "serve")]
    faults: Option<PathBuf>,
}

/// A script of faults.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultFile {
    faults: Vec<String>,
}

fn parse_pace(text: &str) -> Result<Pace, String> {
    let Some(factor) = text.strip_suffix('x') else { return parse_duration(text).map(Pace::Every) };
    match factor.parse::<f64>() {
        Ok(factor) if factor.is_finite() && factor > 0.0 => Ok(Pace::Recorded(factor)),
        _ => Err(format!("`{text}` is no pace; write `2s`, or `10x` for ten times as fast as it was recorded")),
    }
}

pub(super) async fn run_tape_server(args: &Play, printer: &Printer) -> anyhow::Result<Outcome> {
    let mut faults = args.fault.clone();
    if let Some(file) = &args.faults {
        faults.extend(load_fault_script(file)?);
    }
    let tape = load_tape(&args.file, printer)?;
    let chain = tape.head.chain;
    if !args.unverified && is_provable(chain) {
        refuse_false(&tape, printer)?;
    }
    let playing = Playing { pace: args.pace.unwrap_or(Pace::AtOnce), port: args.port, faults };
    let server = TapeServer::start(chain, select_stretch(tape, args.stretch, printer)?, playing)
        .await
        .context("failed to serve the tape")?;
    printer.text(server.url());
    let stop = Stop::new();
    stop_on_signal(stop.clone());
    ignore_hangup(printer)?;
    stop.cancelled().await;
    Ok(Outcome::Calm)
}

/// Parses the faults of a script and reports all mistakes in it at once.
fn load_fault_script(file: &Path) -> anyhow::Result<Vec<Fault>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
    let script: FaultFile = toml::from_str(&text).with_context(|| format!("failed to read {}", file.display()))?;
    let (mut faults, mut wrong) = (Vec::new(), Vec::new());
    for text in &script.faults {
        match text.parse() {
            Ok(fault) => faults.push(fault),
            Err(why) => wrong.push(format!("`{text}`: {why}")),
        }
    }
    if wrong.is_empty() { Ok(faults) } else { bail!("{}:\n{}", file.display(), wrong.join("\n")) }
}

pub(super) async fn run_play(args: &Play, global: &Global, printer: &Printer) -> anyhow::Result<Outcome> {
    let book = match load_config(global, Secrets::NamesOnly, printer) {
        Ok(book) => Arc::new(book.by_block_time()),
        Err(outcome) => return Ok(outcome),
    };
    let tape = load_tape(&args.file, printer)?;
    let Some(chain) = book.chains.iter().find(|chain| chain.info.id == tape.head.chain) else {
        bail!("the tape is of chain {}, which the configuration does not have", tape.head.chain);
    };
    let chain = Arc::new(chain.clone());
    if checks_of(&chain).verify {
        refuse_false(&tape, printer)?;
    }
    let store = match &global.store {
        Some(file) if !Store::is_first_start(file) => {
            bail!("{} is there already: name a new file for what is found on the tape", file.display())
        }
        Some(file) => {
            Store::open(file).await.with_context(|| format!("failed to create the store {}", file.display()))?
        }
        None => Store::in_memory().await.context("failed to make room for what is seen")?,
    };
    let session = App::new(book, store, Arc::new(printer.clone()));
    play_through(&session, &chain, tape, args.pace.unwrap_or(Pace::AtOnce), None, |_| ()).await?;
    // A tape notifies no one, neither now nor by a later run on the store that is kept.
    session.store.silence_outbox().await.context("failed to drop the messages of the tape")?;
    if let Some(file) = &global.store {
        let list = command_line("incidents list");
        printer.progress(&format!("what was found is in {}: look at it with `{list}`", file.display()));
    }
    Ok(session.print_summary())
}

/// Selects the stretch that is served, or joins all of them.
fn select_stretch(tape: Tape, wanted: Option<usize>, printer: &Printer) -> anyhow::Result<Stretch> {
    let n = tape.stretches.len();
    if let Some(wanted) = wanted {
        let found = wanted.checked_sub(1).and_then(|place| tape.stretches.into_iter().nth(place));
        return found.with_context(|| {
            format!("there is no stretch {wanted} on the tape; it has {}", format_count(n, "stretch", "stretches"))
        });
    }
    if n > 1 {
        printer.progress(&format!(
            "the tape has {n} stretches that do not join: all can be asked for, a follower needs `--stretch N`"
        ));
    }
    Ok(tape.join_stretches())
}

/// Refuses a tape with blocks that contradict their own hash, and prints each of them.
pub(crate) fn refuse_false(tape: &Tape, printer: &Printer) -> anyhow::Result<()> {
    let refuted = tape.refuted_blocks();
    for (number, why) in &refuted.blocks {
        printer.progress(&format!("block {number}: {why}"));
    }
    if refuted.n_more > 0 {
        printer.progress(&format!("and {} more", refuted.n_more));
    }
    if refuted.is_empty() {
        return Ok(());
    }
    let blocks = format_count(refuted.count(), "block contradicts its own hash", "blocks contradict their own hashes");
    bail!("the tape is refused: {blocks}, so it shows no chain that there was")
}

pub(crate) fn load_tape(file: &Path, printer: &Printer) -> anyhow::Result<Tape> {
    let tape = Tape::load_file(file).with_context(|| format!("failed to read {}", file.display()))?;
    if let Some(line) = tape.cut {
        printer.progress(&format!("{} is cut short after line {line}; it is played up to there", file.display()));
    }
    Ok(tape)
}

/// Plays every stretch of a tape through its own server and the ordinary source. `worker` sends the messages due after
/// each step before the next one is processed; without it no one is notified. `say` receives the captions.
pub(crate) async fn play_through(
    session: &App,
    chain: &Arc<ChainBook>,
    tape: Tape,
    pace: Pace,
    worker: Option<Worker>,
    say: impl Fn(&str),
) -> anyhow::Result<()> {
    let (book, store) = (session.book.clone(), session.store.clone());
    let watcher =
        Watcher::resume_from_store(book, chain.clone(), store, session.clock.clone(), Arc::new(Notify::new())).await?;
    let mut player = Player { session, chain, watcher, worker, say };
    for stretch in tape.stretches {
        player.play_stretch(stretch, pace).await?;
    }
    Ok(())
}

/// Player of the stretches of a tape, one after another.
struct Player<'a, S> {
    session: &'a App,
    chain: &'a ChainBook,
    watcher: Watcher,
    worker: Option<Worker>,
    say: S,
}

impl<S: Fn(&str)> Player<'_, S> {
    async fn play_stretch(&mut self, stretch: Stretch, pace: Pace) -> anyhow::Result<()> {
        let Some(first) = stretch.first_number() else { return Ok(()) };
        let id = self.chain.info.id;
        let numbers: Vec<u64> = stretch.blocks.iter().map(|block| block.block.at.number).collect();
        let server = TapeServer::start(id, stretch, Pace::ByHand).await.context("failed to serve the tape")?;
        // To the follower, a stretch that does not join the previous one is a new chain.
        self.session.store.begin_stretch(id, first).await.context("failed to write down where the stretch begins")?;
        let endpoint = Endpoint { name: "tape".into(), url: server.url().to_owned().into() };
        let node = Node::new(&endpoint, id, Deadlines::default()).context("failed to use the tape's server")?;
        let node = node.with_checks(checks_of(self.chain));
        let script = server.script();
        let told = script.scenes.iter().any(|scene| !scene.promote.is_empty());
        let options = Options {
            rollback_after: Some(ROLLBACK_AFTER),
            // A recorder without finality data has nothing to answer for finality tags.
            finality: if told { FinalityRule::Tags } else { FinalityRule::Never },
            ..Options::for_chain(id)
        };
        let stop = Stop::new();
        let window = Window { first, links: Vec::new() };
        let mut source = Source::follow_chain(node.into(), window, options, SystemClock, &stop);
        let mut tip: Option<BlockRef> = None;
        let mut place = 0;
        while place < script.scenes.len() {
            // Each recorded branch has to be seen before it is replaced; between these points no pause is needed.
            let next = if pace == Pace::AtOnce { script.calm_until(place) } else { place + 1 };
            tokio::time::sleep(script.pause_before(place, pace)).await;
            server.reveal_scenes(next);
            let captions = scene_captions(script, place..next, &numbers);
            let head = script.scenes.get(next - 1).and_then(|scene| scene.head);
            self.follow_to_head(&mut source, &mut tip, head, captions).await?;
            place = next;
        }
        script.closing.iter().for_each(|caption| (self.say)(caption));
        Ok(())
    }

    /// Commits the steps of the source until it is at `head`. Captions are printed before the block they belong to.
    async fn follow_to_head(
        &mut self,
        source: &mut Source,
        tip: &mut Option<BlockRef>,
        head: Option<BlockRef>,
        captions: Vec<(u64, &str)>,
    ) -> anyhow::Result<()> {
        let mut captions = captions.into_iter().peekable();
        while head.is_some() && *tip != head {
            let step = match source.next().await.context("failed to follow the tape")? {
                Event::Step(step) => step,
                // Its only endpoint is refused, so no further block comes.
                Event::Troubled(trouble) if trouble.kind.is_total() || trouble.evidence.is_some() => {
                    bail!("the tape's server cannot be followed: {}", trouble.why)
                }
                _ => continue,
            };
            let newest = step.append.last().map(|fetched| fetched.block.at);
            while let Some((_, caption)) = captions.next_if(|(number, _)| newest.is_some_and(|at| *number <= at.number))
            {
                (self.say)(caption);
            }
            let committed = self.watcher.apply_step(*step, &*source).await?;
            self.session.report_committed(&committed);
            if let Some(worker) = &mut self.worker {
                worker.drain().await.context("failed to deliver")?;
            }
            *tip = match newest {
                Some(newest) => Some(newest),
                None => self
                    .session
                    .store
                    .last_committed_block(self.chain.info.id)
                    .await
                    .context("failed to read what stands")?,
            };
        }
        captions.for_each(|(_, caption)| (self.say)(caption));
        Ok(())
    }
}

/// Returns the captions of these scenes, each with the number of the block that it precedes.
fn scene_captions<'a>(script: &'a Script, scenes: std::ops::Range<usize>, numbers: &[u64]) -> Vec<(u64, &'a str)> {
    let number = |scene: &Scene| numbers.get(scene.blocks.start).copied().unwrap_or(0);
    let scenes = script.scenes.get(scenes).unwrap_or_default().iter();
    scenes.flat_map(|scene| scene.captions.iter().map(move |caption| (number(scene), caption.as_str()))).collect()
}

//! `watchfire run`: the whole way, for every chain of the configuration.

use super::{Global, Outcome, Printer, book};
use crate::escalate;
use crate::model::ChainId;
use crate::model::incident::Plan;
use crate::model::read::{Answer, Read};
use crate::model::record::{BlindnessLine, Line, SummaryLine};
use crate::model::{BlockRef, Link};
use crate::pipeline::{Committed, Reader, Watcher};
use crate::runtime::{self, Clock, Stop, SystemClock};
use crate::settings::Secrets;
use crate::source::tape::Recorder;
use crate::source::{Deadlines, Endpoint, Event, Node, Options, Source, Step, Window};
use crate::store::Store;
use crate::watchlist::{Book, ChainBook};
use anyhow::{Context as _, bail};
use clap::Args;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::io::BufWriter;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tracing::{error, info, warn};

/// Watch, until stopped.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Stop once this block is committed on every chain, and what it made due is sent.
    #[arg(long, value_name = "N")]
    until_block: Option<u64>,
    /// Stop after this long (`30s`, `5m`).
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    for_: Option<Duration>,
    /// On the first start, begin with this block instead of the newest.
    #[arg(long, value_name = "N")]
    from_block: Option<u64>,
}

pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    crate::settings::parse_duration(text)
}

/// How long a clean end waits for what is on its way to be delivered.
const DRAIN_MAX: Duration = Duration::from_secs(20);
/// How often steps of paths that fell due are looked for.
const TICK: Duration = Duration::from_secs(1);
/// How often an endpoint is asked where to begin, while it does not answer.
const BEGIN_RETRY: Duration = Duration::from_secs(2);
/// How long a committed step may be refused by the store before the process gives up and a supervisor restarts it.
const COMMIT_TRIES_MAX: u32 = 5;

pub(crate) async fn run(args: &Run, global: &Global, printer: &Printer) -> anyhow::Result<Outcome> {
    let book = match book(global, Secrets::Resolve, printer) {
        Ok(book) => Arc::new(book),
        Err(outcome) => return Ok(outcome),
    };
    let store = Store::open(&book.store).await.with_context(|| format!("open the store {}", book.store.display()))?;
    let _alone = Alone::on(&book)?;
    store.end_leases(runtime::millis(&SystemClock)).await.context("take over what was being sent")?;
    let stop = Stop::new();
    stop_on_signal(stop.clone());
    stop_after(args.for_, &stop);
    let session = Session::new(book.clone(), store, printer.clone());
    for chain in &book.chains {
        printer.progress(&format!(
            "watching {} addresses on {} through {}",
            chain.subjects.len(),
            chain.info.name,
            chain.endpoint.name
        ));
    }
    let until = args.until_block;
    let from = args.from_block;
    session.live(&stop, from, until).await
}

/// One `run` for each store: two would judge every block twice and fight over the cursor. The lock goes with the process, however
/// it ends.
struct Alone {
    _lock: File,
}

impl Alone {
    fn on(book: &Book) -> anyhow::Result<Self> {
        let mut path = book.store.clone().into_os_string();
        path.push(".lock");
        let lock = File::create(&path).with_context(|| format!("create {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                bail!("another `watchfire run` works on {}: stop it first, or name another store", book.store.display())
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("lock {}", path.display())),
        }
    }
}

/// What all commands that judge and commit share: the store, the worker, the counts.
pub(crate) struct Session {
    pub(crate) book: Arc<Book>,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    printer: Printer,
    tally: Arc<Mutex<Tally>>,
}

/// What a session has seen.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    summary: SummaryLine,
    standing: HashSet<String>,
    blind: HashSet<ChainId>,
}

impl Session {
    pub(crate) fn new(book: Arc<Book>, store: Store, printer: Printer) -> Self {
        Self { book, store, clock: Arc::new(SystemClock), printer, tally: Arc::default() }
    }

    /// Follows every chain until told to stop, or until each has committed block `until`.
    async fn live(self, stop: &Stop, from: Option<u64>, until: Option<u64>) -> anyhow::Result<Outcome> {
        let worker = self.worker();
        let nudge = worker.nudge();
        // The worker outlives the chains, so that what their last blocks made due still goes out.
        let worker_stop = Stop::new();
        let delivering = tokio::spawn(worker.run(worker_stop.clone()));
        let ticking = tokio::spawn(tick(self.store.clone(), self.clock.clone(), nudge.clone(), worker_stop.clone()));
        let session = Arc::new(self);
        let mut chains = tokio::task::JoinSet::new();
        for chain in &session.book.chains {
            let (session, chain, nudge, stop) = (session.clone(), Arc::new(chain.clone()), nudge.clone(), stop.clone());
            chains.spawn(async move {
                let name = chain.info.name.clone();
                session.follow(chain, nudge, &stop, from, until).await.with_context(|| format!("watch {name}"))
            });
        }
        let mut failed = None;
        while let Some(ended) = chains.join_next().await {
            let ended = ended.context("a chain's task ended by surprise").and_then(|ended| ended);
            if let Err(error) = ended {
                error!("{error:#}");
                failed.get_or_insert(error);
                // Half a watch is worse than none that says so: a supervisor restarts the whole.
                stop.cancel();
            }
        }
        session.drain(&worker_stop, delivering).await?;
        ticking.abort();
        if let Some(error) = failed {
            return Err(error);
        }
        session.end().await
    }

    /// Waits until nothing more is due, at most [`DRAIN_MAX`], then stops the worker.
    async fn drain(
        &self,
        worker_stop: &Stop,
        delivering: tokio::task::JoinHandle<anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        let names: Vec<String> = self.book.destinations.keys().cloned().collect();
        let drained = async {
            loop {
                let due = self.store.next_due(names.clone()).await?;
                let now = runtime::millis(&*self.clock);
                // What has to be tried again later stays in the store and goes out after the next start.
                if due.is_none_or(|due| due > now + 1_000) {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if let Ok(done) = tokio::time::timeout(DRAIN_MAX, drained).await {
            done?;
        }
        worker_stop.cancel();
        delivering.await.context("the delivery worker ended by surprise")?.context("deliver")
    }

    pub(crate) fn worker(&self) -> crate::deliver::Worker {
        let (printer, tally) = (self.printer.clone(), self.tally.clone());
        crate::deliver::Worker::new(
            self.store.clone(),
            Arc::new(self.book.destinations.clone()),
            self.book.roster.clone(),
            self.clock.clone(),
        )
        .listener(Arc::new(move |line| {
            count_delivery(&tally, line);
            if printer.is_json() {
                printer.line(line);
            }
        }))
    }

    async fn follow(
        &self,
        chain: Arc<ChainBook>,
        nudge: Arc<Notify>,
        stop: &Stop,
        from: Option<u64>,
        until: Option<u64>,
    ) -> anyhow::Result<()> {
        let node = node_of(&chain)?;
        let Some(window) = self.begin(&chain, &node, from, stop).await? else { return Ok(()) };
        let options = Options::for_chain(chain.info.id);
        let source = Source::follow(node, window, options, SystemClock, stop);
        self.pump(source, chain, nudge, stop, until, None).await
    }

    /// Where to go on: where the store stands, else the first block, which is written down before it is fetched.
    async fn begin(
        &self,
        chain: &ChainBook,
        node: &Node,
        from: Option<u64>,
        stop: &Stop,
    ) -> anyhow::Result<Option<Window>> {
        let id = chain.info.id;
        if let Some(window) = stored(&self.store, id).await? {
            return Ok(Some(window));
        }
        let first = match from {
            Some(first) => first,
            None => loop {
                match node.head().await {
                    Ok(Some(head)) => break head.at.number,
                    Ok(None) => warn!("{} has no block yet", node.name()),
                    Err(error) => warn!("cannot ask {} where the chain stands: {error}", node.name()),
                }
                tokio::select! {
                    () = stop.cancelled() => {
                        lock(&self.tally).blind.insert(id);
                        return Ok(None);
                    }
                    () = tokio::time::sleep(BEGIN_RETRY) => {}
                }
            },
        };
        self.store.begin_chain(id, first).await.context("write down where watching begins")?;
        info!("watching {} from block {first} on", chain.info.name);
        Ok(Some(Window { first, links: Vec::new() }))
    }

    /// Commits what the source says, step by step, until it has nothing more to say or enough was seen.
    pub(crate) async fn pump(
        &self,
        mut source: Source,
        chain: Arc<ChainBook>,
        nudge: Arc<Notify>,
        stop: &Stop,
        until: Option<u64>,
        mut recorder: Option<&mut Recorder<BufWriter<File>>>,
    ) -> anyhow::Result<()> {
        let (book, store, clock) = (self.book.clone(), self.store.clone(), self.clock.clone());
        let mut watcher = Watcher::open(book, chain.clone(), store, clock, nudge.clone()).await?;
        if let (Some(until), Some(at)) = (until, self.store.cursor(chain.info.id).await?)
            && at.number >= until
        {
            return Ok(());
        }
        loop {
            let event = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                event = source.next() => event.context("follow the chain")?,
            };
            match event {
                Event::Step(step) => {
                    let tip = step.append.last().map(|fetched| fetched.block.at.number);
                    let kept = recorder.is_some().then(|| (*step).clone());
                    let committed = commit(&mut watcher, *step, &source).await?;
                    if let (Some(recorder), Some(step)) = (recorder.as_deref_mut(), kept) {
                        record(recorder, step, &committed)?;
                    }
                    self.tell(&committed);
                    if let (Some(until), Some(tip)) = (until, tip)
                        && tip >= until
                    {
                        return Ok(());
                    }
                }
                Event::Blind { since, why } => {
                    lock(&self.tally).blind.insert(chain.info.id);
                    warn!("blind on {}: {why}", chain.info.name);
                    let line = blindness(&chain, &why.to_string(), since.to_string(), None);
                    // Not to see is an incident like any other: it pages along the paths of the chain's watches.
                    let (roster, info) = (self.book.roster.clone(), chain.info.clone());
                    let now = runtime::millis(&*self.clock);
                    let plan =
                        self.store.change(now, move |live| escalate::blind(&line, &info, live, &roster, now)).await?;
                    self.told(&plan);
                    nudge.notify_one();
                }
                Event::Sighted { since, until } => {
                    lock(&self.tally).blind.remove(&chain.info.id);
                    info!("sighted again on {}", chain.info.name);
                    let line = blindness(&chain, "over", since.to_string(), Some(until.to_string()));
                    let info = chain.info.clone();
                    let now = runtime::millis(&*self.clock);
                    let plan = self.store.change(now, move |live| escalate::sighted(&line, &info, live, now)).await?;
                    self.told(&plan);
                    nudge.notify_one();
                }
            }
        }
    }

    /// Prints what the passing of time or a blindness brought about.
    fn told(&self, plan: &Plan) {
        for line in &plan.lines {
            self.printer.line(line);
        }
        lock(&self.tally).summary.incidents +=
            plan.incidents.iter().filter(|incident| incident.revision <= 1).count() as u64;
    }

    pub(crate) fn tell(&self, committed: &Committed) {
        for line in &committed.plan.lines {
            self.printer.line(line);
        }
        let mut tally = lock(&self.tally);
        tally.summary.blocks += committed.blocks.len() as u64;
        for line in &committed.plan.lines {
            match line {
                Line::Verdict(verdict) => {
                    tally.summary.activities += 1;
                    if verdict.verdict == "normal" {
                        tally.summary.normal += 1;
                    }
                    if let Some(id) = &verdict.finding_id
                        && tally.standing.insert(id.clone())
                    {
                        tally.summary.findings += 1;
                    }
                }
                Line::Retraction(retraction) if tally.standing.remove(&retraction.finding_id) => {
                    tally.summary.retracted += 1;
                    tally.summary.findings = tally.summary.findings.saturating_sub(1);
                }
                _ => {}
            }
        }
        let opened = committed.plan.incidents.iter().filter(|incident| incident.revision <= 1).count();
        tally.summary.incidents += opened as u64;
    }

    /// How many findings stand.
    pub(crate) fn found(&self) -> u64 {
        lock(&self.tally).summary.findings
    }

    /// Prints the summary and says how it went.
    pub(crate) async fn end(&self) -> anyhow::Result<Outcome> {
        let (summary, blind, findings) = {
            let tally = lock(&self.tally);
            (tally.summary, !tally.blind.is_empty(), !tally.standing.is_empty())
        };
        self.printer.line(&Line::Summary(summary));
        Ok(if blind {
            Outcome::Unknown
        } else if findings {
            Outcome::Findings
        } else {
            Outcome::Calm
        })
    }
}

/// The window the store keeps of a chain; absent before the first start.
pub(crate) async fn stored(store: &Store, chain: ChainId) -> anyhow::Result<Option<Window>> {
    let Some(first) = store.first(chain).await.context("read where watching began")? else { return Ok(None) };
    let window = store.window(chain).await.context("read the last blocks")?;
    let links = window.into_iter().map(|block| Link { at: block.at, parent: block.parent, time: block.time }).collect();
    Ok(Some(Window { first, links }))
}

/// The node of a chain's endpoint.
pub(crate) fn node_of(chain: &ChainBook) -> anyhow::Result<Node> {
    let Some(url) = chain.endpoint.url.expose() else {
        bail!("the endpoint of {} is kept in a secret that was not fetched", chain.info.name);
    };
    let endpoint = Endpoint { name: chain.endpoint.name.clone(), url: url.to_owned().into() };
    let deadlines = Deadlines::for_slot(Duration::from_secs_f64(chain.endpoint.slot_seconds));
    Node::new(&endpoint, chain.info.id, deadlines).with_context(|| format!("use the endpoint of {}", chain.info.name))
}

/// Commits a step; a store that is busy or full for a moment does not end the watch.
async fn commit(watcher: &mut Watcher, step: Step, source: &Source) -> anyhow::Result<Committed> {
    let mut tries = 0;
    loop {
        match watcher.apply(step.clone(), source).await {
            Ok(committed) => return Ok(committed),
            Err(error) if tries < COMMIT_TRIES_MAX => {
                tries += 1;
                warn!("{error:#}; trying again");
                tokio::time::sleep(Duration::from_millis(200) * 2u32.pow(tries)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

fn record(recorder: &mut Recorder<BufWriter<File>>, step: Step, committed: &Committed) -> anyhow::Result<()> {
    recorder.retract(&step.retract);
    for (fetched, answers) in step.append.into_iter().zip(&committed.answers) {
        let reads = answers.iter().map(|(read, answer)| (read.clone(), answer.clone())).collect();
        recorder.append(fetched, reads).context("write to the tape")?;
    }
    Ok(())
}

impl Reader for Source {
    fn read<'a>(&'a self, at: BlockRef, reads: &'a [Read]) -> BoxFuture<'a, Vec<Answer>> {
        Source::read(self, at, reads).boxed()
    }
}

impl Reader for Node {
    fn read<'a>(&'a self, at: BlockRef, reads: &'a [Read]) -> BoxFuture<'a, Vec<Answer>> {
        Node::read(self, at, reads).boxed()
    }
}

/// Tells the next steps of paths as they fall due, and pages again where an acknowledgement ran out.
async fn tick(store: Store, clock: Arc<dyn Clock>, nudge: Arc<Notify>, stop: Stop) {
    while !stop.is_cancelled() {
        tokio::time::sleep(TICK).await;
        let now = runtime::millis(&*clock);
        match store.change(now, move |incidents| escalate::tick(incidents, now)).await {
            Ok(plan) if !plan.deliveries.is_empty() => nudge.notify_one(),
            Ok(_) => {}
            Err(error) => error!("escalation could not be carried on: {error}"),
        }
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

fn count_delivery(tally: &Mutex<Tally>, line: &Line) {
    if let Line::Delivery(delivery) = line {
        let mut tally = lock(tally);
        match delivery.outcome.as_str() {
            "sent" => tally.summary.deliveries += 1,
            "dead" => tally.summary.dead += 1,
            _ => {}
        }
    }
}

fn blindness(chain: &ChainBook, kind: &str, since: String, until: Option<String>) -> BlindnessLine {
    BlindnessLine {
        kind: kind.to_owned(),
        chain: chain.info.name.to_string(),
        endpoint: Some(chain.endpoint.name.to_string()),
        since,
        until,
        blocks: None,
        blinds: vec!["everything on this chain".to_owned()],
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

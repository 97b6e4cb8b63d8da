//! One chain, followed: where to begin, what to do with each step, and when to stop.

use super::Session;
use super::finality::Gate;
use super::lookout::Lookout;
use super::progress::Progress;
use super::roll::Roll;
use crate::decode;
use crate::model::ChainId;
use crate::model::read::{Answer, Read};
use crate::model::{BlockRef, Link};
use crate::pipeline::{Committed, Reader, Watcher};
use crate::runtime::{Stop, SystemClock, instant};
use crate::source::tape::Recorder;
use crate::source::{
    Checks, Deadlines, Endpoint, Event, Identity, Meter, Node, Options, Pool, Senders, Source, Step, Window,
};
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;
use crate::watchlist::{ChainBook, EndpointSettings};
use anyhow::{Context as _, bail};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::fs::File;
use std::io::BufWriter;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tracing::{info, warn};

/// How often an endpoint is asked where to begin, while it does not answer.
const BEGIN_RETRY: Duration = Duration::from_secs(2);
/// How often the store may refuse a step before the process gives up and a supervisor restarts it.
const COMMIT_TRIES_MAX: u32 = 5;
/// How often it is tried out what endpoints can do: an upgrade or another plan takes effect without a word.
const PROBE_EVERY: Duration = Duration::from_secs(3_600);
/// The blindness that the source tells of: the node does not answer, or not with what was asked.
const SOURCE: &str = "unreachable";

impl Session {
    pub(super) async fn follow(
        &self,
        chain: Arc<ChainBook>,
        nudge: Arc<Notify>,
        stop: &Stop,
        from: Option<u64>,
        until: Option<u64>,
    ) -> anyhow::Result<()> {
        let pool = pool_of(&chain, &self.signs.metrics)?;
        let mut lookout = Lookout::open(self, &chain, &nudge).await?;
        let Some(window) = self.begin(&chain, &pool, from, stop, &mut lookout).await? else { return Ok(()) };
        drop(lookout);
        let meter = Meter::new(self.signs.metrics.clone(), chain.info.name.clone());
        let settled = self.store.finality(chain.info.id).await.context("read what is final")?;
        self.settled(&chain, settled);
        let finalized = settled.finalized;
        let options = Options {
            finality: chain.finality,
            finalized,
            probe_every: Some(PROBE_EVERY),
            meter,
            ..Options::for_chain(chain.info.id)
        };
        let source = Source::follow(pool, window, options, SystemClock, stop);
        self.pump(source, chain, nudge, stop, until, None).await
    }

    /// Where to go on: where the store stands, else the first block, which is written down before it is fetched. `None` when told
    /// to stop before the node said where its chain stands.
    async fn begin(
        &self,
        chain: &ChainBook,
        pool: &Pool,
        from: Option<u64>,
        stop: &Stop,
        lookout: &mut Lookout<'_>,
    ) -> anyhow::Result<Option<Window>> {
        let id = chain.info.id;
        if let Some(window) = stored(&self.store, id).await? {
            return Ok(Some(window));
        }
        let began = self.clock.now();
        let first = match from {
            Some(first) => first,
            None => loop {
                let why = match pool.newest().await {
                    Ok(Some(head)) => break head.at.number,
                    Ok(None) => "the chain has no block yet".to_owned(),
                    Err(error) => error.to_string(),
                };
                warn!("cannot ask {} where the chain stands: {why}", pool.names());
                // Exit codes know at once; people are told when it lasts.
                self.tally.blind(id, true);
                if self.clock.now().duration_since(began).unsigned_abs() >= pool.deadlines().blind {
                    lookout.blind(SOURCE, &why, began).await?;
                }
                tokio::select! {
                    () = stop.cancelled() => return Ok(None),
                    () = tokio::time::sleep(BEGIN_RETRY) => {}
                }
            },
        };
        self.tally.blind(id, false);
        lookout.clear(SOURCE).await?;
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
        watcher = watcher.measured(self.signs.metrics.clone());
        if let (Some(until), Some(at)) = (until, self.store.cursor(chain.info.id).await?)
            && at.number >= until
        {
            return Ok(());
        }
        let mut lookout = Lookout::open(self, &chain, &nudge).await?;
        let (mut gate, mut progress, mut roll) = (Gate::new(), Progress::default(), Roll::default());
        loop {
            let event = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                event = source.next() => event.context("follow the chain")?,
                () = sleep(lookout.pause()) => {
                    lookout.watch_head().await?;
                    continue;
                }
                () = gate.pause() => {
                    self.look_at_gate(&mut gate, &chain, &source, &mut watcher).await;
                    continue;
                }
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
                    if let Some(line) = progress.line(committed.blocks.len(), source.behind(), instant()) {
                        self.printer.progress(&format!("{}: {line}", chain.info.name));
                    }
                    lookout.block().await?;
                    if let (Some(until), Some(tip)) = (until, tip)
                        && tip >= until
                    {
                        return Ok(());
                    }
                }
                Event::Troubled(trouble) => lookout.blind(SOURCE, &trouble.why, trouble.since).await?,
                Event::Cleared { .. } => lookout.clear(SOURCE).await?,
                Event::Promoted { level, at } => self.promoted(&chain, level, at).await,
                Event::Confirmed { at, sources } => self.confirmed(&chain, at, sources).await,
                Event::Phase(phase) => gate.phase(phase),
                Event::Probed { endpoint, abilities } => {
                    for line in roll.probed(endpoint, *abilities, &self.book, &chain) {
                        self.printer.progress(&line);
                    }
                }
            }
        }
    }
}

/// A timer that may never ring.
async fn sleep(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}

/// The window the store keeps of a chain; absent before the first start.
pub(crate) async fn stored(store: &Store, chain: ChainId) -> anyhow::Result<Option<Window>> {
    let Some(first) = store.first(chain).await.context("read where watching began")? else { return Ok(None) };
    let window = store.window(chain).await.context("read the last blocks")?;
    let links = window.into_iter().map(|block| Link { at: block.at, parent: block.parent, time: block.time }).collect();
    Ok(Some(Window { first, links }))
}

/// The endpoints of a chain, as one.
pub(crate) fn pool_of(chain: &ChainBook, metrics: &Metrics) -> anyhow::Result<Pool> {
    let meter = Meter::new(metrics.clone(), chain.info.name.clone());
    let checks = checks_of(chain);
    let node = |settings: &EndpointSettings| {
        let (name, info) = (&settings.name, &chain.info);
        let Some(url) = settings.url.expose() else {
            bail!("the endpoint {name} of {} is kept in a secret that was not fetched", info.name);
        };
        let endpoint = Endpoint { name: name.clone(), url: url.to_owned().into() };
        let identity = Identity { chain: info.id, genesis: chain.genesis };
        let node = Node::new(&endpoint, identity, Deadlines::for_slot(chain.slot))
            .with_context(|| format!("use the endpoint {name} of {}", info.name))?;
        let rate = settings.requests_per_second.map(|rate| f64::from(rate.get()));
        anyhow::Ok((node.measured(meter.clone()).checked(checks.clone()), rate))
    };
    let nodes = chain.endpoints.iter().map(node).collect::<anyhow::Result<_>>()?;
    Pool::new(nodes).with_context(|| format!("use the endpoints of {}", chain.info.name))
}

/// What the chain's blocks are held against: their own headers, unless the configuration says otherwise.
fn checks_of(chain: &ChainBook) -> Checks {
    let checks = Checks::for_chain(chain.info.id);
    if !chain.verify {
        return Checks { verify: false, ..checks };
    }
    let subjects = chain.subjects.clone();
    checks.with_senders(Senders::Of(Arc::new(move |block| decode::senders_that_matter(block, &subjects))))
}

/// Commits a step; a store that is busy or full for a moment does not end the watch.
async fn commit(watcher: &mut Watcher, step: Step, source: &Source) -> anyhow::Result<Committed> {
    let mut tries = 0;
    loop {
        match watcher.apply(step.clone(), source).await {
            Ok(committed) => return Ok(committed),
            // It will not become less final by waiting.
            Err(error) if is_final(&error) => return Err(error),
            Err(error) if tries < COMMIT_TRIES_MAX => {
                tries += 1;
                warn!("{error:#}; trying again");
                tokio::time::sleep(Duration::from_millis(200) * 2u32.pow(tries)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

fn is_final(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::Finalized { .. }))
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

impl Reader for Pool {
    fn read<'a>(&'a self, at: BlockRef, reads: &'a [Read]) -> BoxFuture<'a, Vec<Answer>> {
        Pool::read(self, at, reads).boxed()
    }
}

//! Loop that follows one chain: where to begin, what to do with each step, and when to stop.

use super::App;
use super::capabilities::CapabilityReport;
use super::coverage::Coverage;
use super::finality::OverrideGate;
use super::progress::Progress;
use super::record;
use super::store_watchdog::Retry;
use super::supervisor::TaskName;
use super::visibility::{LOOK, Visibility};
use crate::decode;
use crate::model::read::{Answer, Read};
use crate::model::{BlindnessKind, BlockRef, ChainId, HealthIssue, IncidentScope, Link, Severity};
use crate::pipeline::{Committed, Reader, Watcher};
use crate::runtime::{Stop, SystemClock, monotonic_now};
use crate::source::{
    Checks, Deadlines, Endpoint, Event, Identity, Node, Options, Pool, Priority, RawText, Senders, Source,
    SourceMetrics, Step, Window,
};
use crate::store::{Store, StoreError};
use crate::tape::{Recorder, Taken};
use crate::telemetry::Metrics;
use crate::watchlist::{ChainBook, EndpointSettings};
use anyhow::{Context as _, bail};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tracing::{info, warn};

/// Interval at which an endpoint that does not answer is asked again where to begin.
const BEGIN_RETRY: Duration = Duration::from_secs(2);
/// Maximum time that shutdown waits for the block that is being judged.
const END_MAX: Duration = Duration::from_secs(3);
/// Interval at which the abilities of endpoints are probed: an upgrade or a change of plan takes effect without notice.
const PROBE_EVERY: Duration = Duration::from_secs(3_600);

impl App {
    pub(super) async fn follow_chain(
        &self,
        chain: Arc<ChainBook>,
        nudge: Arc<Notify>,
        stop: &Stop,
        from: Option<u64>,
        until: Option<u64>,
    ) -> anyhow::Result<()> {
        let (pool, chain_id) = (self.pool(&chain)?, chain.info.id);
        let mut lookout = Visibility::open(self, &chain, &nudge, stop).await?;
        let Some(window) = self.find_starting_window(&chain, &pool, from, stop, &mut lookout).await? else {
            self.record_unreached(&chain, Coverage::new(until, None).describe_missing(0, monotonic_now()));
            return Ok(());
        };
        drop(lookout);
        let meter = SourceMetrics::new(self.signs.metrics.clone(), chain.info.name.clone());
        let settled = self.store.settled_finality(chain.info.id).await.context("failed to read what is final")?;
        self.restore_finality(&chain, settled);
        let finalized = settled.finalized;
        let contested = self.store.contested_blocks().await.context("failed to read which blocks are contested")?;
        let recorder = self.open_recorder(&chain)?;
        let options = Options {
            finality: chain.finality,
            finalized,
            contested: contested.into_iter().filter(|one| one.chain == chain_id).map(|one| one.block).collect(),
            probe_every: Some(PROBE_EVERY),
            pending: chain.pending,
            traces: chain.subjects.looks_inside() && !chain.subjects.is_empty(),
            meter,
            raw_text: if recorder.is_some() { RawText::Kept } else { RawText::Dropped },
            ..Options::for_chain(chain.info.id)
        };
        let source = Source::follow_chain(pool, window, options, SystemClock, stop);
        let ended = Box::pin(self.commit_steps(source, chain, nudge, stop, until, recorder.as_ref())).await;
        record::finish_recording(recorder).await;
        self.keeper.release_chain(chain_id);
        ended
    }

    /// Returns the window to continue with: from the position in the store, else from the first block, which is
    /// recorded before it is fetched. Returns `None` if stopped before the node reported the head of its chain.
    async fn find_starting_window(
        &self,
        chain: &ChainBook,
        pool: &Pool,
        from: Option<u64>,
        stop: &Stop,
        lookout: &mut Visibility<'_>,
    ) -> anyhow::Result<Option<Window>> {
        let id = chain.info.id;
        if let Some(window) = stored_window(&self.store, id).await? {
            return Ok(Some(window));
        }
        let began = self.clock.now();
        let first = match from {
            Some(first) => first,
            None => loop {
                let why = match pool.fetch_newest_head().await {
                    Ok(Some(head)) => break head.at.number,
                    Ok(None) => "the chain has no block yet".to_owned(),
                    Err(error) => error.to_string(),
                };
                warn!("failed to fetch the newest block from {}: {why}", pool.endpoint_names());
                self.signs.checks.renew(&TaskName::Chain(chain.info.name.clone()).check());
                // The exit code changes at once; people are notified only when it lasts.
                self.tally.set_outage(IncidentScope::Chain(id), true);
                if self.clock.now().duration_since(began).unsigned_abs() >= pool.deadlines().blind {
                    lookout.record_issue(unreachable_issue(why, began)).await?;
                }
                tokio::select! {
                    () = stop.cancelled() => return Ok(None),
                    () = tokio::time::sleep(BEGIN_RETRY) => {}
                }
            },
        };
        self.tally.set_outage(IncidentScope::Chain(id), false);
        lookout.clear_issue(BlindnessKind::Unreachable, None, self.clock.now()).await?;
        self.store.begin_chain(id, first).await.context("failed to write down where watching begins")?;
        info!("watching {} from block {first}", chain.info.name);
        Ok(Some(Window { first, links: Vec::new() }))
    }

    /// Commits the steps of the source one by one, until the source ends or the run has reached its end.
    pub(crate) async fn commit_steps(
        &self,
        mut source: Source,
        chain: Arc<ChainBook>,
        nudge: Arc<Notify>,
        stop: &Stop,
        until: Option<u64>,
        recorder: Option<&Recorder>,
    ) -> anyhow::Result<()> {
        let (book, store, clock) = (self.book.clone(), self.store.clone(), self.clock.clone());
        let mut watcher = Watcher::resume_from_store(book, chain.clone(), store, clock, nudge.clone()).await?;
        watcher = watcher.with_metrics(self.signs.metrics.clone());
        let judged = self.store.last_committed_block(chain.info.id).await?.map(|at| at.number);
        let mut reach = Coverage::new(until, judged);
        if reach.is_reached() {
            return Ok(());
        }
        let task = TaskName::Chain(chain.info.name.clone());
        let mut lookout = Visibility::open(self, &chain, &nudge, stop).await?;
        lookout.report_downtime().await?;
        let (mut gate, mut progress, mut roll) =
            (OverrideGate::new(), Progress::default(), CapabilityReport::default());
        let (mut look_at, mut waiting_since) = (monotonic_now() + LOOK, monotonic_now());
        // Nobody waits for a survey of old allowances.
        let (used, asked) = (watcher.used_tokens(), source.pool().with_priority(Priority::Probe));
        let of = |watch| used.get(&watch).cloned().unwrap_or_default();
        let mut exposing = pin!(self.report_exposures(&chain, of, &asked));
        let mut exposed = false;
        loop {
            let event = tokio::select! {
                biased;
                () = stop.cancelled() => {
                    self.record_unreached(&chain, reach.describe_missing(source.blocks_behind(), monotonic_now()));
                    return Ok(());
                }
                event = source.next() => event.context("failed to follow the chain")?,
                () = &mut exposing, if !exposed => {
                    exposed = true;
                    continue;
                }
                // This branch comes after the source's, so that all pending events of the source are processed first.
                () = tokio::time::sleep_until(look_at) => {
                    look_at = monotonic_now() + LOOK;
                    reach.record_backlog(source.blocks_behind(), monotonic_now());
                    lookout.check_visibility().await?;
                    continue;
                }
                () = gate.wait_until_due() => {
                    self.look_at_gate(&mut gate, &chain, &source, &mut watcher).await;
                    continue;
                }
            };
            if let Some(recorder) = recorder {
                recorder.record_event(&event).await;
            }
            match event {
                Event::Step(mut step) => {
                    let tip = step.append.last().map(|fetched| (fetched.block.at.number, fetched.block.time));
                    let taken = recorder.map(|_| Taken::from_step(&mut step));
                    let waited = waiting_since.elapsed();
                    let mut patience = self.retry_for((chain.info.id, &task), &nudge, stop);
                    let mut committing = pin!(commit_with_retry(&mut watcher, *step, &source, &mut patience));
                    let committed = loop {
                        tokio::select! {
                            biased;
                            committed = &mut committing => break committed?,
                            () = stop.cancelled() => {
                                // Blocks that were not committed are judged after the next start.
                                break tokio::time::timeout(END_MAX, committing).await.unwrap_or(Ok(None))?;
                            }
                            () = tokio::time::sleep_until(look_at) => {
                                look_at = monotonic_now() + LOOK;
                                lookout.look_meanwhile().await?;
                            }
                        }
                    };
                    let Some(committed) = committed else {
                        self.record_unreached(&chain, reach.describe_missing(source.blocks_behind(), monotonic_now()));
                        return Ok(());
                    };
                    if let (Some(recorder), Some(taken)) = (recorder, taken) {
                        record::record_step(recorder, taken, &committed).await?;
                    }
                    self.report_committed(&committed);
                    lookout.record_pace(waited, committed.took, source.blocks_behind());
                    waiting_since = monotonic_now();
                    if let Some(traced) = &committed.traced {
                        lookout.record_tracing(traced).await?;
                    }
                    lookout.record_state_reads(&committed.sights).await?;
                    if let Some(line) = progress.line(committed.blocks.len(), source.blocks_behind(), monotonic_now()) {
                        self.printer.progress(&format!("{}: {line}", chain.info.name));
                    }
                    reach.record_judged_block(tip.map(|(number, _)| number));
                    reach.record_backlog(source.blocks_behind(), monotonic_now());
                    let Some((_, time)) = tip else { continue };
                    lookout.record_block(time).await?;
                    if reach.is_reached() {
                        return Ok(());
                    }
                }
                Event::Troubled(trouble) => lookout.record_issue(trouble).await?,
                Event::Cleared { kind, endpoint, until, .. } => lookout.clear_issue(kind, endpoint, until).await?,
                Event::Promoted { level, at } => self.record_finality(&chain, level, at).await,
                Event::Confirmed { at, sources } => self.record_confirmations(&chain, at, sources).await,
                Event::Contested(blocks) => {
                    let mut patience = self.retry_for((chain.info.id, &task), &nudge, stop);
                    if !self.record_contested_blocks(&chain, blocks, &mut patience).await? {
                        return Ok(());
                    }
                }
                Event::Phase(phase) => {
                    gate.set_phase(phase);
                    reach.set_phase(phase);
                    reach.record_backlog(source.blocks_behind(), monotonic_now());
                    lookout.set_phase(phase);
                }
                Event::Probed { endpoint, abilities } => {
                    for line in roll.record_probe(endpoint, *abilities, &self.book, &chain) {
                        self.printer.progress(&line);
                    }
                }
            }
        }
    }
}

impl App {
    /// Records a part of what was requested for a chain that was not reached, if there is one.
    fn record_unreached(&self, chain: &ChainBook, missing: Option<String>) {
        if let Some(missing) = missing {
            self.tally.record_unreached(format!("{}: {missing}", chain.info.name));
        }
    }
}

/// Returns the health issue for a chain whose head no endpoint reports; there is no source yet that could report it.
fn unreachable_issue(why: String, since: Timestamp) -> HealthIssue {
    HealthIssue {
        kind: BlindnessKind::Unreachable,
        endpoint: None,
        severity: Severity::High,
        since,
        why,
        evidence: None,
        ways: Vec::new(),
    }
}

/// Returns the recent blocks of a chain in the store, or `None` before the first start.
pub(crate) async fn stored_window(store: &Store, chain: ChainId) -> anyhow::Result<Option<Window>> {
    let Some(first) = store.first_block_number(chain).await.context("failed to read where watching began")? else {
        return Ok(None);
    };
    let window = store.recent_blocks(chain).await.context("failed to read the last blocks")?;
    let links = window.into_iter().map(|block| Link { at: block.at, parent: block.parent, time: block.time }).collect();
    Ok(Some(Window { first, links }))
}

/// Makes the one pool of a chain's endpoints. A process makes one for each chain; every user gets a handle of it by
/// [`Pool::with_priority`].
pub(crate) fn pool_of(chain: &ChainBook, metrics: &Metrics) -> anyhow::Result<Pool> {
    let meter = SourceMetrics::new(metrics.clone(), chain.info.name.clone());
    let checks = checks_of(chain);
    let node = |settings: &EndpointSettings| {
        let (name, info) = (&settings.name, &chain.info);
        let Some(url) = settings.url.expose() else {
            bail!("the endpoint {name} of {} is not known: {}", info.name, settings.url.why_absent());
        };
        let endpoint = Endpoint { name: name.clone(), url: url.to_owned().into() };
        let identity = Identity { chain: info.id, genesis: chain.genesis };
        let node = Node::new(&endpoint, identity, Deadlines::for_slot(chain.slot))
            .with_context(|| format!("failed to use the endpoint {name} of {}", info.name))?;
        let rate = settings.requests_per_second.map(|rate| f64::from(rate.get()));
        anyhow::Ok((node.with_meter(meter.clone()).with_checks(checks.clone()), rate))
    };
    let nodes = chain.endpoints.iter().map(node).collect::<anyhow::Result<_>>()?;
    Pool::new(nodes).with_context(|| format!("failed to use the endpoints of {}", chain.info.name))
}

/// Returns the checks that the chain's blocks must pass: blocks are verified against their own headers, unless the
/// configuration says otherwise.
pub(crate) fn checks_of(chain: &ChainBook) -> Checks {
    let checks = Checks::for_chain(chain.info.id);
    if !chain.verify {
        return Checks { verify: false, ..checks };
    }
    let subjects = chain.subjects.clone();
    checks.with_senders(Senders::Of(Arc::new(move |block| decode::senders_that_matter(block, &subjects))))
}

/// Commits a step, however long the store rejects writes. Returns nothing if a stop was requested first.
async fn commit_with_retry(
    watcher: &mut Watcher,
    step: Step,
    source: &Source,
    patience: &mut Retry<'_>,
) -> anyhow::Result<Option<Committed>> {
    loop {
        match watcher.apply_step(step.clone(), source).await {
            Ok(committed) => return Ok(Some(committed)),
            // Waiting does not resolve a conflict with finality.
            Err(error) if is_final(&error) => return Err(error),
            Err(error) => {
                if !patience.wait(error).await? {
                    return Ok(None);
                }
            }
        }
    }
}

fn is_final(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::Finalized { .. }))
}

impl Reader for Source {
    fn read<'a>(&'a self, at: BlockRef, reads: &'a [Read]) -> BoxFuture<'a, Vec<Answer>> {
        Source::answer_reads(self, at, reads).boxed()
    }

    fn is_canonical(&self, at: BlockRef) -> BoxFuture<'_, bool> {
        self.pool().is_canonical(at).boxed()
    }
}

impl Reader for Pool {
    fn read<'a>(&'a self, at: BlockRef, reads: &'a [Read]) -> BoxFuture<'a, Vec<Answer>> {
        Pool::answer_reads(self, at, reads).boxed()
    }

    fn is_canonical(&self, at: BlockRef) -> BoxFuture<'_, bool> {
        Pool::is_canonical(self, at).boxed()
    }
}

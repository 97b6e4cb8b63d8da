//! Task behind a [`Source`](super::Source): it fetches the blocks that the follower wants and passes on the steps.
//!
//! A single task owns all state and runs one loop; only waiting is cancellable. Every failure leads to a pause and
//! another attempt, without limit: no block is given up or skipped.

mod assess;
mod emit;

use super::capabilities::{Capabilities, Capability};
use super::finality::FinalityMarks;
use super::follow::{Follower, PREFETCH_MAX, Want};
use super::head_poller::HeadPollers;
use super::health_issues::{HealthIssues, IssueChange};
use super::intake::Queue;
use super::meter::SourceMetrics;
use super::pool::{Asked, Pool};
use super::probe::probe_node;
use super::probes::ProbeStates;
use super::quorum::{EndpointId, Quorum};
use super::rate_limit::Priority;
use super::rpc::NodeError;
use super::trace_prefetch::TracePrefetch;
use super::watch::HeadHint;
use super::{Fetched, Options, Phase, RawText, Step, Told};
use crate::model::{BlindnessKind, Finality, Link, Verification};
use crate::runtime::{Clock, Stop, monotonic_now};
use alloy_primitives::B256;
use assess::LAG_BLOCKS;
use jiff::Timestamp;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tracing::{debug, info, warn};

/// Number of concurrent fetches: those that are wanted, plus as many that are no longer wanted.
const FETCHES_MAX: usize = 2 * PREFETCH_MAX;
/// Maximum size in bytes of blocks that were fetched ahead of the next one. Blocks beyond that are dropped and
/// requested again.
const BODIES_BYTES_MAX: usize = 16 << 20;
/// Longest pause that a node may ask for.
pub(super) const LEFT_ALONE_MAX: Duration = Duration::from_secs(60);

/// Command to a running source.
#[derive(Clone, Copy, Debug)]
pub(super) enum SyncOrder {
    /// Allows the branch with this block to undo final blocks, on a person's order.
    Allow(B256),
}

/// See the module documentation.
pub(super) struct Sync {
    pool: Pool,
    follower: Follower<Fetched>,
    council: Quorum,
    ears: HeadPollers,
    marks: FinalityMarks,
    raw_text: RawText,
    meter: SourceMetrics,
    clock: Arc<dyn Clock>,
    rng: fastrand::Rng,
    wires: SyncChannels,
    stop: Stop,
    /// Requests traces in advance, if they are wanted.
    ahead: Option<Arc<TracePrefetch>>,
    work: JoinSet<Completed>,
    /// Steps that wait for the pipeline.
    queue: Arc<Queue>,
    fetching: HashSet<Want>,
    walking: HashSet<(EndpointId, B256)>,
    /// Block interval of the chain, learned from its timestamps.
    slot: Duration,
    failures: u32,
    paused_until: Instant,
    /// Failure to fetch blocks: since when, and why.
    blocks: Option<(Instant, Timestamp, NodeError)>,
    blocks_seen: Timestamp,
    started: Instant,
    probes: ProbeStates,
    troubles: HealthIssues,
    phase: Phase,
}

/// Channels to and from the driver.
pub(super) struct SyncChannels {
    pub(super) hints: mpsc::Receiver<(EndpointId, HeadHint)>,
    pub(super) orders: mpsc::Receiver<SyncOrder>,
    pub(super) events: mpsc::Sender<Told>,
    /// Number of blocks between the last one passed on and the newest head.
    pub(super) behind: Arc<AtomicU64>,
}

/// Result of a fetch.
enum Completed {
    Poll(EndpointId, Result<Option<Link>, NodeError>),
    Walk(EndpointId, B256, Asked<Link>),
    Header(Want, Asked<Link>),
    Block(Want, Asked<Fetched>),
    /// A block that its header does not prove, and the version of another endpoint.
    Second(Want, EndpointId, Box<Fetched>, Option<(EndpointId, Box<Fetched>)>),
    Mark(Finality, Result<Option<Link>, NodeError>),
    Probe(EndpointId, Result<Box<Capabilities>, NodeError>),
}

/// End of the driver: the receiver of its events is gone, or a stop was requested.
struct StopRequested;

impl Sync {
    pub(super) fn new(
        pool: Pool,
        ahead: Arc<TracePrefetch>,
        mut follower: Follower<Fetched>,
        options: Options,
        clock: Arc<dyn Clock>,
        wires: SyncChannels,
        stop: Stop,
    ) -> Self {
        let (started, now) = (monotonic_now(), clock.now());
        let deadlines = pool.deadlines();
        // A longer interval would not change the polling, so this is used until the chain's own interval is known.
        let slot = deadlines.poll.1 * 2;
        if let Some(finalized) = options.finalized {
            follower.finalize_up_to(finalized);
        }
        let mut council = Quorum::new(pool.len(), (slot * 3).max(Duration::from_secs(10)));
        council.remember_contested(&options.contested);
        Self {
            council,
            ears: HeadPollers::new(pool.len(), started, now),
            marks: FinalityMarks::new(options.finality, options.finalized),
            raw_text: options.raw_text,
            ahead: options.traces.then_some(ahead),
            meter: options.meter,
            rng: options.rng,
            follower,
            wires,
            stop,
            work: JoinSet::new(),
            queue: Arc::default(),
            fetching: HashSet::new(),
            walking: HashSet::new(),
            slot,
            failures: 0,
            paused_until: started,
            blocks: None,
            blocks_seen: now,
            started,
            probes: ProbeStates::new(pool.len(), options.probe_every, started)
                .with_idle_capability((!options.pending).then_some(Capability::Pending)),
            troubles: HealthIssues::default(),
            phase: Phase::Boot,
            clock,
            pool,
        }
    }

    pub(super) async fn run(mut self) {
        while let Ok(()) = self.run_iteration().await {}
    }

    async fn run_iteration(&mut self) -> Result<(), StopRequested> {
        self.emit_complete_steps().await?;
        let caught = self.pool.take_invalid_responses();
        self.record_failures(&caught, 0);
        self.elect_leader();
        self.start_fetches();
        self.assess_health();
        while let Some(news) = self.troubles.next_news(monotonic_now()) {
            if matches!(&news, IssueChange::Troubled(symptom) if symptom.kind == BlindnessKind::Disagreement) {
                self.meter.metrics.record_disagreement(&self.meter.chain);
            }
            let event = self.make_event(news);
            self.send_unheld(Ok(event)).await?;
        }
        self.enter_phase(self.current_phase()).await?;
        let wake = self.wake_at();
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return Err(StopRequested),
            Some(done) = self.work.join_next() => self.record_task_result(done)?,
            Some(order) = self.wires.orders.recv() => match order {
                SyncOrder::Allow(branch) => self.follower.allow_reorg(branch),
            },
            Some((voice, hint)) = self.wires.hints.recv() => match hint {
                HeadHint::Head(head) => self.record_head(voice, head),
                HeadHint::Look => self.ears.poll_soon(voice, monotonic_now()),
            },
            () = self.pool.wait_for_invalid_response() => {}
            () = tokio::time::sleep_until(wake) => {}
        }
        Ok(())
    }

    // === Requests ===

    /// Starts every wanted fetch that is not running.
    fn start_fetches(&mut self) {
        let now = monotonic_now();
        let wants = self.follower.wanted_fetches();
        if wants.contains(&Want::Latest) {
            self.ears.poll_again_after(self.council.lead_endpoint(), self.pool.deadlines().confirm);
        }
        for voice in self.ears.due_endpoints(now) {
            let pool = self.pool.clone();
            self.work.spawn(async move { Completed::Poll(voice, pool.fetch_head(voice).await) });
        }
        if now < self.paused_until {
            return;
        }
        for (voice, hash) in self.council.missing_headers(&self.follower) {
            if self.walking.len() < FETCHES_MAX && self.walking.insert((voice, hash)) {
                let pool = self.pool.clone();
                self.work
                    .spawn(async move { Completed::Walk(voice, hash, pool.fetch_header(hash, Some(voice)).await) });
            }
        }
        let is_full = self.follower.size() > BODIES_BYTES_MAX / 2;
        for want in wants {
            if is_full && matches!(want, Want::Block(_) | Want::Numbered(_)) && !self.is_next(want) {
                continue;
            }
            if want == Want::Latest || self.fetching.len() >= FETCHES_MAX || !self.fetching.insert(want) {
                continue;
            }
            let (pool, raw_text, first) = (self.pool.clone(), self.raw_text, Some(self.source_of(want)));
            match want {
                Want::Latest => {}
                Want::Header(hash) => {
                    self.work.spawn(async move { Completed::Header(want, pool.fetch_header(hash, first).await) });
                }
                Want::Block(hash) => {
                    self.work
                        .spawn(async move { Completed::Block(want, pool.fetch_block(hash, first, raw_text).await) });
                }
                Want::Numbered(number) => {
                    self.work.spawn(async move {
                        Completed::Block(want, pool.block_numbered(number, first, raw_text).await)
                    });
                }
            }
        }
        for (level, tag) in self.marks.due_tags(now, self.slot) {
            let (pool, lead) = (self.pool.clone(), self.council.lead_endpoint());
            self.work.spawn(async move { Completed::Mark(level, pool.fetch_tagged_block(lead, tag).await) });
        }
        if let Some(voice) = self.probes.next_due(now) {
            let node = self.pool.with_priority(Priority::Probe).node(voice);
            // Boxed: it is rare, and its state is large.
            let probe = Box::pin(async move { probe_node(&node).await.map(Box::new) });
            self.work.spawn(async move { Completed::Probe(voice, probe.await) });
        }
    }

    /// Returns the endpoint to ask first: the one that reported the block, otherwise the leader.
    fn source_of(&self, want: Want) -> EndpointId {
        let named = match want {
            Want::Header(hash) | Want::Block(hash) => self.council.endpoint_with_head(hash),
            Want::Latest | Want::Numbered(_) => None,
        };
        named.unwrap_or(self.council.lead_endpoint())
    }

    /// Replaces the leader when it is unreachable, behind, caught with a false answer, or outvoted.
    fn elect_leader(&mut self) {
        if self.pool.len() == 1 {
            return;
        }
        let (now, since) = (monotonic_now(), self.started.elapsed());
        let lags = self.council.endpoint_lags(since);
        // The leader may be silent for the time that one answer takes; a new leader must have reported a head already.
        let fit = |voice: EndpointId| {
            let lag = lags.get(voice).copied().flatten();
            let there = lag.map_or(voice == self.council.lead_endpoint(), |lag| lag < LAG_BLOCKS);
            there
                && !self.ears.is_failing(voice)
                && !self.pool.health_matches(voice, |health| health.quarantined_until(now).is_some())
        };
        let (lead, better) = (self.council.lead_endpoint(), self.council.elect_leader(&self.follower, since, fit));
        if better != lead {
            info!("switched the leading endpoint to {} from {}", self.pool.name(better), self.pool.name(lead));
            self.council.follow_lead(better);
            self.ears.poll_soon(better, now);
        }
    }

    // === Responses ===

    fn record_head(&mut self, voice: EndpointId, head: Link) {
        if voice == self.council.lead_endpoint() {
            self.meter.metrics.record_head(&self.meter.chain, head.at.number, head.time);
        }
        if self.follower.numbered_ours(head.at.number) != Some(head.at) {
            self.meter.metrics.block_named(head.at.hash, monotonic_now());
        }
        self.council.record_head(voice, head, &mut self.follower, self.started.elapsed());
    }

    /// Handles the result of a task.
    fn record_task_result(&mut self, done: Result<Completed, JoinError>) -> Result<(), StopRequested> {
        match done {
            Ok(done) => self.handle_completion(done),
            // A bug in a fetch must not look like a quiet chain.
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => return Err(StopRequested),
        }
        Ok(())
    }

    fn handle_completion(&mut self, done: Completed) {
        match done {
            Completed::Poll(voice, answer) => self.handle_poll(voice, answer),
            Completed::Walk(voice, hash, asked) => {
                self.walking.remove(&(voice, hash));
                self.record_failures(&asked.failures, asked.hedges);
                match asked.answer {
                    Ok((_, header)) => {
                        self.follower.add_header(header);
                        self.council.review_endpoints(&self.follower, self.started.elapsed());
                    }
                    // No endpoint can connect this head to our chain, so it is not followed until the endpoint reports
                    // another one.
                    Err(error) => {
                        let now = self.started.elapsed();
                        self.council.distrust_endpoint(voice, now);
                        if matches!(error, NodeError::Missing(_)) {
                            self.council.discard_head(voice, now);
                        } else {
                            self.council.mark_unreachable(voice);
                        }
                    }
                }
            }
            Completed::Header(want, asked) => {
                self.fetching.remove(&want);
                self.record_failures(&asked.failures, asked.hedges);
                match asked.answer {
                    Ok((_, header)) => {
                        self.blocks_work();
                        self.follower.add_header(header);
                    }
                    Err(error) => self.not_had(want, &error),
                }
            }
            Completed::Block(want, asked) => {
                self.record_failures(&asked.failures, asked.hedges);
                match asked.answer {
                    Ok((voice, body)) if body.sight.proof == Verification::Unproven && self.pool.len() > 1 => {
                        let (pool, hash, raw_text) = (self.pool.clone(), body.block.at.hash, self.raw_text);
                        self.work.spawn(async move {
                            let second = pool.fetch_block_from_other(hash, voice, raw_text).await;
                            let second = second.map(|(other, body)| (other, Box::new(body)));
                            Completed::Second(want, voice, Box::new(body), second)
                        });
                    }
                    Ok((_, body)) => self.accept_block(want, body),
                    Err(error) => {
                        self.fetching.remove(&want);
                        self.not_had(want, &error);
                    }
                }
            }
            Completed::Second(want, voice, mut body, second) => {
                match second {
                    Some((_, second)) if second.sight.proof == Verification::Proven => {
                        // Exactly one block has this hash, and the second answer is proven to be it.
                        let same = second.block == body.block;
                        body = second;
                        if same {
                            body.sight.sources = 2;
                        } else {
                            // The first answer was another block with unknown header fields.
                            self.pool.quarantine_endpoint(voice);
                            self.report_invalid_response(voice, &NodeError::Another, None);
                        }
                    }
                    Some((_, second)) if second.block == body.block => body.sight.sources = 2,
                    Some((other, _)) => self.report_disagreement(voice, other, body.block.at),
                    None => {}
                }
                self.accept_block(want, *body);
            }
            Completed::Probe(voice, answer) => {
                self.probes.record_result(voice, answer.ok(), monotonic_now(), self.clock.now());
            }
            Completed::Mark(level, answer) => {
                self.marks.record_tag(level, answer.ok().flatten(), monotonic_now(), self.clock.now());
            }
        }
    }

    fn handle_poll(&mut self, voice: EndpointId, answer: Result<Option<Link>, NodeError>) {
        let (now, wall) = (monotonic_now(), self.clock.now());
        match answer {
            Ok(head) => {
                let interval = self.poll_interval(voice);
                self.ears.record_success(voice, now, wall, interval);
                if let Some(head) = head {
                    self.record_head(voice, head);
                }
                // A head is not a success while its block cannot be fetched, so the pauses keep growing.
                if self.follower.at_head() && voice == self.council.lead_endpoint() {
                    self.blocks_work();
                }
            }
            Err(error) => {
                debug!(endpoint = %self.pool.name(voice), "request to {} failed: {error}", self.pool.name(voice));
                self.council.mark_unreachable(voice);
                if matches!(error, NodeError::Lie { .. }) {
                    // The endpoint answers, so it is not down; its answer is just not a valid head.
                    self.ears.record_success(voice, now, wall, self.poll_interval(voice));
                    self.record_failures(&[(voice, error)], 0);
                    return;
                }
                let backoff = self.pool.deadlines().backoff;
                self.ears.record_failure(voice, now, error, &backoff, &mut self.rng);
            }
        }
    }

    /// Handles a fetched block.
    fn accept_block(&mut self, want: Want, mut body: Fetched) {
        self.fetching.remove(&want);
        self.blocks_work();
        if self.follower.size().saturating_add(body.size()) > BODIES_BYTES_MAX && !self.is_next(want) {
            debug!("deferred block {}: earlier blocks use all the memory for waiting blocks", body.block.at);
            return;
        }
        self.track_verification(&body);
        self.meter.metrics.block_had(body.block.at.hash, monotonic_now());
        body.sight.endpoints = u32::try_from(self.pool.len()).unwrap_or(u32::MAX);
        match want {
            Want::Numbered(_) => self.follower.add_numbered_block(body),
            _ => self.follower.add_block(body),
        }
    }

    /// Returns whether this block is the next one, without which no progress is possible.
    fn is_next(&self, want: Want) -> bool {
        let blocks = |want: &Want| matches!(want, Want::Block(_) | Want::Numbered(_));
        self.follower.wanted_fetches().into_iter().find(blocks).is_none_or(|next| next == want)
    }

    fn blocks_work(&mut self) {
        (self.failures, self.blocks, self.blocks_seen) = (0, None, self.clock.now());
    }

    fn not_had(&mut self, want: Want, error: &NodeError) {
        let now = monotonic_now();
        debug!("failed to fetch {want:?}: {error}");
        if matches!(error, NodeError::Missing(_)) {
            // The block left the chain or has not arrived yet. In both cases the newest heads show where to continue.
            self.follower.mark_unavailable(want);
            self.ears.look_all(now);
        }
        let source = self.source_of(want);
        if source != self.council.lead_endpoint() {
            // An endpoint that is not the leader reported it, and no endpoint has it. This is not an outage.
            self.council.distrust_endpoint(source, self.started.elapsed());
            self.follower.mark_unavailable(want);
            return;
        }
        let (began, since) = self.blocks.take().map_or((now, self.blocks_seen), |(began, since, _)| (began, since));
        self.blocks = Some((began, since, error.clone()));
        // Many fetches fail together; together they count as one failure.
        if now >= self.paused_until {
            let wait = self.pool.deadlines().backoff.jittered_delay(self.failures, &mut self.rng);
            self.paused_until = now + wait.max(error.asks_to_wait().min(LEFT_ALONE_MAX));
            self.failures = self.failures.saturating_add(1);
        }
    }

    /// Records the wrong answers of endpoints against them.
    fn record_failures(&mut self, failures: &[(EndpointId, NodeError)], hedges: u32) {
        for _ in 0..hedges {
            self.meter.metrics.record_hedged_request(&self.meter.chain);
        }
        for (voice, error) in failures {
            if error.is_wrong() {
                let (name, now) = (self.pool.name(*voice), monotonic_now());
                if self.pool.health_matches(*voice, |health| health.quarantined_until(now).is_some()) {
                    debug!(endpoint = %name, "rejected another invalid response of {name}: {error}");
                } else {
                    warn!(endpoint = %name, "rejected an invalid response of {name}: {error}");
                }
                // A malformed answer may come from a node that does not have a block yet; an answer that contradicts
                // its own hash is false at once.
                if let NodeError::Lie { evidence, .. } = error {
                    self.pool.quarantine_endpoint(*voice);
                    self.report_invalid_response(*voice, error, Some(evidence.clone()));
                } else if matches!(error, NodeError::TooLarge { .. }) {
                    // No valid answer is this long, and each such answer costs as much as the limit allows.
                    self.pool.quarantine_endpoint(*voice);
                    self.report_invalid_response(*voice, error, None);
                } else if self.pool.record_malformed_response(*voice) {
                    self.report_invalid_response(*voice, error, None);
                }
            }
        }
    }

    fn wake_at(&self) -> Instant {
        let now = monotonic_now();
        let heard = [self.ears.next(), self.troubles.next_due()];
        // Work that becomes due during the pause waits for its end. Waking earlier would be a busy loop.
        let asked = if self.paused_until > now {
            [Some(self.paused_until), None]
        } else {
            [self.marks.next(), self.probes.next()]
        };
        heard.into_iter().chain(asked).flatten().min().unwrap_or(now + self.pool.deadlines().poll.1)
    }

    /// Returns half the block interval for the leader, and the full interval for the others: each request may cost
    /// money.
    fn poll_interval(&self, voice: EndpointId) -> Duration {
        let (least, most) = self.pool.deadlines().poll;
        if voice == self.council.lead_endpoint() {
            (self.slot / 2).clamp(least, most)
        } else {
            self.slot.clamp(least, most * 2)
        }
    }

    /// Moves the learned block interval a quarter of the way towards the interval of each new block.
    fn learn_pace(&mut self, before: Option<Link>, step: &Step) {
        let mut last = before.map(|link| link.time);
        for body in &step.append {
            let time = body.block.time;
            if let Some(last) = last {
                let shown = Duration::from_secs(time.saturating_sub(last)).min(self.pool.deadlines().poll.1 * 2);
                self.slot = (self.slot * 3 + shown) / 4;
            }
            last = Some(time);
        }
    }
}

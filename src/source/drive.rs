//! The task behind a [`Source`](super::Source): it fetches what the follower wants and passes on the steps.
//!
//! One owner of all state, one loop; only waiting is cancellable. Failures of any kind lead to a pause and another try, for
//! ever: nothing is given up and nothing is skipped.

use super::abilities::Abilities;
use super::council::{Council, Voice};
use super::ears::Ears;
use super::finality::Marks;
use super::follow::{Conflict, Follower, PREFETCH_MAX, Want};
use super::meter::Meter;
use super::pool::{Asked, Pool};
use super::probe::probe;
use super::probes::Probes;
use super::rpc::NodeError;
use super::troubles::{News, Symptom, Troubles};
use super::watch::Hint;
use super::{Event, Fetched, Options, Phase, SourceError, Step};
use crate::model::{BlindnessKind, Finality, Link, Severity, Trouble};
use crate::runtime::{Clock, Stop, instant};
use alloy_primitives::B256;
use jiff::Timestamp;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, info, warn};

/// Fetches under way at once: those wanted, and as many that nobody wants any more.
const FETCHES_MAX: usize = 2 * PREFETCH_MAX;
/// Longest that a node may ask to be left alone, whatever it says.
pub(super) const LEFT_ALONE_MAX: Duration = Duration::from_secs(60);
/// Blocks that an endpoint is behind the best before it is said to lag. One or two are the way of the network.
const LAG_BLOCKS: u64 = 3;
/// Slots that something about one endpoint has to last before it is told.
const ENDPOINT_SLOTS: u32 = 4;
/// Slots that endpoints may name different blocks at one height: a reorg reaches all of them within one or two.
const DISAGREE_SLOTS: u32 = 2;

/// What a source is told while it runs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    /// A person lets the branch with this block undo what was final.
    Allow(B256),
}

/// See the module's head.
pub(super) struct Driver {
    pool: Pool,
    follower: Follower<Fetched>,
    council: Council,
    ears: Ears,
    marks: Marks,
    keep_raw: bool,
    meter: Meter,
    clock: Arc<dyn Clock>,
    rng: fastrand::Rng,
    wires: Wires,
    stop: Stop,
    work: JoinSet<Done>,
    fetching: HashSet<Want>,
    walking: HashSet<(Voice, B256)>,
    /// The chain's own pace, learned from its timestamps.
    slot: Duration,
    failures: u32,
    paused_until: Instant,
    /// Blocks cannot be had: since when, and why.
    blocks: Option<(Instant, Timestamp, NodeError)>,
    blocks_seen: Timestamp,
    started: Instant,
    probes: Probes,
    troubles: Troubles,
    phase: Phase,
}

/// How the driver is spoken to and heard.
pub(super) struct Wires {
    pub(super) hints: mpsc::Receiver<(Voice, Hint)>,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) events: mpsc::Sender<Result<Event, SourceError>>,
    /// Blocks between what was passed on and the newest head.
    pub(super) behind: Arc<AtomicU64>,
}

/// What a fetch brought.
enum Done {
    Poll(Voice, Result<Option<Link>, NodeError>),
    Walk(Voice, B256, Asked<Link>),
    Header(Want, Asked<Link>),
    Block(Want, Asked<Fetched>),
    Mark(Finality, Result<Option<Link>, NodeError>),
    Probe(Voice, Result<Box<Abilities>, NodeError>),
}

/// Nobody listens any more, or we were told to stop.
struct Ended;

impl Driver {
    pub(super) fn new(
        pool: Pool,
        mut follower: Follower<Fetched>,
        options: Options,
        clock: Arc<dyn Clock>,
        wires: Wires,
        stop: Stop,
    ) -> Self {
        let (started, now) = (instant(), clock.now());
        let deadlines = pool.deadlines();
        // The longest pace that makes a difference to the poll, until the chain shows its own.
        let slot = deadlines.poll.1 * 2;
        if let Some(finalized) = options.finalized {
            follower.finalize(finalized);
        }
        Self {
            council: Council::new(pool.len(), (slot * 3).max(Duration::from_secs(10))),
            ears: Ears::new(pool.len(), started, now),
            marks: Marks::new(options.finality, options.finalized),
            keep_raw: options.keep_raw,
            meter: options.meter,
            rng: options.rng,
            follower,
            wires,
            stop,
            work: JoinSet::new(),
            fetching: HashSet::new(),
            walking: HashSet::new(),
            slot,
            failures: 0,
            paused_until: started,
            blocks: None,
            blocks_seen: now,
            started,
            probes: Probes::new(pool.len(), options.probe_every, started),
            troubles: Troubles::default(),
            phase: Phase::Boot,
            clock,
            pool,
        }
    }

    pub(super) async fn run(mut self) {
        while let Ok(()) = self.turn().await {}
    }

    async fn turn(&mut self) -> Result<(), Ended> {
        self.emit().await?;
        self.elect();
        self.fetch();
        self.assess();
        while let Some(news) = self.troubles.news(instant()) {
            if matches!(&news, News::Troubled(symptom) if symptom.kind == BlindnessKind::Disagreement) {
                self.meter.metrics.disagreement(&self.meter.chain);
            }
            let event = self.event(news);
            self.tell(Ok(event)).await?;
        }
        self.enter(self.phase()).await?;
        let wake = self.wake_at();
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return Err(Ended),
            Some(done) = self.work.join_next() => match done {
                Ok(done) => self.done(done),
                // A bug in a fetch must not look like a quiet chain.
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(_) => return Err(Ended),
            },
            Some(order) = self.wires.orders.recv() => match order {
                Order::Allow(branch) => self.follower.allow(branch),
            },
            Some((voice, hint)) = self.wires.hints.recv() => match hint {
                Hint::Head(head) => self.heard(voice, head),
                Hint::Look => self.ears.look(voice, instant()),
            },
            () = tokio::time::sleep_until(wake) => {}
        }
        Ok(())
    }

    // === What goes out ===

    /// Passes on all steps that are complete, waiting where the pipeline is slower.
    async fn emit(&mut self) -> Result<(), Ended> {
        let mut moved = false;
        loop {
            let before = self.follower.tip();
            self.wires.behind.store(self.follower.behind(), Ordering::Relaxed);
            let Some(step) = self.follower.step() else { break };
            self.learn_pace(before, &step);
            self.tell(Ok(Event::Step(Box::new(step)))).await?;
            moved = true;
        }
        if moved {
            self.council.review(&self.follower, self.started.elapsed());
        }
        for (at, sources) in self.council.confirmed(&self.follower) {
            self.tell(Ok(Event::Confirmed { at, sources })).await?;
        }
        while let Some((voice, abilities)) = self.probes.news() {
            let (metrics, chain) = (&self.meter.metrics, &self.meter.chain);
            for (ability, can) in abilities.iter() {
                metrics.endpoint_ability(chain, &self.pool.name(voice), ability.name(), can.is_yes());
            }
            self.tell(Ok(Event::Probed { endpoint: self.pool.name(voice), abilities })).await?;
        }
        while let Some((level, at)) = self.marks.promotion(&self.follower) {
            if level == Finality::Finalized {
                self.follower.finalize(at);
            }
            self.tell(Ok(Event::Promoted { level, at })).await?;
        }
        Ok(())
    }

    async fn tell(&self, what: Result<Event, SourceError>) -> Result<(), Ended> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Ended),
            sent = self.wires.events.send(what) => sent.map_err(|_| Ended),
        }
    }

    fn event(&self, news: News) -> Event {
        let name = |voice: Option<Voice>| voice.map(|voice| self.pool.name(voice));
        match news {
            News::Troubled(Symptom { kind, voice, severity, since, why, evidence, .. }) => {
                Event::Troubled(Trouble { kind, endpoint: name(voice), severity, since, why, evidence })
            }
            News::Cleared { kind, voice, since } => {
                Event::Cleared { kind, endpoint: name(voice), since, until: self.clock.now() }
            }
        }
    }

    async fn enter(&mut self, phase: Phase) -> Result<(), Ended> {
        if self.phase == phase {
            return Ok(());
        }
        debug!("from {} to {}", self.phase.name(), phase.name());
        self.phase = phase;
        self.meter.metrics.phase(&self.meter.chain, phase.name());
        self.tell(Ok(Event::Phase(phase))).await
    }

    fn phase(&self) -> Phase {
        let dark = [BlindnessKind::Unreachable, BlindnessKind::WrongChain, BlindnessKind::NoBlock];
        if self.follower.conflict().is_some() {
            Phase::Quarantine
        } else if dark.iter().any(|kind| self.troubles.is_told(*kind)) {
            Phase::Degraded
        } else if self.follower.at_a_fork() {
            Phase::Reconcile
        } else if self.follower.fills() {
            Phase::Backfill
        } else if self.follower.behind() > 1 || (!self.follower.at_head() && self.phase != Phase::Live) {
            Phase::CatchUp
        } else if self.ears.any_heard() {
            Phase::Live
        } else {
            self.phase
        }
    }

    // === What is asked ===

    /// Starts whatever is wanted and not under way.
    fn fetch(&mut self) {
        let now = instant();
        let wants = self.follower.wants();
        if wants.contains(&Want::Latest) {
            self.ears.confirm(self.council.lead(), self.pool.deadlines().confirm);
        }
        for voice in self.ears.due(now) {
            let pool = self.pool.clone();
            self.work.spawn(async move { Done::Poll(voice, pool.head(voice).await) });
        }
        if now < self.paused_until {
            return;
        }
        for (voice, hash) in self.council.wants(&self.follower) {
            if self.walking.len() < FETCHES_MAX && self.walking.insert((voice, hash)) {
                let pool = self.pool.clone();
                self.work.spawn(async move { Done::Walk(voice, hash, pool.header(hash, Some(voice)).await) });
            }
        }
        for want in wants {
            if want == Want::Latest || self.fetching.len() >= FETCHES_MAX || !self.fetching.insert(want) {
                continue;
            }
            let (pool, keep_raw, first) = (self.pool.clone(), self.keep_raw, Some(self.source_of(want)));
            match want {
                Want::Latest => {}
                Want::Header(hash) => {
                    self.work.spawn(async move { Done::Header(want, pool.header(hash, first).await) });
                }
                Want::Block(hash) => {
                    self.work.spawn(async move { Done::Block(want, pool.block(hash, first, keep_raw).await) });
                }
                Want::Numbered(number) => {
                    self.work
                        .spawn(async move { Done::Block(want, pool.block_numbered(number, first, keep_raw).await) });
                }
            }
        }
        for (level, tag) in self.marks.due(now, self.slot) {
            let (pool, lead) = (self.pool.clone(), self.council.lead());
            self.work.spawn(async move { Done::Mark(level, pool.tag(lead, tag).await) });
        }
        if let Some(voice) = self.probes.due(now) {
            let node = self.pool.node(voice).clone();
            // Boxed: it is rare, and its state is large.
            let probe = Box::pin(async move { probe(&node).await.map(Box::new) });
            self.work.spawn(async move { Done::Probe(voice, probe.await) });
        }
    }

    /// The endpoint that should have it: whoever named it, else the one that leads.
    fn source_of(&self, want: Want) -> Voice {
        let named = match want {
            Want::Header(hash) | Want::Block(hash) => self.council.named(hash),
            Want::Latest | Want::Numbered(_) => None,
        };
        named.unwrap_or(self.council.lead())
    }

    /// Lets another endpoint lead when the one that does is away, behind, caught lying or alone with its view.
    fn elect(&mut self) {
        if self.pool.len() == 1 {
            return;
        }
        let (now, since) = (instant(), self.started.elapsed());
        let lags = self.council.lags(since);
        let fit = |voice: Voice| {
            let lags = lags.get(voice).copied().flatten().is_none_or(|lag| lag >= LAG_BLOCKS);
            !lags && !self.ears.fails(voice) && !self.pool.has(voice, |health| health.quarantined(now).is_some())
        };
        let lead = self.council.lead();
        let better = match self.council.usurper(&self.follower, since) {
            Some(voice) => Some(voice),
            None if fit(lead) => None,
            None => (0..self.pool.len()).find(|voice| fit(*voice)),
        };
        if let Some(better) = better.filter(|better| *better != lead) {
            info!("{} leads instead of {}", self.pool.name(better), self.pool.name(lead));
            self.council.follow_lead(better);
            self.ears.look(better, now);
        }
    }

    // === What comes in ===

    fn heard(&mut self, voice: Voice, head: Link) {
        if voice == self.council.lead() {
            self.meter.metrics.head(&self.meter.chain, head.at.number, head.time);
        }
        self.council.said(voice, head, &mut self.follower, self.started.elapsed());
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Poll(voice, answer) => self.polled(voice, answer),
            Done::Walk(voice, hash, asked) => {
                self.walking.remove(&(voice, hash));
                self.judge(&asked.failures, asked.hedges);
                match asked.answer {
                    Ok((_, header)) => {
                        self.follower.header(header);
                        self.council.review(&self.follower, self.started.elapsed());
                    }
                    // It named a head whose way nobody can show: no use to go for it.
                    Err(_) => self.council.distrust(voice, self.started.elapsed()),
                }
            }
            Done::Header(want, asked) => {
                self.fetching.remove(&want);
                self.judge(&asked.failures, asked.hedges);
                match asked.answer {
                    Ok((_, header)) => {
                        self.blocks_work();
                        self.follower.header(header);
                    }
                    Err(error) => self.not_had(want, &error),
                }
            }
            Done::Block(want, asked) => {
                self.fetching.remove(&want);
                self.judge(&asked.failures, asked.hedges);
                match asked.answer {
                    Ok((_, body)) => {
                        self.blocks_work();
                        match want {
                            Want::Numbered(_) => self.follower.numbered(body),
                            _ => self.follower.block(body),
                        }
                    }
                    Err(error) => self.not_had(want, &error),
                }
            }
            Done::Probe(voice, answer) => self.probes.done(voice, answer.ok(), instant(), self.clock.now()),
            Done::Mark(level, answer) => self.marks.said(level, answer.ok().flatten(), instant(), self.clock.now()),
        }
    }

    fn polled(&mut self, voice: Voice, answer: Result<Option<Link>, NodeError>) {
        let (now, wall) = (instant(), self.clock.now());
        match answer {
            Ok(head) => {
                let interval = self.poll_interval(voice);
                self.ears.works(voice, now, wall, interval);
                if let Some(head) = head {
                    self.heard(voice, head);
                }
                // A head alone is no success while its block cannot be had: pauses go on growing then.
                if self.follower.at_head() && voice == self.council.lead() {
                    self.blocks_work();
                }
            }
            Err(error) => {
                debug!(endpoint = %self.pool.name(voice), "{} failed: {error}", self.pool.name(voice));
                self.council.mute(voice);
                let backoff = self.pool.deadlines().backoff;
                self.ears.failed(voice, now, error, &backoff, &mut self.rng);
            }
        }
    }

    fn blocks_work(&mut self) {
        (self.failures, self.blocks, self.blocks_seen) = (0, None, self.clock.now());
    }

    fn not_had(&mut self, want: Want, error: &NodeError) {
        let now = instant();
        debug!("{want:?} cannot be had: {error}");
        if matches!(error, NodeError::Missing(_)) {
            // Gone by reorg, or not there yet: either way the newest heads say where to go.
            self.follower.gone(want);
            self.ears.look_all(now);
        }
        let source = self.source_of(want);
        if source != self.council.lead() {
            // Somebody who does not lead named it, and nobody has it. That blinds nobody.
            self.council.distrust(source, self.started.elapsed());
            self.follower.gone(want);
            return;
        }
        let (began, since) = self.blocks.take().map_or((now, self.blocks_seen), |(began, since, _)| (began, since));
        self.blocks = Some((began, since, error.clone()));
        // Many fetches fail together; together they are one failure.
        if now >= self.paused_until {
            let wait = self.pool.deadlines().backoff.wait(self.failures, &mut self.rng);
            self.paused_until = now + wait.max(error.asks_to_wait().min(LEFT_ALONE_MAX));
            self.failures = self.failures.saturating_add(1);
        }
    }

    /// Holds against endpoints what they did wrong.
    fn judge(&mut self, failures: &[(Voice, NodeError)], hedges: u32) {
        for _ in 0..hedges {
            self.meter.metrics.hedged(&self.meter.chain);
        }
        for (voice, error) in failures {
            if error.is_wrong() {
                let name = self.pool.name(*voice);
                warn!(endpoint = %name, "{name} gave an answer that cannot be right: {error}");
                if self.pool.slipped(*voice) {
                    self.refused(*voice, error);
                }
            }
        }
    }

    /// Tells of an endpoint that lies.
    fn refused(&mut self, voice: Voice, error: &NodeError) {
        self.meter.metrics.endpoint_strike(&self.meter.chain, &self.pool.name(voice));
        self.troubles.hold(Symptom {
            kind: BlindnessKind::RefusedBlock,
            voice: Some(voice),
            severity: Severity::High,
            since: self.clock.now(),
            began: instant(),
            patience: Duration::ZERO,
            why: error.to_string(),
            evidence: None,
        });
    }

    // === How things stand ===

    /// Holds what is seen against what should be.
    fn assess(&mut self) {
        let now = instant();
        let patience = self.pool.deadlines().blind;
        let alone = self.pool.len() == 1;
        let all_fail = (0..self.pool.len()).all(|voice| self.ears.fails(voice));
        let mut last: Option<(Instant, Timestamp, String)> = None;
        for voice in 0..self.pool.len() {
            let failing = self.ears.failing(voice);
            let other = failing.and_then(|failing| failing.error.serves_another());
            for kind in [BlindnessKind::WrongChain, BlindnessKind::WrongGenesis] {
                let symptom = failing.filter(|_| other == Some(kind)).map(|failing| Symptom {
                    kind,
                    voice: Some(voice),
                    severity: Severity::High,
                    since: failing.since,
                    began: failing.began,
                    // Another chain does not become ours by waiting.
                    patience: Duration::ZERO,
                    why: failing.error.to_string(),
                    evidence: None,
                });
                self.troubles.set(kind, Some(voice), symptom);
            }
            let down = failing.filter(|_| other.is_none());
            if let Some(failing) = down
                && last.as_ref().is_none_or(|(_, since, _)| *since <= failing.since)
            {
                last = Some((failing.began, failing.since, failing.error.to_string()));
            }
            let symptom = down.filter(|_| !alone && !all_fail).map(|failing| Symptom {
                kind: BlindnessKind::EndpointDown,
                voice: Some(voice),
                severity: Severity::Warning,
                since: failing.since,
                began: failing.began,
                patience: patience.max(self.slot * ENDPOINT_SLOTS),
                why: failing.error.to_string(),
                evidence: None,
            });
            self.troubles.set(BlindnessKind::EndpointDown, Some(voice), symptom);
            let quarantined = self.pool.has(voice, |health| health.quarantined(now).is_some());
            if !quarantined {
                self.troubles.release(BlindnessKind::RefusedBlock, Some(voice));
            }
            let (name, Meter { metrics, chain }) = (self.pool.name(voice), &self.meter);
            metrics.endpoint_up(chain, &name, failing.is_none());
            metrics.endpoint_quarantined(chain, &name, quarantined);
        }
        let chain = |kind, severity, (began, since, why): (Instant, Timestamp, String), patience| Symptom {
            kind,
            voice: None,
            severity,
            since,
            began,
            patience,
            why,
            evidence: None,
        };
        let unreachable = last.filter(|_| all_fail);
        let symptom = unreachable.map(|last| chain(BlindnessKind::Unreachable, Severity::High, last, patience));
        self.troubles.set(BlindnessKind::Unreachable, None, symptom);
        let no_block = self.blocks.as_ref().filter(|_| !all_fail).map(|(began, since, error)| {
            chain(BlindnessKind::NoBlock, Severity::High, (*began, *since, error.to_string()), patience)
        });
        self.troubles.set(BlindnessKind::NoBlock, None, no_block);
        let conflict = self.follower.conflict().map(|conflict: Conflict| {
            let told = (now, self.blocks_seen, conflict.to_string());
            chain(BlindnessKind::FinalizedReorg, Severity::Critical, told, Duration::ZERO)
        });
        self.troubles.set(BlindnessKind::FinalizedReorg, None, conflict);
        for voice in 0..self.pool.len() {
            let lost = self.probes.lost(voice).map(|lost| Symptom {
                kind: BlindnessKind::AbilityLost,
                voice: Some(voice),
                // What another endpoint can do still is done there.
                severity: if lost.elsewhere { Severity::Warning } else { Severity::High },
                since: lost.since,
                began: now,
                patience: Duration::ZERO,
                why: lost.why,
                evidence: None,
            });
            self.troubles.set(BlindnessKind::AbilityLost, Some(voice), lost);
        }
        let stalled = self.marks.stalled(now, self.slot).map(|(began, since, why)| {
            chain(BlindnessKind::FinalityStalled, Severity::High, (began, since, why), Duration::ZERO)
        });
        self.troubles.set(BlindnessKind::FinalityStalled, None, stalled);
        if !alone {
            self.compare(now);
        }
    }

    /// Holds endpoints against each other.
    fn compare(&mut self, now: Instant) {
        let since_start = self.started.elapsed();
        let dissents: Vec<_> = self.council.dissents().collect();
        let lags = self.council.lags(since_start);
        for voice in 0..self.pool.len() {
            let symptom = |kind, severity, ago: Duration, slots: u32, why| Symptom {
                kind,
                voice: Some(voice),
                severity,
                since: self.clock.now() - jiff::SignedDuration::try_from(ago).unwrap_or_default(),
                began: now - ago.min(since_start),
                patience: self.slot * slots,
                why,
                evidence: None,
            };
            let dissent = dissents.iter().find(|dissent| dissent.voice == voice).map(|dissent| {
                let why = format!("it names block {}, on a chain without our block {}", dissent.theirs, dissent.ours);
                let ago = since_start.saturating_sub(dissent.since);
                symptom(BlindnessKind::Disagreement, Severity::High, ago, DISAGREE_SLOTS, why)
            });
            let lag = lags.get(voice).copied().flatten();
            self.meter.metrics.endpoint_lag(&self.meter.chain, &self.pool.name(voice), lag.unwrap_or_default());
            let lag = lag.filter(|lag| *lag >= LAG_BLOCKS && dissent.is_none());
            let lag = lag.map(|lag| {
                let why = format!("it is {lag} blocks behind the others");
                symptom(BlindnessKind::Lag, Severity::Warning, Duration::ZERO, ENDPOINT_SLOTS, why)
            });
            self.troubles.set(BlindnessKind::Disagreement, Some(voice), dissent);
            self.troubles.set(BlindnessKind::Lag, Some(voice), lag);
        }
    }

    fn wake_at(&self) -> Instant {
        let now = instant();
        let heard = [self.ears.next(), self.troubles.due()];
        // What is due meanwhile waits for the end of the pause, and so do we: to wake for it would be to spin.
        let asked = if self.paused_until > now {
            [Some(self.paused_until), None]
        } else {
            [self.marks.next(), self.probes.next()]
        };
        heard.into_iter().chain(asked).flatten().min().unwrap_or(now + self.pool.deadlines().poll.1)
    }

    /// Half the chain's own pace for the endpoint that leads, all of it for the others: each request may cost money.
    fn poll_interval(&self, voice: Voice) -> Duration {
        let (least, most) = self.pool.deadlines().poll;
        if voice == self.council.lead() { (self.slot / 2).clamp(least, most) } else { self.slot.clamp(least, most * 2) }
    }

    /// Moves the pace a quarter of the way to what each new block shows.
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

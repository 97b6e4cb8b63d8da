//! The task behind a [`Source`](super::Source): it fetches what the follower wants and passes on the steps.
//!
//! One owner of all state, one loop; only waiting is cancellable. Failures of any kind lead to a pause and another try, for
//! ever: nothing is given up and nothing is skipped.

use super::follow::{Follower, PREFETCH_MAX, Want};
use super::node::Node;
use super::rpc::NodeError;
use super::sight::{Sense, Sight};
use super::watch::Hint;
use super::{Event, Fetched, SourceError, Step};
use crate::model::{BlindnessKind, Link};
use crate::runtime::{Clock, Stop, instant};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, warn};

/// Fetches under way at once: those wanted, and as many that nobody wants any more.
const FETCHES_MAX: usize = 2 * PREFETCH_MAX;
/// Longest that a node may ask to be left alone, whatever it says.
const LEFT_ALONE_MAX: Duration = Duration::from_secs(60);

/// See the module's head.
pub(super) struct Driver {
    pub(super) node: Node,
    pub(super) follower: Follower<Fetched>,
    pub(super) keep_raw: bool,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rng: fastrand::Rng,
    pub(super) hints: mpsc::Receiver<Hint>,
    pub(super) events: mpsc::Sender<Result<Event, SourceError>>,
    pub(super) stop: Stop,
    work: JoinSet<Done>,
    fetching: HashSet<Want>,
    polling: bool,
    /// Asked to look while a poll was under way, whose answer may be older than the reason to look.
    look_again: bool,
    polled_at: Instant,
    next_poll: Instant,
    /// The chain's own pace, learned from its timestamps.
    slot: Duration,
    failures: u32,
    paused_until: Instant,
    started: Instant,
    sight: Sight,
}

/// What a fetch brought.
enum Done {
    Poll(Result<Option<Link>, NodeError>),
    Header(Want, Result<Link, NodeError>),
    Block(Want, Result<Fetched, NodeError>),
}

/// Nobody listens any more, or we were told to stop.
struct Ended;

impl Driver {
    #[expect(clippy::too_many_arguments, reason = "one caller, which hands over what it was given")]
    pub(super) fn new(
        node: Node,
        follower: Follower<Fetched>,
        keep_raw: bool,
        clock: Arc<dyn Clock>,
        rng: fastrand::Rng,
        hints: mpsc::Receiver<Hint>,
        events: mpsc::Sender<Result<Event, SourceError>>,
        stop: Stop,
    ) -> Self {
        let started = instant();
        let sight = Sight::new(node.deadlines().blind, clock.now());
        Self {
            follower,
            keep_raw,
            rng,
            hints,
            events,
            stop,
            work: JoinSet::new(),
            fetching: HashSet::new(),
            polling: false,
            look_again: false,
            polled_at: started,
            next_poll: started,
            // The longest pace that makes a difference to the poll, until the chain shows its own.
            slot: node.deadlines().poll.1 * 2,
            failures: 0,
            paused_until: started,
            started,
            sight,
            clock,
            node,
        }
    }

    pub(super) async fn run(mut self) {
        while let Ok(()) = self.turn().await {}
    }

    async fn turn(&mut self) -> Result<(), Ended> {
        self.emit().await?;
        self.fetch();
        if let Some(news) = self.sight.news(instant(), self.clock.now()) {
            self.tell(Ok(news)).await?;
        }
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
            Some(hint) = self.hints.recv() => match hint {
                Hint::Head(head) => self.follower.head(head, self.started.elapsed()),
                Hint::Look => self.look(),
            },
            () = tokio::time::sleep_until(wake) => {}
        }
        Ok(())
    }

    /// Passes on all steps that are complete, waiting where the pipeline is slower.
    async fn emit(&mut self) -> Result<(), Ended> {
        loop {
            let before = self.follower.tip();
            match self.follower.step() {
                Ok(Some(step)) => {
                    self.learn_pace(before, &step);
                    self.tell(Ok(Event::Step(Box::new(step)))).await?;
                }
                Ok(None) => return Ok(()),
                Err(error) => {
                    self.tell(Err(error.into())).await?;
                    return Err(Ended);
                }
            }
        }
    }

    async fn tell(&self, what: Result<Event, SourceError>) -> Result<(), Ended> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Ended),
            sent = self.events.send(what) => sent.map_err(|_| Ended),
        }
    }

    /// Starts whatever is wanted and not under way.
    fn fetch(&mut self) {
        let now = instant();
        let wants = self.follower.wants();
        if wants.contains(&Want::Latest) {
            self.next_poll = self.next_poll.min(self.polled_at + self.node.deadlines().confirm);
        }
        if now < self.paused_until {
            return;
        }
        if now >= self.next_poll && !self.polling {
            self.polling = true;
            let node = self.node.clone();
            self.work.spawn(async move { Done::Poll(node.head().await) });
        }
        for want in wants {
            if self.fetching.len() >= FETCHES_MAX || !self.fetching.insert(want) {
                continue;
            }
            let (node, keep_raw) = (self.node.clone(), self.keep_raw);
            match want {
                Want::Latest => {
                    self.fetching.remove(&want);
                }
                Want::Header(hash) => {
                    self.work.spawn(async move { Done::Header(want, node.header(hash).await) });
                }
                Want::Block(hash) => {
                    self.work.spawn(async move { Done::Block(want, node.block(hash, keep_raw).await) });
                }
                Want::Numbered(number) => {
                    self.work.spawn(async move { Done::Block(want, node.block_numbered(number, keep_raw).await) });
                }
            }
        }
    }

    /// Asks for the newest head as soon as failures allow.
    fn look(&mut self) {
        self.look_again = self.polling;
        self.next_poll = instant();
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Poll(answer) => {
                let now = instant();
                self.polling = false;
                self.polled_at = now;
                // A poll that failed is due again as soon as the pause after the failure is over.
                let again = std::mem::take(&mut self.look_again) || answer.is_err();
                self.next_poll = if again { now } else { now + self.poll_interval() };
                match answer {
                    Ok(head) => {
                        self.sight.works(Sense::Heads, self.clock.now());
                        if let Some(head) = head {
                            self.follower.head(head, self.started.elapsed());
                        }
                        // A head alone is no success while its block cannot be had: pauses go on growing then.
                        if self.follower.at_head() {
                            self.blocks_work();
                        }
                    }
                    Err(error) => self.failed(Sense::Heads, &error),
                }
            }
            Done::Header(want, answer) => {
                self.fetching.remove(&want);
                match answer {
                    Ok(header) => {
                        self.blocks_work();
                        self.follower.header(header);
                    }
                    Err(error) => self.not_had(want, &error),
                }
            }
            Done::Block(want, answer) => {
                self.fetching.remove(&want);
                match answer {
                    Ok(body) => {
                        self.blocks_work();
                        match want {
                            Want::Numbered(_) => self.follower.numbered(body),
                            _ => self.follower.block(body),
                        }
                    }
                    Err(error) => self.not_had(want, &error),
                }
            }
        }
    }

    fn blocks_work(&mut self) {
        self.failures = 0;
        self.sight.works(Sense::Blocks, self.clock.now());
    }

    fn not_had(&mut self, want: Want, error: &NodeError) {
        if matches!(error, NodeError::Missing(_)) {
            // Gone by reorg, or not there yet: either way the newest head says where to go.
            self.follower.gone(want);
            self.look();
        }
        self.failed(Sense::Blocks, error);
    }

    fn failed(&mut self, sense: Sense, error: &NodeError) {
        let (now, name) = (instant(), self.node.name());
        let kind = match error {
            NodeError::WrongChain { .. } => BlindnessKind::WrongChain,
            NodeError::Bad(_) | NodeError::Another | NodeError::Missing(_) if sense == Sense::Blocks => {
                BlindnessKind::NoBlock
            }
            _ => BlindnessKind::Unreachable,
        };
        if matches!(error, NodeError::Bad(_) | NodeError::Another) {
            warn!(endpoint = name, "{name} gave an answer that cannot be right: {error}");
        } else {
            debug!(endpoint = name, "{name} failed: {error}");
        }
        self.sight.fails(sense, now, kind, error.to_string());
        // Many fetches fail together; together they are one failure.
        if now >= self.paused_until {
            let asked = if let NodeError::Limited { after, .. } = error { *after } else { None };
            let wait = self.node.deadlines().backoff.wait(self.failures, &mut self.rng);
            self.paused_until = now + wait.max(asked.unwrap_or_default().min(LEFT_ALONE_MAX));
            self.failures = self.failures.saturating_add(1);
        }
    }

    fn wake_at(&self) -> Instant {
        let now = instant();
        let poll = (!self.polling).then_some(self.next_poll.max(self.paused_until));
        let pause = (self.paused_until > now).then_some(self.paused_until);
        [poll, pause, self.sight.due()].into_iter().flatten().min().unwrap_or(now + self.node.deadlines().poll.1)
    }

    fn poll_interval(&self) -> Duration {
        let (least, most) = self.node.deadlines().poll;
        (self.slot / 2).clamp(least, most)
    }

    /// Moves the pace a quarter of the way to what each new block shows.
    fn learn_pace(&mut self, before: Option<Link>, step: &Step) {
        let mut last = before.map(|link| link.time);
        for body in &step.append {
            let time = body.block.time;
            if let Some(last) = last {
                let shown = Duration::from_secs(time.saturating_sub(last)).min(self.node.deadlines().poll.1 * 2);
                self.slot = (self.slot * 3 + shown) / 4;
            }
            last = Some(time);
        }
    }
}

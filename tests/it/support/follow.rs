//! The other end: whatever commits what a source says, and the oracle that looks over its shoulder.

use super::chain::{Chain, GENESIS_TIME, Happened, happened};
use super::fake_node::{FakeNode, Tree, deadlines};
use alloy_primitives::B256;
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;
use watchfire::model::{BlindnessKind, BlockRef, ChainId, Finality, HealthIssue, Link};
use watchfire::runtime::{Clock, Stop, SystemClock};
use watchfire::source::{Deadlines, Endpoint, Event, Node, Options, Pool, Source, SourceError, Step, Window};

/// Long enough for anything; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A source, and what a store would hold if each step were committed.
pub(crate) struct Follow {
    pub(crate) source: Source,
    pub(crate) stop: Stop,
    pub(crate) options: Options,
    /// Runs along with tokio's time, if the nodes live in memory.
    clock: Option<SimClock>,
    pub(crate) first: u64,
    pub(crate) links: Vec<Link>,
    /// Of each block in `links`: what happened in it.
    pub(crate) contents: Vec<Vec<Happened>>,
    /// The deepest that anything was taken back so far.
    pub(crate) deepest: usize,
    /// The newest block that was told to be final.
    pub(crate) finalized: Option<BlockRef>,
    /// All troubles that were told, oldest first, and those that are not over.
    pub(crate) told: Vec<HealthIssue>,
    pub(crate) standing: Vec<HealthIssue>,
}

/// A wall clock that goes with tokio's, which a test may have paused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SimClock(Instant);

impl SimClock {
    /// Shows the time of the genesis block now.
    pub(crate) fn start() -> Self {
        Self(watchfire::runtime::monotonic_now())
    }

    /// Seconds since the Unix epoch.
    pub(crate) fn seconds(&self) -> u64 {
        GENESIS_TIME + self.0.elapsed().as_secs()
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.0.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(GENESIS_TIME as i64 * 1_000 + elapsed).expect("a time within a test's life")
    }
}

/// A node of chain 1 at this address.
pub(crate) fn at(url: &str, deadlines: Deadlines) -> Node {
    let endpoint = Endpoint { name: "primary".into(), url: url.to_owned().into() };
    Node::new(&endpoint, ChainId(1), deadlines).expect("a good address")
}

/// Several nodes as one, all of them in memory, called `a`, `b` and so on.
pub(crate) fn pool(nodes: &[FakeNode], deadlines: &Deadlines) -> Pool {
    let names = ["a", "b", "c", "d"];
    let nodes = nodes.iter().zip(names).map(|(node, name)| (node.in_memory(name, deadlines.clone()), None));
    Pool::new(nodes.collect()).expect("one to four nodes of one chain")
}

fn options(chain: ChainId) -> Options {
    Options { rng: fastrand::Rng::with_seed(7), ..Options::for_chain(chain) }
}

impl Follow {
    /// By the machine's clock, over a socket.
    pub(crate) fn at(url: &str, first: u64) -> Self {
        Self::within(url, first, deadlines())
    }

    pub(crate) fn within(url: &str, first: u64, deadlines: Deadlines) -> Self {
        Self::on(at(url, deadlines).into(), first)
    }

    pub(crate) fn on(pool: Pool, first: u64) -> Self {
        let options = options(pool.chain_id());
        Self::with(pool, first, options, None)
    }

    /// By simulated time, in memory.
    pub(crate) fn simulated(pool: Pool, first: u64, clock: SimClock) -> Self {
        let options = options(pool.chain_id());
        Self::with(pool, first, options, Some(clock))
    }

    pub(crate) fn with(pool: Pool, first: u64, options: Options, clock: Option<SimClock>) -> Self {
        let (stop, window) = (Stop::new(), Window { first, links: Vec::new() });
        let source = follow(pool, window, options.clone(), clock, &stop);
        Self {
            source,
            stop,
            options,
            clock,
            first,
            links: Vec::new(),
            contents: Vec::new(),
            deepest: 0,
            finalized: None,
            told: Vec::new(),
            standing: Vec::new(),
        }
    }

    /// The process ends, and what it had not told is lost.
    pub(crate) fn end(&mut self) {
        self.stop.cancel();
    }

    /// The process ends, and another one goes on from what was committed.
    pub(crate) fn restart(&mut self) {
        self.restart_on(self.source.pool().clone());
    }

    pub(crate) fn restart_on(&mut self, pool: Pool) {
        let links = self.links[self.links.len().saturating_sub(1_024)..].to_vec();
        let options = Options { finalized: self.finalized, ..self.options.clone() };
        self.stop = Stop::new();
        self.source = follow(pool, Window { first: self.first, links }, options, self.clock, &self.stop);
        self.standing.clear();
    }

    pub(crate) async fn next(&mut self) -> Result<Event, SourceError> {
        // Simulated time stands for nothing but itself, and some tests let much of it pass.
        let patience = if self.clock.is_some() { PATIENCE * 1_000 } else { PATIENCE };
        let event = tokio::time::timeout(patience, self.source.next()).await.expect("the source says something")?;
        self.note(&event);
        Ok(event)
    }

    /// Commits and writes down whatever it is.
    pub(crate) fn note(&mut self, event: &Event) {
        match event {
            Event::Step(step) => self.commit(step),
            Event::Promoted { level: Finality::Finalized, at } => self.finalized = Some(*at),
            Event::Troubled(trouble) => {
                self.told.push(trouble.clone());
                self.standing.retain(|other| !same(other, trouble.kind, trouble.endpoint.as_deref()));
                self.standing.push(trouble.clone());
            }
            Event::Cleared { kind, endpoint, .. } => {
                let before = self.standing.len();
                self.standing.retain(|other| !same(other, *kind, endpoint.as_deref()));
                assert_eq!(self.standing.len() + 1, before, "only what was told is over: {kind}");
            }
            _ => {}
        }
    }

    fn commit(&mut self, step: &Step) {
        assert!(!step.retract.is_empty() || !step.append.is_empty(), "an empty step");
        if self.options.rollback_after.is_none() {
            assert!(
                step.retract.is_empty() || !step.append.is_empty(),
                "blocks are taken back for others, or not at all"
            );
        }
        self.deepest = self.deepest.max(step.retract.len());
        for gone in &step.retract {
            assert_ne!(Some(*gone), self.finalized, "what was told to be final is not taken back");
            assert_eq!(self.links.pop().map(|link| link.at), Some(*gone), "taken back newest first");
            self.contents.pop();
        }
        for body in &step.append {
            let link = body.block.link();
            match self.links.last() {
                Some(tip) => assert_eq!((link.parent, link.at.number), (tip.at.hash, tip.at.number + 1), "a hole"),
                None => assert_eq!(link.at.number, self.first),
            }
            self.contents.push(happened(&body.block));
            self.links.push(link);
        }
    }

    /// Goes on until there has been an event like this one.
    pub(crate) async fn until_event(&mut self, like: impl Fn(&Event) -> bool) -> Event {
        loop {
            let event = self.next().await.expect("the source goes on");
            if like(&event) {
                return event;
            }
        }
    }

    /// Goes on until trouble of this kind is told.
    pub(crate) async fn until_told(&mut self, kind: BlindnessKind) -> HealthIssue {
        let event = self.until_event(|event| matches!(event, Event::Troubled(trouble) if trouble.kind == kind)).await;
        let Event::Troubled(trouble) = event else { unreachable!("it was looked for") };
        trouble
    }

    /// Goes on until trouble of this kind is over.
    pub(crate) async fn until_cleared(&mut self, wanted: BlindnessKind) {
        self.until_event(|event| matches!(event, Event::Cleared { kind, .. } if *kind == wanted)).await;
    }

    /// Goes on for so long, whatever happens.
    pub(crate) async fn hear_for(&mut self, time: Duration) {
        let until = watchfire::runtime::monotonic_now() + time;
        while let Ok(event) = tokio::time::timeout_at(until, self.source.next()).await {
            self.note(&event.expect("the source goes on"));
        }
    }

    /// Goes on until the newest committed block is `hash`.
    pub(crate) async fn until(&mut self, hash: B256) {
        while self.links.last().is_none_or(|tip| tip.at.hash != hash) {
            self.next().await.expect("the source goes on");
        }
    }

    /// Goes on until the tree's head, then compares everything.
    pub(crate) async fn expect_all_of(&mut self, tree: &Tree) {
        let head = tree.with(|chain| chain.head().link.at.hash);
        self.until(head).await;
        tree.with(|chain| self.compare(chain));
    }

    /// The oracle: the canonical chain, scanned once more from the first block, is what was committed. Nothing missed, nothing
    /// phantom, nothing twice.
    pub(crate) fn compare(&self, chain: &Chain) {
        let ours: Vec<B256> = self.links.iter().map(|link| link.at.hash).collect();
        assert_eq!(ours, chain.canonical[self.first as usize..]);
        self.expect_true(chain);
    }

    /// Whatever is committed is as it was made, whether or not it is canonical.
    pub(crate) fn expect_true(&self, chain: &Chain) {
        for (link, content) in self.links.iter().zip(&self.contents) {
            let made = &chain.blocks[&link.at.hash];
            assert_eq!(*link, made.link);
            assert_eq!(*content, made.content, "block {}", link.at);
        }
    }
}

fn follow(pool: Pool, window: Window, options: Options, clock: Option<SimClock>, stop: &Stop) -> Source {
    match clock {
        Some(clock) => Source::follow_chain(pool, window, options, clock, stop),
        None => Source::follow_chain(pool, window, options, SystemClock, stop),
    }
}

fn same(trouble: &HealthIssue, kind: BlindnessKind, endpoint: Option<&str>) -> bool {
    trouble.kind == kind && trouble.endpoint.as_deref() == endpoint
}

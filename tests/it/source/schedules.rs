//! Random schedules: heads, reorgs, restarts, outages, lags, strays and lies in an order that a seed decides, against the whole
//! source, over one to three nodes in memory, in simulated time.
//!
//! Whatever happens meanwhile, every committed block is as it was made, every step is linked to the one before it, and in the
//! end the canonical chain is what was committed: the oracle scans it once more from its first block.

use super::tally::Tally;
use crate::support::chain::Chain;
use crate::support::fake_node::{FakeNode, Fault, Tree, View};
use crate::support::follow::{Follow, SimClock, pool};
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use watchfire::model::{BlindnessKind, ChainId, HealthIssue};
use watchfire::source::{Deadlines, Options};

/// Schedules of an ordinary run; as many as fit in about twenty seconds without optimization.
const SCHEDULES: u64 = 30;
/// A block every 12 seconds, by the deadlines of mainnet.
const SLOT: Duration = Duration::from_secs(12);
/// Slots after which everything has to be there that was missed, once all is well again.
const SLOTS_TO_RECOVER: usize = 90;

/// The same for a restart while all is well.
const SLOTS_TO_CATCH_UP: usize = 20;

/// A stage on which one schedule plays.
struct SimulatedNetwork {
    rng: fastrand::Rng,
    tree: Tree,
    nodes: Vec<Actor>,
    follow: Follow,
    clock: SimClock,
    tally: Tally,
    /// What happened, for whoever has to understand a failure.
    story: Vec<String>,
}

/// A node, and when what befell it is over.
struct Actor {
    node: FakeNode,
    /// Slots until it is healed; none while it is well.
    ails: Option<usize>,
    strayed: bool,
}

/// What befalls in a slot, besides faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Head,
    /// So many blocks are replaced.
    Reorg(usize),
    /// The process is down for so many blocks.
    Restart(usize),
}

impl SimulatedNetwork {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (tree, clock) = (Tree::new(Chain::seeded(seed, 2 + rng.usize(..4))), SimClock::start());
        let n_nodes = 1 + rng.usize(..3);
        let nodes: Vec<FakeNode> = (0..n_nodes).map(|_| tree.node()).collect();
        for node in &nodes {
            // Finality is always deeper than any reorg that is played.
            node.finality(rng.bool().then_some((16, 24)));
            let slowest = [20, 200, 900, 2_500][rng.usize(..4)];
            node.latency(slowest / 10..=slowest);
            if rng.u8(..4) == 0 {
                node.prune();
            }
        }
        let options = Options { rng: rng.fork(), ..Options::for_chain(ChainId(1)) };
        let first = rng.u64(..2);
        let follow = Follow::with(pool(&nodes, &Deadlines::default()), first, options, Some(clock));
        let nodes = nodes.into_iter().map(|node| Actor { node, ails: None, strayed: false }).collect();
        Self { rng, tree, nodes, follow, clock, tally: Tally::of(n_nodes), story: Vec::new() }
    }

    async fn play(&mut self) {
        for turn in self.turns() {
            self.heal_some();
            if self.rng.u8(..3) == 0 {
                self.befall();
            }
            match turn {
                Turn::Head => self.head().await,
                Turn::Reorg(depth) => self.reorg(depth).await,
                Turn::Restart(blocks) => self.restart(blocks).await,
            }
        }
        self.recover().await;
        self.check();
    }

    /// At least thirty heads, two reorgs and a restart.
    fn turns(&mut self) -> Vec<Turn> {
        let mut turns = vec![Turn::Head; 30 + self.rng.usize(..8)];
        turns.extend((0..2 + self.rng.usize(..3)).map(|_| Turn::Reorg(1 + self.rng.usize(..5))));
        for _ in 0..1 + self.rng.usize(..2) {
            // Mostly a moment; sometimes so long that the gap is filled by number.
            let blocks = [0, 1, 4, 12, 70][self.rng.usize(..5)];
            turns.push(Turn::Restart(blocks));
        }
        self.rng.shuffle(&mut turns);
        turns
    }

    // === The chain ===

    async fn head(&mut self) {
        // A slot is missed now and then, and now and then a node hears of several blocks at once.
        let n = [1, 1, 1, 1, 1, 1, 0, 2][self.rng.usize(..8)];
        self.grow(|chain| chain.extend(n.max(1)));
        self.tally.heads += n.max(1);
        self.hear(if n == 0 { SLOT * 2 } else { SLOT }).await;
    }

    async fn reorg(&mut self, depth: usize) {
        let depth = depth.min(self.tree.with(|chain| chain.canonical.len() - 1));
        // The new branch is seldom shorter than the old one.
        let n = (depth + self.rng.usize(..3)).saturating_sub(self.rng.usize(..8) / 7).max(1);
        self.tell(&format!("reorg of {depth}, {n} instead"));
        self.grow(|chain| chain.reorg(depth, n));
        self.tally.reorg(depth);
        self.tally.heads += n;
        let moment = Duration::from_millis(self.rng.u64(..12_000));
        self.hear(moment).await;
    }

    /// The source is dropped with whatever it had not told yet.
    async fn restart(&mut self, blocks: usize) {
        self.tell(&format!("restart after {blocks} blocks"));
        self.tally.restart(blocks);
        if blocks > 0 {
            // Time goes by that nobody hears.
            let pool = self.follow.source.pool().clone();
            self.follow.end();
            if blocks > 4 {
                // So much later nobody is still where nobody else is: after two such absences that would be final.
                self.nodes.iter().for_each(|actor| actor.node.look_at(View::Canonical));
            }
            for _ in 0..blocks {
                self.grow(|chain| chain.extend(1));
                tokio::time::sleep(if blocks > 20 { Duration::from_secs(1) } else { SLOT }).await;
            }
            self.tally.heads += blocks;
            self.follow.restart_on(pool);
        } else {
            self.follow.restart();
        }
        self.hear(SLOT).await;
        if self.nodes.iter().all(|actor| actor.node.is_well()) && self.rng.bool() {
            self.catch_up().await;
        }
    }

    /// Whatever was missed comes by itself: it takes no new head to look for it.
    async fn catch_up(&mut self) {
        let head = self.tree.with(|chain| chain.head().link);
        for _ in 0..SLOTS_TO_CATCH_UP {
            if self.follow.links.last() == Some(&head) {
                return;
            }
            self.follow.hear_for(SLOT).await;
        }
        let ours = self.follow.links.last().map(|link| link.at);
        panic!("all is well, no head comes, and still at {ours:?} where the head is {}", head.at);
    }

    fn grow(&mut self, change: impl FnOnce(&mut Chain)) {
        let now = self.clock.seconds();
        self.tree.grow(|chain| {
            chain.now = now;
            change(chain);
        });
        // Who is on a branch of its own goes on there.
        for actor in self.nodes.iter().filter(|actor| actor.ails.is_some()) {
            actor.node.grow_branch();
        }
    }

    /// Listens for so long, or not at all: then everything waits.
    async fn hear(&mut self, time: Duration) {
        if self.rng.u8(..12) == 0 {
            tokio::time::sleep(time).await;
        } else {
            self.follow.hear_for(time).await;
        }
        self.tree.with(|chain| self.follow.expect_true(chain));
    }

    // === The nodes ===

    fn heal_some(&mut self) {
        for actor in &mut self.nodes {
            actor.ails = match actor.ails {
                Some(0) => {
                    actor.node.heal();
                    None
                }
                ails => ails.map(|slots| slots - 1),
            };
        }
    }

    /// Something happens to one of the nodes.
    fn befall(&mut self) {
        let which = self.rng.usize(..self.nodes.len());
        let (slots, times) = (1 + self.rng.usize(..6), 1 + self.rng.u32(..5));
        let kind = self.rng.usize(..10);
        let what = match kind {
            0 => {
                let long = [2, 5, 20][self.rng.usize(..3)];
                self.nodes[which].node.go_down();
                self.nodes[which].ails = Some(long);
                self.tally.outages += 1;
                format!("is away for {long} slots")
            }
            1 => {
                let fault = [Fault::Mute, Fault::Frozen, Fault::Stalls, Fault::Silent][self.rng.usize(..4)].clone();
                self.nodes[which].node.fault(fault.clone());
                self.nodes[which].ails = Some(slots);
                self.tally.outages += 1;
                format!("{fault:?} for {slots} slots")
            }
            2 => {
                self.nodes[which].node.cut();
                self.tally.cuts += 1;
                "is cut off".to_owned()
            }
            3 => {
                let blocks = 1 + self.rng.usize(..5);
                self.nodes[which].node.lag(blocks);
                self.nodes[which].ails = Some(slots);
                self.tally.lags += 1;
                format!("lags {blocks} blocks for {slots} slots")
            }
            4 => {
                let depth = 1 + self.rng.usize(..3);
                let tip = self.tree.grow(|chain| {
                    let fork = chain.canonical[chain.canonical.len().saturating_sub(1 + depth)];
                    chain.branch(fork, depth)
                });
                self.nodes[which].node.on_branch(tip);
                self.nodes[which].ails = Some(slots);
                self.nodes[which].strayed = true;
                self.tally.strays += 1;
                format!("strays from {depth} blocks below, for {slots} slots")
            }
            5 => {
                self.nodes[which].node.fault(Fault::LosesHead.times(times));
                self.tally.lost += times as usize;
                format!("does not announce {times} heads")
            }
            6 => {
                let errors = [Fault::NullNull, Fault::Unanswered, Fault::Limited(3), Fault::Html, Fault::FailsPoll];
                let fault = errors[self.rng.usize(..errors.len())].clone();
                self.nodes[which].node.fault(fault.clone().times(times));
                self.tally.errors += times as usize;
                format!("{fault:?} {times} times")
            }
            7 => {
                self.nodes[which].node.fault(Fault::NullByHash.times(times));
                self.tally.nulls += times as usize;
                format!("does not know {times} blocks")
            }
            _ => {
                let lie = LIES[self.rng.usize(..LIES.len())].clone();
                self.nodes[which].node.fault(lie.clone().times(times));
                format!("lies {times} times: {lie:?}")
            }
        };
        self.tell(&format!("node {} {what}", ["a", "b", "c"][which]));
    }

    // === The end ===

    /// All is well again, and the chain goes on until everything is there.
    async fn recover(&mut self) {
        self.tell("all is well");
        self.nodes.iter_mut().for_each(|actor| {
            actor.node.heal();
            actor.ails = None;
        });
        self.grow(Chain::outgrow);
        for slot in 0..SLOTS_TO_RECOVER {
            self.follow.hear_for(SLOT).await;
            let head = self.tree.with(|chain| chain.head().link);
            if slot >= 2 && self.follow.links.last() == Some(&head) {
                return;
            }
            if slot % 4 == 0 {
                self.grow(|chain| chain.extend(1));
            }
        }
        let (ours, head) = (self.follow.links.last().map(|link| link.at), self.tree.with(|chain| chain.head().link.at));
        panic!("stuck at {ours:?}, the head is {head}; standing: {:?}", self.follow.standing);
    }

    fn check(&mut self) {
        self.tree.with(|chain| self.follow.compare(chain));
        let total: Vec<_> = self.follow.standing.iter().filter(|trouble| trouble.kind.is_total()).collect();
        assert!(total.is_empty(), "what was blind sees again, and says so: {total:?}");
        for trouble in &self.follow.told {
            let actor = trouble.endpoint.as_deref().and_then(|name| {
                self.nodes.iter().zip(["a", "b", "c"]).find_map(|(actor, theirs)| (theirs == name).then_some(actor))
            });
            match trouble.kind {
                BlindnessKind::RefusedBlock => {
                    let liar = actor.expect("a refused block came from somebody");
                    assert!(liar.node.said().iter().any(|said| said.fault.is_about_a_block()), "{trouble:?}");
                }
                BlindnessKind::Disagreement => assert!(self.nodes.len() > 1, "with whom? {trouble:?}"),
                BlindnessKind::FinalizedReorg => panic!("nothing final was undone: {trouble:?}"),
                _ => {}
            }
        }
        for (actor, name) in self.nodes.iter().zip(["a", "b", "c"]) {
            self.tally.lies(&actor.node.said());
            // Not every lie is told: its answer may have come too late to be looked at, and a restart forgets what was not told yet.
            let refused = |trouble: &&HealthIssue| trouble.kind == BlindnessKind::RefusedBlock;
            let told = self.follow.told.iter().filter(refused).any(|trouble| trouble.endpoint.as_deref() == Some(name));
            let lied = actor.node.said().iter().any(|said| said.fault.contradicts_itself());
            self.tally.liars(lied, told);
        }
        self.tally.told(&self.follow.told);
        self.tally.simulated = Duration::from_secs(self.clock.seconds() - crate::support::chain::GENESIS_TIME);
        self.tally.deepest = self.follow.deepest;
    }

    fn tell(&mut self, what: &str) {
        let ours = self.follow.links.last().map_or(0, |link| link.at.number);
        self.story
            .push(format!("{:>5} s, block {ours}: {what}", self.clock.seconds() - crate::support::chain::GENESIS_TIME));
    }
}

/// What a node may say that is not true.
const LIES: &[Fault] = &[
    Fault::EmptyReceipts,
    Fault::DropsLog,
    Fault::AltersLog,
    Fault::AltersStatus,
    Fault::DropsTx,
    Fault::AltersTx,
    Fault::MissingTo,
    Fault::AltersHeader,
    Fault::AltersParent,
    Fault::HugeQuantity,
    Fault::OtherBlock,
    Fault::PhantomHead,
];

/// Plays the schedule of one seed; the story goes along with a failure.
fn play(seed: u64) -> Result<Tally, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    let mut story = Vec::new();
    let played = std::panic::catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let mut stage = SimulatedNetwork::new(seed);
            // The story is wanted most when the play ends early.
            let ended = futures::FutureExt::catch_unwind(AssertUnwindSafe(stage.play())).await;
            story = std::mem::take(&mut stage.story);
            ended.map(|()| std::mem::take(&mut stage.tally))
        })
    }));
    played.and_then(|played| played).map_err(|panic| {
        let why = panic.downcast_ref::<String>().cloned();
        let why = why.or(panic.downcast_ref::<&str>().map(|why| (*why).to_owned())).unwrap_or_default();
        format!("replay it with WATCHFIRE_SEED={seed}: {why}\n{}", story.join("\n"))
    })
}

/// Plays schedules on every core; stops at the first that fails.
pub(crate) fn play_all(first: u64, n: u64, threads: usize) -> Result<Tally, String> {
    let (next, failed) = (std::sync::atomic::AtomicU64::new(0), std::sync::Mutex::new(None));
    let total = std::sync::Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if at >= n || failed.lock().expect("no panic").is_some() {
                        return;
                    }
                    match play(first.wrapping_add(at)) {
                        Ok(tally) => total.lock().expect("no panic").add(tally),
                        Err(why) => {
                            *failed.lock().expect("no panic") = Some(format!("schedule {} of {n}, {why}", at + 1));
                        }
                    }
                }
            });
        }
    });
    match failed.into_inner().expect("no panic") {
        Some(failed) => Err(failed),
        None => Ok(total.into_inner().expect("no panic")),
    }
}

/// `WATCHFIRE_SEED=7` plays that one schedule again. Thousands are played by `tests/soak/schedules`.
#[test]
fn random_schedules_end_on_the_canonical_chain_with_nothing_missed_phantom_or_twice() {
    let seed = std::env::var("WATCHFIRE_SEED").ok().map(|seed| seed.parse().expect("WATCHFIRE_SEED is a number"));
    let (first, n) = seed.map_or((0, SCHEDULES), |seed| (seed, 1));
    match play_all(first, n, 1) {
        Ok(tally) => println!("seeds {first} to {}\n{tally}", first + n - 1),
        Err(failed) => panic!("{failed}"),
    }
}

//! A node that misbehaves as told. Several of them can show different views of one fork tree.
//!
//! Comes in: a [`Chain`], and for each node a view of it and [`Fault`]s. Goes out: the same answers by two ways, over real
//! sockets ([`FakeNode::serve`]: WebSocket and HTTP on one port) and in memory ([`FakeNode::in_memory`]: under simulated time).
//! What never happens here: anything of the source under test, or an answer that differs between the two ways.
#![allow(dead_code, reason = "the words of a language; not every test says all of them")]

mod answers;
mod fault;
mod lies;
mod memory;
mod socket;

use super::chain::{Chain, Form};
use alloy_primitives::B256;
pub(crate) use fault::{Fault, Planned, Script};
use serde_json::Value;
use serde_json::value::RawValue;
pub(crate) use socket::Served;
use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{broadcast, watch};

/// Announcements that a subscriber of ours may be behind.
const HEADS_MAX: usize = 4_096;

/// One fork tree and all the nodes that serve it. Cloned freely; clones are the same.
#[derive(Clone)]
pub(crate) struct Tree(Arc<Mutex<World>>);

/// One node. Cloned freely; clones are the same node.
#[derive(Clone)]
pub(crate) struct FakeNode {
    pub(crate) tree: Tree,
    index: usize,
}

pub(crate) struct World {
    pub(crate) chain: Chain,
    nodes: Vec<State>,
}

/// Changes the answer to a method and its parameters, or refuses it with a code and a message.
pub(crate) type Bend = Box<dyn Fn(&str, &Value, &mut Value) -> Result<(), (i64, String)> + Send>;

/// Writes an answer as some server does.
pub(crate) type Dress = fn(Value) -> String;

/// What a node takes for the canonical chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// All of it.
    Canonical,
    /// All but the newest blocks, so many of them.
    Lagging(usize),
    /// The chain that ends in this block, whatever others say.
    Branch(B256),
}

/// Something false or odd that a node said.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Said {
    pub(crate) fault: Fault,
    /// The block it was about.
    pub(crate) about: B256,
}

struct State {
    view: View,
    script: Script,
    bend: Option<Bend>,
    dress: Option<Dress>,
    /// Whether WebSocket frames are binary ones.
    binary: bool,
    /// Its canonical chain, genesis first.
    path: Vec<B256>,
    /// Every block that it can be asked for by hash.
    known: HashSet<B256>,
    /// Whether it forgets blocks that leave its chain.
    prunes: bool,
    /// Blocks by which `safe` and `finalized` are behind its head; `None` if it knows no such tags.
    finality: Option<(usize, usize)>,
    /// Where `finalized` stands, if it has stopped moving.
    stuck: Option<usize>,
    /// How long answers take in memory, in milliseconds.
    latency: RangeInclusive<u64>,
    rng: fastrand::Rng,
    /// Methods asked, oldest first.
    asked: Vec<String>,
    said: Vec<Said>,
    heads: broadcast::Sender<Box<RawValue>>,
    /// Counts up when all connections are cut.
    cuts: watch::Sender<u32>,
    frozen: watch::Sender<bool>,
}

impl Tree {
    pub(crate) fn new(chain: Chain) -> Self {
        Self(Arc::new(Mutex::new(World { chain, nodes: Vec::new() })))
    }

    /// One more node that serves this tree.
    pub(crate) fn node(&self) -> FakeNode {
        let mut world = self.lock();
        let mut state = State {
            view: View::Canonical,
            script: Script::default(),
            bend: None,
            dress: None,
            binary: false,
            path: Vec::new(),
            known: HashSet::new(),
            prunes: false,
            finality: Some((32, 64)),
            stuck: None,
            latency: 0..=0,
            rng: fastrand::Rng::with_seed(world.nodes.len() as u64),
            asked: Vec::new(),
            said: Vec::new(),
            heads: broadcast::channel(HEADS_MAX).0,
            cuts: watch::Sender::new(0),
            frozen: watch::Sender::new(false),
        };
        state.refresh(&world.chain);
        world.nodes.push(state);
        FakeNode { tree: self.clone(), index: world.nodes.len() - 1 }
    }

    /// Changes the chain; every node announces what is new to it.
    pub(crate) fn grow<T>(&self, change: impl FnOnce(&mut Chain) -> T) -> T {
        let World { chain, nodes } = &mut *self.lock();
        let made = change(chain);
        nodes.iter_mut().for_each(|node| node.refresh(chain));
        made
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&Chain) -> T) -> T {
        look(&self.lock().chain)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, World> {
        self.0.lock().expect("no test panics in there")
    }
}

impl FakeNode {
    /// A node of a tree of its own.
    pub(crate) fn of(chain: Chain) -> Self {
        Tree::new(chain).node()
    }

    /// From now on this goes wrong.
    pub(crate) fn fault(&self, fault: impl Into<Planned>) {
        let planned = fault.into();
        self.state(|state, _| {
            state.frozen.send_if_modified(|frozen| planned.fault == Fault::Frozen && !std::mem::replace(frozen, true));
            state.script.add(planned);
        });
    }

    /// From now on `bend` changes every answer.
    pub(crate) fn bend(&self, bend: impl Fn(&str, &Value, &mut Value) -> Result<(), (i64, String)> + Send + 'static) {
        self.state(|state, _| state.bend = Some(Box::new(bend)));
    }

    /// From now on its answers are written so, and in binary frames where `binary`.
    pub(crate) fn dress(&self, dress: Dress, binary: bool) {
        self.state(|state, _| (state.dress, state.binary) = (Some(dress), binary));
    }

    /// A message as it goes out.
    fn dressed(&self, text: String) -> (String, bool) {
        let (dress, binary) = self.state(|state, _| (state.dress, state.binary));
        let text = match (dress, serde_json::from_str::<Value>(&text)) {
            (Some(dress), Ok(message)) if message["method"].is_null() => dress(message),
            _ => text,
        };
        (text, binary)
    }

    /// This goes wrong no more.
    pub(crate) fn mend(&self, fault: &Fault) {
        self.state(|state, _| {
            state.script.mend(fault);
            state.frozen.send_if_modified(|frozen| *fault == Fault::Frozen && std::mem::take(frozen));
        });
    }

    /// Nothing goes wrong any more, and the whole chain is seen again.
    pub(crate) fn heal(&self) {
        self.state(|state, chain| {
            state.script.clear();
            state.stuck = None;
            state.frozen.send_if_modified(std::mem::take);
            state.view = View::Canonical;
            state.refresh(chain);
        });
    }

    /// Stays so many blocks behind from now on.
    pub(crate) fn lag(&self, blocks: usize) {
        self.look_at(View::Lagging(blocks));
    }

    /// Takes the chain that ends in `tip` for the canonical one from now on.
    pub(crate) fn on_branch(&self, tip: B256) {
        self.look_at(View::Branch(tip));
    }

    /// One more block on the branch it stands on, if it stands on one.
    pub(crate) fn grow_branch(&self) {
        let World { chain, nodes } = &mut *self.tree.lock();
        let state = &mut nodes[self.index];
        if let View::Branch(tip) = state.view {
            state.view = View::Branch(chain.branch(tip, 1));
            state.refresh(chain);
        }
    }

    pub(crate) fn look_at(&self, view: View) {
        self.state(|state, chain| {
            state.view = view;
            state.refresh(chain);
        });
    }

    /// Forgets blocks that leave its chain, from now on.
    pub(crate) fn prune(&self) {
        self.state(|state, _| state.prunes = true);
    }

    /// Blocks by which `safe` and `finalized` are behind its head; `None` for a node that knows no such tags.
    pub(crate) fn finality(&self, depths: Option<(usize, usize)>) {
        self.state(|state, _| state.finality = depths);
    }

    /// `finalized` stays where it is until the node is healed.
    pub(crate) fn stall_finality(&self) {
        self.state(|state, _| state.stuck = state.tag("finalized"));
    }

    /// How long answers take in memory, in milliseconds.
    pub(crate) fn latency(&self, ms: RangeInclusive<u64>) {
        self.state(|state, _| state.latency = ms);
    }

    /// Whether nothing goes wrong with it, and it sees all of the chain.
    pub(crate) fn is_well(&self) -> bool {
        self.state(|state, _| state.script.is_empty() && state.view == View::Canonical)
    }

    /// Closes every connection there is.
    pub(crate) fn cut(&self) {
        self.state(|state, _| state.cuts.send_modify(|n| *n += 1));
    }

    /// Away, as a process that was killed: every connection closed and none taken, until it is mended.
    pub(crate) fn go_down(&self) {
        self.fault(Fault::Refuses);
        self.cut();
    }

    pub(crate) fn grow<T>(&self, change: impl FnOnce(&mut Chain) -> T) -> T {
        self.tree.grow(change)
    }

    /// How often this was asked for.
    pub(crate) fn asked(&self, method: &str) -> usize {
        self.state(|state, _| state.asked.iter().filter(|asked| *asked == method).count())
    }

    /// What it said that is false or odd, oldest first.
    pub(crate) fn said(&self) -> Vec<Said> {
        self.state(|state, _| state.said.clone())
    }

    /// Waits until a client that subscribes knows its subscription: it then asks for the head a second time.
    pub(crate) async fn until_subscribed(&self) {
        while self.asked("eth_getBlockByNumber") < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn cuts(&self) -> watch::Receiver<u32> {
        // A new receiver has seen all cuts so far.
        self.state(|state, _| state.cuts.subscribe())
    }

    fn is_mute(&self) -> bool {
        self.state(|state, _| state.script.has(&Fault::Mute))
    }

    async fn until_thawed(&self) {
        let mut frozen = self.state(|state, _| state.frozen.subscribe());
        // The sender lives as long as the tree.
        let _ = frozen.wait_for(|frozen| !frozen).await;
    }

    fn state<T>(&self, change: impl FnOnce(&mut State, &Chain) -> T) -> T {
        let World { chain, nodes } = &mut *self.tree.lock();
        change(&mut nodes[self.index], chain)
    }
}

impl State {
    /// Takes note of what the tree has become, and announces what is new.
    fn refresh(&mut self, chain: &Chain) {
        let path = match self.view {
            View::Canonical => chain.canonical.clone(),
            View::Lagging(blocks) => chain.canonical[..chain.canonical.len().saturating_sub(blocks).max(1)].to_vec(),
            View::Branch(tip) => chain.path(tip),
        };
        let common = self.path.iter().zip(&path).take_while(|(old, new)| old == new).count();
        if self.prunes {
            self.path[common..].iter().for_each(|gone| {
                self.known.remove(gone);
            });
        }
        for hash in &path[common..] {
            self.known.insert(*hash);
            if !self.script.has(&Fault::Silent) && !self.script.take(&Fault::LosesHead) {
                // Nobody listening is no error.
                let _ = self.heads.send(chain.blocks[hash].text(Form::Head).to_owned());
            }
        }
        self.path = path;
    }

    /// Height that a tag stands for.
    fn tag(&self, tag: &str) -> Option<usize> {
        let head = self.path.len() - 1;
        match tag {
            "latest" | "pending" => Some(head),
            "safe" => self.finality.map(|(safe, _)| head.saturating_sub(safe)),
            "finalized" => self.stuck.or(self.finality.map(|(_, finalized)| head.saturating_sub(finalized))),
            _ => None,
        }
    }

    fn note(&mut self, fault: Fault, about: B256) {
        self.said.push(Said { fault, about });
    }
}

/// Short, so that a test waits for a deadline in milliseconds.
pub(crate) fn deadlines() -> watchfire::source::Deadlines {
    let ms = Duration::from_millis;
    watchfire::source::Deadlines {
        connect: ms(300),
        subscribe: ms(300),
        silence: ms(400),
        keepalive: ms(200),
        head: ms(300),
        block: ms(2_000),
        call: ms(500),
        trace: ms(500),
        poll: (ms(20), ms(60)),
        confirm: ms(5),
        backoff: watchfire::runtime::Backoff::new(ms(5), ms(60)),
        blind: ms(300),
    }
}

/// Those of [`deadlines`] with time for answers that a busy machine gives late, or that are 64 MB.
pub(crate) fn patient() -> watchfire::source::Deadlines {
    let long = Duration::from_secs(60);
    watchfire::source::Deadlines { connect: long, head: long, block: long, call: long, trace: long, ..deadlines() }
}

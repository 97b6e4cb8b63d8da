//! The source against a node that misbehaves at the wire: nothing missed, nothing twice, everything in order.
//!
//! The oracle of each test is the node's own canonical chain once the node behaves again.

mod abilities;
mod chain;
mod ipc;
mod lived;
mod node;
mod real;
mod tape;

use alloy_primitives::{Address, B256, Bytes};
use chain::{Chain, Happened, happened};
use node::{FakeNode, deadlines};
use std::time::Duration;
use watchfire::model::read::{Answer, READS_MAX, Read};
use watchfire::model::{BlindnessKind, ChainId, Link, Trouble};
use watchfire::runtime::{Stop, SystemClock};
use watchfire::source::{Deadlines, Endpoint, Event, Node, Options, Source, SourceError, Step, Window};

/// Long enough for anything; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A source, and what a store would hold if each step were committed.
struct Follow {
    source: Source,
    node: Node,
    stop: Stop,
    first: u64,
    links: Vec<Link>,
    /// Of each block in `links`: what happened in it.
    contents: Vec<Vec<Happened>>,
}

impl Follow {
    fn at(url: &str, first: u64) -> Self {
        Self::within(url, first, deadlines())
    }

    fn within(url: &str, first: u64, deadlines: Deadlines) -> Self {
        let endpoint = Endpoint { name: "primary".into(), url: url.to_owned().into() };
        let node = Node::new(&endpoint, ChainId(1), deadlines).expect("a good address");
        let window = Window { first, links: Vec::new() };
        Self::on(node, window)
    }

    fn on(node: Node, window: Window) -> Self {
        let Window { first, links } = window.clone();
        let options = Options { rng: fastrand::Rng::with_seed(7), ..Options::for_chain(node.chain()) };
        let stop = Stop::new();
        let source = Source::follow(node.clone().into(), window, options, SystemClock, &stop);
        Self { source, node, stop, first, links, contents: Vec::new() }
    }

    fn restart(&mut self) {
        let links = self.links[self.links.len().saturating_sub(1_024)..].to_vec();
        let again = Self::on(self.node.clone(), Window { first: self.first, links });
        self.source = again.source;
    }

    async fn next(&mut self) -> Result<Event, SourceError> {
        tokio::time::timeout(PATIENCE, self.source.next()).await.expect("the source says something")
    }

    fn commit(&mut self, step: &Step) {
        for gone in &step.retract {
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

    /// Commits steps until the newest committed block is `hash`.
    async fn until(&mut self, hash: B256) {
        while self.links.last().is_none_or(|tip| tip.at.hash != hash) {
            if let Event::Step(step) = self.next().await.expect("the source goes on") {
                self.commit(&step);
            }
        }
    }

    /// Commits steps until the node's head, and compares with the node's chain.
    async fn expect_all_of(&mut self, node: &FakeNode) {
        let canonical = node.canonical();
        self.until(*canonical.last().expect("there is a genesis")).await;
        let ours: Vec<B256> = self.links.iter().map(|link| link.at.hash).collect();
        assert_eq!(ours, canonical[self.first as usize..]);
        node.with(|state| {
            for (hash, content) in ours.iter().zip(&self.contents) {
                assert_eq!(*content, state.chain.blocks[hash].content);
            }
        });
    }
}

async fn following(first: u64) -> (FakeNode, Follow) {
    let node = FakeNode::start(Chain::new(3)).await;
    let follow = Follow::at(&node.url("ws"), first);
    (node, follow)
}

/// Something goes wrong with a node that is followed, then the chain goes on; a reorg is part of it.
async fn survives(fault: impl FnOnce(&FakeNode)) {
    let (node, mut follow) = following(1).await;
    follow.expect_all_of(&node).await;
    fault(&node);
    for n in [1, 3, 2] {
        node.grow(|chain| chain.extend(n));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    node.grow(|chain| chain.reorg(2, 4));
    follow.expect_all_of(&node).await;
}

#[tokio::test]
async fn blocks_come_in_order_from_the_first_one_asked_for() {
    let (node, mut follow) = following(2).await;
    for _ in 0..10 {
        node.grow(|chain| chain.extend(2));
        follow.expect_all_of(&node).await;
    }
    assert!(follow.contents.iter().flatten().any(|tx| !tx.logs.is_empty()), "logs came along");
}

/// A source that polls once at the start and then so rarely that only the subscription can move it.
async fn following_by_subscription(silence: Duration) -> (FakeNode, Follow) {
    let node = FakeNode::start(Chain::new(3)).await;
    let seldom = Deadlines { poll: (10 * PATIENCE, 10 * PATIENCE), silence, ..deadlines() };
    let mut follow = Follow::within(&node.url("ws"), 1, seldom);
    follow.expect_all_of(&node).await;
    node.until_subscribed().await;
    (node, follow)
}

#[tokio::test]
async fn an_announced_head_is_followed_without_waiting_for_the_poll() {
    let (node, mut follow) = following_by_subscription(10 * PATIENCE).await;
    for _ in 0..5 {
        node.grow(|chain| chain.extend(1));
        follow.expect_all_of(&node).await;
    }
    node.grow(|chain| chain.reorg(2, 3));
    follow.expect_all_of(&node).await;
}

#[tokio::test]
async fn a_subscription_that_is_rebuilt_asks_for_what_it_missed() {
    let (node, mut follow) = following_by_subscription(10 * PATIENCE).await;
    node.faults(|faults| (faults.refuses, faults.silent) = (true, true));
    node.cut_all();
    node.grow(|chain| chain.reorg(1, 5));
    node.faults(|faults| faults.refuses = false);
    follow.expect_all_of(&node).await;
}

#[tokio::test]
async fn a_subscription_that_falls_silent_is_rebuilt() {
    let (node, mut follow) = following_by_subscription(Duration::from_millis(200)).await;
    node.faults(|faults| faults.silent = true);
    node.grow(|chain| chain.extend(3));
    follow.expect_all_of(&node).await;
}

#[tokio::test]
async fn a_poll_that_fails_is_repeated_without_waiting_for_the_next() {
    let (node, mut follow) = following_by_subscription(10 * PATIENCE).await;
    node.faults(|faults| (faults.failing_polls, faults.silent) = (3, true));
    node.grow(|chain| chain.extend(3));
    node.cut_all();
    follow.expect_all_of(&node).await;
}

#[tokio::test]
async fn a_cut_socket_loses_nothing() {
    survives(FakeNode::cut_all).await;
}

#[tokio::test]
async fn a_half_open_socket_is_given_up_and_loses_nothing() {
    survives(|node| {
        node.faults(|faults| faults.mute = true);
        let node = node.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(700)).await;
            node.faults(|faults| faults.mute = false);
        });
    })
    .await;
}

#[tokio::test]
async fn a_subscription_that_falls_silent_loses_nothing() {
    survives(|node| node.faults(|faults| faults.silent = true)).await;
}

#[tokio::test]
async fn a_refused_subscription_is_tried_again_and_loses_nothing() {
    survives(|node| {
        node.faults(|faults| faults.subscribe_errors = 5);
        node.cut_all();
    })
    .await;
}

#[tokio::test]
async fn frames_that_are_no_json_rpc_lose_nothing() {
    survives(|node| node.faults(|faults| (faults.malformed, faults.without_id) = (4, 4))).await;
}

#[tokio::test]
async fn null_for_a_hash_is_walked_again_from_the_newest_head() {
    survives(|node| node.faults(|faults| faults.nulls_by_hash = 4)).await;
}

#[tokio::test]
async fn empty_receipts_of_a_full_block_are_never_taken_for_the_truth() {
    survives(|node| node.faults(|faults| faults.empty_receipts = 6)).await;
}

#[tokio::test]
async fn another_block_than_the_one_asked_for_is_refused() {
    survives(|node| node.faults(|faults| faults.other_block = 4)).await;
}

#[tokio::test]
async fn an_unanswered_request_is_asked_again() {
    survives(|node| node.faults(|faults| faults.unanswered = 3)).await;
}

#[tokio::test]
async fn a_rate_limit_is_waited_out() {
    survives(|node| node.faults(|faults| faults.limited = 6)).await;
}

#[tokio::test]
async fn a_handshake_that_hangs_is_given_up() {
    survives(|node| {
        node.faults(|faults| faults.stalls = true);
        node.cut_all();
        let node = node.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(400)).await;
            node.faults(|faults| faults.stalls = false);
        });
    })
    .await;
}

#[tokio::test]
async fn receipts_are_asked_one_by_one_where_a_node_cannot_do_better() {
    let (node, mut follow) = following(1).await;
    node.faults(|faults| faults.lacks_block_receipts = true);
    node.grow(|chain| chain.extend(12));
    follow.expect_all_of(&node).await;
    let refused = node.with(|state| state.asked.iter().filter(|method| *method == "eth_getBlockReceipts").count());
    assert!(refused <= 16, "the lack is remembered: asked {refused} times");
}

#[tokio::test]
async fn a_lagging_node_is_not_a_reorg() {
    let (node, mut follow) = following(1).await;
    node.grow(|chain| chain.extend(6));
    follow.expect_all_of(&node).await;
    node.faults(|faults| faults.lags = 4);
    tokio::time::sleep(Duration::from_millis(300)).await;
    node.faults(|faults| faults.lags = 0);
    node.grow(|chain| chain.extend(1));
    let tip = follow.links.len();
    let Event::Step(step) = follow.next().await.expect("the source goes on") else { panic!("a step") };
    assert!(step.retract.is_empty());
    follow.commit(&step);
    assert_eq!(follow.links.len(), tip + 1);
}

#[tokio::test]
async fn a_frame_of_17_mebibytes_is_just_a_large_block() {
    let (node, mut follow) = following(1).await;
    follow.expect_all_of(&node).await;
    node.faults(|faults| faults.padding = 17 << 20);
    node.grow(|chain| chain.extend(1));
    follow.expect_all_of(&node).await;
}

#[tokio::test]
async fn a_burst_larger_than_every_buffer_reaches_a_slow_consumer_in_full() {
    let (node, mut follow) = following(1).await;
    follow.expect_all_of(&node).await;
    for _ in 0..4 {
        node.grow(|chain| chain.extend(100));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    follow.expect_all_of(&node).await;
}

#[tokio::test]
async fn a_restart_goes_on_where_it_stopped_whatever_happened_meanwhile() {
    let (node, mut follow) = following(1).await;
    node.grow(|chain| chain.extend(20));
    follow.expect_all_of(&node).await;
    node.grow(|chain| chain.reorg(5, 90));
    follow.restart();
    follow.expect_all_of(&node).await;
    follow.restart();
    node.grow(|chain| chain.extend(1));
    follow.expect_all_of(&node).await;
}

#[tokio::test]
async fn http_alone_is_polled_through_limits_and_maintenance_pages() {
    let node = FakeNode::start(Chain::new(3)).await;
    let mut follow = Follow::at(&node.url("http"), 1);
    follow.expect_all_of(&node).await;
    node.faults(|faults| (faults.limited, faults.html, faults.nulls_by_hash) = (3, 3, 2));
    node.grow(|chain| chain.extend(5));
    node.grow(|chain| chain.reorg(2, 3));
    follow.expect_all_of(&node).await;
}

#[tokio::test]
async fn a_node_of_another_chain_is_told_and_nothing_of_it_let_through() {
    let node = FakeNode::start(Chain::new(30)).await;
    node.faults(|faults| faults.chain_id = 5);
    let mut follow = Follow::at(&node.url("ws"), 1);
    let Event::Troubled(trouble) = follow.next().await.expect("the source goes on") else { panic!("blind first") };
    assert_eq!((trouble.kind, &*trouble.why), (BlindnessKind::WrongChain, "it serves chain 5, not chain 1"));
    node.faults(|faults| faults.chain_id = 1);
    assert!(matches!(follow.next().await, Ok(Event::Cleared { .. })));
    follow.expect_all_of(&node).await;
}

#[tokio::test]
async fn a_node_that_is_away_is_told_once_without_its_address_and_so_is_its_return() {
    let (node, mut follow) = following(1).await;
    follow.expect_all_of(&node).await;
    node.faults(|faults| faults.refuses = true);
    node.cut_all();
    let Event::Troubled(Trouble { why, .. }) = follow.next().await.expect("the source goes on") else {
        panic!("blind")
    };
    assert!(!why.contains("0123456789abcdef") && !why.contains("127.0.0.1"), "{why}");
    node.grow(|chain| chain.extend(70));
    node.faults(|faults| faults.refuses = false);
    assert!(matches!(follow.next().await, Ok(Event::Cleared { .. })));
    follow.expect_all_of(&node).await;
}

#[tokio::test]
async fn a_block_that_cannot_be_had_is_told_though_heads_go_on() {
    let (node, mut follow) = following(1).await;
    follow.expect_all_of(&node).await;
    node.faults(|faults| faults.empty_receipts = u32::MAX);
    node.grow(|chain| chain.extend(4));
    let blind = loop {
        match follow.next().await.expect("the source goes on") {
            Event::Step(step) => follow.commit(&step),
            other => break other,
        }
    };
    let Event::Troubled(Trouble { kind: BlindnessKind::NoBlock, why, .. }) = blind else { panic!("blind: {blind:?}") };
    assert!(why.contains("came with 0 receipts"), "{why}");
    node.faults(|faults| faults.empty_receipts = 0);
    follow.expect_all_of(&node).await;
}

#[tokio::test]
async fn reads_are_pinned_to_the_block_and_answered_in_order() {
    let (node, follow) = following(1).await;
    let at = node.with(|state| state.chain.numbered(1).expect("block 1").link.at);
    let read = |byte: u8| Read { to: Address::ZERO, data: Bytes::from(vec![byte]) };
    let answers = follow.source.read(at, &[read(0), read(1), read(2), read(3)]).await;
    let data = Answer::Data(Bytes::copy_from_slice(at.hash.as_slice()));
    assert_eq!(answers, [data.clone(), Answer::Reverted, Answer::Unavailable, data.clone()]);
    let many = follow.source.read(at, &vec![read(0); READS_MAX + 2]).await;
    assert_eq!(many[READS_MAX - 1], data);
    assert_eq!(many[READS_MAX..], [Answer::Unavailable, Answer::Unavailable]);
}

#[tokio::test]
async fn a_stopped_source_says_so() {
    let (node, mut follow) = following(1).await;
    follow.expect_all_of(&node).await;
    follow.stop.cancel();
    assert!(matches!(follow.next().await, Err(SourceError::Stopped)));
    assert!(matches!(follow.next().await, Err(SourceError::Stopped)));
}

/// Faults, reorgs, bursts and restarts in an order that a seed decides.
async fn storm(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let (node, mut follow) = following(1).await;
    follow.expect_all_of(&node).await;
    for _ in 0..60 {
        match rng.u32(0..16) {
            0 => node.cut_all(),
            1 => node.faults(|faults| faults.silent ^= true),
            2 => node.faults(|faults| faults.nulls_by_hash = 2),
            3 => node.faults(|faults| faults.empty_receipts = 2),
            4 => node.faults(|faults| faults.malformed = 1),
            5 => node.faults(|faults| faults.limited = 2),
            6 => node.faults(|faults| faults.other_block = 1),
            7 => node.faults(|faults| faults.lags = rng.usize(0..4)),
            8 | 9 => {
                let (depth, n) = (rng.usize(1..6), rng.usize(1..7));
                node.grow(|chain| chain.reorg(depth, n));
            }
            10 => follow.restart(),
            11 => {
                let n = rng.usize(60..90);
                node.grow(|chain| chain.extend(n));
            }
            _ => node.grow(|chain| chain.extend(1)),
        }
        // Now and then we hear what there is, often nothing.
        while let Ok(event) = tokio::time::timeout(Duration::from_millis(rng.u64(0..12)), follow.source.next()).await {
            if let Event::Step(step) = event.expect("the source goes on") {
                follow.commit(&step);
            }
        }
    }
    node.faults(|faults| *faults = node::Faults::default());
    let height = node.with(|state| state.chain.blocks.values().map(|made| made.link.at.number).max()).unwrap_or(0);
    node.grow(|chain| chain.extend((height as usize + 2).saturating_sub(chain.canonical.len())));
    follow.expect_all_of(&node).await;
}

#[tokio::test]
async fn storms_of_every_fault_end_on_the_canonical_chain() {
    futures::future::join_all((0..6).map(storm)).await;
}

//! Several endpoints of one chain, of which some are away, behind, on another fork, or lying.

use crate::support::chain::Chain;
use crate::support::fake_node::{FakeNode, Fault, Tree};
use crate::support::follow::{Follow, SimClock, pool};
use alloy_primitives::{Address, Bytes};
use std::time::Duration;
use watchfire::model::read::{Answer, Read};
use watchfire::model::{BlindnessKind, ChainId};
use watchfire::runtime::monotonic_now;
use watchfire::source::{Deadlines, Options, SourceMetrics};
use watchfire::telemetry::Metrics;

/// A block every 12 seconds.
const SLOT: Duration = Duration::from_secs(12);

/// Nodes of one tree in memory, and a source that follows all of them by simulated time.
struct Several {
    tree: Tree,
    nodes: Vec<FakeNode>,
    follow: Follow,
    clock: SimClock,
}

impl Several {
    async fn new(n: usize) -> Self {
        let (tree, clock) = (Tree::new(Chain::new(6)), SimClock::start());
        let nodes: Vec<FakeNode> = (0..n).map(|_| tree.node()).collect();
        nodes.iter().for_each(|node| node.latency(5..=120));
        let follow = Follow::simulated(pool(&nodes, &Deadlines::default()), 1, clock);
        let mut several = Self { tree, nodes, follow, clock };
        several.slots(3).await;
        several.follow.expect_all_of(&several.tree).await;
        several
    }

    /// So many slots go by, each with a block of its own.
    async fn slots(&mut self, n: usize) {
        for _ in 0..n {
            let now = self.clock.seconds();
            self.tree.grow(|chain| {
                chain.now = now;
                chain.extend(1);
            });
            self.follow.hear_for(SLOT).await;
        }
    }

    fn told(&self) -> Vec<(BlindnessKind, Option<&str>)> {
        self.follow.told.iter().map(|trouble| (trouble.kind, trouble.endpoint.as_deref())).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_away_is_made_up_for_by_another_and_told() {
    let mut several = Several::new(2).await;
    several.nodes[0].go_down();
    several.slots(8).await;
    several.follow.expect_all_of(&several.tree).await;
    assert_eq!(several.told(), [(BlindnessKind::EndpointDown, Some("a"))]);
    several.nodes[0].heal();
    several.slots(3).await;
    assert!(several.follow.standing.is_empty());
    several.follow.expect_all_of(&several.tree).await;
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_three_blocks_behind_takes_nothing_back_and_is_told() {
    for laggard in 0..2 {
        let mut several = Several::new(2).await;
        several.nodes[laggard].lag(3);
        several.slots(10).await;
        several.follow.expect_all_of(&several.tree).await;
        assert_eq!(several.follow.deepest, 0);
        let name = ["a", "b"][laggard];
        assert_eq!(several.told(), [(BlindnessKind::Lag, Some(name))]);
        several.nodes[laggard].heal();
        several.slots(2).await;
        assert!(several.follow.standing.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn null_for_a_block_that_another_endpoint_knows_is_lag_and_not_absence() {
    let mut several = Several::new(2).await;
    several.nodes[0].fault(Fault::NullByHash);
    several.slots(5).await;
    several.follow.expect_all_of(&several.tree).await;
    assert!(several.told().is_empty(), "{:?}", several.told());
}

#[tokio::test(start_paused = true)]
async fn reads_are_answered_by_whoever_can_and_a_silent_endpoint_holds_up_no_block() {
    let several = Several::new(2).await;
    several.nodes[0].fault(Fault::Frozen);
    let at = several.follow.links.last().expect("a block").at;
    let read = Read::Call { to: Address::ZERO, data: Bytes::from(vec![0]) };
    let began = monotonic_now();
    for _ in 0..8 {
        let answers = several.follow.source.answer_reads(at, &vec![read.clone(); 40]).await;
        assert_eq!(answers, vec![Answer::Data(Bytes::copy_from_slice(at.hash.as_slice())); 40]);
    }
    // By the simulated clock: the other endpoint was asked long before the first could have been given up.
    assert!(began.elapsed() < Deadlines::default().call * 3, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn reads_wait_for_endpoints_that_have_just_gone_down_and_not_for_those_that_are_gone() {
    let several = Several::new(2).await;
    let at = several.follow.links.last().expect("a block").at;
    let reads = vec![Read::Call { to: Address::ZERO, data: Bytes::from(vec![0]) }; 20];
    let truth = vec![Answer::Data(Bytes::copy_from_slice(at.hash.as_slice())); 20];
    several.nodes.iter().for_each(FakeNode::go_down);
    let back = async {
        tokio::time::sleep(SLOT * 2).await;
        several.nodes[1].heal();
    };
    let (answers, ()) = tokio::join!(several.follow.source.answer_reads(at, &reads), back);
    assert_eq!(answers, truth, "asked until one was back");
    several.nodes[1].go_down();
    let unread = vec![Answer::Unavailable; 20];
    assert_eq!(several.follow.source.answer_reads(at, &reads).await, unread, "nobody came back");
    let began = monotonic_now();
    assert_eq!(several.follow.source.answer_reads(at, &reads).await, unread);
    // By the simulated clock: nothing is expected of them any more.
    assert!(began.elapsed() < SLOT, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_breaks_off_at_reads_alone_holds_up_no_block() {
    let several = Several::new(1).await;
    let at = several.follow.links.last().expect("a block").at;
    let read = Read::Call { to: Address::ZERO, data: Bytes::from(vec![0]) };
    several.nodes[0].fault(Fault::BreaksAtCalls);
    let began = monotonic_now();
    let answers = several.follow.source.answer_reads(at, &vec![read; 40]).await;
    assert_eq!(answers, vec![Answer::Unavailable; 40]);
    // By the simulated clock: it goes on naming heads meanwhile.
    assert!(began.elapsed() < SLOT * 2, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_lie_of_one_endpoint_is_outdone_by_the_truth_of_another_and_told() {
    for lie in [Fault::DropsLog, Fault::AltersLog, Fault::AltersTx, Fault::AltersHeader, Fault::EmptyReceipts] {
        let mut several = Several::new(2).await;
        several.nodes[0].fault(lie.clone());
        several.slots(12).await;
        several.follow.expect_all_of(&several.tree).await;
        assert!(!several.nodes[0].said().is_empty(), "{lie:?}");
        let told = several.told();
        assert!(told.iter().all(|told| *told == (BlindnessKind::RefusedBlock, Some("a"))), "{lie:?}: {told:?}");
        assert!(!told.is_empty() || lie == Fault::EmptyReceipts, "{lie:?} contradicts the block's hash");
    }
}

#[tokio::test(start_paused = true)]
async fn a_forgery_behind_a_field_that_nobody_knows_gives_way_to_the_block_that_is_proven() {
    let mut several = Several::new(2).await;
    several.nodes[0].fault(Fault::Forges);
    several.slots(6).await;
    several.follow.expect_all_of(&several.tree).await;
    assert!(!several.nodes[0].said().is_empty());
    let told = several.told();
    assert_eq!(told.first(), Some(&(BlindnessKind::RefusedBlock, Some("a"))), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_nobody_made_keeps_nobody_from_those_that_were() {
    let mut several = Several::new(2).await;
    several.nodes[0].fault(Fault::PhantomHead);
    several.slots(10).await;
    several.follow.expect_all_of(&several.tree).await;
    assert_eq!(several.follow.deepest, 0);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_names_only_heads_nobody_made_is_told_until_it_names_others() {
    let mut several = Several::new(2).await;
    several.nodes[1].fault(Fault::Silent);
    several.nodes[1].fault(Fault::PhantomHead);
    several.slots(6).await;
    several.follow.expect_all_of(&several.tree).await;
    assert_eq!(several.told(), [(BlindnessKind::Disagreement, Some("b"))]);
    assert!(several.follow.told[0].why.contains("nobody can show"), "{}", several.follow.told[0].why);
    several.nodes[1].heal();
    several.slots(3).await;
    assert!(several.follow.standing.is_empty(), "{:?}", several.follow.standing);
}

/// One endpoint goes on alone on a fork that the others have left.
async fn one_of_three_is_on_a_fork(stray: usize) {
    let mut several = Several::new(3).await;
    let fork = several.tree.grow(|chain| {
        let fork = chain.head().link.at.hash;
        chain.branch(fork, 1)
    });
    several.nodes[stray].on_branch(fork);
    several.slots(1).await;
    let mut tip = fork;
    for _ in 0..6 {
        tip = several.tree.grow(|chain| chain.branch(tip, 1));
        several.nodes[stray].on_branch(tip);
        several.slots(1).await;
    }
    several.follow.expect_all_of(&several.tree).await;
    let name = ["a", "b", "c"][stray];
    assert!(several.told().contains(&(BlindnessKind::Disagreement, Some(name))), "{:?}", several.told());
    several.nodes[stray].heal();
    several.slots(3).await;
    assert!(several.follow.standing.is_empty(), "{:?}", several.follow.standing);
    several.follow.expect_all_of(&several.tree).await;
}

#[tokio::test(start_paused = true)]
async fn one_of_three_endpoints_on_another_fork_is_told_and_not_followed() {
    one_of_three_is_on_a_fork(1).await;
}

#[tokio::test(start_paused = true)]
async fn the_first_of_three_endpoints_on_another_fork_is_told_and_not_followed() {
    one_of_three_is_on_a_fork(0).await;
}

#[tokio::test(start_paused = true)]
async fn two_that_lied_once_and_a_third_on_another_fork_do_not_take_turns_at_leading() {
    let mut several = Several::new(3).await;
    for liar in [0, 1] {
        several.nodes[liar].fault(Fault::AltersStatus.times(1));
        several.nodes[1 - liar].go_down();
        several.nodes[2].go_down();
        several.slots(1).await;
        several.nodes[1 - liar].heal();
        several.nodes[2].heal();
        several.slots(1).await;
        assert_eq!(several.nodes[liar].said().len(), 1, "it was heard");
    }
    let mut tip = several.tree.grow(|chain| {
        let fork = chain.head().link.at.hash;
        chain.branch(fork, 1)
    });
    for _ in 0..6 {
        tip = several.tree.grow(|chain| chain.branch(tip, 1));
        several.nodes[2].on_branch(tip);
        several.slots(1).await;
    }
    several.follow.expect_all_of(&several.tree).await;
    let polled = several.nodes[0].asked("eth_getBlockByNumber");
    assert!(polled < 100, "asked {polled} times in a dozen slots");
    assert!(several.told().contains(&(BlindnessKind::Disagreement, Some("c"))), "{:?}", several.told());
}

#[tokio::test(start_paused = true)]
async fn two_endpoints_on_different_forks_are_told_until_they_agree() {
    let mut several = Several::new(2).await;
    let fork = several.tree.grow(|chain| {
        let fork = chain.head().link.at.hash;
        chain.branch(fork, 2)
    });
    several.nodes[1].on_branch(fork);
    several.slots(4).await;
    several.follow.expect_all_of(&several.tree).await;
    assert_eq!(several.told(), [(BlindnessKind::Disagreement, Some("b"))]);
    several.nodes[1].heal();
    several.slots(2).await;
    assert!(several.follow.standing.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_reorg_that_both_endpoints_see_is_followed() {
    let mut several = Several::new(2).await;
    for depth in 1..=5 {
        several.slots(6).await;
        several.tree.grow(|chain| chain.reorg(depth, depth));
        several.slots(1).await;
        several.follow.expect_all_of(&several.tree).await;
        assert_eq!(several.follow.deepest, depth);
    }
}

#[tokio::test(start_paused = true)]
async fn lies_are_counted_by_endpoint_and_reason() {
    let (tree, clock, metrics) = (Tree::new(Chain::new(6)), SimClock::start(), Metrics::new());
    let nodes = [tree.node(), tree.node()];
    metrics.register_endpoint("demo", "b");
    nodes[0].fault(Fault::AltersStatus.times(1));
    let options =
        Options { meter: SourceMetrics::new(metrics.clone(), "demo".into()), ..Options::for_chain(ChainId(1)) };
    let mut follow = Follow::with(pool(&nodes, &Deadlines::default()), 1, options, Some(clock));
    follow.expect_all_of(&tree).await;
    tree.grow(|chain| chain.extend(3));
    follow.expect_all_of(&tree).await;
    assert_eq!(nodes[0].said().len(), 1);
    let text = metrics.render();
    for series in
        ["{chain=\"demo\",endpoint=\"a\",reason=\"root\"} 1", "{chain=\"demo\",endpoint=\"b\",reason=\"root\"} 0"]
    {
        assert!(text.contains(&format!("watchfire_blocks_refused_total{series}\n")), "no {series} in\n{text}");
    }
}

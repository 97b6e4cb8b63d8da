//! Faults of the chain: reorgs, rollbacks, restarts, and everything at once.

use super::line::following;
use crate::support::chain::Chain;
use crate::support::fake_node::{FakeNode, Fault, View};
use crate::support::follow::{Follow, SimClock, pool};
use alloy_primitives::B256;
use std::time::Duration;
use watchfire::source::Deadlines;

/// A node in memory, slow to answer, and a source that follows it by simulated time.
fn simulated(chain: Chain) -> (FakeNode, Follow) {
    let node = FakeNode::of(chain);
    node.latency(20..=400);
    let follow = Follow::simulated(pool(std::slice::from_ref(&node), &Deadlines::default()), 1, SimClock::start());
    (node, follow)
}

#[tokio::test]
async fn reorgs_of_depth_one_to_five_move_replace_and_drop_transactions() {
    let (node, mut follow) = following(1).await;
    node.grow(|chain| chain.extend(8));
    follow.expect_all_of(&node.tree).await;
    let txs = |follow: &Follow, from: usize| -> Vec<B256> {
        follow.contents[from..].iter().flatten().map(|tx| tx.hash).collect()
    };
    let (mut kept, mut gone) = (0, 0);
    for depth in 1..=5 {
        let fork = follow.links.len() - depth;
        let before = txs(&follow, fork);
        node.grow(|chain| chain.reorg(depth, depth + 1));
        follow.expect_all_of(&node.tree).await;
        assert_eq!(follow.deepest, depth);
        let after = txs(&follow, fork);
        kept += before.iter().filter(|tx| after.contains(tx)).count();
        gone += before.iter().filter(|tx| !after.contains(tx)).count();
    }
    assert!(kept > 0 && gone > 0, "{kept} moved, {gone} replaced or dropped");
}

#[tokio::test]
async fn a_block_replaced_at_the_same_height_is_followed() {
    let (node, mut follow) = following(1).await;
    node.grow(|chain| chain.extend(3));
    follow.expect_all_of(&node.tree).await;
    for _ in 0..4 {
        node.grow(|chain| chain.reorg(1, 1));
        follow.expect_all_of(&node.tree).await;
    }
}

#[tokio::test]
async fn a_fork_that_is_left_again_is_undone() {
    let (node, mut follow) = following(1).await;
    node.grow(|chain| chain.extend(4));
    let first = node.grow(|chain| chain.head().link.at.hash);
    follow.expect_all_of(&node.tree).await;
    node.grow(|chain| chain.reorg(2, 3));
    follow.expect_all_of(&node.tree).await;
    node.grow(|chain| {
        let tip = chain.branch(first, 2);
        chain.switch(tip);
    });
    follow.expect_all_of(&node.tree).await;
}

#[tokio::test(start_paused = true)]
async fn a_lower_head_is_a_lagging_node_and_takes_nothing_back() {
    let (node, mut follow) = simulated(Chain::new(10));
    follow.expect_all_of(&node.tree).await;
    node.look_at(View::Lagging(4));
    follow.hear_for(Duration::from_secs(600)).await;
    assert_eq!((follow.links.len(), follow.deepest), (9, 0));
    node.heal();
    node.grow(|chain| chain.extend(1));
    follow.expect_all_of(&node.tree).await;
    assert_eq!(follow.deepest, 0);
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_is_rewound_by_hand_is_followed_down_only_where_that_can_be() {
    let (node, mut follow) = simulated(Chain::new(10));
    follow.options.rollback_after = Some(Duration::from_secs(1));
    follow.restart();
    follow.expect_all_of(&node.tree).await;
    node.grow(|chain| {
        let tip = chain.canonical[5];
        chain.switch(tip);
    });
    follow.expect_all_of(&node.tree).await;
    assert_eq!(follow.deepest, 4);
}

/// A node that forgets what leaves its chain answers `null` in the middle of a walk, and of a fetch.
#[tokio::test(start_paused = true)]
async fn a_reorg_during_the_walk_is_walked_again_from_the_newest_head() {
    let (node, mut follow) = simulated(Chain::new(6));
    node.prune();
    follow.expect_all_of(&node.tree).await;
    for depth in [5, 20, 40] {
        node.grow(|chain| chain.extend(depth));
        // Just long enough to be on the way.
        follow.hear_for(Duration::from_millis(900)).await;
        node.grow(|chain| chain.reorg(depth - 1, depth + 2));
        follow.hear_for(Duration::from_millis(500)).await;
        node.grow(|chain| chain.reorg(depth, depth + 4));
    }
    follow.expect_all_of(&node.tree).await;
    assert!(node.asked("eth_getBlockByHash") > 100, "most of it was walked");
}

#[tokio::test]
async fn null_for_a_hash_is_walked_again_from_the_newest_head() {
    let (node, mut follow) = following(1).await;
    node.fault(Fault::NullByHash.times(4));
    node.grow(|chain| chain.extend(6));
    follow.expect_all_of(&node.tree).await;
    node.fault(Fault::NullByHash.times(4));
    node.grow(|chain| chain.reorg(2, 4));
    follow.expect_all_of(&node.tree).await;
}

#[tokio::test]
async fn a_restart_goes_on_where_it_stopped_whatever_happened_meanwhile() {
    let (node, mut follow) = following(1).await;
    node.grow(|chain| chain.extend(20));
    follow.expect_all_of(&node.tree).await;
    node.grow(|chain| chain.reorg(5, 90));
    follow.restart();
    follow.expect_all_of(&node.tree).await;
    follow.restart();
    node.grow(|chain| chain.extend(1));
    follow.expect_all_of(&node.tree).await;
}

/// Faults, reorgs, bursts and restarts in an order that a seed decides, over a real socket.
async fn storm(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let (node, mut follow) = following(1).await;
    follow.expect_all_of(&node.tree).await;
    for _ in 0..60 {
        match rng.u32(0..18) {
            0 => node.cut(),
            1 => node.fault(Fault::Silent),
            2 => node.mend(&Fault::Silent),
            3 => node.fault(Fault::NullByHash.times(2)),
            4 => node.fault(Fault::EmptyReceipts.times(2)),
            5 => node.fault(Fault::NullNull.times(1)),
            6 => node.fault(Fault::Limited(0).times(2)),
            7 => node.fault(Fault::OtherBlock.times(1)),
            8 => node.lag(rng.usize(0..4)),
            9 => node.fault(Fault::LosesHead.times(2)),
            10 | 11 => {
                let (depth, n) = (rng.usize(1..6), rng.usize(1..7));
                node.grow(|chain| chain.reorg(depth, n));
            }
            12 => follow.restart(),
            13 => {
                let n = rng.usize(60..90);
                node.grow(|chain| chain.extend(n));
            }
            _ => node.grow(|chain| chain.extend(1)),
        }
        // Now and then we hear what there is, often nothing.
        while let Ok(event) = tokio::time::timeout(Duration::from_millis(rng.u64(0..12)), follow.source.next()).await {
            follow.note(&event.expect("the source goes on"));
        }
    }
    node.heal();
    node.grow(Chain::outgrow);
    follow.expect_all_of(&node.tree).await;
}

#[tokio::test]
async fn storms_of_every_fault_end_on_the_canonical_chain() {
    futures::future::join_all((0..6).map(storm)).await;
}

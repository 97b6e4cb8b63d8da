//! Faults of the line: sockets, subscriptions, and answers that are none.

use crate::support::chain::Chain;
use crate::support::fake_node::{FakeNode, Fault, deadlines};
use crate::support::follow::{Follow, PATIENCE, SimClock, pool};
use alloy_primitives::{Address, Bytes};
use std::time::Duration;
use watchfire::model::BlindnessKind;
use watchfire::model::read::{Answer, HOLDING_READS_MAX, READS_MAX, Read, STATE_READS_MAX};
use watchfire::runtime::monotonic_now;
use watchfire::source::{Deadlines, FinalityRule, SourceError};

/// A node of a short chain, and a source that follows it over a WebSocket.
pub(super) async fn following(first: u64) -> (FakeNode, Follow) {
    let node = FakeNode::of(Chain::new(3));
    let follow = Follow::at(&node.serve().await.url("ws"), first);
    (node, follow)
}

/// Something goes wrong with a node that is followed, then the chain goes on; a reorg is part of it.
async fn survives(fault: impl FnOnce(&FakeNode)) {
    survives_over("ws", fault).await;
}

pub(super) async fn survives_over(scheme: &str, fault: impl FnOnce(&FakeNode)) {
    let node = FakeNode::of(Chain::new(3));
    let mut follow = Follow::at(&node.serve().await.url(scheme), 1);
    follow.expect_all_of(&node.tree).await;
    fault(&node);
    for n in [1, 3, 2] {
        node.grow(|chain| chain.extend(n));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    node.grow(|chain| chain.reorg(2, 4));
    follow.expect_all_of(&node.tree).await;
}

/// Lets this go wrong for a while.
fn passes(node: &FakeNode, fault: Fault, after: Duration) {
    node.fault(fault.clone());
    let node = node.clone();
    tokio::spawn(async move {
        tokio::time::sleep(after).await;
        node.mend(&fault);
    });
}

/// A source that polls once at the start and then so rarely that only the subscription can move it.
async fn following_by_subscription(silence: Duration) -> (FakeNode, Follow) {
    let node = FakeNode::of(Chain::new(3));
    let seldom = Deadlines { poll: (10 * PATIENCE, 10 * PATIENCE), silence, ..deadlines() };
    let mut follow = Follow::within(&node.serve().await.url("ws"), 1, seldom);
    follow.expect_all_of(&node.tree).await;
    node.until_subscribed().await;
    (node, follow)
}

#[tokio::test]
async fn blocks_come_in_order_from_the_first_one_asked_for() {
    let (node, mut follow) = following(2).await;
    for _ in 0..10 {
        node.grow(|chain| chain.extend(2));
        follow.expect_all_of(&node.tree).await;
    }
    assert!(follow.contents.iter().flatten().any(|tx| !tx.logs.is_empty()), "logs came along");
}

// === Subscriptions ===

#[tokio::test]
async fn an_announced_head_is_followed_without_waiting_for_the_poll() {
    let (node, mut follow) = following_by_subscription(10 * PATIENCE).await;
    for _ in 0..5 {
        node.grow(|chain| chain.extend(1));
        follow.expect_all_of(&node.tree).await;
    }
    node.grow(|chain| chain.reorg(2, 3));
    follow.expect_all_of(&node.tree).await;
}

#[tokio::test]
async fn a_head_that_was_not_announced_comes_with_the_next_one_that_is() {
    let (node, mut follow) = following_by_subscription(10 * PATIENCE).await;
    node.fault(Fault::LosesHead.times(2));
    node.grow(|chain| chain.extend(3));
    follow.expect_all_of(&node.tree).await;
}

#[tokio::test]
async fn a_subscription_that_is_rebuilt_asks_for_what_it_missed() {
    let (node, mut follow) = following_by_subscription(10 * PATIENCE).await;
    node.fault(Fault::Silent);
    node.go_down();
    node.grow(|chain| chain.reorg(1, 5));
    node.mend(&Fault::Refuses);
    follow.expect_all_of(&node.tree).await;
}

#[tokio::test]
async fn a_subscription_that_falls_silent_is_rebuilt() {
    let (node, mut follow) = following_by_subscription(Duration::from_millis(200)).await;
    node.fault(Fault::Silent);
    node.grow(|chain| chain.extend(3));
    follow.expect_all_of(&node.tree).await;
}

#[tokio::test]
async fn a_subscription_that_falls_silent_loses_nothing() {
    survives(|node| node.fault(Fault::Silent)).await;
}

#[tokio::test]
async fn a_refused_subscription_is_tried_again_and_loses_nothing() {
    survives(|node| {
        node.fault(Fault::RefusesSubscription.times(5));
        node.cut();
    })
    .await;
}

#[tokio::test]
async fn a_poll_that_fails_is_repeated_without_waiting_for_the_next() {
    let (node, mut follow) = following_by_subscription(10 * PATIENCE).await;
    node.fault(Fault::FailsPoll.times(3));
    node.fault(Fault::Silent);
    node.grow(|chain| chain.extend(3));
    node.cut();
    follow.expect_all_of(&node.tree).await;
}

// === Sockets ===

#[tokio::test]
async fn a_cut_socket_loses_nothing() {
    survives(FakeNode::cut).await;
}

#[tokio::test]
async fn a_half_open_socket_that_is_asked_all_the_time_is_given_up_and_loses_nothing() {
    survives(|node| passes(node, Fault::Mute, Duration::from_millis(700))).await;
}

#[tokio::test]
async fn a_half_open_socket_that_nobody_asks_is_given_up_and_loses_nothing() {
    let (node, mut follow) = following_by_subscription(Duration::from_millis(300)).await;
    passes(&node, Fault::Mute, Duration::from_millis(500));
    node.grow(|chain| chain.reorg(1, 5));
    follow.expect_all_of(&node.tree).await;
}

#[tokio::test]
async fn a_node_that_is_stopped_and_goes_on_loses_nothing() {
    survives(|node| passes(node, Fault::Frozen, Duration::from_millis(700))).await;
}

#[tokio::test]
async fn a_node_that_stops_for_less_than_a_deadline_loses_nothing() {
    survives(|node| passes(node, Fault::Frozen, Duration::from_millis(100))).await;
}

#[tokio::test]
async fn a_handshake_that_hangs_is_given_up() {
    survives(|node| {
        passes(node, Fault::Stalls, Duration::from_millis(400));
        node.cut();
    })
    .await;
}

#[tokio::test]
async fn a_node_that_is_away_is_told_once_without_its_address_and_so_is_its_return() {
    let (node, mut follow) = following(1).await;
    follow.expect_all_of(&node.tree).await;
    node.go_down();
    let trouble = follow.until_told(BlindnessKind::Unreachable).await;
    let why = trouble.why;
    assert!(!why.contains("0123456789abcdef") && why.contains("(127.0.0.1, port "), "{why}");
    node.grow(|chain| chain.extend(70));
    node.mend(&Fault::Refuses);
    follow.until_cleared(BlindnessKind::Unreachable).await;
    follow.expect_all_of(&node.tree).await;
    assert_eq!(follow.told.len(), 1);
}

/// Longer than the time after which the client library gives up for good, 195 seconds, by the deadlines of mainnet.
#[tokio::test(start_paused = true)]
async fn a_node_that_is_away_for_minutes_is_told_within_three_slots_and_taken_up_where_it_was_left() {
    let (node, clock) = (FakeNode::of(Chain::new(3)), SimClock::start());
    let mut follow = Follow::simulated(pool(std::slice::from_ref(&node), &Deadlines::default()), 1, clock);
    let slot = |node: &FakeNode| {
        node.grow(|chain| {
            chain.now = clock.seconds();
            chain.extend(1);
        });
    };
    for _ in 0..5 {
        slot(&node);
        follow.hear_for(Duration::from_secs(12)).await;
    }
    follow.expect_all_of(&node.tree).await;
    node.go_down();
    let away = monotonic_now();
    for n in 0..25 {
        slot(&node);
        if n == 3 {
            node.grow(|chain| chain.reorg(2, 2));
        }
        follow.hear_for(Duration::from_secs(12)).await;
        // Silence is not blindness while a slot may just be missed, and is after three of them.
        let seconds = away.elapsed().as_secs();
        assert_eq!(follow.standing.is_empty(), seconds < 36 + 12, "after {seconds} s: {:?}", follow.standing);
    }
    assert!(away.elapsed() > Duration::from_secs(200));
    node.mend(&Fault::Refuses);
    follow.until_cleared(BlindnessKind::Unreachable).await;
    follow.expect_all_of(&node.tree).await;
}

// === Answers that are none ===

#[tokio::test]
async fn frames_that_are_no_json_rpc_lose_nothing() {
    for fault in [Fault::NullNull, Fault::WithoutId, Fault::Html, Fault::BadGzip, Fault::Unpaid] {
        survives(|node| node.fault(fault.times(4))).await;
    }
}

#[tokio::test]
async fn bodies_that_are_no_json_rpc_lose_nothing() {
    for fault in [Fault::NullNull, Fault::WithoutId, Fault::Html, Fault::BadGzip, Fault::Unpaid] {
        survives_over("http", |node| node.fault(fault.times(4))).await;
    }
}

#[tokio::test]
async fn an_unanswered_request_is_asked_again() {
    survives(|node| node.fault(Fault::Unanswered.times(3))).await;
}

#[tokio::test]
async fn a_rate_limit_is_waited_out() {
    survives(|node| node.fault(Fault::Limited(0).times(6))).await;
    survives_over("http", |node| node.fault(Fault::Limited(0).times(6))).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_asks_to_be_left_alone_is_left_alone() {
    let (node, clock) = (FakeNode::of(Chain::new(3)), SimClock::start());
    let deadlines = Deadlines { silence: PATIENCE * 10, ..Deadlines::default() };
    let mut follow = Follow::simulated(pool(std::slice::from_ref(&node), &deadlines), 1, clock);
    // Heads and nothing else are asked for.
    follow.options.finality = FinalityRule::Never;
    follow.restart();
    follow.expect_all_of(&node.tree).await;
    follow.hear_for(Duration::from_secs(20)).await;
    node.fault(Fault::Limited(20).times(1));
    let asked = async |follow: &mut Follow| {
        let before = node.asked("eth_getBlockByNumber");
        while node.asked("eth_getBlockByNumber") == before {
            follow.hear_for(Duration::from_millis(100)).await;
        }
        monotonic_now()
    };
    let (from, until) = (asked(&mut follow).await, asked(&mut follow).await);
    assert!(until - from >= Duration::from_secs(19), "asked again after {:?}", until - from);
    node.grow(|chain| chain.extend(2));
    follow.expect_all_of(&node.tree).await;
}

#[tokio::test]
async fn http_alone_is_polled_through_limits_and_maintenance_pages() {
    survives_over("http", |node| {
        for fault in [Fault::Limited(0), Fault::Html, Fault::NullByHash] {
            node.fault(fault.times(3));
        }
    })
    .await;
}

#[tokio::test]
async fn receipts_are_asked_one_by_one_where_a_node_cannot_do_better() {
    let (node, mut follow) = following(1).await;
    node.fault(Fault::LacksReceipts);
    node.grow(|chain| chain.extend(12));
    follow.expect_all_of(&node.tree).await;
    let refused = node.asked("eth_getBlockReceipts");
    assert!(refused <= 16, "the lack is remembered: asked {refused} times");
}

#[tokio::test]
async fn a_node_of_another_chain_is_told_and_nothing_of_it_let_through() {
    let node = FakeNode::of(Chain::new(30));
    node.fault(Fault::OtherChain(5));
    let mut follow = Follow::at(&node.serve().await.url("ws"), 1);
    let trouble = follow.until_told(BlindnessKind::WrongChain).await;
    assert_eq!(trouble.why, "it serves chain 5, not chain 1 as the `id` of the chain says");
    assert!(follow.links.is_empty());
    node.heal();
    follow.until_cleared(BlindnessKind::WrongChain).await;
    follow.expect_all_of(&node.tree).await;
}

// === Much at once ===

#[tokio::test]
async fn a_frame_of_17_mebibytes_is_just_a_large_block() {
    let node = FakeNode::of(Chain::new(3));
    // So much takes its time on a busy machine, and that is not what this is about.
    let patient = Deadlines { block: PATIENCE, ..deadlines() };
    let mut follow = Follow::within(&node.serve().await.url("ws"), 1, patient);
    follow.expect_all_of(&node.tree).await;
    node.fault(Fault::Padded(17 << 20));
    node.grow(|chain| chain.extend(1));
    follow.expect_all_of(&node.tree).await;
}

#[tokio::test]
async fn a_burst_larger_than_every_buffer_reaches_a_slow_consumer_in_full() {
    let (node, mut follow) = following(1).await;
    follow.expect_all_of(&node.tree).await;
    for _ in 0..4 {
        node.grow(|chain| chain.extend(100));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    follow.expect_all_of(&node.tree).await;
}

// === The rest ===

#[tokio::test]
async fn reads_are_pinned_to_the_block_and_answered_in_order() {
    let (node, follow) = following(1).await;
    let at = node.tree.with(|chain| chain.numbered(1).expect("block 1").link.at);
    let read = |byte: u8| Read::Call { to: Address::ZERO, data: Bytes::from(vec![byte]) };
    let answers = follow.source.answer_reads(at, &[read(0), read(1), read(2), read(3)]).await;
    let data = Answer::Data(Bytes::copy_from_slice(at.hash.as_slice()));
    assert_eq!(answers, [data.clone(), Answer::Reverted, Answer::Unavailable, data.clone()]);
    let most = READS_MAX + STATE_READS_MAX + HOLDING_READS_MAX;
    let many = follow.source.answer_reads(at, &vec![read(0); most + 2]).await;
    assert_eq!(many[most - 1], data);
    assert_eq!(many[most..], [Answer::Unavailable, Answer::Unavailable]);
}

#[tokio::test]
async fn a_stopped_source_says_so() {
    let (node, mut follow) = following(1).await;
    follow.expect_all_of(&node.tree).await;
    follow.stop.cancel();
    while follow.next().await.is_ok() {}
    assert!(matches!(follow.next().await, Err(SourceError::Stopped)));
}

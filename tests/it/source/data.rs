//! Faults of the data: what a node says is not true, or is true and odd.

use super::line::following;
use crate::support::chain::{Chain, Odd};
use crate::support::fake_node::{FakeNode, Fault, deadlines};
use crate::support::follow::{Follow, at};
use watchfire::model::{BlindnessKind, ChainId};
use watchfire::source::{Checks, Senders};

/// A node that says one false thing a few times and then behaves: nothing of it was committed.
async fn is_not_believed(lie: Fault) -> Follow {
    let node = FakeNode::of(Chain::new(3));
    // A sender is a matter of signatures, not of roots.
    let checks = Checks::for_chain(ChainId(1)).with_senders(Senders::Everybody);
    let endpoint = at(&node.serve().await.url("ws"), deadlines()).with_checks(checks);
    let mut follow = Follow::on(endpoint.into(), 1);
    follow.expect_all_of(&node.tree).await;
    node.fault(lie.clone().times(3));
    node.grow(|chain| chain.extend(12));
    node.grow(|chain| chain.reorg(2, 4));
    follow.expect_all_of(&node.tree).await;
    assert!(node.said().iter().any(|said| said.fault == lie), "it was said: {lie:?}");
    follow
}

/// What contradicts the block's own hash is known to be false without asking anybody else.
async fn is_refused_with_its_evidence(lie: Fault) {
    let follow = is_not_believed(lie).await;
    let refused = follow.told.iter().find(|trouble| trouble.kind == BlindnessKind::RefusedBlock).expect("it was told");
    assert_eq!(refused.endpoint.as_deref(), Some("primary"));
    let evidence = refused.evidence.as_ref().expect("it was kept");
    assert!(refused.why.contains(&evidence.flaw) && !evidence.answers.is_empty(), "{refused:?}");
}

#[tokio::test]
async fn a_log_left_out_is_refused_by_the_root() {
    is_refused_with_its_evidence(Fault::DropsLog).await;
}

#[tokio::test]
async fn an_altered_log_is_refused_by_the_root() {
    is_refused_with_its_evidence(Fault::AltersLog).await;
}

#[tokio::test]
async fn an_altered_status_is_refused_by_the_root() {
    is_refused_with_its_evidence(Fault::AltersStatus).await;
}

#[tokio::test]
async fn a_transaction_left_out_is_refused_by_the_root() {
    is_refused_with_its_evidence(Fault::DropsTx).await;
}

#[tokio::test]
async fn an_altered_transaction_is_refused_by_the_root() {
    is_refused_with_its_evidence(Fault::AltersTx).await;
}

#[tokio::test]
async fn a_call_without_its_receiver_is_refused_by_the_root() {
    is_refused_with_its_evidence(Fault::MissingTo).await;
}

#[tokio::test]
async fn an_altered_sender_is_refused_by_the_signature() {
    is_refused_with_its_evidence(Fault::AltersSender).await;
}

#[tokio::test]
async fn an_altered_header_is_refused_by_its_hash() {
    is_refused_with_its_evidence(Fault::AltersHeader).await;
}

#[tokio::test]
async fn another_parent_is_refused_by_the_hash_and_leads_no_walk_astray() {
    is_refused_with_its_evidence(Fault::AltersParent).await;
}

#[tokio::test]
async fn empty_receipts_of_a_full_block_are_never_taken_for_the_truth() {
    is_not_believed(Fault::EmptyReceipts).await;
}

#[tokio::test]
async fn another_block_than_the_one_asked_for_is_refused() {
    is_not_believed(Fault::OtherBlock).await;
}

#[tokio::test]
async fn a_number_with_too_many_digits_is_refused() {
    is_not_believed(Fault::HugeQuantity).await;
}

#[tokio::test]
async fn a_head_that_nobody_ever_made_is_not_waited_for() {
    is_not_believed(Fault::PhantomHead).await;
}

#[tokio::test]
async fn a_block_that_cannot_be_had_is_told_though_heads_go_on() {
    let (node, mut follow) = following(1).await;
    follow.expect_all_of(&node.tree).await;
    // Neither together nor one by one.
    node.bend(|method, _, answer| {
        match method {
            "eth_getBlockReceipts" => *answer = serde_json::json!([]),
            "eth_getTransactionReceipt" => *answer = serde_json::Value::Null,
            _ => {}
        }
        Ok(())
    });
    node.grow(|chain| chain.extend(4));
    let trouble = follow.until_told(BlindnessKind::NoBlock).await;
    assert!(trouble.why.contains("receipt"), "{}", trouble.why);
    node.bend(|_, _, _| Ok(()));
    follow.expect_all_of(&node.tree).await;
}

// === Odd, and true ===

#[tokio::test]
async fn a_header_field_that_the_hash_knows_nothing_of_is_passed_over() {
    let (node, mut follow) = following(1).await;
    node.fault(Fault::ExtraField);
    node.grow(|chain| chain.extend(6));
    follow.expect_all_of(&node.tree).await;
    assert!(follow.told.is_empty(), "{:?}", follow.told);
}

/// A fork brings a transaction type or a header field that did not exist when this was written: its blocks are seen, and where
/// they cannot be vouched for, that is told until they can be.
async fn does_not_blind(odd: Odd, node: &FakeNode) -> Follow {
    let mut follow = Follow::at(&node.serve().await.url("ws"), 1);
    node.grow(|chain| {
        chain.extend(2);
        chain.extend_with(odd);
    });
    follow.expect_all_of(&node.tree).await;
    follow
}

#[tokio::test]
async fn an_unknown_transaction_type_is_vouched_for_by_its_own_bytes() {
    let node = FakeNode::of(Chain::new(3));
    let mut follow = does_not_blind(Odd::TxType, &node).await;
    node.grow(|chain| chain.extend(2));
    follow.expect_all_of(&node.tree).await;
    assert!(follow.told.is_empty(), "{:?}", follow.told);
}

#[tokio::test]
async fn an_unknown_transaction_type_whose_bytes_cannot_be_had_does_not_blind() {
    let node = FakeNode::of(Chain::new(3));
    node.fault(Fault::LacksRaw);
    let mut follow = does_not_blind(Odd::TxType, &node).await;
    if follow.standing.is_empty() {
        follow.until_told(BlindnessKind::UnverifiedBlock).await;
    }
    node.grow(|chain| chain.extend(2));
    follow.expect_all_of(&node.tree).await;
    if !follow.standing.is_empty() {
        follow.until_cleared(BlindnessKind::UnverifiedBlock).await;
    }
    assert_eq!(follow.told.len(), 1, "{:?}", follow.told);
}

#[tokio::test]
async fn an_unknown_header_field_is_tried_behind_those_that_are_known() {
    let node = FakeNode::of(Chain::new(3));
    let mut follow = does_not_blind(Odd::HeaderField, &node).await;
    node.grow(|chain| chain.extend(2));
    follow.expect_all_of(&node.tree).await;
    assert!(follow.told.is_empty(), "{:?}", follow.told);
}

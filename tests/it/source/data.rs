//! Faults of the data: what a node says is not true, or is true and odd.

use super::chain::Odd;
use super::faulty::Fault;
use super::line::following;
use watchfire::model::BlindnessKind;

/// A node that says one false thing a few times and then behaves: nothing of it was committed.
async fn is_not_believed(lie: Fault) {
    let (node, mut follow) = following(1).await;
    follow.expect_all_of(&node.tree).await;
    node.fault(lie.clone().times(3));
    node.grow(|chain| chain.extend(12));
    node.grow(|chain| chain.reorg(2, 4));
    follow.expect_all_of(&node.tree).await;
    assert!(node.said().iter().any(|said| said.fault == lie), "it was said: {lie:?}");
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
async fn a_header_field_that_nobody_knows_is_passed_over() {
    let (node, mut follow) = following(1).await;
    node.fault(Fault::ExtraField);
    node.grow(|chain| chain.extend(6));
    follow.expect_all_of(&node.tree).await;
    assert!(follow.told.is_empty(), "{:?}", follow.told);
}

#[tokio::test]
async fn a_block_that_cannot_be_had_is_told_though_heads_go_on() {
    let (node, mut follow) = following(1).await;
    follow.expect_all_of(&node.tree).await;
    node.fault(Fault::EmptyReceipts);
    node.grow(|chain| chain.extend(4));
    let trouble = follow.until_told(BlindnessKind::NoBlock).await;
    assert!(trouble.why.contains("came with 0 receipts"), "{}", trouble.why);
    node.mend(&Fault::EmptyReceipts);
    follow.expect_all_of(&node.tree).await;
}

/// A fork brings a transaction type or a header field that did not exist when this was written.
#[tokio::test]
async fn what_nobody_has_seen_before_does_not_blind() {
    for odd in [Odd::TxType, Odd::HeaderField] {
        let (node, mut follow) = following(1).await;
        node.grow(|chain| {
            chain.extend(2);
            chain.extend_with(odd);
            chain.extend(2);
        });
        follow.expect_all_of(&node.tree).await;
    }
}

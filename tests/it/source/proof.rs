//! A node that contradicts its own hashes is refused at once, by name and with what it said; what is newer than we are is not.

use super::line::following;
use crate::support::chain::{Chain, Odd};
use crate::support::fake_node::{FakeNode, Fault, deadlines};
use crate::support::follow::{Follow, SimClock, at, pool};
use std::time::Duration;
use watchfire::model::{BlindnessKind, ChainId, Severity, Verification};
use watchfire::source::verify::Gap;
use watchfire::source::{Checks, Deadlines, Event, Fetched, Senders};

/// Lies that no count gives away, only a hash or a root.
const LIES: [Fault; 8] = [
    Fault::DropsLog,
    Fault::AltersLog,
    Fault::AltersStatus,
    Fault::DropsTx,
    Fault::AltersTx,
    Fault::MissingTo,
    Fault::AltersHeader,
    Fault::AltersParent,
];

#[tokio::test]
async fn a_lie_that_a_hash_can_catch_is_told_at_once_with_the_answers_and_never_committed() {
    for lie in LIES {
        let (node, mut follow) = following(1).await;
        follow.expect_all_of(&node.tree).await;
        node.fault(lie.clone());
        node.grow(|chain| chain.extend(12));
        let trouble = follow.until_told(BlindnessKind::RefusedBlock).await;
        node.mend(&lie);
        let name = trouble.endpoint.as_deref();
        assert_eq!((name, trouble.severity), (Some("primary"), Severity::High), "{lie:?}");
        assert!(trouble.why.starts_with("a false block 0x"), "{lie:?}: {}", trouble.why);
        let evidence = trouble.evidence.expect("it is kept");
        let about = node.said().into_iter().map(|said| format!("block {}", said.about));
        assert!(about.into_iter().any(|about| about == evidence.asked), "{lie:?}: {}", evidence.asked);
        assert!(evidence.answers.iter().any(|(_, text)| text.len() > 1_000), "{lie:?}: {evidence:?}");
        follow.expect_all_of(&node.tree).await;
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_lies_is_not_asked_while_somebody_else_can_be_and_comes_back_after_its_quarantine() {
    let (a, clock) = (FakeNode::of(Chain::new(3)), SimClock::start());
    let nodes = [a.clone(), a.tree.node()];
    let mut follow = Follow::simulated(pool(&nodes, &Deadlines::default()), 1, clock);
    a.fault(Fault::DropsLog);
    let mut asked = Vec::new();
    for n in 0..80 {
        a.grow(|chain| {
            chain.now = clock.seconds();
            chain.extend(1);
        });
        follow.hear_for(Duration::from_secs(12)).await;
        asked.push(a.asked("eth_getBlockReceipts"));
        if n == 20 {
            a.heal();
        }
    }
    follow.expect_all_of(&a.tree).await;
    let told: Vec<_> = follow.told.iter().map(|told| (told.kind, told.endpoint.as_deref())).collect();
    assert_eq!(told, [(BlindnessKind::RefusedBlock, Some("a"))]);
    assert!(follow.standing.is_empty(), "{:?}", follow.standing);
    let first = asked.iter().position(|n| *n > 0).expect("it is asked before it is caught");
    assert_eq!(asked[first + 5], asked[first + 40], "ten minutes are fifty slots");
}

#[tokio::test]
async fn a_sender_that_did_not_sign_is_refused_where_it_matters() {
    let node = FakeNode::of(Chain::new(3));
    let url = node.serve().await.url("ws");
    let all = Checks::for_chain(ChainId(1)).with_senders(Senders::Everybody);
    let mut follow = Follow::on(at(&url, deadlines()).with_checks(all).into(), 1);
    follow.expect_all_of(&node.tree).await;
    node.fault(Fault::AltersSender);
    node.grow(|chain| chain.extend(12));
    let trouble = follow.until_told(BlindnessKind::RefusedBlock).await;
    node.mend(&Fault::AltersSender);
    assert!(trouble.why.contains("transaction 0"), "{}", trouble.why);
    follow.expect_all_of(&node.tree).await;
}

/// The first block from the source that this holds for.
async fn block_with(follow: &mut Follow, like: impl Fn(&Fetched) -> bool) -> Fetched {
    loop {
        let event = follow.until_event(|event| matches!(event, Event::Step(_))).await;
        let Event::Step(step) = event else { unreachable!("it was looked for") };
        if let Some(found) = step.append.into_iter().find(&like) {
            return found;
        }
    }
}

fn of_unknown_type(fetched: &Fetched) -> bool {
    fetched.block.txs.iter().any(|tx| tx.kind == 0x7e)
}

#[tokio::test]
async fn a_transaction_type_of_the_future_is_proven_by_its_own_bytes() {
    let (node, mut follow) = following(1).await;
    node.grow(|chain| chain.extend_with(Odd::TxType));
    let fetched = block_with(&mut follow, of_unknown_type).await;
    assert_eq!(fetched.sight.proof, Verification::Proven, "{:?}", fetched.gaps);
    assert!(follow.told.is_empty(), "{:?}", follow.told);
}

#[tokio::test]
async fn a_transaction_type_of_the_future_is_told_where_its_bytes_cannot_be_had_until_blocks_are_proven_again() {
    let (node, mut follow) = following(1).await;
    follow.expect_all_of(&node.tree).await;
    node.fault(Fault::LacksRaw);
    node.grow(|chain| chain.extend_with(Odd::TxType));
    let fetched = block_with(&mut follow, of_unknown_type).await;
    assert_eq!(fetched.sight.proof, Verification::Unproven);
    assert!(matches!(fetched.gaps[0], Gap::Transactions { kind: 0x7e, .. }), "{:?}", fetched.gaps);
    let trouble = follow.until_told(BlindnessKind::UnverifiedBlock).await;
    assert!(trouble.why.contains("type 0x7e") && trouble.endpoint.is_none(), "{}", trouble.why);
    node.grow(|chain| chain.extend(1));
    follow.until_cleared(BlindnessKind::UnverifiedBlock).await;
    follow.expect_all_of(&node.tree).await;
}

#[tokio::test]
async fn what_is_not_to_be_verified_is_taken_at_the_nodes_word() {
    let node = FakeNode::of(Chain::new(3));
    let url = node.serve().await.url("ws");
    let mut follow = Follow::on(at(&url, deadlines()).with_checks(Checks::NONE).into(), 1);
    node.fault(Fault::AltersLog);
    node.grow(|chain| chain.extend(8));
    let fetched = block_with(&mut follow, |_| true).await;
    assert_eq!((fetched.sight.proof, fetched.gaps), (Verification::NotAsked, vec![]));
    while !node.said().iter().any(|said| said.fault == Fault::AltersLog) {
        follow.next().await.expect("the source goes on");
    }
}

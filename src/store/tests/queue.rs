//! Transactions seen in queues, and logs of Safes in the meantime.

use super::*;
use crate::escalate::proposal_change_set;
use crate::model::proposals::{Progress, Remembered, Waits};
use crate::model::value::Value;
use crate::model::{ActivityKind, Anchor, Decoding, Position, Severity};
use crate::store::{QueueKept, QueueSeen};
use alloy_primitives::{Address, B256, U256};

fn remembered(n: u32, waits: Waits, seen_at: u64) -> Remembered {
    let nonce = U256::MAX - U256::from(n);
    let progress = Progress { nonce, confirmed: 1, threshold: 2, next: false };
    let (first, time, judged) = (1, 12, B256::repeat_byte(7));
    Remembered {
        hash: numbered_tx_hash(n),
        nonce,
        waits,
        first,
        time,
        seen_at,
        rejects: false,
        judged,
        progress,
        doubtful: true,
    }
}

fn seen(kit: &Kit, remembered: Vec<Remembered>, accounted: i64) -> QueueSeen {
    let step = kit.owned(
        &[],
        vec![judged_block(Anchor::Proposed { since: 1 }, block_ref(0, 0), vec![treasury_finding(1, Severity::High)])],
    );
    QueueSeen { step, safe: numbered_address(TREASURY), remembered, news: vec![], accounted }
}

async fn commit(kit: &Kit, seen: QueueSeen, now_ms: u64) -> crate::store::Result<ChangeSet> {
    let roster = kit.roster.clone();
    kit.store
        .commit_queue(seen, now_ms, move |step, standing| proposal_change_set(step, standing, &roster, now_ms, &[]))
        .await
}

async fn kept(kit: &Kit) -> QueueKept {
    kit.store.load_proposals(MAINNET, numbered_address(TREASURY)).await.unwrap()
}

/// Returns a log of the treasury that says that `hash` was executed, or that an owner approves it.
fn logged(n: u32, name: &str, signature: &str, hash: B256) -> Judged {
    let mut activity = snt_transfer(TREASURY, n, &[0], 1);
    (activity.kind, activity.position) = (ActivityKind::Event, Position::Log(4));
    (activity.deed.name, activity.deed.signature) = (name.into(), signature.into());
    activity.deed.decoding = Decoding::Clean;
    activity.deed.args = vec![
        untyped_argument("txHash", Value::FixedBytes(hash, 32)),
        untyped_argument("owner", Value::Address(Address::repeat_byte(3))),
    ];
    judged_normal(activity)
}

fn executed(n: u32, hash: B256) -> Judged {
    logged(n, "ExecutionSuccess", "ExecutionSuccess(bytes32,uint256)", hash)
}

#[tokio::test]
async fn a_look_is_committed_with_its_findings_and_messages_or_not_at_all() {
    let kit = Kit::new().await;
    let failed =
        kit.store.commit_queue(seen(&kit, vec![remembered(1, Waits::Queued, T)], 0), T, |_, _| panic!("a bug")).await;
    assert!(failed.is_err());
    assert_eq!(kept(&kit).await.remembered, []);
    assert_eq!(kit.number("SELECT count(*) FROM findings") + kit.number("SELECT count(*) FROM queues"), 0);
    let one = remembered(1, Waits::Queued, T);
    commit(&kit, seen(&kit, vec![one.clone()], 0), T).await.unwrap();
    assert_eq!(kept(&kit).await.remembered, [one], "a nonce of 256 bits too");
    assert_eq!(kit.number("SELECT count(*) FROM findings"), 1);
    assert!(kit.number("SELECT count(*) FROM outbox") > 0);
    // Another process commits the same again: nothing is written twice.
    let plan = commit(&kit, seen(&kit, vec![], 0), T).await.unwrap();
    assert!(
        plan.findings.is_empty() && plan.deliveries.iter().all(|delivery| delivery.incident.is_none()),
        "{plan:#?}"
    );
    let retracting = QueueSeen { step: kit.owned(&[block_ref(0, 0)], vec![]), ..seen(&kit, vec![], 0) };
    assert!(commit(&kit, retracting, T).await.is_err(), "a queue has no block to take back");
}

#[tokio::test]
async fn what_the_safe_logs_waits_to_be_accounted_for_from_the_first_look_on() {
    let kit = Kit::new().await;
    kit.block(1, vec![executed(1, numbered_tx_hash(11))]).await;
    assert_eq!(kept(&kit).await.traces, [], "what came before is not held against anybody");
    let until = kept(&kit).await.until;
    let nothing = |accounted| QueueSeen { step: kit.owned(&[], vec![]), ..seen(&kit, vec![], accounted) };
    commit(&kit, nothing(until), T).await.unwrap();
    let approved = logged(3, "ApproveHash", "ApproveHash(bytes32,address)", numbered_tx_hash(13));
    kit.block(2, vec![executed(2, numbered_tx_hash(12)), approved, treasury_finding(4, Severity::High)]).await;
    let stirred = |safes: Vec<Address>| kit.store.touched_since(MAINNET, safes);
    assert_eq!(
        stirred(vec![numbered_address(CHILD), numbered_address(TREASURY)]).await.unwrap(),
        [numbered_address(TREASURY)]
    );
    let now = kept(&kit).await;
    let told: Vec<_> =
        now.traces.iter().map(|trace| (trace.hash, trace.executed, trace.ordinal, trace.at.number)).collect();
    assert_eq!(told, [(numbered_tx_hash(12), true, 4, 2), (numbered_tx_hash(13), false, 4, 2)]);
    assert_eq!(now.traces[1].owner, Some(Address::repeat_byte(3)));
    commit(&kit, nothing(now.traces[0].seq), T).await.unwrap();
    assert_eq!(kept(&kit).await.traces.len(), 1, "the second is still open");
    // A log that a reorg removes needs no account; the same log in another block does.
    let moved = judged_block(block_ref(2, 1), block_ref(1, 0), vec![executed(2, numbered_tx_hash(12))]);
    kit.step(&[block_ref(2, 0)], vec![moved]).await.unwrap();
    let after: Vec<_> = kept(&kit).await.traces.into_iter().map(|trace| (trace.hash, trace.at)).collect();
    assert_eq!(after, [(numbered_tx_hash(12), block_ref(2, 1))]);
    commit(&kit, nothing(kept(&kit).await.until), T).await.unwrap();
    assert_eq!(kept(&kit).await.traces, []);
    assert!(stirred(vec![numbered_address(TREASURY)]).await.unwrap().is_empty());
    // Lines that the poll itself wrote do not count as a change.
    commit(&kit, seen(&kit, vec![], 0), T).await.unwrap();
    assert!(stirred(vec![numbered_address(TREASURY)]).await.unwrap().is_empty());
}

#[tokio::test]
async fn logs_above_the_block_at_which_the_safe_was_read_wait_for_the_next_look() {
    let kit = Kit::new().await;
    commit(&kit, QueueSeen { step: kit.owned(&[], vec![]), ..seen(&kit, vec![], 0) }, T).await.unwrap();
    kit.block(1, vec![executed(1, numbered_tx_hash(11))]).await;
    kit.block(2, vec![executed(2, numbered_tx_hash(12))]).await;
    let all = kept(&kit).await;
    let read_at = |number| {
        let mut kept = all.clone();
        kept.retain_up_to(number);
        (kept.traces.iter().map(|trace| trace.at.number).collect::<Vec<_>>(), kept.until)
    };
    assert_eq!(read_at(2), (vec![1, 2], all.until));
    assert_eq!(read_at(1), (vec![1], all.traces[1].seq - 1));
    let (none, until) = read_at(0);
    assert!(none.is_empty(), "{none:?}");
    // Accounted for so, both are open at the next look.
    commit(&kit, QueueSeen { step: kit.owned(&[], vec![]), ..seen(&kit, vec![], until) }, T).await.unwrap();
    assert_eq!(kept(&kit).await.traces, all.traces);
}

#[tokio::test]
async fn what_ended_long_ago_is_forgotten_and_what_waits_is_not() {
    let kit = Kit::new().await;
    let rows =
        vec![remembered(1, Waits::Queued, T), remembered(2, Waits::Executed, T), remembered(3, Waits::Replaced, T + 1)];
    commit(&kit, seen(&kit, rows, 0), T).await.unwrap();
    commit(&kit, seen(&kit, vec![], 0), T + 90 * 86_400_000 + 1).await.unwrap();
    let left: Vec<_> = kept(&kit).await.remembered.into_iter().map(|one| one.hash).collect();
    assert_eq!(left, [numbered_tx_hash(1), numbered_tx_hash(3)]);
}

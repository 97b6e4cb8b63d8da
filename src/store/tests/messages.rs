//! The outbox: order, leases, and messages that are never lost.

use super::*;
use crate::escalate::{acknowledge_incident, dead_letter};
use crate::model::incident::DeliveryKind;
use crate::model::{DeliveryKey, Severity};
use crate::store::Leased;

fn everybody() -> Vec<String> {
    ["pager", "phone", "sms", "chat", "token-pager", "findings", "verdicts"].map(str::to_owned).to_vec()
}

async fn lease(kit: &Kit, now_ms: u64) -> Vec<Leased> {
    kit.store.lease_any_budget(now_ms, 100, 60_000, everybody()).await.unwrap()
}

fn names(leased: &[Leased]) -> Vec<String> {
    leased.iter().map(|l| format!("{} {} {}", l.delivery.kind.as_str(), l.delivery.destination, l.attempt)).collect()
}

fn key(leased: &[Leased], at: usize) -> DeliveryKey {
    leased[at].delivery.key.clone()
}

/// Creates two incidents, the less severe one first; without a feed.
async fn two_incidents() -> Kit {
    let mut kit = Kit::new().await;
    kit.roster.feeds.clear();
    let token = judged_abnormal(snt_transfer(TOKEN, 2, &[0], 1), "builtin/unvouched", Severity::High);
    kit.block(1, vec![token, treasury_finding(1, Severity::Critical)]).await;
    kit
}

#[tokio::test]
async fn the_loudest_is_leased_first_then_the_oldest_and_feed_lines_last() {
    let kit = Kit::new().await;
    let token = judged_abnormal(snt_transfer(TOKEN, 2, &[0], 1), "builtin/unvouched", Severity::High);
    let quiet = judged_abnormal(snt_transfer(CHILD, 3, &[0], 1), "builtin/unvouched", Severity::Warning);
    kit.block(1, vec![quiet, token, treasury_finding(1, Severity::Critical)]).await;
    let order: Vec<String> =
        lease(&kit, T).await.iter().map(|l| format!("{} {}", l.delivery.destination, l.delivery.severity)).collect();
    assert_eq!(order[..3], ["pager critical", "token-pager high", "chat warning"]);
    assert_eq!(order.len(), 9);
    assert!(order[3..].iter().all(|line| line.starts_with("findings") || line.starts_with("verdicts")), "{order:?}");
}

#[tokio::test]
async fn a_leased_message_is_not_leased_again_until_its_lease_ran_out() {
    let kit = two_incidents().await;
    let first = lease(&kit, T).await;
    assert_eq!(names(&first), ["trigger pager 1", "trigger token-pager 1"]);
    assert_eq!(names(&lease(&kit, T + 59_999).await), [""; 0]);
    assert_eq!(kit.store.next_due(everybody()).await.unwrap(), Some(T + 60_000));
    // The worker is gone: the same message is leased under the same key, as a second attempt.
    let again = lease(&kit, T + 60_000).await;
    assert_eq!(names(&again), ["trigger pager 2", "trigger token-pager 2"]);
    assert_eq!(key(&again, 0), key(&first, 0));
    kit.store.mark_sent(&key(&again, 0), T + 60_001).await.unwrap();
    kit.store.mark_sent(&key(&again, 1), T + 60_001).await.unwrap();
    assert_eq!(kit.store.next_due(everybody()).await.unwrap(), None);
    assert_eq!(names(&lease(&kit, T + 86_400_000).await), [""; 0]);
}

#[tokio::test]
async fn only_destinations_that_are_asked_for_are_leased() {
    let kit = two_incidents().await;
    let leased = kit.store.lease_any_budget(T, 100, 1, vec!["token-pager".into()]).await.unwrap();
    assert_eq!(names(&leased), ["trigger token-pager 1"]);
    assert_eq!(kit.store.lease_any_budget(T, 0, 1, everybody()).await.unwrap(), []);
    assert_eq!(kit.store.next_due(vec!["nobody".into()]).await.unwrap(), None);
}

#[tokio::test]
async fn messages_of_a_lane_go_out_in_order_and_wait_for_one_another() {
    let kit = two_incidents().await;
    let trigger = kit.store.lease_any_budget(T, 1, 60_000, everybody()).await.unwrap();
    kit.block(2, vec![treasury_finding(5, Severity::High)]).await;
    kit.block(3, vec![treasury_finding(6, Severity::High)]).await;
    // The update waits for the trigger that is in flight; the other lane does not.
    assert_eq!(names(&lease(&kit, T).await), ["trigger token-pager 1"]);
    kit.store.schedule_retry(&key(&trigger, 0), T, T + 5_000, "503").await.unwrap();
    assert_eq!(names(&lease(&kit, T + 4_999).await), [""; 0]);
    let trigger = lease(&kit, T + 5_000).await;
    assert_eq!(names(&trigger), ["trigger pager 2"]);
    kit.store.mark_sent(&key(&trigger, 0), T + 5_001).await.unwrap();
    let update = lease(&kit, T + 5_001).await;
    assert_eq!(names(&update), ["update pager 1"], "the second update took the place of the first");
    kit.block(4, vec![treasury_finding(7, Severity::High)]).await;
    assert_eq!(names(&lease(&kit, T + 5_001).await), [""; 0], "one of a lane at a time");
    // A message that was given up no longer delays the others.
    kit.store.mark_dead_letter(&key(&update, 0), T + 5_002, "410 Gone", |_, _| ChangeSet::default()).await.unwrap();
    assert_eq!(names(&lease(&kit, T + 5_003).await), ["update pager 1"]);
}

#[tokio::test]
async fn a_page_nobody_needs_any_more_is_dropped_and_a_feed_line_never_is() {
    let kit = Kit::new().await;
    let plan = kit.block(1, vec![treasury_finding(1, Severity::High)]).await;
    let page = kit.store.lease_any_budget(T, 1, 60_000, vec!["pager".into()]).await.unwrap();
    kit.store.mark_sent(&key(&page, 0), T).await.unwrap();
    let late = T + 300_000;
    kit.store.commit_change(late, move |live| crate::escalate::advance_timers(live, late)).await.unwrap();
    let ack = |incident: &_| acknowledge_incident(incident, "on-call", T);
    kit.store.commit_response(plan.incidents[0].id.clone(), T, None, ack).await.unwrap().unwrap();
    let mut left: Vec<String> = names(&lease(&kit, late).await);
    left.sort();
    assert_eq!(left, ["acknowledge pager 1", "acknowledge phone 1", "feed findings 1", "feed verdicts 1"]);
    assert_eq!(kit.store.counts().await.unwrap().superseded, 1);
}

#[tokio::test]
async fn an_update_that_waits_outlives_the_acknowledgement() {
    let kit = two_incidents().await;
    let mut leased = lease(&kit, T).await;
    kit.block(2, vec![treasury_finding(5, Severity::High)]).await;
    let id = leased[0].delivery.incident.clone().unwrap();
    kit.store
        .commit_response(id, T, None, |incident| acknowledge_incident(incident, "on-call", T))
        .await
        .unwrap()
        .unwrap();
    for message in ["update pager 1", "acknowledge pager 1"] {
        kit.store.mark_sent(&key(&leased, 0), T).await.unwrap();
        leased = lease(&kit, T).await;
        assert_eq!(names(&leased), [message]);
    }
}

#[tokio::test]
async fn a_dead_letter_and_the_incident_it_makes_are_one_commit() {
    let kit = two_incidents().await;
    let leased = lease(&kit, T).await;
    let roster = kit.roster.clone();
    let plan = kit
        .store
        .mark_dead_letter(&key(&leased, 0), T, "410 Gone", move |letter, live| {
            dead_letter(letter, "410 Gone", live, &roster, T)
        })
        .await
        .unwrap();
    assert_eq!(notified_recipients(&plan), "trigger phone");
    let dead = kit.store.dead_letters().await.unwrap();
    assert_eq!((dead.len(), dead[0].attempts, dead[0].error.as_str()), (1, 1, "410 Gone"));
    assert_eq!(dead[0].delivery, leased[0].delivery);
    assert_eq!(names(&lease(&kit, T).await), ["trigger phone 1"]);
    // Giving a message up twice has the same effect as once.
    let again = kit.store.mark_dead_letter(&key(&leased, 0), T, "410 Gone", |_, _| panic!("not asked")).await.unwrap();
    assert_eq!(again, ChangeSet::default());
    // An engine that panics leaves the message alive: it does not become a dead letter.
    assert!(kit.store.mark_dead_letter(&key(&leased, 1), T, "410", |_, _| panic!("no")).await.is_err());
    assert_eq!(kit.store.counts().await.unwrap().dead, 1);

    assert!(kit.store.revive_dead_letter(&key(&leased, 0), T).await.unwrap());
    assert!(!kit.store.revive_dead_letter(&key(&leased, 0), T).await.unwrap());
    assert_eq!(names(&lease(&kit, T).await), ["trigger pager 2"]);
}

#[tokio::test]
async fn the_same_message_is_written_once() {
    let kit = two_incidents().await;
    let plan = kit.block(2, vec![treasury_finding(5, Severity::High)]).await;
    let again = ChangeSet { deliveries: plan.deliveries.clone(), ..ChangeSet::default() };
    kit.store.commit_change(T, move |_| again).await.unwrap();
    assert_eq!(kit.number("SELECT count(*) FROM outbox"), 3);
}

#[tokio::test]
async fn every_attempt_is_written_down_and_a_long_error_is_cut() {
    let kit = two_incidents().await;
    let leased = lease(&kit, T).await;
    kit.store.schedule_retry(&key(&leased, 0), T, T, &"é".repeat(5_000)).await.unwrap();
    let leased = lease(&kit, T).await;
    kit.store.mark_sent(&key(&leased, 0), T).await.unwrap();
    assert_eq!(kit.number("SELECT count(*) FROM attempts WHERE outcome IN ('retry', 'sent')"), 2);
    assert_eq!(kit.number("SELECT max(length(CAST(error AS BLOB))) FROM attempts"), 1000);
    assert_eq!(kit.store.prune_expired(MAINNET, 0, T + 1).await.unwrap().messages, 1);
    assert_eq!(kit.number("SELECT count(*) FROM attempts"), 0);
    assert!(leased.iter().all(|l| l.delivery.kind == DeliveryKind::Trigger));
}

#[tokio::test]
async fn whoever_takes_over_sends_at_once_what_its_predecessor_had_on_the_wire() {
    let kit = Kit::new().await;
    kit.block(1, vec![treasury_finding(1, Severity::High)]).await;
    let first = kit.store.lease_any_budget(T, 9, 45_000, vec!["pager".into()]).await.unwrap();
    assert_eq!(first.len(), 1);
    assert_eq!(
        kit.store.lease_any_budget(T + 1, 9, 45_000, vec!["pager".into()]).await.unwrap(),
        [],
        "it is still on the wire"
    );
    assert_eq!(kit.store.end_leases(T + 2).await.unwrap(), 1);
    let again = kit.store.lease_any_budget(T + 2, 9, 45_000, vec!["pager".into()]).await.unwrap();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].delivery.key, first[0].delivery.key, "under the same key");
}

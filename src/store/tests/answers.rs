//! Answers while pages wait: an answer drops no unseen page.

use super::*;
use crate::escalate::{ResponseError, acknowledge_incident, advance_timers, false_alarm, resolve_incident};
use crate::model::incident::{DeliveryKind, Incident};
use crate::model::incident_state::State;
use crate::model::{DeliveryKey, Severity};
use crate::store::{Answered, Leased};

const PAGER: &str = "pager";

/// State of the second page by the time of a response, or right after.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Page {
    Waits,
    Failed,
    GivenUp,
    OnItsWayAndFails,
    OnItsWayAndLapses,
    OnItsWayAndIsGivenUp,
    OnItsWayAndArrives,
    Arrived,
}

type Answer = fn(&Incident) -> Result<ChangeSet, ResponseError>;

const ANSWERS: [(&str, Answer); 3] = [
    ("ack", |incident| acknowledge_incident(incident, "on-call", T)),
    ("resolve", |incident| resolve_incident(incident, "on-call", T)),
    ("false alarm", |incident| false_alarm(incident, "on-call", T)),
];

async fn lease(kit: &Kit, now_ms: u64) -> Vec<Leased> {
    kit.store.lease_any_budget(now_ms, 1, 60_000, vec![PAGER.into()]).await.unwrap()
}

fn key(leased: &[Leased]) -> DeliveryKey {
    leased[0].delivery.key.clone()
}

/// A payment of the treasury, to another party each time.
fn payment(n: u32) -> Judged {
    let mut act = snt_transfer(TREASURY, n, &[0], 60_000);
    act.deed.args[0] = untyped_argument("to", crate::model::value::Value::Address(numbered_address(5000 + n)));
    judged_abnormal(act, "builtin/unvouched", Severity::High)
}

/// Prepares one page that arrived, and one about something else that did not.
async fn two_pages(page: Page) -> (Kit, Vec<Leased>) {
    let kit = Kit::new().await;
    kit.block(1, vec![payment(1)]).await;
    kit.store.mark_sent(&key(&lease(&kit, T).await), T).await.unwrap();
    assert_eq!(notified_recipients(&kit.block(2, vec![payment(2)]).await), "trigger pager");
    let mut leased = Vec::new();
    if page != Page::Waits {
        leased = lease(&kit, T).await;
    }
    match page {
        Page::Failed => kit.store.schedule_retry(&key(&leased), T, T + 1_000, "answered 503").await.unwrap(),
        Page::GivenUp => {
            kit.store.mark_dead_letter(&key(&leased), T, "answered 410", |_, _| ChangeSet::default()).await.unwrap();
        }
        Page::Arrived => kit.store.mark_sent(&key(&leased), T).await.unwrap(),
        _ => {}
    }
    (kit, leased)
}

async fn answer(kit: &Kit, seen: Option<u32>, how: Answer) -> Answered {
    kit.store.commit_response(kit.only().await.id, T, seen, how).await.unwrap().unwrap()
}

#[tokio::test]
async fn no_answer_drops_a_page_about_what_nobody_was_given() {
    use Page::*;
    for (name, how) in ANSWERS {
        for page in [Waits, Failed, GivenUp] {
            let (kit, _) = two_pages(page).await;
            let answered = answer(&kit, None, how).await;
            let [unseen] = &answered.unseen[..] else { panic!("{name} {page:?}: {answered:?}") };
            assert!(unseen.headline.contains("60,000 SNT") && unseen.destinations.contains(PAGER), "{unseen:?}");
            assert_eq!(unseen.error.is_some(), page != Waits, "{name} {page:?}");
            assert_eq!(notified_recipients(&answered.plan), "update pager");
            let incident = kit.only().await;
            assert!(
                incident.state.kind() == State::Open && incident.state.next_escalation().is_some(),
                "{name} {page:?}"
            );
            if page != GivenUp {
                let next = lease(&kit, T + 1_000).await;
                assert_eq!(next[0].delivery.kind, DeliveryKind::Trigger, "{name} {page:?}");
                // After the page has arrived, the answer takes effect.
                kit.store.mark_sent(&key(&next), T + 1_000).await.unwrap();
                assert_eq!(answer(&kit, None, how).await.unseen, []);
                assert_ne!(kit.only().await.state.kind(), State::Open, "{name} {page:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_page_on_its_way_when_somebody_answers_opens_the_incident_again_if_it_fails() {
    use Page::*;
    for (name, how) in ANSWERS {
        for page in [OnItsWayAndFails, OnItsWayAndLapses, OnItsWayAndIsGivenUp, OnItsWayAndArrives, Arrived] {
            let (kit, leased) = two_pages(page).await;
            assert_eq!(answer(&kit, None, how).await.unseen, [], "{name} {page:?}");
            assert_ne!(kit.only().await.state.kind(), State::Open, "{name} {page:?}");
            match page {
                OnItsWayAndFails => kit.store.schedule_retry(&key(&leased), T, T, "timeout").await.unwrap(),
                OnItsWayAndIsGivenUp => {
                    kit.store
                        .mark_dead_letter(&key(&leased), T, "answered 410", |_, _| ChangeSet::default())
                        .await
                        .unwrap();
                }
                OnItsWayAndArrives => kit.store.mark_sent(&key(&leased), T).await.unwrap(),
                _ => {}
            }
            let next = lease(&kit, T + 60_000).await;
            let incident = kit.only().await;
            let again = matches!(page, OnItsWayAndFails | OnItsWayAndLapses | OnItsWayAndIsGivenUp);
            assert_eq!(incident.state.kind() == State::Open, again, "{name} {page:?}");
            assert_eq!(incident.state.next_escalation().is_some(), again, "{name} {page:?}");
            let kinds = (next[0].delivery.kind, next[0].attempt);
            match page {
                OnItsWayAndFails | OnItsWayAndLapses => {
                    assert_eq!(kinds, (DeliveryKind::Trigger, 2), "{name} {page:?}");
                }
                _ => assert_ne!(kinds.0, DeliveryKind::Trigger, "{name} {page:?}"),
            }
        }
    }
}

#[tokio::test]
async fn what_was_listed_is_answered_for_by_its_number_and_nothing_that_came_after() {
    let (kit, _) = two_pages(Page::Waits).await;
    let listed = answer(&kit, None, ANSWERS[0].1).await.plan.incidents[0].revision;
    kit.block(3, vec![payment(3)]).await;
    let again = answer(&kit, Some(listed), ANSWERS[0].1).await;
    assert_eq!((again.unseen.len(), kit.only().await.state.kind()), (2, State::Open), "one came after the list");
    let answered = answer(&kit, Some(again.plan.incidents[0].revision), ANSWERS[0].1).await;
    assert_eq!((answered.unseen.len(), kit.only().await.state.kind()), (0, State::Acknowledged));
    assert_eq!(lease(&kit, T).await[0].delivery.kind, DeliveryKind::Update, "its pages are dropped");
}

#[tokio::test]
async fn a_page_that_shows_nothing_new_is_dropped_by_an_answer() {
    for on_its_way in [false, true] {
        let kit = Kit::new().await;
        kit.block(1, vec![payment(1)]).await;
        kit.store.mark_sent(&key(&lease(&kit, T).await), T).await.unwrap();
        // The path advances to its next step.
        let late = T + 300_000;
        kit.store.commit_change(late, move |live| advance_timers(live, late)).await.unwrap();
        let steps = vec![PAGER.to_owned(), "phone".to_owned()];
        if on_its_way {
            let leased = kit.store.lease_any_budget(late, 10, 60_000, steps.clone()).await.unwrap();
            assert_eq!(leased.len(), 1);
        }
        assert_eq!(answer(&kit, None, ANSWERS[0].1).await.unseen, []);
        let left = kit.store.lease_any_budget(late + 60_000, 10, 60_000, steps).await.unwrap();
        assert!(left.iter().all(|l| l.delivery.kind == DeliveryKind::Acknowledge), "{left:?}");
        assert_eq!(kit.store.counts().await.unwrap().superseded, 1);
    }
}

#[tokio::test]
async fn what_a_reorg_took_back_needs_no_page() {
    let (kit, _) = two_pages(Page::Waits).await;
    kit.step(&[block_ref(2, 0)], vec![judged_block(block_ref(2, 1), block_ref(1, 0), vec![])]).await.unwrap();
    assert_eq!(answer(&kit, None, ANSWERS[0].1).await.unseen, []);
    assert_eq!(kit.only().await.state.kind(), State::Acknowledged);
}

#[tokio::test]
async fn what_stood_on_a_page_that_was_given_up_pages_anew() {
    let (kit, _) = two_pages(Page::GivenUp).await;
    let mut again = payment(2);
    again.activity.tx = numbered_tx_hash(9);
    assert_eq!(notified_recipients(&kit.block(3, vec![again]).await), "trigger pager");
}

//! A long outbox before real receivers: pages first, the feed in batches and in order, and nothing lost on the way.

use crate::support::desk::{Desk, about, line, page, trigger};
use crate::support::inbox::{Answer, Inbox, Received};
use jiff::SignedDuration;
use std::collections::BTreeMap;
use watchfire::model::incident::{Delivery, DeliveryKind};
use watchfire::model::page::Page;
use watchfire::model::{DeliveryKey, IncidentId, Severity};

/// A message about an incident of its own, along `path`.
fn of(incident: &str, n: u32, kind: DeliveryKind, severity: Severity, path: &str, change: Option<&str>) -> Delivery {
    let page = Page {
        incident: IncidentId(incident.to_owned()),
        path: path.to_owned(),
        change: change.map(str::to_owned),
        severity,
        ..page()
    };
    Delivery {
        key: DeliveryKey::new(incident, 0, n, "pager", kind.as_str(), n),
        severity,
        lane: incident.to_owned(),
        ..about(n, "pager", kind, page)
    }
}

/// A PagerDuty of our making, which bears two messages a second.
async fn pager(inbox: &Inbox) -> Desk {
    inbox.otherwise(Answer::Body(202, "{\"status\": \"success\"}".to_owned()));
    let config = format!(
        "[destination.pager]\nkind = \"pagerduty\"\nurl = \"{}\"\nrouting_key = {{ file = \"key\" }}\n",
        inbox.url("/v2/enqueue")
    );
    Desk::new(&config, &[("key", "R0UT1NGKEY")]).await
}

/// Incidents in the order in which their messages came.
fn incidents(received: &[Received]) -> Vec<String> {
    let key = |request: &Received| request.json()["dedup_key"].as_str().unwrap_or_default().to_owned();
    received.iter().map(|request| key(request).split('/').next().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn a_first_page_leaves_before_everything_that_waits_and_is_louder() {
    use DeliveryKind::{Retract, Trigger, Update};
    let inbox = Inbox::start().await;
    let desk = pager(&inbox).await;
    let noisy = |n: u32| format!("noisy{n}");
    desk.write((0..4).map(|n| of(&noisy(n), 1, Trigger, Severity::Critical, "treasury", None)).collect()).await;
    let mut worker = desk.worker();
    let mut second = 0;
    while inbox.count() < 4 {
        worker.drain().await.unwrap();
        desk.clock.advance(SignedDuration::from_millis(500));
        second += 1;
        assert!(second < 100, "the first pages left");
    }
    for round in 2..20 {
        let update = |n: u32| of(&noisy(n), round, Update, Severity::Critical, "treasury", Some("one more"));
        desk.write((0..4).map(update).collect()).await;
    }
    desk.write(vec![
        of("taken-back", 1, Retract, Severity::Info, "treasury", Some("a reorg took it back")),
        of("louder", 1, Trigger, Severity::High, "treasury", Some("louder")),
        of("quiet", 1, Trigger, Severity::Warning, "treasury", None),
        of("fresh", 1, Trigger, Severity::High, "treasury", None),
    ])
    .await;
    for _ in 0..8 {
        desk.clock.advance(SignedDuration::from_millis(500));
        worker.drain().await.unwrap();
    }
    let order = incidents(&inbox.received()).split_off(4);
    assert_eq!(order[..4], ["fresh", "quiet", "louder", "taken-back"], "{order:?}");
    assert_eq!(order[4..], [noisy(0), noisy(1), noisy(2), noisy(3)], "one update of each is left of eighteen");
    assert_eq!(desk.waiting().await, 0);
    let last = inbox.received().pop().unwrap().json();
    assert_eq!(last["dedup_key"], "noisy3/r0");
}

#[tokio::test]
async fn the_path_self_waits_for_nobody_s_pace() {
    let inbox = Inbox::start().await;
    let desk = pager(&inbox).await;
    let pages = |n: u32| of(&format!("page{n}"), 1, DeliveryKind::Trigger, Severity::Critical, "treasury", None);
    desk.write((0..9).map(pages).collect()).await;
    let mut worker = desk.worker();
    worker.drain().await.unwrap();
    assert_eq!(incidents(&inbox.received()), ["page0"], "the others wait for the destination's pace");
    desk.write(vec![of("own", 1, DeliveryKind::Trigger, Severity::Warning, "self", None)]).await;
    worker.drain().await.unwrap();
    assert_eq!(incidents(&inbox.received()), ["page0", "own"], "at the same moment");
    // The others make up for it: the destination gets no more than it bears.
    desk.clock.advance(SignedDuration::from_millis(500));
    worker.drain().await.unwrap();
    assert_eq!(inbox.count(), 2);
    desk.clock.advance(SignedDuration::from_millis(500));
    worker.drain().await.unwrap();
    assert_eq!(incidents(&inbox.received()), ["page0", "own", "page1"]);
}

/// The `n`th line of a lane.
fn of_lane(lane: u32, n: u32) -> Delivery {
    Delivery { lane: format!("feed/1/{lane}"), ..line(1_000 * lane + n, "hook") }
}

/// Numbers of the lines that were received, by lane, each where it came first.
fn lines(received: &[Received]) -> BTreeMap<u64, Vec<u64>> {
    let mut lanes: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for request in received {
        let body = request.json();
        for event in body.as_array().cloned().unwrap_or_else(|| vec![body.clone()]) {
            let number = event["data"]["blocks"].as_u64().unwrap();
            let lane = lanes.entry(number / 1_000).or_default();
            if !lane.contains(&(number % 1_000)) {
                lane.push(number % 1_000);
            }
        }
    }
    lanes
}

#[tokio::test]
async fn the_feed_goes_in_batches_in_order_where_the_receiver_takes_them() {
    let inbox = Inbox::start().await;
    let desk = Desk::with_hook(&inbox, "batch = true\n").await;
    desk.write((0..250).flat_map(|n| (1..=3).map(move |lane| of_lane(lane, n))).collect()).await;
    desk.write(vec![trigger(1, "hook")]).await;
    desk.after(0).await;
    let received = inbox.received();
    let batches: Vec<_> = received
        .iter()
        .filter(|request| request.header("content-type") == Some("application/cloudevents-batch+json"))
        .cloned()
        .collect();
    assert_eq!((batches.len(), received.len()), (9, 10), "a page comes alone");
    let expected: BTreeMap<u64, Vec<u64>> = (1..=3).map(|lane| (lane, (0..250).collect())).collect();
    assert_eq!(lines(&batches), expected);
    let event = &batches[0].json()[0];
    assert_eq!((event["specversion"].as_str(), event["id"].as_str().is_some()), (Some("1.0"), true));
    assert!(batches.iter().all(crate::support::desk::is_signed), "a batch is signed as a whole");
    assert_eq!(desk.waiting().await, 0);
}

#[tokio::test]
async fn one_line_that_is_refused_takes_no_other_of_its_batch_with_it() {
    let inbox = Inbox::start().await;
    let desk = Desk::with_hook(&inbox, "batch = true\n").await;
    desk.write((0..5).map(|n| of_lane(1, n)).collect()).await;
    // The batch as a whole, then line by line, of which the third is not borne.
    inbox.script([Answer::Status(413), Answer::Ok, Answer::Ok, Answer::Body(422, "no".to_owned())]);
    desk.after(0).await;
    desk.after(0).await;
    let dead = desk.store.dead_letters().await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].delivery.key, of_lane(1, 2).key);
    assert_eq!(lines(&inbox.received()[1..])[&1], [0, 1, 2, 3, 4]);
    assert_eq!(desk.waiting().await, 0);
}

#[tokio::test]
async fn a_receiver_that_fails_now_and_then_gets_every_line_in_order() {
    let rng = &mut fastrand::Rng::with_seed(7);
    for more in ["", "batch = true\n"] {
        let inbox = Inbox::start().await;
        let desk = Desk::with_hook(&inbox, more).await;
        desk.write((0..200).flat_map(|n| (1..=2).map(move |lane| of_lane(lane, n))).collect()).await;
        let mut rounds = 0;
        while desk.waiting().await > 0 {
            let bad = [Answer::Status(500), Answer::Close, Answer::Body(200, "<html>portal</html>".to_owned())];
            let answers = (0..20).map(|_| if rng.u8(..) < 50 { bad[rng.usize(..3)].clone() } else { Answer::Ok });
            inbox.script(answers.collect::<Vec<_>>());
            desk.after(301).await;
            rounds += 1;
            assert!(rounds < 500, "everything gets through");
        }
        let expected: BTreeMap<u64, Vec<u64>> = (1..=2).map(|lane| (lane, (0..200).collect())).collect();
        assert_eq!(lines(&inbox.received()), expected, "{more}");
    }
}

#[tokio::test]
async fn a_page_leaves_while_the_feed_hangs() {
    let inbox = Inbox::start().await;
    let desk = Desk::with_hook(&inbox, "timeout = \"1s\"\n").await;
    inbox.script(vec![Answer::Hang; 16]);
    desk.write((1..=40).map(|lane| of_lane(lane, 0)).collect()).await;
    let worker = desk.worker();
    let (nudge, stop) = (worker.wake_handle(), watchfire::runtime::Stop::new());
    let running = tokio::spawn(worker.run(stop.clone()));
    inbox.wait_for(16).await;
    desk.write(vec![trigger(1, "hook")]).await;
    nudge.notify_one();
    let received = inbox.wait_for(17).await;
    let page = received.iter().position(|request| request.id() == trigger(1, "hook").key.as_str());
    assert_eq!(page, Some(16), "with the room of its own, the page is next");
    stop.cancel();
    running.await.unwrap().unwrap();
}

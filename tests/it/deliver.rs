//! Messages to destinations that are down, slow, gone or hostile: nothing is lost, nothing is told under a new key, and no
//! secret gets out.

use crate::support::desk::{Desk, about, id, is_signed, line, page, trigger};
use crate::support::inbox::{Answer, Inbox};
use crate::support::watch::Watch;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use watchfire::model::incident::DeliveryKind;
use watchfire::model::incident_state::State;
use watchfire::model::page::Page;
use watchfire::runtime::Stop;

#[tokio::test]
async fn every_retry_repeats_key_and_body_and_signs_anew() {
    let inbox = Inbox::start().await;
    inbox.script([Answer::Status(500), Answer::Status(503), Answer::Close, Answer::Status(408), Answer::Ok]);
    let desk = Desk::with_hook(&inbox, "").await;
    desk.write(vec![trigger(1, "hook")]).await;
    for _ in 0..6 {
        desk.after(61).await;
    }
    let received = inbox.received();
    assert_eq!(received.len(), 5);
    for request in &received {
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hook"));
        assert_eq!(id(request), trigger(1, "hook").key.as_str());
        assert_eq!(request.body, received[0].body);
        assert_eq!(request.header("content-type"), Some("application/cloudevents+json"));
        assert!(is_signed(request));
    }
    let times: Vec<_> = received.iter().map(|request| request.header("webhook-timestamp").unwrap()).collect();
    let start = "2026-11-20T10:00:00Z".parse::<Timestamp>().unwrap().as_second();
    assert_eq!(times, (1..=5).map(|n| (start + 61 * n).to_string()).collect::<Vec<_>>());
    assert_eq!(desk.outcomes(), ["1 retry", "2 retry", "3 retry", "4 retry", "5 sent"]);
    assert_eq!(desk.waiting().await, 0);
}

#[tokio::test]
async fn nothing_is_lost_while_a_destination_is_down_or_hangs() {
    let mut inbox = Inbox::start().await;
    let desk = Desk::with_hook(&inbox, "timeout = \"200ms\"").await;
    inbox.stop();
    desk.write((1..=5).map(|n| line(n, "hook")).collect()).await;
    desk.after(0).await;
    assert_eq!(desk.waiting().await, 5);
    inbox.resume().await;
    inbox.script(vec![Answer::Hang; 5]);
    desk.after(301).await;
    assert_eq!(desk.waiting().await, 5);
    assert!(desk.heard().contains("no answer within 200ms"), "{}", desk.heard());
    desk.after(301).await;
    assert_eq!(desk.waiting().await, 0);
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    inbox.received().iter().for_each(|request| *told.entry(id(request).to_owned()).or_default() += 1);
    let expected = (1..=5).map(|n| (line(n, "hook").key.to_string(), 2)).collect();
    assert_eq!(told, expected, "each came once while it hung and once after");
}

#[tokio::test]
async fn a_pause_the_destination_asks_for_holds_back_everything_to_it() {
    let inbox = Inbox::start().await;
    let calm = Inbox::start().await;
    let config = format!(
        "[destination.a]\nkind = \"webhook\"\nurl = \"{}\"\nunsigned = true\n\
         [destination.b]\nkind = \"webhook\"\nurl = \"{}\"\nunsigned = true\n",
        inbox.url("/"),
        calm.url("/")
    );
    let desk = Desk::new(&config, &[]).await;
    inbox.script([Answer::TooMany(120)]);
    desk.write(vec![line(1, "a")]).await;
    let mut worker = desk.worker();
    worker.drain().await.unwrap();
    desk.write(vec![line(2, "a"), line(3, "b")]).await;
    desk.clock.advance(SignedDuration::from_secs(119));
    worker.drain().await.unwrap();
    assert_eq!((inbox.received().len(), calm.received().len()), (1, 1));
    assert!(worker.health().condition_of("a").last_error.is_some());
    desk.clock.advance(SignedDuration::from_secs(1));
    worker.drain().await.unwrap();
    assert_eq!((inbox.received().len(), calm.received().len()), (3, 1));
    assert_eq!(worker.health().condition_of("a").last_error, None);
}

#[tokio::test]
async fn a_pause_may_be_a_date() {
    let inbox = Inbox::start().await;
    let desk = Desk::with_hook(&inbox, "").await;
    inbox.script([Answer::Header(503, "retry-after: Fri, 20 Nov 2026 10:05:00 GMT".to_owned())]);
    desk.write(vec![trigger(1, "hook")]).await;
    desk.after(0).await;
    desk.after(299).await;
    assert_eq!(inbox.received().len(), 1);
    desk.after(1).await;
    assert_eq!(inbox.received().len(), 2);
}

#[tokio::test]
async fn what_is_refused_is_a_dead_letter_at_once_and_the_next_message_goes_out() {
    let inbox = Inbox::start().await;
    let elsewhere = Inbox::start().await;
    let desk = Desk::with_hook(&inbox, "").await;
    inbox.script([
        Answer::Status(410),
        Answer::Header(302, format!("location: {}", elsewhere.url("/stolen"))),
        Answer::Body(400, "{\"error\": \"no such field\"}".to_owned()),
        Answer::Ok,
    ]);
    desk.write((1..=4).map(|n| trigger(n, "hook")).collect()).await;
    desk.after(0).await;
    assert_eq!(desk.outcomes(), ["1 dead", "1 dead", "1 dead", "1 sent"]);
    let dead = desk.store.dead_letters().await.unwrap();
    let errors: Vec<&str> = dead.iter().map(|letter| letter.error.as_str()).collect();
    assert_eq!(
        errors,
        [
            "answered 410, gone for good",
            "answered 302, a redirect, and redirects are not followed; write down where it leads",
            "answered 400: {\"error\": \"no such field\"}",
        ]
    );
    assert!(elsewhere.received().is_empty(), "a redirect was followed");
    // A dead letter can be sent again, under its old key.
    assert!(desk.store.revive_dead_letter(&dead[0].delivery.key, desk.now_ms()).await.unwrap());
    desk.after(0).await;
    let received = inbox.received();
    assert_eq!((received.len(), id(&received[4])), (5, id(&received[0])));
}

#[tokio::test]
async fn a_message_that_never_gets_through_is_given_up_and_seen() {
    let inbox = Inbox::start().await;
    let desk = Desk::with_hook(&inbox, "give_up_after = \"10m\"").await;
    inbox.script(vec![Answer::Status(500); 20]);
    desk.write(vec![trigger(1, "hook")]).await;
    for _ in 0..12 {
        desk.after(61).await;
    }
    let dead = desk.store.dead_letters().await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].error, "given up after 10 attempts, the last of which answered 500");
    assert_eq!(inbox.received().len(), 10);
    assert_eq!(desk.waiting().await, 0);
}

#[tokio::test]
async fn messages_of_one_incident_keep_their_order_when_the_first_is_late() {
    let inbox = Inbox::start().await;
    let desk = Desk::with_hook(&inbox, "").await;
    inbox.script([Answer::Status(500)]);
    desk.write(vec![
        trigger(1, "hook"),
        about(2, "hook", DeliveryKind::Update, page()),
        about(3, "hook", DeliveryKind::Resolve, page()),
    ])
    .await;
    desk.after(0).await;
    assert_eq!(inbox.received().len(), 1);
    desk.after(61).await;
    let types: Vec<String> =
        inbox.received().iter().map(|request| request.json()["type"].as_str().unwrap().to_owned()).collect();
    let word = |word: &str| format!("watchfire.incident.{word}.v1");
    assert_eq!(types, [word("trigger"), word("trigger"), word("update"), word("resolve")]);
}

#[tokio::test]
async fn a_message_in_the_hands_of_a_worker_that_died_is_sent_again_under_its_key() {
    let inbox = Inbox::start().await;
    let desk = Desk::with_hook(&inbox, "").await;
    desk.write(vec![trigger(1, "hook")]).await;
    let lost = desk.store.lease_any_budget(desk.now_ms(), 1, 30_000, vec!["hook".to_owned()]).await.unwrap();
    desk.after(29).await;
    assert!(inbox.received().is_empty());
    desk.after(1).await;
    assert_eq!(id(&inbox.received()[0]), lost[0].delivery.key.as_str());
    assert_eq!(desk.outcomes(), ["2 sent"]);
}

#[tokio::test]
async fn a_message_to_a_destination_nobody_configures_any_more_does_not_wait_in_silence() {
    let inbox = Inbox::start().await;
    let desk = Desk::with_hook(&inbox, "").await;
    desk.write(vec![trigger(1, "former"), trigger(2, "hook")]).await;
    desk.after(0).await;
    assert_eq!(inbox.received().len(), 1);
    let dead = desk.store.dead_letters().await.unwrap();
    assert_eq!(dead[0].error, "no destination is called `former` any more");
}

#[tokio::test]
async fn a_destination_that_hangs_holds_up_itself_alone() {
    let hanging = Inbox::start().await;
    let calm = Inbox::start().await;
    hanging.script(vec![Answer::Hang; 100]);
    let config = format!(
        "[destination.a]\nkind = \"webhook\"\nurl = \"{}\"\nunsigned = true\ntimeout = \"1s\"\n\
         [destination.b]\nkind = \"webhook\"\nurl = \"{}\"\nunsigned = true\n",
        hanging.url("/"),
        calm.url("/")
    );
    let desk = Desk::new(&config, &[]).await;
    desk.write((1..=50).map(|n| line(n, "a")).collect()).await;
    let worker = desk.worker();
    let (nudge, stop) = (worker.wake_handle(), Stop::new());
    let running = tokio::spawn(worker.run(stop.clone()));
    hanging.wait_for(16).await;
    desk.write((51..=60).map(|n| line(n, "b")).collect()).await;
    nudge.notify_one();
    calm.wait_for(10).await;
    assert_eq!(hanging.received().len(), 16, "no more than sixteen at once");
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn stopping_waits_for_what_is_on_its_way_and_takes_up_nothing_new() {
    let inbox = Inbox::start().await;
    inbox.script([Answer::Late(Duration::from_millis(300))]);
    let desk = Desk::with_hook(&inbox, "").await;
    desk.write(vec![trigger(1, "hook"), trigger(2, "hook")]).await;
    let stop = Stop::new();
    let running = tokio::spawn(desk.worker().run(stop.clone()));
    inbox.wait_for(1).await;
    stop.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(desk.outcomes(), ["1 sent"]);
    let counts = desk.store.counts().await.unwrap();
    assert_eq!((counts.sent, desk.waiting().await), (1, 1));
    // Nothing is leased: the second goes out at once when somebody takes over.
    desk.after(0).await;
    assert_eq!(desk.outcomes(), ["1 sent", "1 sent"]);
}

#[tokio::test]
async fn pagerduty_gets_its_routing_key_and_every_cycle_is_closed() {
    let inbox = Inbox::start().await;
    let config = format!(
        "[destination.oncall]\nkind = \"pagerduty\"\nurl = \"{}\"\nrouting_key = {{ file = \"key\" }}\n",
        inbox.url("/v2/enqueue")
    );
    let desk = Desk::new(&config, &[("key", "R0UT1NGKEY")]).await;
    inbox.otherwise(Answer::Body(202, "{\"status\": \"success\"}".to_owned()));
    desk.write(vec![about(1, "oncall", DeliveryKind::Trigger, Page { cycle: 1, ..page() })]).await;
    desk.after(1).await;
    desk.write(vec![about(2, "oncall", DeliveryKind::Resolve, Page { cycle: 1, state: State::Resolved, ..page() })])
        .await;
    desk.after(1).await;
    let received = inbox.received();
    assert_eq!(received.len(), 3);
    let said: Vec<String> = received
        .iter()
        .map(|request| {
            let event = request.json();
            assert_eq!(event["routing_key"], "R0UT1NGKEY");
            assert_eq!(request.header("content-type"), Some("application/json"));
            format!("{} {}", event["event_action"], event["dedup_key"]).replace('"', "")
        })
        .collect();
    assert_eq!(said, ["trigger inc_00/r1", "resolve inc_00/r1", "resolve inc_00/r0"]);
}

#[tokio::test]
async fn no_secret_reaches_a_log_a_line_or_the_store() {
    let inbox = Inbox::start().await;
    let room = inbox.url("/services/T0000PLANTED/B0000PLANTED/x?token=t0kenPLANTED");
    let config = format!(
        "[destination.room]\nkind = \"slack\"\nurl = {{ file = \"room\" }}\ntimeout = \"300ms\"\n\
         [destination.oncall]\nkind = \"pagerduty\"\nurl = \"{0}\"\nrouting_key = {{ file = \"key\" }}\n\
         [destination.hook]\nkind = \"webhook\"\nurl = \"{0}\"\nsecret = {{ file = \"sign\" }}\n",
        inbox.url("/")
    );
    let planted = "PLANTEDkeyPLANTEDkey";
    let desk = Desk::new(&config, &[("room", &room), ("key", planted), ("sign", planted)]).await;
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        watchfire::telemetry::log_subscriber(move || writer.clone(), "trace", watchfire::telemetry::Form::Text, false);
    let _guard = tracing::subscriber::set_default(subscriber);
    // Each answer repeats what it was sent, as a helpful server does.
    let known = format!("nothing at {room}, /services/T0000PLANTED/B0000PLANTED/x, B0000PLANTED, token=t0kenPLANTED");
    let refused = format!("not with {planted}");
    for status in [500, 400] {
        for (destination, echo) in [("room", &known), ("oncall", &refused), ("hook", &refused)] {
            let taken = match destination {
                "room" => Answer::Body(200, "ok".to_owned()),
                "oncall" => Answer::Body(202, "{\"status\": \"success\"}".to_owned()),
                _ => Answer::Ok,
            };
            inbox.script([Answer::Body(status, echo.clone())]);
            // What is refused for good is not tried again.
            inbox.script((status == 500).then_some(taken));
            desk.write(vec![trigger(u32::from(status), destination)]).await;
            desk.after(61).await;
            desk.after(61).await;
        }
    }
    inbox.script([Answer::Hang, Answer::Close]);
    desk.write(vec![trigger(1, "room")]).await;
    desk.after(61).await;
    desk.after(61).await;
    drop(inbox);
    desk.write(vec![trigger(2, "room")]).await;
    desk.after(61).await;
    let letters = desk.store.dead_letters().await.unwrap();
    assert_eq!(letters.len(), 3);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let everything = format!("{}\n{letters:?}\n{log}", desk.heard());
    assert!(log.contains("to room, retrying") && everything.contains("answered 500"), "{everything}");
    assert!(!everything.contains("PLANTED"), "{everything}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_page_that_did_not_arrive_is_no_success() {
    let inbox = Inbox::start().await;
    let config =
        format!("[destination.pager]\nkind = \"webhook\"\nurl = \"{}\"\nunsigned = true\n", inbox.url("/hook"));
    let watch = Watch::treasury("ws://127.0.0.1:9", &config);
    let page = || tokio::task::block_in_place(|| watch.run(&["test-page", "treasury"]));
    let arrived = page();
    assert!(arrived.code == 0 && arrived.stderr.contains("1 of 1 message delivered"), "{}", arrived.stderr);
    // In trouble: whoever tried the path must not take it for one that works.
    inbox.otherwise(Answer::Status(500));
    let late = page();
    assert_eq!(late.code, 2, "{}", late.stderr);
    assert!(late.stderr.contains("pager: not delivered, `run` tries it again: answered 500"), "{}", late.stderr);
    inbox.otherwise(Answer::Status(410));
    let gone = page();
    assert!(gone.code == 2 && gone.stderr.contains("pager: not delivered, given up"), "{}", gone.stderr);
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

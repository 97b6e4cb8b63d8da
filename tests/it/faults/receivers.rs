//! Receivers that are down, slow, in trouble, busy, gone or elsewhere, told by the program as it is run.

use crate::support::anvil::Options;
use crate::support::inbox::{Answer, Inbox};
use crate::support::stored::{self, Stored};
use crate::support::watched_proxy::{WatchedProxy, told_events};
use serde_json::Value;
use std::time::Duration;

/// A step with somebody beside the pager, so that there is another road.
const TWO: &str = "page_at = \"warning\"\nsteps = [{ to = [\"pager\", \"backup\"], ack_within = \"1h\" }]\n";

/// Three findings, a normal bill, and everything told of them compared in the end.
async fn three_findings(stage: &WatchedProxy) {
    for n in [1, 2, 2] {
        stage.theft(n).await;
    }
    stage.bill(3).await;
}

async fn nothing_is_lost(stage: &WatchedProxy) -> Stored {
    stage.settle().await;
    let abnormal = stage.reckon().await;
    assert_eq!(abnormal.len(), 3);
    stage.check(&abnormal).await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_that_were_down_hear_everything_once_they_are_back() {
    let mut stage = WatchedProxy::new().await;
    stage.pager.stop();
    stage.feed.stop();
    let process = stage.start();
    three_findings(&stage).await;
    for destination in ["pager", "feed"] {
        let failed = || stored::failed_attempts(&stage.store(), destination) >= 2;
        stage.until(&format!("two attempts at {destination} failed"), failed).await;
    }
    assert_eq!((stage.pager.count(), stage.feed.count()), (0, 0));
    stage.pager.resume().await;
    stage.feed.resume().await;
    nothing_is_lost(&stage).await;
    assert_eq!(process.end().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_that_hang_or_hang_up_hear_everything_when_they_listen() {
    let stage = WatchedProxy::new().await;
    stage.pager.script([Answer::Hang, Answer::Close, Answer::Hang]);
    stage.feed.script([Answer::Close, Answer::Hang, Answer::Close, Answer::Hang]);
    let process = stage.start();
    three_findings(&stage).await;
    let ours = nothing_is_lost(&stage).await;
    for (inbox, name, failed) in [(&stage.pager, "pager", 3), (&stage.feed, "feed", 4)] {
        assert_eq!(inbox.count(), ours.messages(name).count() + failed, "what failed was sent again, and nothing else");
    }
    assert_eq!(process.end().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_in_trouble_for_a_while_hear_everything_after_it() {
    let stage = WatchedProxy::new().await;
    stage.pager.script([500, 503, 502, 500].map(Answer::Status));
    stage.feed.script([500, 500, 408, 504].map(Answer::Status));
    let process = stage.start();
    three_findings(&stage).await;
    let ours = nothing_is_lost(&stage).await;
    assert_eq!(stage.feed.count(), ours.messages("feed").count() + 4);
    assert_eq!(process.end().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_asks_for_a_pause_gets_it_even_from_a_program_started_anew() {
    const PAUSE_S: u64 = 4;
    let stage = WatchedProxy::new().await;
    stage.feed.script([Answer::TooMany(PAUSE_S)]);
    stage.pager.script([Answer::TooMany(PAUSE_S)]);
    let process = stage.start();
    stage.theft(1).await;
    for name in ["feed", "pager"] {
        let asked = || stored::failed_attempts(&stage.store(), name) == 1;
        stage.until(&format!("the wish of {name} is written down"), asked).await;
    }
    process.kill();
    let process = stage.start();
    stage.settle().await;
    for inbox in [&stage.feed, &stage.pager] {
        let received = inbox.received();
        assert_eq!(received.len(), 2, "{received:#?}");
        assert_eq!((received[0].id(), &received[0].body), (received[1].id(), &received[1].body));
        assert!(received[1].at - received[0].at >= Duration::from_secs(PAUSE_S), "{received:#?}");
    }
    let abnormal = stage.reckon().await;
    stage.check(&abnormal).await;
    assert!([0, 1].contains(&process.end().await));
}

/// `backup` beside the three receivers, on the same step of the path as the pager.
async fn with_backup() -> (WatchedProxy, Inbox) {
    let backup = Inbox::start().await;
    let more = format!(
        "[destination.backup]\nkind = \"webhook\"\nurl = \"{}\"\nunsigned = true\ntimeout = \"1s\"\n",
        backup.url("/hook")
    );
    (WatchedProxy::with(Options::default(), &more, TWO).await, backup)
}

/// What `incidents list` answers, and what it says beside.
fn listed(stage: &WatchedProxy) -> (Vec<Value>, String) {
    let answers = tokio::task::block_in_place(|| stage.watch.run(&["incidents", "list"]));
    assert_eq!(answers.code, 0, "{}", answers.stderr);
    (answers.lines, answers.stderr)
}

/// The incident about messages that cannot be delivered to `name`, as the list shows it.
fn undeliverable(stage: &WatchedProxy, name: &str) -> Value {
    let (incidents, beside) = listed(stage);
    assert!(beside.contains("could not be delivered"), "{beside}");
    let letter = incidents.iter().find(|line| line["type"] == "delivery").expect("the dead letter is named");
    assert_eq!((&letter["outcome"], &letter["destination"]), (&"dead".into(), &name.into()));
    let label = format!("Delivery to {name}");
    incidents.into_iter().find(|incident| incident["watch"] == label.as_str()).expect("the dead letter is an incident")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pager_that_is_gone_for_good_is_an_incident_by_the_other_road() {
    let (stage, backup) = with_backup().await;
    stage.pager.otherwise(Answer::Status(410));
    let process = stage.start();
    stage.theft(1).await;
    let about = |received: &[crate::support::inbox::Received], label: &str| {
        received.iter().any(|page| page.json()["data"]["label"] == label)
    };
    backup.wait_until("the other road hears of it", |all| about(all, "Delivery to pager")).await;
    backup.wait_until("and of the finding", |all| about(all, "Clerk 01")).await;
    stage.settle().await;
    assert_eq!(process.end().await, 1);

    let incident = undeliverable(&stage, "pager");
    assert!(incident["headline"].as_str().unwrap_or_default().contains("gone for good"), "{incident:#}");
    let ours = Stored::read(&stage.store());
    let states: Vec<&str> = ours.messages("pager").map(|(_, message)| message.state.as_str()).collect();
    assert_eq!(states, ["dead"]);
    assert_eq!(stage.pager.count(), 1, "nobody knocks again where nobody lives");
    assert!(ours.messages("backup").all(|(_, message)| message.state == "sent"));
    assert_eq!(told_events(stage.feed.received(), &ours, "feed").len(), 1, "the feed is another road");

    // Once the address is right again, the message is sent under its old key when somebody asks for it.
    let run = |args: &[&str]| tokio::task::block_in_place(|| stage.watch.run(args));
    assert_eq!(run(&["incidents", "resend", "dlv_nothing"]).code, 2);
    let key = stage.pager.received()[0].header("webhook-id").expect("signed").to_owned();
    stage.pager.otherwise(Answer::Ok);
    assert_eq!(run(&["incidents", "resend", &key]).code, 0);
    run(&["run", "--for", "2s"]);
    let again = stage.pager.received();
    assert!(again[1..].iter().any(|page| page.header("webhook-id") == Some(&key)), "{again:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_is_gone_for_good_is_an_incident_for_those_who_are_paged() {
    let (stage, backup) = with_backup().await;
    stage.feed.otherwise(Answer::Status(410));
    let process = stage.start();
    three_findings(&stage).await;
    stage.settle().await;
    assert_eq!(process.end().await, 1);
    let incident = undeliverable(&stage, "feed");
    assert_eq!(incident["severity"], "warning", "{incident:#}");
    for inbox in [&stage.pager, &backup] {
        let told = inbox.received().iter().filter(|page| page.json()["data"]["label"] == "Delivery to feed").count();
        assert_eq!(told, 1, "three dead letters of one receiver are one incident, told once");
    }
    let ours = Stored::read(&stage.store());
    assert_eq!(ours.messages("feed").filter(|(_, message)| message.state == "dead").count(), 3);
    assert!(ours.messages("pager").all(|(_, message)| message.state == "sent"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed_and_is_told() {
    let (stage, backup) = with_backup().await;
    let elsewhere = Inbox::start().await;
    let location = format!("location: {}", elsewhere.url("/stolen"));
    stage.pager.script([Answer::Header(307, location.clone()), Answer::Header(302, location)]);
    let process = stage.start();
    stage.theft(1).await;
    backup
        .wait_until("the other road hears of it", |all| {
            all.iter().any(|page| page.json()["data"]["label"] == "Delivery to pager")
        })
        .await;
    stage.settle().await;
    assert_eq!(process.end().await, 1);
    assert_eq!(elsewhere.count(), 0, "{:#?}", elsewhere.received());
    let incident = undeliverable(&stage, "pager");
    assert!(incident["headline"].as_str().unwrap_or_default().contains("redirects are not followed"), "{incident:#}");
}

//! A chain that cannot be seen: who hears of it, when, and what its end tells of what was missed.

use crate::support::anvil::{Options, Tx};
use crate::support::bill_payers::clerk;
use crate::support::inbox::{Inbox, Received};
use crate::support::stored::Stored;
use crate::support::watched_proxy::{PATH, WatchedProxy};
use alloy_primitives::{Address, U256};
use serde_json::{Value, json};
use std::io::Read;
use std::time::{SystemTime, UNIX_EPOCH};

/// Kind and headline of each page a receiver got about sight, in order.
fn pages(inbox: &Inbox) -> Vec<(String, String)> {
    let told = |received: &Received| {
        let event = received.json();
        let kind = event["type"].as_str().unwrap_or("?").split('.').nth(2).unwrap_or("?").to_owned();
        (kind, event["data"]["headline"].as_str().unwrap_or("?").to_owned())
    };
    inbox.received().iter().map(told).collect()
}

async fn hears(inbox: &Inbox, what: &str, n: usize) -> Value {
    let event = |received: &Received| received.json();
    let is = |event: &Value| event["type"] == format!("watchfire.incident.{what}.v1");
    let heard = inbox
        .wait_until(&format!("{n} of {what}"), |all| all.iter().map(event).filter(|event| is(event)).count() >= n)
        .await;
    heard.iter().map(event).filter(|event| is(event)).nth(n - 1).expect("it was waited for")
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn report(event: &Value) -> Vec<&str> {
    event["data"]["report"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_goes_away_is_told_on_self_and_its_return_tells_what_was_missed() {
    let stage = WatchedProxy::new().await;
    let process = stage.start();
    stage.bill(1).await;
    stage.settle().await;
    stage.proxy.refuse(true);
    stage.proxy.cut();
    let page = hears(&stage.keeper, "trigger", 1).await;
    let headline = page["data"]["headline"].as_str().expect("a headline");
    assert!(headline.starts_with("demo cannot be seen since "), "{headline}");
    assert!(page["data"]["purpose"].as_str().expect("a purpose").contains("Clerk 00, Clerk 01"), "{page}");
    // What happens meanwhile, nobody sees; the node itself goes on.
    let first = stage.anvil.block_number().await + 1;
    stage.bill(2).await;
    stage.theft(3).await;
    stage.anvil.mine(70).await;
    let last = stage.anvil.block_number().await;
    assert_eq!(stage.pager.count(), 0, "the people of the treasury are not the ones to mend a node");
    stage.proxy.refuse(false);
    let end = hears(&stage.keeper, "resolve", 1).await;
    let told = report(&end);
    let expected = format!("demo: 72 blocks seen late, {first} to {last}; 1 finding in them, the loudest high");
    assert!(told.contains(&expected.as_str()), "{told:#?}");
    let finding = Stored::read(&stage.store()).findings.into_keys().next().expect("the theft was found");
    assert!(
        told.iter().any(|line| line.starts_with("high: Clerk 03 sent 1 ETH") && line.contains(&finding)),
        "{told:#?}"
    );
    // The record says the same, and so does the incident when somebody looks at it the next morning.
    let lines = stage.watch.answers();
    let line = lines.iter().find(|line| line["type"] == "blindness" && line["until"].is_string()).expect("its end");
    assert_eq!((&line["kind"], &line["blocks"]), (&"unreachable".into(), &72.into()), "{line}");
    assert_eq!(line["late"][0]["found"][0]["finding_id"], finding.as_str());
    let id = end["subject"].as_str().expect("an incident").to_owned();
    let shown = stage.watch.shows(&["incidents", "show", &id]);
    assert!(shown.contains("72 blocks seen late") && shown.contains("RESOLVED"), "{shown}");
    stage.settle().await;
    let abnormal = stage.reckon().await;
    stage.check(&abnormal).await;
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
    assert_eq!(pages(&stage.keeper).len(), 2, "one page and its end: {:?}", pages(&stage.keeper));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_is_told_though_the_program_died_while_it_caught_up() {
    let stage = WatchedProxy::new().await;
    let process = stage.start();
    stage.bill(1).await;
    stage.settle().await;
    stage.proxy.refuse(true);
    stage.proxy.cut();
    hears(&stage.keeper, "trigger", 1).await;
    process.kill();
    stage.theft(2).await;
    stage.anvil.mine(80).await;
    // It dies again when some of what was missed is committed, and some is not.
    stage.proxy.refuse(false);
    stage.proxy.delay(std::time::Duration::from_millis(40));
    let process = stage.start();
    let first = stage.first;
    let some = || Stored::read(&stage.store()).blocks.last().is_some_and(|tip| tip.0 > first + 5);
    stage.until("some of it is committed", some).await;
    process.kill();
    stage.proxy.delay(std::time::Duration::ZERO);
    let process = stage.start();
    let end = hears(&stage.keeper, "resolve", 1).await;
    let expected =
        format!("demo: 81 blocks seen late, {} to {}; 1 finding in them, the loudest high", first + 1, first + 81);
    assert!(report(&end).contains(&expected.as_str()), "{:#?}", report(&end));
    stage.settle().await;
    let abnormal = stage.reckon().await;
    stage.check(&abnormal).await;
    assert_ne!(process.end().await, 2, "{}", stage.watch.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_stands_still_warns_then_pages_and_ends_with_the_next_block() {
    let options = Options { genesis_time: now(), block_time_s: Some(1), ..Options::default() };
    let stage = WatchedProxy::with(options, "", PATH).await.paced("clock = \"wall\"\nslot = \"1s\"");
    // A node's clock is behind by as long as the node took to start.
    stage.anvil.rpc("evm_setTime", json!([now()])).await;
    let process = stage.start();
    stage.theft(1).await;
    stage.pager.wait_for(1).await;
    stage.anvil.rpc("evm_setIntervalMining", json!([0])).await;
    let warned = hears(&stage.chat, "trigger", 1).await;
    assert_eq!(warned["data"]["severity"], "warning");
    let headline = warned["data"]["headline"].as_str().expect("a headline");
    assert!(headline.starts_with("demo stands still since "), "{headline}");
    assert_eq!(stage.keeper.count(), 0, "a warning wakes nobody");
    let paged = hears(&stage.keeper, "trigger", 1).await;
    assert_eq!(
        (&paged["data"]["severity"], &paged["subject"]),
        (&"high".into(), &warned["subject"]),
        "the same incident"
    );
    stage.anvil.rpc("evm_setIntervalMining", json!([1])).await;
    let end = hears(&stage.keeper, "resolve", 1).await;
    assert!(report(&end)[0].starts_with("From "), "{:#?}", report(&end));
    hears(&stage.chat, "resolve", 1).await;
    assert_eq!(pages(&stage.keeper).len(), 2, "{:?}", pages(&stage.keeper));
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_in_which_nobody_watched_is_told_and_so_is_each_finding_of_it() {
    let (hour, start) = (3_600, now());
    let options = Options { genesis_time: start - hour, ..Options::default() };
    let stage = WatchedProxy::with(options, "", PATH).await;
    let process = stage.start();
    stage.bill(1).await;
    stage.settle().await;
    process.end().await;
    let stage = stage.paced("clock = \"wall\"\nslot = \"12s\"");
    stage.theft(2).await;
    stage.anvil.mine(10).await;
    stage.anvil.set_next_timestamp(now()).await;
    stage.bill(3).await;
    let process = stage.start();
    let told = hears(&stage.chat, "trigger", 1).await;
    let headline = told["data"]["headline"].as_str().expect("a headline");
    assert!(headline.starts_with("demo was not watched since "), "{headline}");
    let end = hears(&stage.chat, "resolve", 1).await;
    assert!(report(&end)[1].starts_with("demo: 12 blocks seen late, "), "{:#?}", report(&end));
    assert_eq!(stage.keeper.count(), 0, "it is over already: what was found in it wakes somebody, nothing else");
    let page = stage.pager.wait_for(1).await[0].json();
    let late = page["data"]["evidence"][0]["late"].as_u64().expect("seconds");
    assert!((hour / 2..hour * 2).contains(&late), "{late}");
    let lines = stage.watch.answers();
    let verdict = |late: bool| lines.iter().any(|line| line["type"] == "verdict" && line["late"].is_u64() == late);
    assert!(verdict(true) && verdict(false), "the newest block was in time");
    let id = page["subject"].as_str().expect("an incident").to_owned();
    let shown = stage.watch.shows(&["incidents", "show", &id]);
    assert!(shown.lines().any(|line| line.contains("seen ") && line.ends_with(" late")), "{shown}");
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_endpoint_gave_that_cannot_be_true_is_kept_and_its_page_says_where() {
    // The node signs for somebody whose key it does not have, and names a hash that no such transaction has: as good as a lie.
    let stage = WatchedProxy::new().await;
    let process = stage.start();
    let nobody = Address::repeat_byte(0xaa);
    stage.anvil.rpc("anvil_setBalance", json!([nobody, "0xde0b6b3a7640000"])).await;
    stage.anvil.impersonate(nobody).await;
    stage.mine(&[Tx { gas: 21_000, ..Tx::pay(nobody, clerk(1), U256::from(1)) }]).await;
    let is = |received: &Received| received.json()["data"]["headline"].to_string().contains("contradicts itself");
    let heard = stage.keeper.wait_until("a page about the block", |all| all.iter().any(is)).await;
    let page = heard.iter().find(|page| is(page)).expect("it was waited for").json();
    assert_eq!(page["data"]["label"], "Sight of demo through demo");
    let file = report(&page).iter().find_map(|line| line.strip_prefix("Evidence: ")).expect("a file").to_owned();
    let hash = stage.head().await;
    assert!(
        file.starts_with("watchfire.db.evidence/") && file.ends_with(&format!("-demo-demo-{hash}.json.gz")),
        "{file}"
    );
    let mut text = String::new();
    let kept = std::fs::File::open(stage.watch.path(&file)).expect("the file is there");
    flate2::read::GzDecoder::new(kept).read_to_string(&mut text).expect("gzip");
    let kept: Value = serde_json::from_str(&text).expect("JSON");
    assert!(kept["answers"].to_string().contains(&hash), "{kept:#}");
    assert!(!text.contains("127.0.0.1"), "no address is in it");
    assert_eq!(process.end().await, 2, "{}", stage.watch.log());
}

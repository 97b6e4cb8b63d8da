//! More findings than anybody can be paged for, and acknowledgements that cover what a page showed and nothing else.

use crate::support::accounts::{DEPUTY, STRANGER};
use crate::support::anvil::Tx;
use crate::support::inbox::{Answer, Inbox, Received};
use crate::support::stored::{self, Stored};
use crate::support::watched_proxy::WatchedProxy;
use alloy_primitives::Address;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Instant;

/// Calls of functions that the watched box does not have.
const CALLS: u32 = 60;
/// Of them in each block.
const IN_A_BLOCK: u32 = 6;

/// A call of a function that no ABI knows, another for each `n`; the box's fallback takes it.
fn prank(from: Address, to: Address, n: u32) -> Tx {
    Tx::call(from, to, [0xdead_0000_u32 + n, 0, 0, 0, 0, 0, 0, 0, 1].map(u32::to_be_bytes).concat())
}

/// Events of this kind that a receiver got, each once.
fn events(received: &[Received], kind: &str) -> Vec<Value> {
    let mut seen = BTreeSet::new();
    let of_kind = |event: &Value| event["type"] == format!("watchfire.incident.{kind}.v1");
    let events = received.iter().filter(|one| seen.insert(one.id().to_owned())).map(Received::json);
    events.filter(of_kind).collect()
}

fn ask(stage: &WatchedProxy, args: &[&str]) {
    let answers = tokio::task::block_in_place(|| stage.watch.run(args));
    assert_eq!(answers.code, 0, "{}", answers.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_findings_is_twelve_pages_a_minute_and_one_incident_that_lists_the_rest() {
    let stage = WatchedProxy::with_treasury().await;
    let treasury = stage.treasury.as_ref().expect("deployed");
    for block in 0..CALLS / IN_A_BLOCK {
        let calls =
            (block * IN_A_BLOCK..(block + 1) * IN_A_BLOCK).map(|n| prank(STRANGER.address, treasury.watched_box, n));
        stage.mine(&calls.collect::<Vec<_>>()).await;
    }
    let began = Instant::now();
    let process = stage.start();
    stage.settle().await;
    // The owners' keys act in the middle of it.
    stage.anvil.set_automine(true).await;
    treasury.transfer_above_limit(&stage.anvil).await;
    stage.settle().await;
    let received = stage.pager.received();
    let triggers = events(&received, "trigger");
    let minutes = began.elapsed().as_secs() / 60 + 1;
    let labels = |label: &str| triggers.iter().filter(|event| event["data"]["label"] == label).count() as u64;
    let (strange, own) = (labels("Box"), labels("Grants Safe"));
    println!("{CALLS} findings: {strange} pages, {own} of the owners, in {minutes} begun minutes");
    assert!(strange <= 12 * minutes, "{strange} pages");
    assert_eq!(own, 1, "the first act of the owners is held back by nothing");
    if strange < u64::from(CALLS / IN_A_BLOCK) {
        let storm = triggers
            .iter()
            .find(|event| event["data"]["label"].as_str().is_some_and(|l| l.starts_with("Storm on path")));
        let storm = &storm.expect("the rest is told of")["data"];
        for way in storm["ways"].as_array().expect("ways on") {
            ask(&stage, &way["command"].as_str().expect("a command").split(' ').collect::<Vec<_>>());
        }
        let report = storm["report"].to_string();
        assert!(report.contains("Box"), "{report}");
    }
    let findings = "SELECT count(*) FROM findings WHERE rule = 'builtin/undecodable' AND orphaned = 0";
    assert_eq!(stored::number(&stage.store(), findings), i64::from(CALLS), "nothing is lost");
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}

/// Destinations of one path: those that work, and those that refuse in one way and in another.
const WORKING: usize = 12;
const GONE: usize = 8;
const MISPLACED: usize = 7;
/// Findings of the storm, unless `WATCHFIRE_STORM_FINDINGS` names another number.
const FINDINGS: u32 = 400;
/// Of them in each block.
const OF_A_BLOCK: u32 = 20;

/// Lets the path of the treasury tell all of these destinations at once.
async fn many_destinations(stage: &WatchedProxy) -> (Inbox, Inbox) {
    let (gone, misplaced) = (Inbox::start().await, Inbox::start().await);
    gone.otherwise(Answer::Status(410));
    misplaced.otherwise(Answer::Status(404));
    let receivers = std::iter::repeat_n(&stage.pager, WORKING)
        .chain(std::iter::repeat_n(&gone, GONE))
        .chain(std::iter::repeat_n(&misplaced, MISPLACED));
    let (mut tables, mut names) = (String::new(), Vec::new());
    for (n, receiver) in receivers.enumerate() {
        let url = receiver.url(&format!("/d{n}"));
        tables += &format!(
            "[destination.d{n}]\nkind = \"webhook\"\nurl = \"{url}\"\nsecret = {{ env = \"WATCHFIRE_TEST_SECRET\" }}\n\
             timeout = \"5s\"\n"
        );
        names.push(format!("\"d{n}\""));
    }
    let file = std::fs::read_to_string(stage.watch.path("watchfire.toml")).expect("it was written");
    let all = file.replace("steps = [{ to = [\"pager\"]", &format!("steps = [{{ to = [{}]", names.join(", ")));
    assert_ne!(file, all);
    let all = all.replace("notify = [\"pager\"]", &format!("notify = [{}]", names.join(", ")));
    stage.watch.write("watchfire.toml", &format!("{all}{tables}"));
    (gone, misplaced)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_on_a_path_of_which_most_destinations_are_dead_is_one_storm_and_one_incident_for_each_cause() {
    let findings = std::env::var("WATCHFIRE_STORM_FINDINGS").ok().and_then(|n| n.parse().ok()).unwrap_or(FINDINGS);
    let stage = WatchedProxy::with_treasury().await;
    let treasury = stage.treasury.as_ref().expect("deployed");
    let (gone, misplaced) = many_destinations(&stage).await;
    for block in 0..findings / OF_A_BLOCK {
        let calls = block * OF_A_BLOCK..(block + 1) * OF_A_BLOCK;
        let calls = calls.map(|n| prank(STRANGER.address, treasury.watched_box, n));
        stage.mine(&calls.collect::<Vec<_>>()).await;
    }
    let began = Instant::now();
    let process = stage.start();
    stage.settle().await;
    let minutes = began.elapsed().as_secs() / 60 + 1;
    let received = stage.pager.received();
    let mut most = 0;
    for n in 0..WORKING {
        let path = format!("/d{n}");
        let own: Vec<Received> = received.iter().filter(|one| one.path == path).cloned().collect();
        let pages = events(&own, "trigger").iter().filter(|event| event["data"]["label"] == "Box").count() as u64;
        let each = events(&own, "trigger");
        let cycle = |event: &Value| (event["data"]["label"].to_string(), event["data"]["cycle"].to_string());
        let each: Vec<_> = each.iter().map(cycle).collect();
        assert!((1..=12 * minutes).contains(&pages), "{pages} pages to d{n} in {minutes} begun minutes: {each:#?}");
        most = most.max(pages);
    }
    println!("{findings} findings: at most {most} pages a destination in {minutes} begun minutes");
    assert!(gone.count() > 0 && misplaced.count() > 0);

    let (ours, store) = (Stored::read(&stage.store()), stage.store());
    let count = "SELECT count(*) FROM findings WHERE rule = 'builtin/undecodable' AND orphaned = 0";
    assert_eq!(stored::number(&store, count), i64::from(findings), "nothing is lost");
    let label = |incident: &Value| incident["label"].as_str().unwrap_or_default().to_owned();
    let storms: Vec<&Value> = ours.incidents.values().filter(|one| label(one) == "Storm on path treasury").collect();
    assert!(storms.len() <= 1, "{storms:#?}");
    let undelivered: Vec<&Value> =
        ours.incidents.values().filter(|one| one["origin"]["kind"] == "delivery-failure").collect();
    assert_eq!(undelivered.len(), 2, "one for each cause: {undelivered:#?}");
    let mut counts: Vec<usize> =
        undelivered.iter().map(|one| one["origin"]["failure"]["destinations"].as_array().map_or(0, Vec::len)).collect();
    counts.sort_unstable();
    assert_eq!(counts, [MISPLACED, GONE], "each of them is listed once");
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_covers_what_was_on_the_page() {
    let stage = WatchedProxy::with_treasury().await;
    let target = stage.treasury.as_ref().expect("deployed").watched_box;
    let process = stage.start();
    stage.mine(&[prank(STRANGER.address, target, 1)]).await;
    stage.settle().await;
    let triggers = || events(&stage.pager.received(), "trigger");
    let first = triggers();
    let [page] = &first[..] else { panic!("one page: {first:#?}") };
    let id = page["subject"].as_str().expect("an id").to_owned();
    ask(&stage, &["incidents", "ack", &id, "--by", "on-call"]);
    stage.mine(&[prank(STRANGER.address, target, 1)]).await;
    stage.settle().await;
    assert_eq!(triggers().len(), 1, "he does the same again, which is an update");
    assert_eq!(events(&stage.pager.received(), "update").len(), 1);
    // The same bytes by somebody else, then another function.
    for (n, tx) in [(2, prank(DEPUTY.address, target, 1)), (3, prank(STRANGER.address, target, 2))] {
        stage.mine(&[tx]).await;
        stage.settle().await;
        let pages = triggers();
        assert_eq!(pages.len(), n, "{pages:#?}");
        let page = &pages.last().expect("a page")["data"];
        assert_eq!(
            (&page["incident"], &page["state"], &page["cycle"]),
            (&id.as_str().into(), &"open".into(), &(n - 1).into())
        );
        ask(&stage, &["incidents", "ack", &id, "--by", "on-call"]);
    }
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}

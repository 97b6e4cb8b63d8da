//! Blocks that become final while it runs, and a node that undoes them.

use crate::support::anvil::Options;
use crate::support::inbox::Received;
use crate::support::stored::{self, Stored};
use crate::support::watched_proxy::{PATH, WatchedProxy};
use serde_json::Value;

/// Clerks on a chain whose blocks are safe when two, and final when four blocks lie on top of them.
async fn stage() -> WatchedProxy {
    let stage = WatchedProxy::with(Options { slots_in_an_epoch: Some(2), ..Options::default() }, "", PATH).await;
    let text = std::fs::read_to_string(stage.watch.path("watchfire.toml")).expect("it was written");
    stage.watch.write("watchfire.toml", &text.replace("slot = \"1s\"", "slot = \"1s\"\nfinality = \"tags\""));
    stage
}

/// What the program answers to a command that works on the store.
fn ask(stage: &WatchedProxy, args: &[&str]) -> Vec<Value> {
    let answers = tokio::task::block_in_place(|| stage.watch.run(args));
    assert_eq!(answers.code, 0, "{}", answers.stderr);
    answers.lines
}

/// The only incident there is, then its findings.
fn shown(stage: &WatchedProxy) -> (Value, Vec<Value>) {
    let listed = ask(stage, &["incidents", "list", "--all"]);
    let theft = listed.iter().find(|line| line["findings"].as_array().is_some_and(|ids| !ids.is_empty()));
    let id = theft.and_then(|line| line["incident_id"].as_str()).expect("there is an incident with a finding");
    let mut lines = ask(stage, &["incidents", "show", id]).into_iter();
    (lines.next().expect("the incident"), lines.collect())
}

/// Waits until a program that reads along was told that the finding is `level`.
async fn told(stage: &WatchedProxy, finding: &str, level: &str) {
    let gained = |line: &Value| {
        let named = line["findings"].as_array().is_some_and(|ids| ids.iter().any(|id| id == finding));
        line["type"] == "footing" && line["finality"] == level && named
    };
    stage.until(&format!("the finding is {level}"), || stage.watch.answers().iter().any(gained)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finding_becomes_safe_and_final_as_its_block_does_and_nobody_is_told() {
    let stage = stage().await;
    let process = stage.start();
    stage.theft(0).await;
    stage.settle().await;
    let (incident, findings) = shown(&stage);
    let [finding] = &findings[..] else { panic!("one finding, not {findings:#?}") };
    let id = finding["finding_id"].as_str().expect("an id");
    assert_eq!((&incident["finality"], &incident["sources"]), (&"included".into(), &1.into()));
    assert_eq!((&finding["type"], &finding["finality"]), (&"finding".into(), &"included".into()));
    for level in ["safe", "finalized"] {
        stage.anvil.mine(2).await;
        told(&stage, id, level).await;
        let (incident, findings) = shown(&stage);
        assert_eq!((&incident["finality"], &findings[0]["finality"]), (&level.into(), &level.into()));
    }
    let theft = findings[0]["block"].as_u64().expect("a number");
    let [chain] = &ask(&stage, &["chain", "status"])[..] else { panic!("one chain") };
    assert_eq!(chain["block"], theft + 4);
    assert_eq!((&chain["safe"], &chain["finalized"]), (&(theft + 2).into(), &theft.into()));
    stage.settle().await;
    assert_eq!(stage.pager.received().len(), 1, "the page, and no message that the theft goes on to stand");
    assert_eq!(process.end().await, 1);
    // What was final is known after a restart, however far the node says it is.
    let (incident, _) = shown(&stage);
    assert_eq!(incident["finality"], "finalized");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_goes_out_on_one_endpoint_s_word_and_the_second_confirms_it_in_silence() {
    let stage = stage().await;
    let file = std::fs::read_to_string(stage.watch.path("watchfire.toml")).expect("it was written");
    let (one, other) = (stage.proxy.url("/"), stage.anvil.ws_url());
    let both = file.replace(
        &format!("endpoint = \"{one}\""),
        &format!("endpoint = [{{ name = \"one\", url = \"{one}\" }}, {{ name = \"other\", url = \"{other}\" }}]"),
    );
    assert_ne!(file, both);
    stage.watch.write("watchfire.toml", &both);
    let process = stage.start();
    stage.theft(0).await;
    stage.settle().await;
    let id = shown(&stage).1[0]["finding_id"].as_str().expect("an id").to_owned();
    let confirmed =
        |line: &Value| line["type"] == "footing" && line["sources"] == 2 && line["findings"][0] == id.as_str();
    stage.until("the second endpoint confirms it", || stage.watch.answers().iter().any(confirmed)).await;
    let (incident, findings) = shown(&stage);
    assert_eq!((&incident["sources"], &findings[0]["sources"]), (&2.into(), &2.into()));
    let pages = stage.pager.received();
    let [page] = &pages[..] else { panic!("one page, and no message that it was confirmed") };
    let evidence = &page.json()["data"]["evidence"][0];
    assert_eq!(
        (&evidence["sources"], &evidence["endpoints"]),
        (&1.into(), &2.into()),
        "it did not wait for the second"
    );
    process.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_final_is_undone_by_a_person_s_word_alone() {
    let stage = stage().await;
    let process = stage.start();
    stage.theft(0).await;
    stage.settle().await;
    let id = shown(&stage).1[0]["finding_id"].as_str().expect("an id").to_owned();
    stage.anvil.mine(4).await;
    told(&stage, &id, "finalized").await;
    stage.catch_up().await;
    let before = Stored::read(&stage.store());

    // A lower head is a lagging node: the branch has to be longer than what it undoes.
    stage.anvil.reorg(6, &[]).await;
    stage.anvil.mine(1).await;
    let blind = |line: &Value| {
        line["type"] == "blindness" && line["why"].as_str().is_some_and(|why| why.contains("which was final"))
    };
    stage.until("it is told that final blocks are gone", || stage.watch.answers().iter().any(blind)).await;
    assert_eq!(Stored::read(&stage.store()).blocks, before.blocks, "nothing is undone meanwhile");
    assert_eq!(shown(&stage).0["state"], "open");

    // The way out is the one that people are told.
    let told = stage.watch.answers().into_iter().find(blind).expect("just seen");
    let way = told["ways"][0]["command"].as_str().expect("a way out");
    let page =
        stage.keeper.wait_until("the page", |all| all.iter().any(|one| one.json()["data"]["ways"].is_array())).await;
    let paged = |one: &Received| one.json()["data"]["ways"][0]["command"] == way;
    assert!(page.iter().any(paged), "the page names it too");
    let way: Vec<&str> = way.split_whitespace().chain(["--by", "treasury-lead"]).collect();
    let [chain] = &ask(&stage, &way)[..] else { panic!("one chain") };
    assert_eq!((&chain["allowed"], &chain["allowed_by"]), (&way[3].into(), &"treasury-lead".into()));
    // The node has to name a head once more; nothing else is needed.
    stage.anvil.mine(1).await;
    stage.catch_up().await;
    let retracted = |line: &Value| line["type"] == "retraction" && line["finding_id"] == id.as_str();
    stage.until("the finding is taken back", || stage.watch.answers().iter().any(retracted)).await;
    let (incident, findings) = shown(&stage);
    assert_eq!((&incident["state"], incident.get("finality")), (&"false-alarm".into(), None));
    assert_eq!((&findings[0]["orphaned"], findings[0].get("finality")), (&true.into(), None));
    assert_eq!(ask(&stage, &["chain", "status"])[0].get("allowed"), None, "it was good for one step");
    let used = "SELECT count(*) FROM allowances WHERE state = 'used' AND allowed_by = 'treasury-lead' \
                AND undone_hash IS NOT NULL";
    assert_eq!(stored::number(&stage.store(), used), 1);
    let over = |line: &Value| line["kind"] == "finalized-reorg" && line["until"].is_string();
    stage.until("it is told that the chain is seen again", || stage.watch.answers().iter().any(over)).await;
    process.end().await;
    stage.check(&std::collections::BTreeSet::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_stays_open_while_one_of_three_endpoints_holds_the_block_that_the_others_undo() {
    let stage = WatchedProxy::new().await;
    let file = std::fs::read_to_string(stage.watch.path("watchfire.toml")).expect("it was written");
    let (slow, ws, http) = (stage.proxy.url("/"), stage.anvil.ws_url(), stage.anvil.http_url());
    let three = file.replace(
        &format!("endpoint = \"{slow}\""),
        &format!(
            "endpoint = [{{ name = \"one\", url = \"{ws}\" }}, {{ name = \"two\", url = \"{http}\" }}, \
             {{ name = \"three\", url = \"{slow}\" }}]"
        ),
    );
    assert_ne!(file, three);
    stage.watch.write("watchfire.toml", &three);
    let process = stage.start();
    stage.theft(0).await;
    stage.settle().await;
    let id = shown(&stage).1[0]["finding_id"].as_str().expect("an id").to_owned();
    let confirmed = |line: &Value| line["type"] == "footing" && line["sources"] == 3;
    stage.until("all three hold it", || stage.watch.answers().iter().any(confirmed)).await;

    // The third falls silent, and the other two turn to a branch without the theft.
    stage.proxy.refuse(true);
    stage.proxy.cut();
    stage.anvil.reorg(1, &[]).await;
    stage.anvil.mine(2).await;
    let retracted = |line: &Value| line["type"] == "retraction" && line["finding_id"] == id.as_str();
    stage.until("the finding is taken back", || stage.watch.answers().iter().any(retracted)).await;
    stage.settle().await;
    let (incident, findings) = shown(&stage);
    assert_eq!((&incident["state"], &findings[0]["orphaned"]), (&"open".into(), &true.into()));
    let received = stage.pager.received();
    let said = received.iter().map(|one| one.json()).find(|event| event["type"] == "watchfire.incident.retract.v1");
    let said = said.expect("a retraction")["data"]["change"].as_str().unwrap_or_default().to_owned();
    assert!(said.starts_with("three still holds the block, so that this stays open. A reorg took back: "), "{said}");

    // It says that it has turned to the other branch too.
    stage.proxy.refuse(false);
    stage
        .until("the incident closes", || {
            stored::number(&stage.store(), "SELECT count(*) FROM incidents WHERE state = 'false-alarm'") == 1
        })
        .await;
    assert_eq!(stored::number(&stage.store(), "SELECT count(*) FROM contested"), 0);
    process.end().await;
}

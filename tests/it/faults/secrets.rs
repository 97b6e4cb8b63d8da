//! Secrets are planted in every place that holds one, everything that can go wrong does, and none of them is found anywhere.

use crate::support::inbox::{Answer, Inbox};
use crate::support::stored;
use crate::support::watch::Watch;
use crate::support::watched_proxy::WatchedProxy;
use std::time::Duration;

const KEY_IN_PATH: &str = "nodekey7f3a9c51d2";
const KEY_IN_QUERY: &str = "nodetoken4b8e0a66";
const HOOK_IN_PATH: &str = "hookpath91cc20e7ab";
const HOOK_IN_QUERY: &str = "hooktoken5d5d1f00";
const SECRET: &str = "d2F0Y2hmaXJlLXBsYW50ZWQtc2VjcmV0LTAxMjM=";
/// What [`SECRET`] is the base64 of.
const SECRET_DECODED: &str = "watchfire-planted-secret-0123";

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_reaches_an_answer_a_log_or_the_store() {
    let stage = WatchedProxy::new().await;
    let mut hook = Inbox::start().await;
    let mut watch = Watch::empty();
    watch.write(
        "clerks.toml",
        &crate::support::bill_payers::watchlist(crate::support::watched_proxy::CLERKS, &["treasury".to_owned()]),
    );
    watch.write(
        "watchfire.toml",
        r#"
store = "watchfire.db"
watchlists = ["clerks.toml"]

[chain.demo]
id = 31337
endpoint = { env = "PLANTED_NODE" }
clock = "chain"
slot = "1s"

[destination.pager]
kind = "webhook"
url = { env = "PLANTED_HOOK" }
secret = { env = "PLANTED_SECRET" }
timeout = "1s"

[destination.feed]
kind = "webhook"
url = { file = "hook-url" }
secrets = [{ env = "PLANTED_SECRET" }, { file = "hook-secret" }]
feed = "verdicts"
timeout = "1s"

[path.self]
steps = [{ to = ["pager"], ack_within = "2s" }]

[path.treasury]
page_at = "warning"
steps = [{ to = ["pager"], ack_within = "2s" }]
"#,
    );
    let url = hook.url(&format!("/services/{HOOK_IN_PATH}?token={HOOK_IN_QUERY}"));
    watch.set("PLANTED_NODE", &stage.proxy.url(&format!("/v3/{KEY_IN_PATH}?auth={KEY_IN_QUERY}")));
    watch.set("PLANTED_HOOK", &url);
    watch.set("PLANTED_SECRET", &format!("whsec_{SECRET}"));
    watch.write("hook-url", &url);
    watch.write("hook-secret", &format!("whsec_{SECRET}"));
    let planted = [KEY_IN_PATH, KEY_IN_QUERY, HOOK_IN_PATH, HOOK_IN_QUERY, SECRET, SECRET_DECODED];

    // Everything goes wrong: receivers are down, refuse with all the secrets in their answer, redirect, hang; the wire to the
    // node is cut and refused; the node is frozen.
    let quoted = format!("you called {url} with {SECRET}, that is {SECRET_DECODED}");
    hook.script([Answer::Body(500, quoted.clone()), Answer::Hang, Answer::Body(429, quoted.clone())]);
    let first = stage.first.to_string();
    let store = watch.path("watchfire.db");
    let process = watch.start(&["--log", "trace", "run", "--from-block", &first]);
    stage.theft(1).await;
    stage
        .until("the receivers were in trouble", || {
            stored::failed_attempts(&store, "pager") + stored::failed_attempts(&store, "feed") >= 3
        })
        .await;
    hook.stop();
    stage.theft(2).await;
    let tried = || {
        stored::number(&store, "SELECT count(*) FROM attempts WHERE error LIKE '%onnect%' OR error LIKE '%refused%'")
    };
    stage.until("the receivers were down", || tried() > 0).await;
    stage.proxy.refuse(true);
    stage.proxy.cut();
    stage.until("the wire was refused", || watch.log().contains("lost the subscription")).await;
    stage.anvil.freeze();
    stage.proxy.refuse(false);
    tokio::time::sleep(Duration::from_secs(4)).await;
    stage.anvil.thaw();
    hook.resume().await;
    hook.otherwise(Answer::Body(410, quoted.clone()));
    stage.theft(3).await;
    let dead = || stored::number(&store, "SELECT count(*) FROM outbox WHERE state = 'dead'");
    stage.until("there are dead letters", || dead() > 1).await;
    process.end().await;

    for args in [&["incidents", "list", "--all"][..], &["check"], &["--log", "trace", "run", "--for", "1s"]] {
        let output = tokio::task::block_in_place(|| watch.command(args).output().expect("the program starts"));
        let said = [output.stdout, output.stderr].concat();
        nothing_planted(&planted, &format!("{args:?}"), &said);
    }
    // A secret that cannot be read, or makes no sense, is not repeated either.
    watch.set("PLANTED_HOOK", &format!("ftp://{HOOK_IN_QUERY}@{HOOK_IN_PATH}"));
    watch.set("PLANTED_NODE", &format!("gopher://{KEY_IN_PATH}/{KEY_IN_QUERY}"));
    watch.set("PLANTED_SECRET", &format!("whsec_{SECRET}~{SECRET_DECODED}"));
    let output = tokio::task::block_in_place(|| watch.command(&["run", "--for", "1s"]).output().expect("it starts"));
    assert_eq!(output.status.code(), Some(2));
    nothing_planted(&planted, "a configuration with problems", &[output.stdout, output.stderr].concat());

    let log = watch.log();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "the log is as talkative as it can be");
    assert!(log.lines().count() > 20, "{log}");
    nothing_planted(&planted, "the log", log.as_bytes());
    for file in ["answers.jsonl", "watchfire.db", "watchfire.db-wal"] {
        let bytes = std::fs::read(watch.path(file)).unwrap_or_default();
        nothing_planted(&planted, file, &bytes);
    }
    assert!(std::fs::metadata(&store).is_ok_and(|file| file.len() > 0));
    for received in hook.received() {
        nothing_planted(&planted, "a message", &received.body);
    }
}

fn nothing_planted(planted: &[&str], place: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for secret in planted {
        if let Some(at) = text.find(secret) {
            let from = text.floor_char_boundary(at.saturating_sub(200));
            panic!("{place} holds a secret: {}", &text[from..text.ceil_char_boundary((at + 60).min(text.len()))]);
        }
    }
}

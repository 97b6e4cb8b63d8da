//! Signs of life: what a running `watchfire run` shows of itself, held against what reads it. The judges are real: `promtool` reads
//! the metrics and the rules, an Alertmanager takes the watchdog.

use crate::support::alertmanager::Alertmanager;
use crate::support::anvil::Anvil;
use crate::support::inbox::{Answer, Inbox};
use crate::support::process::Process;
use crate::support::treasury::Treasury;
use crate::support::watch::Watch;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(100);

const RULES: &str = "contrib/prometheus/watchfire.rules.yml";
const RULE_TESTS: &str = "contrib/prometheus/watchfire.rules.test.yml";
const DASHBOARD: &str = "contrib/grafana/watchfire.json";

/// Part of a heartbeat's address, and all that keeps others from sending it.
const PLANTED: &str = "7c1e6f1a-planted-4f0e-9d1c-ping";

/// The treasury on a real node, watched by the program with everything switched on.
struct ObservedTreasury {
    anvil: Anvil,
    treasury: Treasury,
    pager: Inbox,
    switch: Inbox,
    alertmanager: Alertmanager,
    watch: Watch,
    _process: Process,
    console: String,
    http: reqwest::Client,
}

impl ObservedTreasury {
    async fn new() -> Self {
        let (anvil, pager, switch) = (Anvil::start().await, Inbox::start().await, Inbox::start().await);
        switch.otherwise(Answer::Body(200, "OK".to_owned()));
        let alertmanager = Alertmanager::start().await;
        let treasury = Treasury::deploy(&anvil).await;
        let mut watch = Watch::treasury(
            &anvil.ws_url(),
            &format!(
                r#"
[destination.pager]
kind = "webhook"
url = "{}"
unsigned = true

[console]
listen = "127.0.0.1:0"

[heartbeat.switch]
kind = "healthchecks"
url = {{ env = "PLANTED_SWITCH" }}
every = "30s"

[heartbeat.alertmanager]
kind = "alertmanager"
url = "{}"
instance = "here"
every = "30s"
"#,
                pager.url("/pager"),
                alertmanager.url()
            ),
        );
        watch.set("PLANTED_SWITCH", &switch.url(&format!("/ping/{PLANTED}")));
        let process = watch.start(&["--log", "debug", "--log-format", "json", "run"]);
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let mut stage = Self {
            anvil,
            treasury,
            pager,
            switch,
            alertmanager,
            watch,
            _process: process,
            console: String::new(),
            http,
        };
        stage.console = stage.listening().await;
        stage
    }

    /// Where the console says that it listens.
    async fn listening(&self) -> String {
        let wait = async {
            loop {
                let log = self.watch.log();
                if let Some(at) = log.lines().find_map(|line| line.strip_prefix("metrics and readiness at ")) {
                    return at.to_owned();
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("no console: {}", self.watch.log()))
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.http.get(format!("{}{path}", self.console)).send().await.expect("the console answers");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    }

    /// Scrapes until a line begins with `wanted`.
    async fn scraped(&self, wanted: &str) -> String {
        let mut last = String::new();
        let wait = async {
            loop {
                last = self.get("/metrics").await.1;
                if last.lines().any(|line| line.starts_with(wanted)) {
                    return;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            panic!("no `{wanted}` in\n{last}\nthe log:\n{}", self.watch.log());
        }
        last
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_rules_and_dashboard_name_is_in_a_real_scrape_that_promtool_likes() {
    let stage = ObservedTreasury::new().await;
    stage.scraped("watchfire_chain_blocks_total{chain=\"demo\"} 1").await;
    stage.treasury.unknown_caller(&stage.anvil).await;
    stage.pager.wait_for(1).await;
    // What is looked at rather than told comes every few seconds.
    stage.scraped("watchfire_deliveries_total{destination=\"pager\",outcome=\"sent\"} 1").await;
    stage.scraped("watchfire_queue_capacity{chain=\"\",queue=\"store\"} 64").await;
    stage.scraped("watchfire_endpoint_ability{chain=\"demo\",endpoint=\"demo\",").await;
    let height = stage.anvil.block_number().await;
    let scrape = stage.scraped("watchfire_incidents_open{severity=\"high\",state=\"open\"} 1").await;

    let judged = promtool(&["check", "metrics"], Some(&scrape));
    assert!(judged.is_empty(), "promtool check metrics: {judged}\n{scrape}");
    let scraped = metrics_of(&scrape);
    for file in [RULES, DASHBOARD] {
        let named = metrics_of(&read(file));
        let missing: Vec<_> = named.difference(&scraped).collect();
        assert!(named.len() > 20 && missing.is_empty(), "{file} names {missing:?}, which no scrape has:\n{scrape}");
    }
    for line in [
        format!("watchfire_chain_processed_number{{chain=\"demo\"}} {height}.0"),
        // The call, and the log that it left.
        "watchfire_verdicts_total{watch=\"Box\",verdict=\"abnormal\",severity=\"high\"} 2".to_owned(),
        "watchfire_incidents_total{severity=\"high\"} 1".to_owned(),
        "watchfire_escalations_total{path=\"treasury\",step=\"1\"} 1".to_owned(),
        "watchfire_delivery_attempts_total{destination=\"pager\",outcome=\"sent\"} 1".to_owned(),
        "watchfire_check_failing{check=\"store/writes\"} 0.0".to_owned(),
        "watchfire_store_write_errors_total 0".to_owned(),
    ] {
        assert!(scrape.lines().any(|scraped| scraped == line), "no `{line}` in\n{scrape}");
    }
    assert!(!scrape.contains(PLANTED) && !scrape.contains("127.0.0.1"), "{scrape}");
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_for_us_hear_that_all_is_well_and_what_is_not() {
    let stage = ObservedTreasury::new().await;
    let heard = stage.switch.wait_for(2).await;
    let ping = format!("/ping/{PLANTED}");
    assert_eq!((heard[0].method.as_str(), &heard[0].path), ("POST", &format!("{ping}/start")));
    assert_eq!((heard[1].method.as_str(), &heard[1].path), ("POST", &ping));
    let said = String::from_utf8_lossy(&heard[1].body).into_owned();
    assert!(said.starts_with("all ") && said.ends_with(" checks hold"), "{said}");
    let named =
        |name: &'static str| move |alerts: &[Value]| alerts.iter().any(|alert| alert["labels"]["alertname"] == name);
    let alerts = stage.alertmanager.until("the watchdog fires", named("Watchdog")).await;
    assert!(!named("WatchfireUnwell")(&alerts), "{alerts:#?}");
    let labels = json!({ "alertname": "Watchdog", "severity": "none", "job": "watchfire", "instance": "here" });
    assert_eq!(alerts[0]["labels"], labels);
    assert_eq!(stage.get("/readyz").await.0, 200);

    // The pager is gone: a page is refused for good.
    stage.pager.otherwise(Answer::Status(410));
    stage.treasury.unknown_caller(&stage.anvil).await;
    let fail = format!("{ping}/fail");
    let heard = stage.switch.wait_until("a failure", |heard| heard.iter().any(|request| request.path == fail)).await;
    let told = heard.iter().find(|request| request.path == fail).expect("it was waited for");
    let told = String::from_utf8_lossy(&told.body).into_owned();
    assert!(told.contains("deliver/pager: answered 410, gone for good"), "{told}");
    let alerts = stage.alertmanager.until("it is told what is not well", named("WatchfireUnwell")).await;
    let unwell = alerts.iter().find(|alert| alert["labels"]["alertname"] == "WatchfireUnwell").expect("it fires");
    let why = unwell["annotations"]["description"].as_str().expect("a description");
    assert!(why.starts_with("deliver/pager: answered 410"), "{why}");
    assert!(named("Watchdog")(&alerts), "the road itself still works: {alerts:#?}");
    let (status, ready) = stage.get("/readyz").await;
    let ready: Value = serde_json::from_str(&ready).expect("JSON");
    assert_eq!((status, ready["failing"][0]["check"].as_str()), (503, Some("deliver/pager")), "{ready}");
    assert_eq!(stage.get("/healthz").await, (200, "ok\n".to_owned()));
    let log = stage.watch.log();
    let lines: Vec<Value> = log
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let beat = lines.iter().find(|line| line["heartbeat"] == "switch" && line["outcome"] == "fail");
    assert!(beat.is_some_and(|line| line["level"] == "DEBUG" && line["message"].is_string()), "{log}");
    for text in [log, stage.get("/metrics").await.1, told] {
        assert!(!text.contains(PLANTED), "{text}");
    }
}

#[test]
fn a_console_that_cannot_listen_is_told_before_anything_is_watched() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address");
    let console = format!("[destination.pager]\nkind = \"terminal\"\n\n[console]\nlisten = \"{address}\"\n");
    let ended = Watch::treasury("ws://127.0.0.1:9", &console).run(&["run"]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains(&format!("listen on {address} as `[console]` says")), "{}", ended.stderr);
    assert!(!ended.stderr.contains("watching"), "{}", ended.stderr);
}

#[test]
fn the_alert_rules_are_sound_and_each_has_its_case() {
    promtool(&["check", "rules", RULES], None);
    promtool(&["test", "rules", RULE_TESTS], None);
    let (rules, cases) = (read(RULES), read(RULE_TESTS));
    let mut alerts = 0;
    for rule in rules.split("- alert: ").skip(1) {
        let alert = rule.lines().next().expect("a name");
        assert!(cases.contains(&format!("alertname: {alert}\n        exp_alerts:\n")), "{alert} never fires in a case");
        for key in ["severity:", "summary:", "description:"] {
            assert!(rule.contains(key), "{alert} has no {key}");
        }
        let url = rule.lines().find_map(|line| line.trim().strip_prefix("runbook_url: ")).expect("a runbook");
        let (page, anchor) = url.split_once('#').expect("a place on the page");
        assert_eq!(anchor, alert.to_lowercase());
        assert!(read(page).contains(&format!("\n## {alert}\n")), "{page} says nothing of {alert}");
        alerts += 1;
    }
    assert!(alerts >= 30, "{alerts} alerts were found");
}

#[test]
fn the_dashboard_asks_questions_that_prometheus_understands() {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).expect("JSON");
    assert_eq!(dashboard["uid"], "watchfire");
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    assert!(variables.iter().any(|variable| variable["name"] == "datasource" && variable["type"] == "datasource"));
    let source = json!({ "type": "prometheus", "uid": "${datasource}" });
    let mut rules = Vec::new();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        assert!(ids.insert(panel["id"].as_u64().expect("an id")), "two panels have one id");
        for target in panel["targets"].as_array().into_iter().flatten() {
            assert_eq!((&target["datasource"], &panel["datasource"]), (&source, &source), "{}", panel["title"]);
            assert!(panel["description"].as_str().is_some_and(|text| !text.is_empty()), "{}", panel["title"]);
            let asked = target["expr"].as_str().expect("a question").replace("$__rate_interval", "5m");
            rules.push(json!({ "record": format!("question_{}", rules.len()), "expr": asked }));
        }
    }
    assert!(rules.len() > 40, "{} questions", rules.len());
    // JSON is YAML, and a rule file is what promtool reads questions from.
    let mut file = tempfile::NamedTempFile::with_suffix(".yml").expect("a file");
    write!(file, "{}", json!({ "groups": [{ "name": "dashboard", "rules": rules }] })).expect("it is written");
    promtool(&["check", "rules", file.path().to_str().expect("a path")], None);
}

/// Names of our metrics in a text, as families: without what a histogram appends.
fn metrics_of(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c: char| !is_part(c))
        .filter(|word| word.starts_with("watchfire_"))
        .map(|word| {
            ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word).to_owned()
        })
        .collect()
}

/// Runs promtool in the project's folder on `input`, insists that it is content, and returns all that it said.
fn promtool(args: &[&str], input: Option<&str>) -> String {
    let mut child = Command::new("promtool")
        .args(args)
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed by tests/run");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.unwrap_or_default().as_bytes()).expect("promtool reads");
    drop(stdin);
    let output = child.wait_with_output().expect("promtool ends");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "promtool {args:?}: {said}");
    said
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

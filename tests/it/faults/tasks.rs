//! Tasks of the running program that panic or get stuck, one at a time. The program is a build with debug assertions, which takes the
//! order for a fault from its environment; node, service and receivers are real servers.

use crate::support::anvil::Anvil;
use crate::support::inbox::{Answer, Inbox};
use crate::support::process::Process;
use crate::support::service::Service;
use crate::support::treasury::Treasury;
use crate::support::watch::Watch;
use std::time::Duration;

/// Every task of a session that has one of each kind.
const TASKS: [&str; 8] = [
    "chain/demo",
    "mempool/demo",
    "proposals/own",
    "delivery",
    "escalation-clock",
    "store-watchdog",
    "heartbeat/switch",
    "console",
];

/// Longer than two periods of any task, on a loaded machine; a wait this long means that nothing comes.
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK: Duration = Duration::from_millis(200);

/// What all programs of a test share.
struct World {
    anvil: Anvil,
    service: Service,
}

/// One program with a fault.
struct Faulty {
    task: &'static str,
    watch: Watch,
    switch: Inbox,
    process: Process,
}

impl World {
    async fn new() -> Self {
        let anvil = Anvil::start().await;
        Treasury::deploy(&anvil).await;
        Self { anvil, service: Service::start().await }
    }

    /// Starts the program, with `fault` ordered of `task`.
    async fn start(&self, fault: &str, task: &'static str) -> Faulty {
        let switch = Inbox::start().await;
        switch.otherwise(Answer::Body(200, "OK".to_owned()));
        let mut watch = Watch::empty();
        watch.add_treasury();
        let (node, service, ping) = (self.anvil.ws_url(), self.service.url(), switch.url("/ping"));
        let config = format!(
            r#"
store = "watchfire.db"
watchlists = ["treasury.toml"]

[chain.demo]
id = 31337
endpoint = "{node}"
clock = "chain"
pending = true

[safe-service.own]
chain = "demo"
url = "{service}"
requests_per_month = 1_000_000_000
requests_per_second = 1_000
hot = "1s"
cold = "1s"

[console]
listen = "127.0.0.1:0"

[heartbeat.switch]
kind = "healthchecks"
url = {{ env = "WATCHFIRE_TEST_SWITCH" }}
every = "30s"

[destination.pager]
kind = "terminal"

[path.self]
steps = [{{ to = ["pager"], ack_within = "5m" }}]

[path.treasury]
steps = [{{ to = ["pager"], ack_within = "5m" }}]
"#
        );
        watch.write("watchfire.toml", &config);
        watch.set("WATCHFIRE_TEST_SWITCH", &ping);
        watch.set("WATCHFIRE_DEBUG_FAULT", &format!("{fault}:{task}"));
        let process = watch.start(&["run"]);
        Faulty { task, watch, switch, process }
    }

    async fn all(&self, fault: &str) -> Vec<Faulty> {
        let mut all = Vec::new();
        for task in TASKS {
            all.push(self.start(fault, task).await);
        }
        all
    }
}

impl Faulty {
    fn console(&self) -> Option<String> {
        let log = self.watch.log();
        log.lines().find_map(|line| line.strip_prefix("metrics and readiness at ")).map(str::to_owned)
    }

    /// The checks that fail, as `/readyz` lists them; `None` where nothing answers.
    async fn failing(&self, http: &reqwest::Client) -> Option<Vec<String>> {
        let answer = http.get(format!("{}/readyz", self.console()?)).timeout(LOOK * 10).send().await.ok()?;
        let body: serde_json::Value = serde_json::from_str(&answer.text().await.ok()?).ok()?;
        Some(body["failing"].as_array()?.iter().filter_map(|one| Some(one["check"].as_str()?.to_owned())).collect())
    }

    async fn until(&self, what: &str, mut enough: impl AsyncFnMut() -> bool) {
        let wait = async {
            while !enough().await {
                tokio::time::sleep(LOOK).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        assert!(waited.is_ok(), "{}: waited in vain until {what}; the log:\n{}", self.task, self.watch.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_panics_ends_the_process_with_its_name() {
    let world = World::new().await;
    for Faulty { task, watch, process, .. } in world.all("panic").await {
        let code = tokio::time::timeout(PATIENCE, process.code()).await;
        let log = watch.log();
        assert_eq!(code.ok(), Some(2), "{task}\n{log}");
        let named = format!("the task {task} failed: it panicked: a panic that WATCHFIRE_DEBUG_FAULT ordered");
        assert!(log.contains(&named), "no `{named}` in\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_stuck_fails_readiness_and_starves_the_heartbeat() {
    let (world, http) = (World::new().await, reqwest::Client::builder().no_proxy().build().expect("a client"));
    for faulty in world.all("stall").await {
        let check = format!("task/{}", faulty.task);
        if faulty.task == "console" {
            // Nobody is left to answer `/readyz`: the heartbeat says so.
            faulty.until("the console is silent", async || faulty.failing(&http).await.is_none()).await;
        } else {
            faulty
                .until("/readyz names the task and no other", async || {
                    let failing = faulty.failing(&http).await.unwrap_or_default();
                    failing.iter().filter(|check| check.starts_with("task/")).eq([&check])
                })
                .await;
        }
        if faulty.task == "heartbeat/switch" {
            let pings = faulty.switch.received().len();
            assert!(pings <= 2, "{pings} pings of a heartbeat that is stuck after two seconds");
            continue;
        }
        faulty
            .until("the heartbeat reports a failure", async || {
                faulty.switch.received().iter().any(|ping| ping.path.ends_with("/fail"))
            })
            .await;
    }
}

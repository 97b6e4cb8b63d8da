//! What a long outbox costs: how late a page is behind the updates of noisy incidents, how long a lease takes, how many lines of the
//! feed go out in a second, and how far commits fall behind meanwhile. Each figure beside the same one of an empty outbox, within one
//! run, so that the machine's own pace is in both.

use super::Args;
use crate::support::inbox::{Answer, Inbox};
use alloy_primitives::Address;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use watchfire::deliver::{self, Targets, Worker};
use watchfire::escalate::Routing;
use watchfire::model::incident::{Body, ChangeSet, Delivery, DeliveryKind};
use watchfire::model::incident_state::State;
use watchfire::model::page::Page;
use watchfire::model::record::{Line, SummaryLine};
use watchfire::model::{ChainId, DeliveryKey, IncidentId, Severity};
use watchfire::runtime::{self, Stop, SystemClock};
use watchfire::settings::{Document, Problems, Secrets, SourceFile};
use watchfire::store::Store;

/// Messages that wait, in the long outbox.
const WAITING: u64 = 200_000;
/// Lines whose way to the receiver is timed.
const TIMED: usize = 1_500;
/// Time between two commits of the chain beside the feed.
const SLOT: Duration = Duration::from_millis(100);

pub(crate) async fn run(args: &Args) {
    println!("page latency, seconds from commit to receiver");
    for (what, noisy, path) in [
        ("calm, path treasury", false, "treasury"),
        ("four watches with a call a second, path treasury", true, "treasury"),
        ("four watches with a call a second, path self", true, "self"),
    ] {
        println!("  {what}: {}", page_latency(noisy, path, args.time).await);
    }
    println!("lease of 16 messages, milliseconds on the average");
    for (waiting, lanes) in [(100, 4), (89_000, 4), (WAITING, 4), (89_000, 89_000), (WAITING, WAITING)] {
        println!("  {waiting} waiting in {lanes} lanes: {:.3}", lease_time(waiting, lanes).await * 1_000.0);
    }
    println!("feed, lines a second at the receiver; blocks behind, of {SLOT:?} each");
    for more in ["", "batch = true\n"] {
        let mut rates = Vec::new();
        for waiting in [0, WAITING, 0, WAITING] {
            let Some((rate, behind, worst)) = feed(waiting, more).await else { continue };
            let worst = worst.as_secs_f64() * 1_000.0;
            println!(
                "  {}{waiting} waiting: {rate:.0} lines a second, {behind} blocks behind, worst commit {worst:.1} ms",
                more.trim()
            );
            rates.push(rate);
        }
        if let [empty, long, empty_again, long_again] = rates[..] {
            println!("  {}long against empty: {:.2}", more.trim(), (long + long_again) / (empty + empty_again));
        }
    }
}

/// Seconds until a fresh page of severity high is at a PagerDuty of our making, which takes two messages a second.
async fn page_latency(noisy: bool, path: &str, most: Duration) -> String {
    let inbox = Inbox::start().await;
    inbox.otherwise(Answer::Body(202, "{\"status\": \"success\"}".to_owned()));
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("key"), "R".repeat(32)).expect("a file");
    let config = format!(
        "[destination.pager]\nkind = \"pagerduty\"\nurl = \"{}\"\nrouting_key = {{ file = \"key\" }}\n",
        inbox.url("/v2/enqueue")
    );
    let store = Store::open(&dir.path().join("store.db")).await.expect("a store");
    let worker = worker(&store, dir.path(), &config).await;
    let (nudge, stop) = (worker.wake_handle(), Stop::new());
    let running = tokio::spawn(worker.run(stop.clone()));
    if noisy {
        for second in 0..30 {
            let kind = if second == 0 { DeliveryKind::Trigger } else { DeliveryKind::Update };
            let severity = Severity::Critical;
            write(&store, (0..4).map(|watch| page(watch, second, kind, severity, "treasury")).collect()).await;
            nudge.notify_one();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    let fresh = page(99, 0, DeliveryKind::Trigger, Severity::High, path);
    let began = Instant::now();
    write(&store, vec![fresh]).await;
    nudge.notify_one();
    let mut second = 30;
    let said = loop {
        if inbox.look(|received, _| received.iter().any(|it| it.body.windows(6).any(|six| six == b"inc_99"))) {
            break format!("{:.3}", began.elapsed().as_secs_f64());
        }
        if began.elapsed() > most {
            break format!("not within {most:?}");
        }
        if noisy && began.elapsed().as_secs() >= second - 29 {
            let update = |watch| page(watch, second, DeliveryKind::Update, Severity::Critical, "treasury");
            write(&store, (0..4).map(update).collect()).await;
            nudge.notify_one();
            second += 1;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    stop.cancel();
    running.await.expect("a worker").expect("a worker");
    said
}

/// Seconds that one lease takes, with so many messages in the outbox.
async fn lease_time(waiting: u64, lanes: u64) -> f64 {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::open(&dir.path().join("store.db")).await.expect("a store");
    fill(&store, waiting, lanes).await;
    let (mut took, n) = (Duration::ZERO, 20);
    for _ in 0..n {
        let now = runtime::steady_millis(&SystemClock);
        let began = Instant::now();
        let leased = lease(&store, now).await;
        took += began.elapsed();
        for key in leased {
            store.mark_sent(&key, now).await.expect("written");
        }
    }
    took.as_secs_f64() / f64::from(n)
}

async fn lease(store: &Store, now: u64) -> Vec<DeliveryKey> {
    let leased = store.lease_any_budget(now, 16, 60_000, vec!["hook".to_owned()]).await.expect("a lease");
    leased.into_iter().map(|leased| leased.delivery.key).collect()
}

/// Lines a second, blocks that were not committed in time, and the longest commit, while lines are sent to a receiver that is quick.
/// `None` when the destination has no such setting.
async fn feed(waiting: u64, more: &str) -> Option<(f64, u64, Duration)> {
    let inbox = Inbox::start().await;
    let dir = tempfile::tempdir().expect("a directory");
    let url = inbox.url("/hook");
    let config = format!("[destination.hook]\nkind = \"webhook\"\nurl = \"{url}\"\nunsigned = true\n{more}");
    let targets = targets(dir.path(), &config)?;
    let store = Store::open(&dir.path().join("store.db")).await.expect("a store");
    fill(&store, if waiting == 0 { TIMED as u64 } else { waiting }, 4).await;
    let worker = Worker::new(store.clone(), Arc::new(targets), Arc::new(Routing::default()), Arc::new(SystemClock));
    let stop = Stop::new();
    let began = Instant::now();
    let running = tokio::spawn(worker.run(stop.clone()));
    let committing = tokio::spawn(commits(store.clone(), stop.clone()));
    let lines = || {
        let count = |body: &[u8]| body.windows(13).filter(|seen| seen == b"\"specversion\"").count();
        inbox.look(|received, _| received.iter().map(|it| count(&it.body)).sum::<usize>())
    };
    // A slow one is given a minute.
    while lines() < TIMED && began.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let rate = lines() as f64 / began.elapsed().as_secs_f64();
    stop.cancel();
    let (behind, worst) = committing.await.expect("commits");
    running.await.expect("a worker").expect("a worker");
    Some((rate, behind, worst))
}

/// Commits an incident's line each slot, as a chain does, and gives back how many slots were missed and what the longest took.
async fn commits(store: Store, stop: Stop) -> (u64, Duration) {
    let (began, mut done, mut worst) = (Instant::now(), 0, Duration::ZERO);
    while !stop.is_cancelled() {
        let one = Instant::now();
        write(&store, vec![line(1_000_000_000 + done, 4, "elsewhere")]).await;
        worst = worst.max(one.elapsed());
        done += 1;
        tokio::time::sleep((SLOT * u32::try_from(done).unwrap_or(u32::MAX)).saturating_sub(began.elapsed())).await;
    }
    let slots = began.elapsed().as_millis() / SLOT.as_millis();
    (u64::try_from(slots).unwrap_or(u64::MAX).saturating_sub(done), worst)
}

async fn fill(store: &Store, messages: u64, lanes: u64) {
    let mut next = 0;
    while next < messages {
        let until = (next + 5_000).min(messages);
        write(store, (next..until).map(|n| line(n, lanes, "hook")).collect()).await;
        next = until;
    }
}

async fn write(store: &Store, deliveries: Vec<Delivery>) {
    let plan = ChangeSet { deliveries, ..ChangeSet::default() };
    store.commit_change(runtime::steady_millis(&SystemClock), |_| plan).await.expect("written");
}

async fn worker(store: &Store, dir: &Path, config: &str) -> Worker {
    let targets = targets(dir, config).expect("destinations");
    Worker::new(store.clone(), Arc::new(targets), Arc::new(Routing::default()), Arc::new(SystemClock))
}

fn targets(dir: &Path, config: &str) -> Option<Targets> {
    let file = SourceFile::new(dir.join("watch.toml").display().to_string(), config);
    let mut problems = Problems::new();
    let document = Document::parse(&file, Secrets::Resolve, &mut problems);
    let table = document.root_table().table("destination", &mut problems)?;
    let targets = table
        .into_entries()
        .iter()
        .filter_map(|(name, value)| deliver::parse_destination(name, value.table(&mut problems)?, &mut problems))
        .map(|target| (target.name.clone(), target))
        .collect();
    if !problems.is_empty() {
        println!("  {}", problems.to_lines().join("; "));
        return None;
    }
    Some(targets)
}

fn page(watch: u64, revision: u64, kind: DeliveryKind, severity: Severity, path: &str) -> Delivery {
    let incident = format!("inc_{watch:02}");
    let page = Page {
        incident: IncidentId(incident.clone()),
        cycle: 0,
        marked: None,
        state: State::Open,
        severity,
        label: format!("Watch {watch}"),
        watch: Some(Address::repeat_byte(0x5a)),
        chain: "mainnet".to_owned(),
        chain_id: Some(ChainId(1)),
        headline: format!("Something happened for the {revision}th time"),
        loudest: None,
        evidence: Vec::new(),
        more: 0,
        finality: None,
        touches: Vec::new(),
        purpose: "Pays grants".to_owned(),
        runbook: None,
        report: Vec::new(),
        ways: Vec::new(),
        links: Vec::new(),
        path: path.to_owned(),
        step: 1,
        next: None,
        acked_by: None,
        change: (kind == DeliveryKind::Update).then(|| "One more".to_owned()),
        again: false,
    };
    Delivery {
        key: DeliveryKey(format!("dlv_{watch}_{revision}")),
        destination: "pager".to_owned(),
        kind,
        incident: None,
        severity,
        body: Body::Page(Box::new(page)),
        lane: incident,
    }
}

/// A line of the feed of about the size that a verdict has.
fn line(n: u64, lanes: u64, destination: &str) -> Delivery {
    let body = Body::Line(Box::new(Line::Summary(SummaryLine { blocks: n, ..SummaryLine::default() })));
    Delivery {
        key: DeliveryKey(format!("dlv_{n}")),
        destination: destination.to_owned(),
        kind: DeliveryKind::Feed,
        incident: None,
        severity: Severity::Info,
        body,
        lane: format!("feed/1/{}", n % lanes),
    }
}

//! What a service lets us ask, over real HTTP: what we allow ourselves, what it says of it, and what happens when nothing is left.

use std::path::Path;
use std::sync::Arc;

use alloy_primitives::Address;
use jiff::SignedDuration;
use watchfire::runtime::ManualClock;
use watchfire::safe_service::{self, Client, ServiceError};
use watchfire::settings::{Document, Problems, Secrets, SourceFile};
use watchfire::store::Store;
use watchfire::telemetry::Metrics;

use crate::support::accounts::OWNER_A;
use crate::support::queued_treasury::{QueuedTreasury, SOON};
use crate::support::safe::{Safe, SafeTx};
use crate::support::service::{Fault, Service};
use crate::support::treasury::Treasury;
use crate::support::watch::Watch;

const SAFE: Address = Address::repeat_byte(0x5a);

/// As [`measured`], where nobody measures.
async fn client(service: &Service, settings: &str, clock: &ManualClock, dir: &Path) -> Client {
    measured(service, settings, clock, dir, &Metrics::default()).await
}

/// A client of `service` with these further settings, and a store in `dir`.
async fn measured(service: &Service, settings: &str, clock: &ManualClock, dir: &Path, metrics: &Metrics) -> Client {
    let text = format!(
        "[safe-service.own]\nchain = \"demo\"\nurl = \"{}\"\nrequests_per_second = 1_000\n{settings}\n",
        service.url()
    );
    let file = SourceFile::new("watchfire.toml", text);
    let mut problems = Problems::new();
    let document = Document::parse(&file, Secrets::Resolve, &mut problems);
    let all = document.root_table().table("safe-service", &mut problems).expect("a service");
    let entries = all.into_entries();
    let (name, value) = &entries[0];
    let parsed = safe_service::parse_service(name, value.table(&mut problems).expect("a table"), &mut problems);
    assert!(problems.is_empty(), "{}", problems.render(false));
    let store = Store::open(&dir.join("store.db")).await.expect("a store");
    let (_, settings) = parsed.expect("a service");
    Client::with_stored_quota(settings, "demo".into(), Arc::new(clock.clone()), metrics.clone(), store)
        .await
        .expect("a client")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_s_requests_are_a_month_s_whichever_process_sends_them() {
    let (service, dir) = (Service::start().await, tempfile::tempdir().expect("a directory"));
    let clock = ManualClock::new("2026-11-30T23:59:50Z".parse().expect("a time"));
    let settings = "requests_per_month = 4";
    for process in 0..2 {
        let mut client = client(&service, settings, &clock, dir.path()).await;
        for _ in 0..2 {
            assert_eq!(client.fetch_account(SAFE).await, Ok(None), "process {process}");
        }
    }
    let mut client = client(&service, settings, &clock, dir.path()).await;
    assert!(client.budget.is_used_up());
    assert_eq!(client.fetch_account(SAFE).await, Err(ServiceError::UsedUp(4)));
    assert_eq!(service.count(), 4);
    clock.advance(SignedDuration::from_secs(9));
    assert_eq!(client.fetch_account(SAFE).await, Err(ServiceError::UsedUp(4)), "the last second of the month, in UTC");
    clock.advance(SignedDuration::from_secs(1));
    assert_eq!(client.fetch_account(SAFE).await, Ok(None));
    assert_eq!((service.count(), client.budget.of_month()), (5, 3.0));
    // A clock that goes back, as one does that is set right, finds what was spent then.
    clock.advance(SignedDuration::from_secs(-60));
    assert_eq!(client.fetch_account(SAFE).await, Err(ServiceError::UsedUp(4)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_that_is_used_up_is_told_and_a_kill_does_not_make_it_forgotten() {
    let stage = QueuedTreasury::with(&format!("{SOON}\nrequests_per_month = 10")).await;
    let process = stage.watch.start(&["run"]);
    // Three Safes take three requests each, and what is left is no look.
    stage.until("what is left is no look", || stage.service.count() == 9).await;
    stage.is_blind("service-down warning own").await;
    process.kill();
    let process = stage.watch.start(&["run", "--log", "info"]);
    let log = |text: &str| stage.watch.log().contains(text);
    stage.until("the second process looks at queues", || log("quota of own: ")).await;
    assert!(log("quota of own: 1 of 10 requests left this month"), "{}", stage.watch.log());
    // The chain is judged all the same.
    stage.execute(&stage.treasury.grants, &stage.theft(), stage.nonce(&stage.treasury.grants).await).await;
    stage.finds("Grants Safe high builtin/unvouched included").await;
    assert_eq!(stage.service.count(), 9);
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_service_says_of_its_limits_is_obeyed() {
    let (quiet, hot) = ("hot = \"20s\"\ncold = \"7m\"", 20);
    let cases: [(u16, &str, u64, &str); 12] = [
        (429, "retry-after: 30\r\n", 30, "busy"),
        (429, "retry-after: Mon, 02 Nov 2026 10:01:30 GMT\r\n", 90, "busy"),
        (429, "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 40\r\n", 40, "busy"),
        (429, "", hot, "busy"),
        // A year is asked for; an hour is given.
        (429, "retry-after: 31536000\r\n", 3_600, "busy"),
        (402, "", 420, "denied"),
        (403, "", 420, "denied"),
        (401, "retry-after: 11\r\n", 11, "denied"),
        (503, "retry-after: 50\r\n", 50, "down"),
        (200, "x-ratelimit-limit: 5\r\nx-ratelimit-remaining: 0\r\nx-ratelimit-reset: 60\r\n", 60, "ok"),
        (200, "ratelimit-remaining: 1\r\nratelimit-reset: 70\r\n", 70, "ok"),
        (200, "ratelimit: \"second\";r=4;t=1, \"day\";r=0;t=80\r\n", 80, "ok"),
    ];
    for (status, headers, pause, says) in cases {
        let (service, dir) = (Service::start().await, tempfile::tempdir().expect("a directory"));
        let clock = ManualClock::new("2026-11-02T10:00:00Z".parse().expect("a time"));
        let mut client = client(&service, quiet, &clock, dir.path()).await;
        service.knows(SAFE);
        service.fault(Fault::Said(status, headers.to_owned()));
        let before = watchfire::runtime::monotonic_now();
        let answer = client.fetch_account(SAFE).await;
        let said = match answer {
            Ok(Some(_)) => "ok",
            Err(ServiceError::Busy(_)) => "busy",
            Err(ServiceError::Denied(said)) if said.ends_with("<b>no</b>") => "denied",
            Err(ServiceError::Down(_)) => "down",
            other => panic!("{status} {headers}: {other:?}"),
        };
        assert_eq!(said, says, "{status} {headers}");
        let asked = client.ready_at().saturating_duration_since(before).as_secs_f64();
        assert!(asked >= pause as f64 && asked < pause as f64 + 60.0, "{status} {headers}: {asked}");
        service.fault(Fault::None);
        assert!(matches!(client.fetch_account(SAFE).await, Err(ServiceError::Busy(_))), "{status} {headers}");
        assert_eq!(service.count(), 1, "nothing is sent while it lasts: {status} {headers}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_says_is_left_for_a_day_is_spread_over_it() {
    let (service, dir) = (Service::start().await, tempfile::tempdir().expect("a directory"));
    let clock = ManualClock::new("2026-11-02T10:00:00Z".parse().expect("a time"));
    let metrics = Metrics::default();
    let mut client = measured(&service, "requests_per_month = 50_000", &clock, dir.path(), &metrics).await;
    assert!(!metrics.render().contains("safe_service_told_requests{"), "it has said nothing yet");
    service.knows(SAFE);
    service.fault(Fault::Said(200, "x-ratelimit-remaining: 100\r\nx-ratelimit-reset: 86400\r\n".to_owned()));
    let now = watchfire::runtime::monotonic_now();
    assert!(client.budget.available_requests(now) > 1_000.0);
    client.fetch_account(SAFE).await.expect("an answer");
    assert!(
        client.budget.available_requests(watchfire::runtime::monotonic_now()) <= 100.5,
        "what is left is what it says"
    );
    // Fewer are left than we sent: somebody else uses the same key.
    service.fault(Fault::Said(200, "x-ratelimit-remaining: 40\r\nx-ratelimit-reset: 86400\r\n".to_owned()));
    client.fetch_account(SAFE).await.expect("an answer");
    assert!(client.budget.available_requests(watchfire::runtime::monotonic_now()) <= 40.5);
    service.fault(Fault::Said(
        429,
        "retry-after: 60\r\nx-ratelimit-remaining: 39\r\nx-ratelimit-reset: 86400\r\n".to_owned(),
    ));
    assert!(client.fetch_account(SAFE).await.is_err());
    let of = "{chain=\"demo\",service=\"own\"}";
    let shown = metrics.render();
    for (series, value) in
        [("month_requests", "49997.0"), ("told_requests", "39.0"), ("paused_until_timestamp_seconds", "1793613660.0")]
    {
        let line = format!("watchfire_safe_service_{series}{of} {value}");
        assert!(shown.lines().any(|shown| shown == line), "{line} of {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_refuses_us_or_has_nothing_left_is_told_and_is_asked_again() {
    let stage = QueuedTreasury::new().await;
    let process = stage.start().await;
    for status in [401, 402, 403] {
        stage.service.fault(Fault::Said(status, String::new()));
        stage.is_blind("service-down warning own").await;
        stage.service.fault(Fault::None);
        stage.sees().await;
    }
    // It answers as it should, and says that it was the last time for an hour.
    let nothing = "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 3600\r\n";
    stage.service.fault(Fault::Said(200, nothing.to_owned()));
    stage.is_blind("service-down warning own").await;
    assert_eq!(process.end().await, 0, "{}", stage.watch.log());
}

#[test]
fn check_says_what_queues_take_and_that_it_is_more_than_the_quota() {
    let service = "[destination.pager]\nkind = \"terminal\"\n\n[safe-service.own]\nchain = \"demo\"\nurl = \"http://127.0.0.1:1\"\n\
                   requests_per_month = 5_000\n";
    let watch = Watch::treasury("ws://127.0.0.1:1", service);
    let checked = watch.run(&["check"]);
    assert_eq!(checked.code, 0, "{checked:#?}");
    let line = checked.of("queues").next().expect("a line");
    let n = line["watches"].as_array().expect("watches").len() as u64;
    assert_eq!(line["takes_per_month"], 5_760 * n, "a look in a quarter of an hour, two requests each");
    assert_eq!((&line["takes_per_busy_hour"], &line["requests_per_month"]), (&120.into(), &5_000.into()));
    let note =
        checked.of("note").find_map(|line| Some(line["note"].as_str()?.to_owned()).filter(|note| note.contains("own")));
    let note = note.expect("a note that they do not fit");
    assert!(note.ends_with(&format!("not every 15m, which would take {}", 5_760 * n)), "{note}");
    let shown = watch.shows(&["check"]);
    let told = format!("{} of 5000 requests a month while nothing does, 120 for an hour", 5_760 * n);
    assert!(shown.contains(&told), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_in_which_something_happens_is_asked_for_again_and_again_and_quiet_ones_wait_for_their_turn() {
    let stage = QueuedTreasury::with("hot = \"250ms\"\ncold = \"1d\"\npatience = \"1s\"").await;
    let Treasury { grants, ops, vault, council, .. } = &stage.treasury;
    stage.service.propose(grants, &stage.grant(), stage.nonce(grants).await, OWNER_A.address).list();
    let process = stage.watch.start(&["run"]);
    stage.looked(12).await;
    let looks = |safe: &Safe| {
        let list = format!("{}/multisig-transactions/?", safe.address.to_checksum(None));
        let asked = stage.service.received();
        asked.iter().filter(|one| one.path.contains(&list) && one.path.contains("trusted=false")).count()
    };
    assert!(looks(grants) >= 12);
    for quiet in [ops, vault, council] {
        assert!(looks(quiet) <= 1, "{} looks at one in which nothing happens", looks(quiet));
    }
    // What happens on chain is no less than what happens in the queue.
    stage.execute(ops, &SafeTx::call(ops.address, []), stage.nonce(ops).await).await;
    stage.follow().await;
    stage.until("the other is looked at too", || looks(ops) >= 5).await;
    assert!(looks(vault) <= 1 && looks(council) <= 1);
    process.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_down_is_not_sent() {
    let (service, dir) = (Service::start().await, tempfile::tempdir().expect("a directory"));
    let clock = ManualClock::new("2026-11-02T10:00:00Z".parse().expect("a time"));
    let mut client = client(&service, "", &clock, dir.path()).await;
    assert_eq!(client.fetch_account(SAFE).await, Ok(None));
    let store = rusqlite::Connection::open(dir.path().join("store.db")).expect("the same file");
    store.execute_batch("DROP TABLE quotas").expect("nobody else writes");
    assert!(matches!(client.fetch_account(SAFE).await, Err(ServiceError::Unkept(_))));
    assert_eq!(service.count(), 1);
}

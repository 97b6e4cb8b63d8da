//! What a service lets us ask, over real HTTP: what we allow ourselves, what it says of it, and what happens when nothing is left.

use std::path::Path;
use std::sync::Arc;

use alloy_primitives::Address;
use jiff::SignedDuration;
use watchfire::queue::{self, Client, ServiceError};
use watchfire::runtime::ManualClock;
use watchfire::settings::{Document, Problems, Secrets, SourceFile};
use watchfire::store::Store;
use watchfire::telemetry::Metrics;

use crate::queues::{SOON, Stage};
use crate::support::service::Service;

const SAFE: Address = Address::repeat_byte(0x5a);

/// A client of `service` with these further settings, and a store in `dir`.
async fn client(service: &Service, settings: &str, clock: &ManualClock, dir: &Path) -> Client {
    let text = format!(
        "[safe-service.own]\nchain = \"demo\"\nurl = \"{}\"\nrequests_per_second = 1_000\n{settings}\n",
        service.url()
    );
    let file = SourceFile::new("watchfire.toml", text);
    let mut problems = Problems::new();
    let document = Document::parse(&file, Secrets::Resolve, &mut problems);
    let mut all = document.table().table("safe-service", &mut problems).expect("a service");
    let entries = all.entries();
    let (name, value) = &entries[0];
    let parsed = queue::parse(name, value.table(&mut problems).expect("a table"), &mut problems);
    assert!(problems.is_empty(), "{}", problems.render(false));
    let store = Store::open(&dir.join("store.db")).await.expect("a store");
    let (_, settings) = parsed.expect("a service");
    Client::open(settings, "demo".into(), Arc::new(clock.clone()), Metrics::default(), store).await.expect("a client")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_s_requests_are_a_month_s_whichever_process_sends_them() {
    let (service, dir) = (Service::start().await, tempfile::tempdir().expect("a directory"));
    let clock = ManualClock::new("2026-11-30T23:59:50Z".parse().expect("a time"));
    let settings = "requests_per_month = 4";
    for process in 0..2 {
        let mut client = client(&service, settings, &clock, dir.path()).await;
        for _ in 0..2 {
            assert_eq!(client.account(SAFE).await, Ok(None), "process {process}");
        }
    }
    let mut client = client(&service, settings, &clock, dir.path()).await;
    assert!(client.budget.is_used_up());
    assert_eq!(client.account(SAFE).await, Err(ServiceError::UsedUp(4)));
    assert_eq!(service.count(), 4);
    clock.advance(SignedDuration::from_secs(9));
    assert_eq!(client.account(SAFE).await, Err(ServiceError::UsedUp(4)), "the last second of the month, in UTC");
    clock.advance(SignedDuration::from_secs(1));
    assert_eq!(client.account(SAFE).await, Ok(None));
    assert_eq!((service.count(), client.budget.of_month()), (5, 3.0));
    // A clock that goes back, as one does that is set right, finds what was spent then.
    clock.advance(SignedDuration::from_secs(-60));
    assert_eq!(client.account(SAFE).await, Err(ServiceError::UsedUp(4)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_that_is_used_up_is_told_and_a_kill_does_not_make_it_forgotten() {
    let stage = Stage::with(&format!("{SOON}\nrequests_per_month = 10")).await;
    let process = stage.watch.start(&["run"]);
    // Three Safes take three requests each, and what is left is no look.
    stage.is_blind("service-down warning own").await;
    assert_eq!(stage.service.count(), 9);
    process.kill();
    let process = stage.watch.start(&["run", "--log", "info"]);
    let log = |text: &str| stage.watch.log().contains(text);
    stage.until("the second process looks at queues", || log("own may be asked ")).await;
    assert!(log("own may be asked 1 times more this month, of 10"), "{}", stage.watch.log());
    // The chain is judged all the same.
    stage.execute(&stage.treasury.grants, &stage.theft(), stage.nonce(&stage.treasury.grants).await).await;
    stage.finds("Grants Safe high builtin/unvouched included").await;
    assert_eq!(stage.service.count(), 9);
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}

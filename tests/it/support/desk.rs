//! A store with an outbox, destinations as a configuration names them, and a worker that is told when to work.

use crate::support::inbox::{Inbox, Received};
use base64::Engine;
use hmac::{Hmac, KeyInit, Mac};
use jiff::SignedDuration;
use serde_json::Value as Json;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use watchfire::deliver::{self, Targets, Worker};
use watchfire::escalate::Routing;
use watchfire::model::incident::{Body, ChangeSet, Delivery, DeliveryKind};
use watchfire::model::incident_state::State;
use watchfire::model::page::Page;
use watchfire::model::record::{Line, SummaryLine};
use watchfire::model::{ChainId, DeliveryKey, IncidentId, Severity};
use watchfire::runtime::{Clock, ManualClock};
use watchfire::settings::{Document, Problems, Secrets, SourceFile};
use watchfire::store::Store;

/// The secret that [`RequestTable::with_hook`] signs with.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A store with an outbox, destinations and a clock that stands still.
pub(crate) struct Desk {
    /// Where the secrets lie.
    _dir: TempDir,
    pub(crate) store: Store,
    pub(crate) clock: ManualClock,
    pub(crate) targets: Arc<Targets>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Desk {
    /// `secrets` are files that `config` may name.
    pub(crate) async fn new(config: &str, secrets: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, secret) in secrets {
            std::fs::write(dir.path().join(name), secret).unwrap();
        }
        let file = SourceFile::new(dir.path().join("watch.toml").display().to_string(), config);
        let mut problems = Problems::new();
        let document = Document::parse(&file, Secrets::Resolve, &mut problems);
        let table = document.root_table().table("destination", &mut problems).unwrap();
        let targets: Targets = table
            .into_entries()
            .iter()
            .filter_map(|(name, value)| deliver::parse_destination(name, value.table(&mut problems)?, &mut problems))
            .map(|target| (target.name.clone(), target))
            .collect();
        assert!(problems.is_empty(), "{}", problems.render(false));
        let clock = ManualClock::new("2026-11-20T10:00:00Z".parse().unwrap());
        let store = Store::in_memory().await.unwrap();
        Self { _dir: dir, store, clock, targets: Arc::new(targets), lines: Arc::default() }
    }

    /// One webhook called `hook` that signs with [`SECRET`].
    pub(crate) async fn with_hook(inbox: &Inbox, more: &str) -> Self {
        let config = format!(
            "[destination.hook]\nkind = \"webhook\"\nurl = \"{}\"\nsecret = {{ file = \"key\" }}\n{more}",
            inbox.url("/hook")
        );
        Self::new(&config, &[("key", SECRET)]).await
    }

    pub(crate) fn worker(&self) -> Worker {
        let lines = self.lines.clone();
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        Worker::new(self.store.clone(), self.targets.clone(), Arc::new(Routing::default()), clock)
            .with_listener(Arc::new(move |line| lines.lock().unwrap().push(serde_json::to_string(line).unwrap())))
    }

    pub(crate) async fn write(&self, deliveries: Vec<Delivery>) {
        let plan = ChangeSet { deliveries, ..ChangeSet::default() };
        self.store.commit_change(self.now_ms(), |_| plan).await.unwrap();
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now().as_millisecond() as u64
    }

    pub(crate) async fn after(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
        self.worker().drain().await.unwrap();
    }

    /// `attempt outcome` of everything the listener heard.
    pub(crate) fn outcomes(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        let lines = lines.iter().map(|line| serde_json::from_str::<Json>(line).unwrap());
        let attempts = lines.filter(|line| line["type"] == "delivery");
        attempts.map(|line| format!("{} {}", line["attempt"], line["outcome"].as_str().unwrap())).collect()
    }

    pub(crate) fn heard(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    pub(crate) async fn waiting(&self) -> u64 {
        self.store.counts().await.unwrap().waiting.values().map(|waiting| waiting.messages).sum()
    }
}

/// A page about a payment.
pub(crate) fn page() -> Page {
    Page {
        incident: IncidentId("inc_00".to_owned()),
        cycle: 0,
        marked: None,
        state: State::Open,
        severity: Severity::Critical,
        label: "Treasury Safe".to_owned(),
        watch: Some(alloy_primitives::Address::repeat_byte(0x5a)),
        chain: "mainnet".to_owned(),
        chain_id: Some(ChainId(1)),
        headline: "Treasury Safe sends 60,000 SNT".to_owned(),
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
        path: "treasury".to_owned(),
        step: 1,
        next: None,
        acked_by: None,
        change: None,
        again: false,
    }
}

/// The `n`th message about the incident `inc_00`.
pub(crate) fn about(n: u32, destination: &str, kind: DeliveryKind, page: Page) -> Delivery {
    Delivery {
        key: DeliveryKey::new("inc_00", 0, n, destination, kind.as_str(), 1),
        destination: destination.to_owned(),
        kind,
        incident: None,
        severity: Severity::Critical,
        body: Body::Page(Box::new(page)),
        lane: "inc_00".to_owned(),
    }
}

/// The `n`th page about the incident `inc_00`.
pub(crate) fn trigger(n: u32, destination: &str) -> Delivery {
    about(n, destination, DeliveryKind::Trigger, page())
}

/// A line of the feed, in a lane of its own.
pub(crate) fn line(n: u32, destination: &str) -> Delivery {
    let body = Body::Line(Box::new(Line::Summary(SummaryLine { blocks: u64::from(n), ..SummaryLine::default() })));
    Delivery { body, lane: format!("watch {n}"), ..about(n, destination, DeliveryKind::Feed, page()) }
}

/// The key that a receiver knows repetitions by.
pub(crate) fn id(received: &Received) -> &str {
    received.header("webhook-id").unwrap()
}

/// What the receiver computes from what it got and the secret it shares.
pub(crate) fn is_signed(received: &Received) -> bool {
    let key = base64::engine::general_purpose::STANDARD.decode(SECRET.trim_start_matches("whsec_")).unwrap();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{}.{}.", id(received), received.header("webhook-timestamp").unwrap()).as_bytes());
    mac.update(&received.body);
    let expected = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
    received.header("webhook-signature") == Some(&format!("v1,{expected}"))
}

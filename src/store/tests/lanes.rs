//! Order of the outbox compared to a model, with random arrivals, failures and crashes.

use super::*;
use crate::escalate::test_page;
use crate::model::incident::{Body, Budget, Delivery, DeliveryKind, Urgency};
use crate::model::page::Page;
use crate::model::record::{Line, SummaryLine};
use crate::model::{DeliveryKey, Severity};
use crate::store::{LeaseRequest, Leased};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const DESTINATIONS: [&str; 2] = ["pager", "hook"];
/// Time until a lease runs out.
const LEASE_MS: u64 = 60_000;
/// Maximum number of consecutive lines of the feed.
const IN_A_ROW: usize = 3;

/// Event of a test.
#[derive(Clone, Debug)]
enum Happens {
    /// A message is written: index of its destination, lane, kind and severity.
    Arrives(usize, u8, Sort, Severity),
    /// A worker leases messages for which there is room, from at most this number of lanes of each budget.
    Leaves(usize),
    /// The oldest row in flight completes: this number of messages is accepted and the next one fails; `None` when all
    /// are accepted.
    Lands(Option<(usize, Fails)>),
    /// The worker dies with all its leased messages, and another takes over, at once or when the leases expire.
    Dies(bool),
    /// The newest dead letter is sent again.
    Revives,
    /// A number of seconds passes.
    Passes(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    First,
    Louder,
    Update,
    Retract,
    Resolve,
    /// A page of the path `self`.
    Own,
    Feed,
}

#[derive(Clone, Copy, Debug)]
enum Fails {
    Later,
    ForGood,
}

fn happens() -> impl Strategy<Value = Happens> {
    let sort = prop_oneof![
        2 => Just(Sort::First), 1 => Just(Sort::Louder), 5 => Just(Sort::Update), 1 => Just(Sort::Retract),
        1 => Just(Sort::Resolve), 1 => Just(Sort::Own), 6 => Just(Sort::Feed),
    ];
    let fails = prop_oneof![3 => Just(Fails::Later), 1 => Just(Fails::ForGood)];
    prop_oneof![
        8 => (0..DESTINATIONS.len(), 0..3_u8, sort, prop::sample::select(&Severity::ALL[..]))
            .prop_map(|(to, lane, sort, severity)| Happens::Arrives(to, lane, sort, severity)),
        6 => (1..4_usize).prop_map(Happens::Leaves),
        6 => prop::option::weighted(0.3, (0..IN_A_ROW, fails)).prop_map(Happens::Lands),
        1 => any::<bool>().prop_map(Happens::Dies),
        1 => Just(Happens::Revives),
        2 => (1..90_u64).prop_map(Happens::Passes),
    ]
}

fn delivery(n: usize, to: usize, lane: u8, sort: Sort, severity: Severity) -> Delivery {
    let page = |path: &str, change: Option<&str>| {
        let page = Page { path: path.to_owned(), change: change.map(str::to_owned), severity, ..page_fixture() };
        Body::Page(Box::new(page))
    };
    let (kind, body) = match sort {
        Sort::First => (DeliveryKind::Trigger, page("treasury", None)),
        Sort::Louder => (DeliveryKind::Trigger, page("treasury", Some("louder"))),
        Sort::Update => (DeliveryKind::Update, page("treasury", Some("one more"))),
        Sort::Retract => (DeliveryKind::Retract, page("treasury", Some("a reorg took it back"))),
        Sort::Resolve => (DeliveryKind::Resolve, page("treasury", Some("done"))),
        Sort::Own => (DeliveryKind::Trigger, page("self", None)),
        Sort::Feed => (DeliveryKind::Feed, Body::Line(Box::new(Line::Summary(SummaryLine::default())))),
    };
    let of = match sort {
        Sort::Own => "own",
        Sort::Feed => "feed",
        _ => "inc",
    };
    Delivery {
        key: DeliveryKey(format!("dlv_{n:04}")),
        destination: DESTINATIONS[to].to_owned(),
        kind,
        incident: None,
        severity,
        body,
        lane: format!("{of}/{lane}"),
    }
}

fn page_fixture() -> Page {
    let plan = test_page(&sample_routing().paths["treasury"], &sample_routing(), T);
    let Some(Body::Page(page)) = plan.deliveries.first().map(|delivery| &delivery.body) else {
        panic!("a test page is a page");
    };
    Page::clone(page)
}

/// State of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Now {
    Waits(u64),
    Leased(u64),
    Sent,
    Superseded,
    Dead,
}

/// The outbox as a list: every query reads all of it.
#[derive(Default)]
struct Model {
    all: Vec<(Delivery, Now)>,
    /// Urgency and severity that a message has inherited, by its index in `all`.
    inherited: BTreeMap<usize, (Urgency, std::cmp::Reverse<Severity>)>,
}

impl Model {
    fn urgency(&self, at: usize) -> (Urgency, std::cmp::Reverse<Severity>) {
        let (delivery, _) = &self.all[at];
        let severity = if delivery.budget() == Budget::Feed { Severity::Info } else { delivery.severity };
        let own = (delivery.urgency(), std::cmp::Reverse(severity));
        self.inherited.get(&at).map_or(own, |inherited| own.min(*inherited))
    }

    fn in_lane(&self, of: &Delivery) -> Vec<usize> {
        let same = |d: &Delivery| d.destination == of.destination && d.lane == of.lane;
        let waits = |now: &Now| matches!(now, Now::Waits(_) | Now::Leased(_));
        (0..self.all.len()).filter(|at| same(&self.all[*at].0) && waits(&self.all[*at].1)).collect()
    }

    fn arrives(&mut self, delivery: &Delivery, now: u64) {
        let before = self.in_lane(delivery);
        let at = self.all.len();
        self.all.push((delivery.clone(), Now::Waits(now)));
        if delivery.budget() == Budget::Feed {
            return;
        }
        let mut urgency = self.urgency(at);
        if matches!(delivery.kind, DeliveryKind::Update | DeliveryKind::Trigger) {
            for earlier in &before {
                if self.all[*earlier].0.kind == DeliveryKind::Update && matches!(self.all[*earlier].1, Now::Waits(_)) {
                    urgency = urgency.min(self.urgency(*earlier));
                    self.all[*earlier].1 = Now::Superseded;
                }
            }
        }
        for at in self.in_lane(delivery) {
            let inherits = self.urgency(at).min(urgency);
            self.inherited.insert(at, inherits);
        }
    }

    /// Returns the messages that may leave: the first of each lane, if it is due and not in flight.
    fn ready(&self, destination: &str, budget: Budget, now: u64) -> Vec<usize> {
        let mut lanes = BTreeSet::new();
        let mut ready: Vec<usize> = (0..self.all.len())
            .filter(|at| {
                let (delivery, stands) = &self.all[*at];
                let waits = matches!(stands, Now::Waits(_) | Now::Leased(_));
                if delivery.destination != destination || delivery.budget() != budget || !waits {
                    return false;
                }
                lanes.insert(delivery.lane.clone()) && matches!(stands, Now::Waits(due) if *due <= now)
            })
            .collect();
        ready.sort_by_key(|at| (self.urgency(*at), *at));
        ready
    }

    fn place(&self, key: &DeliveryKey) -> usize {
        self.all.iter().position(|(delivery, _)| delivery.key == *key).expect("a message that was written")
    }

    fn expire(&mut self, now: u64) {
        for (_, stands) in &mut self.all {
            if matches!(stands, Now::Leased(until) if *until <= now) {
                *stands = Now::Waits(0);
            }
        }
    }
}

/// The store and its model, side by side.
struct Pair {
    kit: Kit,
    model: Model,
    now: u64,
    aboard: Vec<Vec<Leased>>,
    /// Keys in the order in which a receiver accepted them for the first time, by destination and lane.
    taken: BTreeMap<(String, String), Vec<DeliveryKey>>,
    /// Messages that were given up once: their position in the order is no longer guaranteed.
    given_up: BTreeSet<DeliveryKey>,
}

impl Pair {
    async fn new() -> Self {
        Self {
            kit: Kit::new().await,
            model: Model::default(),
            now: T,
            aboard: Vec::new(),
            taken: BTreeMap::new(),
            given_up: BTreeSet::new(),
        }
    }

    async fn happens(&mut self, what: Happens) {
        match what {
            Happens::Arrives(to, lane, sort, severity) => {
                let delivery = delivery(self.model.all.len(), to, lane, sort, severity);
                self.model.arrives(&delivery, self.now);
                let plan = ChangeSet { deliveries: vec![delivery], ..ChangeSet::default() };
                self.kit.store.commit_change(self.now, |_| plan).await.unwrap();
            }
            Happens::Leaves(lanes) => self.leaves(lanes).await,
            Happens::Lands(fails) => self.lands(fails).await,
            Happens::Dies(at_once) => {
                self.aboard.clear();
                self.kit.store = self.kit.other().await;
                if at_once {
                    self.kit.store.end_leases(self.now).await.unwrap();
                } else {
                    self.now += LEASE_MS;
                }
                for (_, stands) in &mut self.model.all {
                    if matches!(stands, Now::Leased(_)) {
                        *stands = Now::Leased(self.now);
                    }
                }
            }
            Happens::Revives => {
                let dead = self.model.all.iter().rposition(|(_, stands)| *stands == Now::Dead);
                let Some(at) = dead else { return };
                assert!(self.kit.store.revive_dead_letter(&self.model.all[at].0.key, self.now).await.unwrap());
                self.model.all[at].1 = Now::Waits(self.now);
            }
            Happens::Passes(seconds) => {
                self.now += seconds * 1_000;
                // A worker records the outcome of its messages before their leases expire.
                while !self.aboard.is_empty() {
                    self.lands(None).await;
                }
            }
        }
    }

    async fn leaves(&mut self, lanes: usize) {
        self.model.expire(self.now);
        let asks: Vec<(LeaseRequest, u64)> = DESTINATIONS
            .iter()
            .flat_map(|to| Budget::ALL.map(|budget| (to, budget)))
            .map(|(to, budget)| {
                let in_a_row = if budget == Budget::Feed { IN_A_ROW } else { 1 };
                (LeaseRequest { destination: (*to).to_owned(), budget, lanes, in_a_row }, LEASE_MS)
            })
            .collect();
        let due = self.kit.store.lease_due(self.now, asks.clone()).await.unwrap();
        for (at, (ask, _)) in asks.iter().enumerate() {
            let rows: Vec<_> = due.rows.iter().filter(|(of, _)| *of == at).map(|(_, row)| row).collect();
            let firsts: Vec<usize> = rows.iter().map(|row| self.model.place(&row[0].delivery.key)).collect();
            let mut expected = self.model.ready(&ask.destination, ask.budget, self.now);
            expected.truncate(lanes);
            assert_eq!(firsts, expected, "{ask:?}: the most urgent of those that are first in their lanes");
        }
        for (_, row) in due.rows {
            let lane = self.model.in_lane(&row[0].delivery);
            for (leased, at) in row.iter().zip(&lane) {
                assert_eq!(self.model.place(&leased.delivery.key), *at, "a row has no gap");
                assert!(matches!(self.model.all[*at].1, Now::Waits(_)), "nothing is on its way twice");
                self.model.all[*at].1 = Now::Leased(self.now + LEASE_MS);
            }
            self.aboard.push(row);
        }
    }

    async fn lands(&mut self, fails: Option<(usize, Fails)>) {
        if self.aboard.is_empty() {
            return;
        }
        let mut row = self.aboard.remove(0);
        let (taken, how) = fails.map_or((row.len(), None), |(taken, how)| (taken.min(row.len() - 1), Some(how)));
        let rest = row.split_off(taken);
        let keys: Vec<DeliveryKey> = row.iter().map(|leased| leased.delivery.key.clone()).collect();
        self.kit.store.all_sent(keys, self.now).await.unwrap();
        for leased in row {
            let (delivery, key) = (&leased.delivery, leased.delivery.key.clone());
            let at = self.model.place(&key);
            self.model.all[at].1 = Now::Sent;
            let told = self.taken.entry((delivery.destination.clone(), delivery.lane.clone())).or_default();
            if !told.contains(&key) && !self.given_up.contains(&key) {
                told.push(key);
            }
        }
        let (Some(how), Some(first)) = (how, rest.first()) else { return };
        let key = &first.delivery.key;
        let at = self.model.place(key);
        self.model.all[at].1 = match how {
            Fails::Later => {
                self.kit.store.schedule_retry(key, self.now, self.now + 5_000, "503").await.unwrap();
                Now::Waits(self.now + 5_000)
            }
            Fails::ForGood => {
                self.kit.store.mark_dead_letter(key, self.now, "410", |_, _| ChangeSet::default()).await.unwrap();
                self.given_up.insert(key.clone());
                Now::Dead
            }
        };
        let untried: Vec<DeliveryKey> = rest[1..].iter().map(|leased| leased.delivery.key.clone()).collect();
        for key in &untried {
            let at = self.model.place(key);
            self.model.all[at].1 = Now::Waits(self.now);
        }
        self.kit.store.release_leases(untried, self.now).await.unwrap();
    }

    /// Sends all remaining messages, and checks what a receiver got.
    async fn ends(mut self) {
        self.happens(Happens::Dies(true)).await;
        for _ in 0..10_000 {
            self.now += 5_000;
            self.leaves(8).await;
            if self.aboard.is_empty() {
                break;
            }
            while !self.aboard.is_empty() {
                self.lands(None).await;
            }
        }
        let waiting = self.kit.store.unfinished_messages().await.unwrap();
        assert_eq!(waiting.waiting, BTreeMap::new(), "everything left");
        for keys in self.taken.values() {
            assert!(keys.is_sorted(), "a lane keeps its order: {keys:?}");
        }
        let mut newest: BTreeMap<(String, String), usize> = BTreeMap::new();
        let dead = self.model.all.iter().filter(|(_, stands)| *stands == Now::Dead).count();
        assert_eq!(waiting.dead, dead as u64);
        for (at, (delivery, stands)) in self.model.all.iter().enumerate() {
            let state = format!("SELECT count(*) FROM outbox WHERE key = '{}' AND state = ", delivery.key);
            let is = match stands {
                Now::Sent => "sent",
                Now::Dead => "dead",
                Now::Superseded => "superseded",
                Now::Waits(_) | Now::Leased(_) => panic!("{delivery:?} still waits"),
            };
            assert_eq!(self.kit.number(&format!("{state}'{is}'")), 1, "{} is {is}", delivery.key);
            if matches!(delivery.kind, DeliveryKind::Update | DeliveryKind::Trigger) {
                newest.insert((delivery.destination.clone(), delivery.lane.clone()), at);
            }
        }
        for at in newest.values() {
            assert_ne!(
                self.model.all[*at].1,
                Now::Superseded,
                "the newest text of an incident is not replaced by nothing"
            );
        }
        let stray = "SELECT count(*) FROM outbox WHERE place <> 0";
        assert_eq!(self.kit.number(stray), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_arrives_fails_and_crashes_each_lane_keeps_its_order_and_the_urgent_goes_first(
        story in prop::collection::vec(happens(), 1..60)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut pair = Pair::new().await;
            for what in story {
                pair.happens(what).await;
            }
            pair.ends().await;
        });
    }
}

//! Proposals of one chain's Safes, read repeatedly beside the chain task without delaying it.
//!
//! A failure to read them is reported like any other outage. A failed look costs only time: the next one finds the
//! same, and the Safe's activity in between stays in the store until it is accounted for.

use super::App;
use super::supervisor::TaskName;
use crate::classify::proposals::Lookup;
use crate::decode;
use crate::escalate;
use crate::model::incident::{ChangeSet, Incident};
use crate::model::span::format_duration;
use crate::model::{BlindnessKind, HealthIssue, IncidentScope, Severity, WatchInfo};
use crate::pipeline::{Answered, Concluded, Prepared, Queues};
use crate::runtime::{self, Stop, error_chain, monotonic_now};
use crate::safe_service::{Client, Schedule, ServiceError};
use crate::source::{Pool, Priority};
use crate::store::Filter;
use crate::watchlist::{ChainBook, QueueBook};
use alloy_primitives::{Address, B256, U256};
use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tracing::{info, warn};

/// Interval at which the task checks whether a queue is due, and whether its Safe did anything.
const TICK: Duration = Duration::from_millis(500);
/// Maximum number of hashes of executions and approvals that are looked up at one look, and of proposals that are not
/// listed any more; the rest follows at the next.
const LOOKUPS_MAX: usize = 16;
/// Multiple of the silent patience after which an outage wakes somebody.
const LOUD: i32 = 10;

impl App {
    /// Watches the queues of `book` until a stop is requested.
    ///
    /// # Errors
    /// When the chain's endpoints cannot be used at all, or the store refuses for reasons that no waiting mends.
    pub(super) async fn watch_proposals(
        self: Arc<Self>,
        book: QueueBook,
        chain: Arc<ChainBook>,
        nudge: Arc<Notify>,
        stop: Stop,
    ) -> anyhow::Result<()> {
        let pool = self.pool(&chain)?.with_priority(Priority::Proposals);
        let service = book.service.clone();
        let (clock, metrics) = (self.clock.clone(), self.signs.metrics.clone());
        let (name, store) = (chain.info.name.clone(), self.store.clone());
        let client = Client::with_stored_quota(service.clone(), name, clock.clone(), metrics.clone(), store).await;
        let client = client.context("failed to read how much of a service's quota is spent")?;
        let (whole, store, at) = (self.book.clone(), self.store.clone(), chain.clone());
        let queues = Queues::new(whole, at, store, clock, nudge.clone(), service.stale_after).with_metrics(metrics);
        let safes: BTreeMap<Address, WatchInfo> = book
            .safes
            .iter()
            .filter_map(|id| self.book.watch(*id))
            .map(|watch| (watch.address, watch.clone()))
            .collect();
        let schedule = Schedule::new(safes.keys().copied(), service.hot, service.cold, &client.budget, monotonic_now());
        let sight = QueueVisibility::open(&self, &book, &chain).await?;
        let rounds = ProposalRounds {
            session: &self,
            nudge: &nudge,
            stop: &stop,
            chain,
            pool,
            client,
            queues,
            schedule,
            safes,
            sight,
            matched: HashMap::new(),
            waiting: BTreeMap::new(),
        };
        rounds.run(&book).await
    }
}

/// State that is kept between the looks at queues.
struct ProposalRounds<'a> {
    session: &'a App,
    nudge: &'a Notify,
    stop: &'a Stop,
    chain: Arc<ChainBook>,
    pool: Pool,
    client: Client,
    queues: Queues,
    schedule: Schedule,
    safes: BTreeMap<Address, WatchInfo>,
    sight: QueueVisibility,
    /// Nonce at which the service last agreed with the chain, by Safe.
    matched: HashMap<Address, U256>,
    /// Number of waiting transactions by Safe.
    waiting: BTreeMap<Address, usize>,
}

/// Reason that a look failed.
enum RoundError {
    /// Failure of the service or of the connection to it.
    Service(ServiceError),
    /// Failure to read the chain, which the chain task reports.
    Unread,
    /// Failure of the store.
    Store(anyhow::Error),
}

impl From<ServiceError> for RoundError {
    fn from(error: ServiceError) -> Self {
        Self::Service(error)
    }
}

impl ProposalRounds<'_> {
    async fn run(mut self, book: &QueueBook) -> anyhow::Result<()> {
        let mut rng = fastrand::Rng::new();
        let addresses: Vec<Address> = self.safes.keys().copied().collect();
        if self.schedule.idle_interval() > book.service.cold {
            let (name, cold) = (&book.service.name, self.schedule.idle_interval());
            warn!(
                "quota of {name} allows one poll of each quiet Safe every {cold:?}, instead of every {:?}",
                book.service.cold
            );
        }
        let check = TaskName::Proposals(book.service.name.clone()).check();
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(TICK) => {}
            }
            self.session.signs.checks.renew(&check);
            if let Err(error) = self.client.roll_over_month().await {
                warn!("failed to read the month's quota: {error}");
            }
            match self.session.store.touched_since(self.chain.info.id, addresses.clone()).await {
                Ok(stirred) => self.schedule.mark_touched(&stirred, monotonic_now()),
                Err(error) => warn!("failed to read which Safes were active: {error}"),
            }
            // Each queue is read at most once before the clock is checked again, however short its period is.
            for _ in 0..self.safes.len() {
                let Some(safe) = self.schedule.next_due(&self.client.budget, monotonic_now()) else { break };
                let Some(watch) = self.safes.get(&safe).cloned() else { break };
                let (stop, began) = (self.stop.clone(), self.session.clock.now());
                let looked = tokio::select! {
                    biased;
                    () = stop.cancelled() => return Ok(()),
                    looked = self.check_proposals(&watch) => looked,
                };
                self.session.signs.checks.renew(&check);
                let failed = looked.is_err();
                self.conclude_check(safe, looked, began, &mut rng);
                if failed {
                    // Each look may take as long as a request timeout, so a failure is reported before the next one
                    // starts.
                    break;
                }
            }
            self.record_overdue(book);
            self.report_outages().await?;
        }
    }

    /// Looks at one queue. If it is cancelled halfway, the next look finds the same.
    async fn check_proposals(&mut self, watch: &WatchInfo) -> Result<(Concluded, Vec<String>), RoundError> {
        let prepared = self
            .queues
            .read_safe_state(watch, &self.pool)
            .await
            .map_err(RoundError::Store)?
            .ok_or(RoundError::Unread)?;
        let safe = watch.address;
        let nonce = self.agreed_nonce(safe, &prepared).await?;
        let listing = self.client.fetch_proposals(safe, prepared.state.nonce).await?;
        let mut lookups = HashMap::new();
        for hash in prepared.unlisted_hashes(&listing.queued).into_iter().take(LOOKUPS_MAX) {
            let lookup = self.look_up_transaction(safe, hash, nonce, &prepared).await?;
            lookups.insert(hash, lookup);
            // Later hashes wait for one whose lookup is still open.
            if lookup == Lookup::Unknown {
                break;
            }
        }
        let vanished = prepared.vanished_hashes(&listing.queued);
        let mut held: BTreeSet<B256> = vanished.iter().copied().collect();
        for hash in vanished.into_iter().take(LOOKUPS_MAX) {
            if self.client.fetch_proposal(safe, hash).await?.is_none() {
                held.remove(&hash);
            }
        }
        let answered = Answered { queued: listing.queued, nonce, lookups, held };
        let concluded =
            self.queues.judge_and_commit(watch, &prepared, &answered, &self.pool).await.map_err(RoundError::Store)?;
        self.waiting.insert(safe, concluded.waiting);
        let mut flaws = listing.flaws;
        if concluded.misnamed > 0 {
            flaws.push(format!("it lists {} of {safe} under hashes that their fields do not give", concluded.misnamed));
        }
        Ok((concluded, flaws))
    }

    /// Returns the nonce of the Safe according to the service. The service is asked when the chain's nonce has changed
    /// since they agreed.
    async fn agreed_nonce(&mut self, safe: Address, prepared: &Prepared) -> Result<U256, RoundError> {
        let nonce = prepared.state.nonce;
        if self.matched.get(&safe) == Some(&nonce) {
            return Ok(nonce);
        }
        let Some(account) = self.client.fetch_account(safe).await? else {
            return Err(ServiceError::Lies(format!("it does not know {safe}, which is on this chain")).into());
        };
        let owners = |list: &[Address]| list.iter().copied().collect::<BTreeSet<_>>();
        let same = account.nonce >= nonce && owners(&account.owners) == owners(&prepared.state.owners);
        let now = self.session.clock.now();
        if same {
            self.matched.insert(safe, nonce);
            self.sight.record_success(BlindnessKind::ServiceStale, safe);
        } else {
            let why = if account.nonce < nonce {
                format!("it has {safe} at nonce {}, the chain at {nonce}", account.nonce)
            } else {
                format!("it names other owners of {safe} than the chain does")
            };
            self.sight.record_failure(BlindnessKind::ServiceStale, safe, why, false, now);
        }
        Ok(account.nonce)
    }

    /// Looks up in the service a hash that the Safe logged, where the service can know it already.
    async fn look_up_transaction(
        &mut self,
        safe: Address,
        hash: B256,
        nonce: U256,
        prepared: &Prepared,
    ) -> Result<Lookup, RoundError> {
        let known = self.client.fetch_proposal(safe, hash).await?;
        if known.as_ref().is_some_and(|known| decode::queued::hash(known, &prepared.state) != hash) {
            return Err(ServiceError::Lies(format!("the fields it gives of {hash} do not give that hash")).into());
        }
        let trace = prepared.kept.traces.iter().find(|trace| trace.hash == hash);
        // The service knows an execution once it has followed the chain up to it. An approval may come before the
        // transaction that it approves.
        let past = match trace {
            Some(trace) if trace.executed => nonce >= prepared.state.nonce,
            Some(trace) => prepared.tip.time.saturating_sub(trace.time) >= self.sight.patience.as_secs().unsigned_abs(),
            None => true,
        };
        Ok(match known {
            Some(known) if known.proposer.is_some() => Lookup::Proposed,
            // The service knows the transaction only from the chain.
            Some(_) if trace.is_some_and(|trace| trace.executed) => Lookup::Never,
            _ if past => Lookup::Never,
            _ => Lookup::Unknown,
        })
    }

    fn conclude_check(
        &mut self,
        safe: Address,
        looked: Result<(Concluded, Vec<String>), RoundError>,
        began: Timestamp,
        rng: &mut fastrand::Rng,
    ) {
        let from_service = matches!(&looked, Err(RoundError::Service(_)));
        let (why, kind) = match looked {
            Ok((concluded, flaws)) => {
                self.session.report_change_set(&concluded.plan);
                self.schedule.record_success(safe, concluded.stirs, concluded.waiting > 0, monotonic_now());
                self.sight.record_success(BlindnessKind::ServiceDown, safe);
                self.sight.seen.insert(safe);
                match flaws.first() {
                    Some(flaw) => {
                        self.sight.record_failure(BlindnessKind::ServiceLies, safe, flaw.clone(), true, began);
                    }
                    None => self.sight.record_success(BlindnessKind::ServiceLies, safe),
                }
                let waiting = self.waiting.values().sum();
                let now_s = runtime::steady_millis(&*self.session.clock) as f64 / 1_000.0;
                self.session.signs.metrics.record_service_poll(
                    &self.chain.info.name,
                    &self.sight.service,
                    now_s,
                    waiting,
                );
                return;
            }
            Err(RoundError::Service(ServiceError::Unkept(why))) => {
                warn!("skipped the proposals of {safe}: {why}");
                return self.schedule.record_failure(safe, monotonic_now(), rng);
            }
            Err(RoundError::Service(error @ ServiceError::Lies(_))) => (error.to_string(), BlindnessKind::ServiceLies),
            Err(RoundError::Service(error)) => (error.to_string(), BlindnessKind::ServiceDown),
            Err(RoundError::Unread) => (
                format!("the node does not say where {safe} stands, so its queue cannot be checked"),
                BlindnessKind::ServiceDown,
            ),
            Err(RoundError::Store(error)) => {
                // The store watchdog reports a store that rejects writes.
                warn!("failed to record the proposals of {safe}: {}", error_chain(&error));
                return self.schedule.record_failure(safe, monotonic_now(), rng);
            }
        };
        info!("failed to fetch the proposals of {safe} from {}: {why}", self.sight.service);
        if from_service {
            self.schedule.record_service_failure(safe, monotonic_now(), rng);
        } else {
            self.schedule.record_unasked(safe, monotonic_now(), rng);
        }
        self.sight.record_failure(kind, safe, why, false, began);
    }

    /// Reports a queue that was not read for too long: the quota is too small for the configured queues.
    fn record_overdue(&mut self, book: &QueueBook) {
        let (late, bound) =
            (self.schedule.oldest_poll_age(monotonic_now()), self.schedule.overdue_after(book.service.patience));
        let quota = book.service.requests_per_month;
        let late = (late > bound).then(|| {
            format!(
                "a queue was not looked at for {}; {quota} requests a month may be sent",
                format_duration(late.as_secs())
            )
        });
        let used_up = self.client.budget.is_used_up().then(|| ServiceError::UsedUp(quota).to_string());
        let now = self.session.clock.now();
        match (used_up, late) {
            (Some(why), late) => {
                self.sight.record_failure(BlindnessKind::ServiceDown, Address::ZERO, why, late.is_some(), now);
            }
            (None, Some(why)) => self.sight.record_failure(BlindnessKind::ServiceDown, Address::ZERO, why, true, now),
            (None, None) => self.sight.record_success(BlindnessKind::ServiceDown, Address::ZERO),
        }
    }

    /// Reports issues that have lasted long enough, and issues that are over.
    async fn report_outages(&mut self) -> anyhow::Result<()> {
        let now = self.session.clock.now();
        let (info, roster) = (self.chain.info.clone(), self.session.book.roster.clone());
        for kind in BlindnessKind::OF_SERVICES {
            match self.sight.outage_change(kind, self.safes.len(), now) {
                Some(ReportedOutage::Troubled(trouble)) => {
                    warn!(
                        kind = kind.name(),
                        "proposals outage on {} through {}: {}", info.name, self.sight.service, trouble.why
                    );
                    self.session.signs.record_issue(&info.name, kind, trouble.severity, &trouble.why);
                    let (info, roster) = (info.clone(), roster.clone());
                    self.write_outage_changes(move |known, now_ms| {
                        escalate::open_outage(&trouble, Some(&info), None, known, &roster, now_ms)
                    })
                    .await?;
                }
                Some(ReportedOutage::Over) => {
                    info!(
                        kind = kind.name(),
                        "proposals outage on {} through {} is over", info.name, self.sight.service
                    );
                    self.session.signs.clear_issue(&info.name, kind);
                    let (info, service) = (info.clone(), self.sight.service.clone());
                    self.write_outage_changes(move |known, now_ms| {
                        escalate::lift_outage(kind, Some(&service), Some(&info), now, known, now_ms)
                    })
                    .await?;
                }
                None => {}
            }
        }
        Ok(())
    }

    async fn write_outage_changes<F>(&self, engine: F) -> anyhow::Result<()>
    where
        F: Fn(&[Incident], u64) -> ChangeSet + Clone + Send + 'static,
    {
        let by = (self.nudge, self.stop);
        self.session
            .write_outage_changes(self.chain.info.id, by, "failed to write down whether queues are seen", engine)
            .await
    }
}

/// Reasons that the queues of one service cannot be seen, by kind and Safe, and what people were notified of.
struct QueueVisibility {
    service: Arc<str>,
    patience: SignedDuration,
    failing: BTreeMap<(BlindnessKind, Address), FailingQueue>,
    told: BTreeMap<BlindnessKind, Severity>,
    /// Safes whose queues were seen since the start.
    seen: BTreeSet<Address>,
}

struct FailingQueue {
    since: Timestamp,
    why: String,
    at_once: bool,
}

/// Notification to send.
enum ReportedOutage {
    Troubled(HealthIssue),
    Over,
}

impl QueueVisibility {
    /// Starts with the outages that the store has recorded.
    async fn open(session: &App, book: &QueueBook, chain: &ChainBook) -> anyhow::Result<Self> {
        let filter = Filter { scope: Some(IncidentScope::Chain(chain.info.id)), ..Filter::live_only() };
        let live = session.store.list_incidents(filter).await.context("failed to read whether queues were seen")?;
        let mut told = BTreeMap::new();
        for incident in live.iter().filter(|incident| escalate::is_dark(incident)) {
            if let Some(blindness) = incident.origin.outage()
                && BlindnessKind::OF_SERVICES.contains(&blindness.kind)
                && blindness.endpoint.as_deref() == Some(&*book.service.name)
            {
                told.insert(blindness.kind, incident.severity);
            }
        }
        let patience = SignedDuration::try_from(book.service.patience).unwrap_or(SignedDuration::MAX);
        let service = book.service.name.clone();
        Ok(Self { service, patience, failing: BTreeMap::new(), told, seen: BTreeSet::new() })
    }

    fn record_failure(&mut self, kind: BlindnessKind, safe: Address, why: String, at_once: bool, now: Timestamp) {
        let failing =
            self.failing.entry((kind, safe)).or_insert(FailingQueue { since: now, why: String::new(), at_once });
        (failing.why, failing.at_once) = (why, failing.at_once || at_once);
    }

    fn record_success(&mut self, kind: BlindnessKind, safe: Address) {
        self.failing.remove(&(kind, safe));
    }

    /// Returns the notification due for one kind: the outage has lasted long enough, its severity has risen, or it is
    /// over.
    fn outage_change(&mut self, kind: BlindnessKind, n_safes: usize, now: Timestamp) -> Option<ReportedOutage> {
        let of_kind = self.failing.iter().filter(|((of, _), _)| *of == kind).map(|(_, failing)| failing);
        let lasts = |failing: &FailingQueue| now.duration_since(failing.since);
        let ripe = of_kind.filter(|failing| failing.at_once || lasts(failing) >= self.patience);
        let Some(oldest) = ripe.min_by_key(|failing| failing.since) else {
            // An outage that an earlier process reported is over when every queue was read.
            let over = self.seen.len() >= n_safes && !self.failing.keys().any(|(of, _)| *of == kind);
            return (over && self.told.remove(&kind).is_some()).then_some(ReportedOutage::Over);
        };
        let loud = kind == BlindnessKind::ServiceLies || lasts(oldest) >= self.patience.saturating_mul(LOUD);
        let severity = if loud { Severity::High } else { Severity::Warning };
        if self.told.get(&kind).is_some_and(|told| *told >= severity) {
            return None;
        }
        self.told.insert(kind, severity);
        let endpoint = Some(self.service.clone());
        Some(ReportedOutage::Troubled(HealthIssue {
            kind,
            endpoint,
            severity,
            since: oldest.since,
            why: oldest.why.clone(),
            evidence: None,
            ways: Vec::new(),
        }))
    }
}

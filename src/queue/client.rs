//! Asks one service, within its budget, and holds each answer against the question.

use super::budget::Budget;
use super::month::Month;
use super::parse::{self, AccountJson, PageJson};
use super::settings::Service;
use crate::model::queue::{OWNERS_MAX, Queued};
use crate::post::{GetError, Got, SendError};
use crate::runtime::{self, Clock, instant};
use crate::store::{self, Store};
use crate::telemetry::Metrics;
use alloy_primitives::{Address, B256, U256};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::value::RawValue;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::info;

/// Transactions of one Safe that are looked at. Owners of a busy Safe have dozens waiting; what lies beyond has the highest nonces
/// and is executed last.
pub const QUEUED_MAX: usize = 500;
/// Transactions asked for at once.
const PAGE: usize = 100;
/// Most bytes of one answer: a hundred batches of fifty payments, with what the service decoded of them.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Longest pause that a service may ask for by its quota headers: one that says a year must not blind us without a word.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);
/// Complaints about items of one list that are told.
const FLAWS_MAX: usize = 3;

/// Why a service could not be asked, or what is wrong with what it said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// It did not answer, or not with what was asked for.
    #[error("{0}")]
    Down(String),
    /// It asked for a pause.
    #[error("it asks for a pause of {0:?}: the quota is used up")]
    Busy(Duration),
    /// What we may ask in a month is used up.
    #[error("the {0} requests of this month are used up")]
    UsedUp(u32),
    /// What it said cannot be true.
    #[error("{0}")]
    Lies(String),
    /// It was not asked, since that could not be written down first.
    #[error("a request could not be written down: {0}")]
    Unkept(String),
}

/// What a service says of a Safe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its next nonce, as far as the service has followed the chain.
    pub nonce: U256,
    /// Its owners, likewise.
    pub owners: Vec<Address>,
}

/// What a service lists of a Safe's queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// In no order; each hash once.
    pub queued: Vec<Queued>,
    /// What could not be read or is about something else, some of it.
    pub flaws: Vec<String>,
}

/// A service and what is left of its quota.
pub struct Client {
    service: Service,
    chain: Arc<str>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    store: Store,
    month: String,
    /// What may be asked, and when.
    pub budget: Budget,
}

impl Client {
    /// Goes on with what earlier processes left of the quota, which `store` knows, and writes down there what is spent. Records in
    /// `metrics` how requests end, and what is left.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open(
        service: Service,
        chain: Arc<str>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        store: Store,
    ) -> store::Result<Self> {
        let (month, now) = (Month::of(clock.now()), instant());
        let mut budget = Budget::new(service.requests_per_month, service.requests_per_second, month.rest, now);
        let spent = store.spent(&service.name, &month.name).await?;
        let now_ms = runtime::millis(&*clock);
        let ago = |at_ms: u64| Duration::from_millis(now_ms.saturating_sub(at_ms));
        budget.resume(spent.requests, spent.last.map(|(left, at_ms)| (left, ago(at_ms))), now);
        metrics.service(&chain, &service.name);
        let (left, whole) = (budget.of_month(), service.requests_per_month);
        info!("{} may be asked {left} times more this month, of {whole}", service.name);
        let client = Self { service, chain, clock, metrics, store, month: month.name, budget };
        client.measure();
        Ok(client)
    }

    /// Notices that another month began.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn turn(&mut self) -> store::Result<()> {
        let month = Month::of(self.clock.now());
        if month.name != self.month {
            // None of a month that begins is spent, unless another process was faster, or the clock went back.
            let spent = self.store.spent(&self.service.name, &month.name).await?;
            self.budget.begin(month.rest, instant());
            self.budget.shared(spent.requests);
            self.month = month.name;
            self.measure();
        }
        Ok(())
    }

    fn measure(&self) {
        let (at_once, of_month) = (self.budget.left(instant()), self.budget.of_month());
        self.metrics.service_quota(&self.chain, &self.service.name, at_once, of_month);
    }

    /// Asks what the service knows of `safe`; `None` where it does not know it.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn account(&mut self, safe: Address) -> Result<Option<Account>, ServiceError> {
        let address = safe.to_checksum(None);
        let Some(got) = self.get(&["api", "v1", "safes", &address], &[]).await? else { return Ok(None) };
        let account: AccountJson = read(&got.body)?;
        if account.address != safe {
            return Err(ServiceError::Lies(format!("asked about {safe}, it speaks of {}", account.address)));
        }
        if account.owners.len() > OWNERS_MAX {
            return Err(ServiceError::Lies(format!("it says that {safe} has {} owners", account.owners.len())));
        }
        Ok(Some(Account { nonce: account.nonce, owners: account.owners }))
    }

    /// Asks what waits for `safe` from `nonce` on, the trusted and the others: a service shows either when it is asked for one.
    ///
    /// # Errors
    /// [`ServiceError`]. An item that makes no sense is a flaw of the list, and hides no other.
    pub async fn queue(&mut self, safe: Address, nonce: U256) -> Result<Listing, ServiceError> {
        let (address, from) = (safe.to_checksum(None), nonce.to_string());
        let mut listing = Listing::default();
        let mut seen: HashSet<B256> = HashSet::new();
        for trusted in ["true", "false"] {
            let mut offset = 0;
            loop {
                let (at, page) = (offset.to_string(), PAGE.to_string());
                let query = [
                    ("executed", "false"),
                    ("trusted", trusted),
                    ("nonce__gte", from.as_str()),
                    ("ordering", "nonce"),
                    ("limit", page.as_str()),
                    ("offset", at.as_str()),
                ];
                let path = ["api", "v2", "safes", &address, "multisig-transactions"];
                let Some(got) = self.get(&path, &query).await? else {
                    return Err(ServiceError::Lies(format!("it does not know {safe}, which is on this chain")));
                };
                let page: PageJson<'_> = read(&got.body)?;
                let n = page.results.len();
                take(&page.results, safe, &mut seen, &mut listing);
                offset += n;
                if page.next.is_none() || n == 0 {
                    break;
                }
                if offset >= QUEUED_MAX {
                    listing
                        .flaws
                        .push(format!("more than {QUEUED_MAX} transactions wait for {safe}; the first are looked at"));
                    break;
                }
            }
        }
        listing.flaws.truncate(FLAWS_MAX);
        Ok(listing)
    }

    /// Asks what the service knows of one hash of `safe`; `None` where it knows nothing. That its fields give that hash is for the
    /// caller to see.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn known(&mut self, safe: Address, hash: B256) -> Result<Option<Queued>, ServiceError> {
        let name = format!("{hash:#x}");
        let Some(got) = self.get(&["api", "v2", "multisig-transactions", &name], &[]).await? else {
            return Ok(None);
        };
        let json: &RawValue = read(&got.body)?;
        let item = parse::item(json.get()).map_err(|why| ServiceError::Lies(format!("{hash}: {why}")))?;
        if item.safe != safe || item.claimed != hash {
            return Err(ServiceError::Lies(format!("asked about {hash}, it speaks of another transaction")));
        }
        Ok(Some(item))
    }

    /// `None` for what is not there.
    async fn get(&mut self, path: &[&str], query: &[(&str, &str)]) -> Result<Option<Got>, ServiceError> {
        let (now, ready) = (instant(), self.budget.ready_at());
        let wait = ready.saturating_duration_since(now);
        if wait > Duration::from_secs(1) {
            return Err(ServiceError::Busy(wait));
        }
        tokio::time::sleep(wait).await;
        self.spend().await?;
        let now_ms = runtime::millis(&*self.clock);
        let answer = self.service.endpoint.get(path, query, self.headers()?, ANSWER_BYTES_MAX, now_ms).await;
        let (outcome, answer) = match answer {
            Ok(got) => {
                self.heed(&got.headers);
                ("ok", Ok(Some(got)))
            }
            Err(GetError::Absent) => ("ok", Ok(None)),
            Err(GetError::TooLong) => ("nonsense", Err(ServiceError::Lies(GetError::TooLong.to_string()))),
            Err(GetError::Not(SendError::Wait(pause))) => {
                self.budget.pause(instant() + pause);
                ("limited", Err(ServiceError::Busy(pause)))
            }
            Err(GetError::Not(error)) => ("error", Err(ServiceError::Down(error.to_string()))),
        };
        self.metrics.service_request(&self.chain, &self.service.name, outcome);
        self.measure();
        answer
    }

    /// Takes one request off what is left. It is written down before it is sent: a process that is killed in between has spent it.
    async fn spend(&mut self) -> Result<(), ServiceError> {
        let unkept = |error: store::StoreError| ServiceError::Unkept(error.to_string());
        self.turn().await.map_err(unkept)?;
        if self.budget.of_month() < 1.0 {
            return Err(ServiceError::UsedUp(self.service.requests_per_month));
        }
        self.budget.spend(instant());
        let (left, now_ms) = (self.budget.left(instant()), runtime::millis(&*self.clock));
        let spent = self.store.spend(&self.service.name, &self.month, left, now_ms).await.map_err(unkept)?;
        self.budget.shared(spent);
        Ok(())
    }

    fn headers(&self) -> Result<HeaderMap, ServiceError> {
        let mut headers = HeaderMap::new();
        if let Some(key) = &self.service.key {
            let bearer = key.expose().map(|key| HeaderValue::from_str(&format!("Bearer {key}")));
            let Some(Ok(mut bearer)) = bearer else {
                return Err(ServiceError::Down(format!("the key in {} is none that can be sent", key.source())));
            };
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        Ok(headers)
    }

    /// A service that says how much is left, and that it is nothing, is not asked before it has something again.
    fn heed(&mut self, headers: &HeaderMap) {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
        if let (Some(0), Some(seconds)) = (number("x-ratelimit-remaining"), number("x-ratelimit-reset")) {
            self.budget.pause(instant() + Duration::from_secs(seconds).min(PAUSE_MAX));
        }
    }

    /// When the service may be asked again.
    #[must_use]
    pub fn ready_at(&self) -> Instant {
        self.budget.ready_at()
    }
}

fn read<'a, T: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<T, ServiceError> {
    serde_json::from_slice(body)
        .map_err(|_| ServiceError::Lies("its answer is not what was asked for, or no JSON".to_owned()))
}

/// Takes over what is about `safe`, each hash once.
fn take(results: &[&RawValue], safe: Address, seen: &mut HashSet<B256>, listing: &mut Listing) {
    for json in results {
        match parse::item(json.get()) {
            Ok(item) if item.safe != safe => {
                listing.flaws.push(format!("asked about {safe}, it lists a transaction of {}", item.safe));
            }
            Ok(item) if listing.queued.len() < 2 * QUEUED_MAX && seen.insert(item.claimed) => listing.queued.push(item),
            Ok(_) => {}
            Err(why) => listing.flaws.push(format!("it lists what is no transaction: {why}")),
        }
    }
}

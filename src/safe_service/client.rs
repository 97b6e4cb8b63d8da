//! Queries one service within its budget, and checks each response against the request.

use super::budget::{Budget, LOOK_COST};
use super::limits::{Limits, RemainingQuota};
use super::listing::{Listing, PAGE, Pages, Reading};
use super::month::Month;
use super::parse::{self, AccountJson, PageJson};
use super::settings::Service;
use crate::http::{GetError, Got};
use crate::model::proposals::{OWNERS_MAX, Queued};
use crate::runtime::{self, Clock, monotonic_now};
use crate::store::{self, Store};
use crate::telemetry::Metrics;
use alloy_primitives::{Address, B256, U256};
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::info;

/// Maximum size of one response in bytes: a hundred batches of fifty payments, with the service's decoding of them.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Maximum pause that a service may request: after a request for a year's pause, the service is queried again in an
/// hour.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);
/// Minimum time until the reset of a quota for which the remaining requests are spread over that time. Quotas with an
/// earlier reset are for seconds or minutes, and their reset is awaited.
const SPREAD_FROM: Duration = PAUSE_MAX;
/// Reason why a query to a service failed, or the error in its response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// No response, or not the requested one.
    #[error("{0}")]
    Down(String),
    /// Pause requested by the service.
    #[error("it asks for a pause of {0:?}: its quota is used up, or too much was asked at once")]
    Busy(Duration),
    /// Access denied: the key is invalid, or the paid quota is used up.
    #[error("{0}")]
    Denied(String),
    /// Our own monthly limit of requests is used up.
    #[error("the {0} requests of this month are used up")]
    UsedUp(u32),
    /// Invalid response: its content cannot be true.
    #[error("{0}")]
    Lies(String),
    /// Not sent, since the request could not be recorded first.
    #[error("a request could not be written down: {0}")]
    Unkept(String),
}

/// Account of a Safe, as a service reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Next nonce, as far as the service has followed the chain.
    pub nonce: U256,
    /// Owners, as far as the service has followed the chain.
    pub owners: Vec<Address>,
}

/// A service and its remaining quota.
pub struct Client {
    service: Service,
    chain: Arc<str>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    store: Store,
    month: String,
    /// Limits on the number and time of requests.
    pub budget: Budget,
}

impl Client {
    /// Continues with the quota that earlier processes left according to `store`, and records spent requests there.
    /// Records the results of requests and the remaining quota in `metrics`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn with_stored_quota(
        service: Service,
        chain: Arc<str>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        store: Store,
    ) -> store::Result<Self> {
        let (month, now) = (Month::from_timestamp(clock.now()), monotonic_now());
        let mut budget = Budget::new(service.requests_per_month, service.requests_per_second, month.rest, now);
        let spent = store.quota_spent(&service.name, &month.name).await?;
        let now_ms = runtime::steady_millis(&*clock);
        let ago = |at_ms: u64| Duration::from_millis(now_ms.saturating_sub(at_ms));
        budget.resume_month(spent.requests, spent.last.map(|(left, at_ms)| (left, ago(at_ms))), now);
        metrics.register_service(&chain, &service.name);
        let (left, whole) = (budget.of_month(), service.requests_per_month);
        info!("quota of {}: {left} of {whole} requests left this month", service.name);
        let client = Self { service, chain, clock, metrics, store, month: month.name, budget };
        client.record_quota();
        Ok(client)
    }

    /// Detects the beginning of another month.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn roll_over_month(&mut self) -> store::Result<()> {
        let month = Month::from_timestamp(self.clock.now());
        if month.name != self.month {
            // A new month begins with no requests spent, unless another process was faster or the clock was set back.
            let spent = self.store.quota_spent(&self.service.name, &month.name).await?;
            self.budget.begin_month(month.rest, monotonic_now());
            self.budget.set_spent_this_month(spent.requests);
            self.month = month.name;
            self.record_quota();
        }
        Ok(())
    }

    fn record_quota(&self) {
        let (at_once, of_month) = (self.budget.available_requests(monotonic_now()), self.budget.of_month());
        self.metrics.service_quota(&self.chain, &self.service.name, at_once, of_month);
    }

    /// Requests the service's data about `safe`; `None` where the service does not know it.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn fetch_account(&mut self, safe: Address) -> Result<Option<Account>, ServiceError> {
        let address = safe.to_checksum(None);
        let Some(got) = self.get(&["api", "v1", "safes", &address], &[]).await? else { return Ok(None) };
        let account: AccountJson = parse_body(&got.body)?;
        if account.address != safe {
            return Err(ServiceError::Lies(format!("asked about {safe}, it speaks of {}", account.address)));
        }
        if account.owners.len() > OWNERS_MAX {
            return Err(ServiceError::Lies(format!("it says that {safe} has {} owners", account.owners.len())));
        }
        Ok(Some(Account { nonce: account.nonce, owners: account.owners }))
    }

    /// Requests the proposals of `safe` from `nonce` on, both trusted and others: the service lists each group only
    /// when asked for it.
    ///
    /// # Errors
    /// [`ServiceError`]. An item that makes no sense is a flaw of the list, and hides no other.
    pub async fn fetch_proposals(&mut self, safe: Address, nonce: U256) -> Result<Listing, ServiceError> {
        let (address, from) = (safe.to_checksum(None), nonce.to_string());
        let mut reading = Reading::for_safe(safe);
        for trusted in ["true", "false"] {
            let (mut pages, mut next) = (Pages::default(), Some(0));
            while let Some(offset) = next {
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
                let page: PageJson<'_> = parse_body(&got.body)?;
                next = reading.read_page(&page, &mut pages);
            }
        }
        Ok(reading.into_listing())
    }

    /// Requests the service's data about one hash of `safe`; `None` where it has none. The caller must check that the
    /// fields give that hash.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn fetch_proposal(&mut self, safe: Address, hash: B256) -> Result<Option<Queued>, ServiceError> {
        let name = format!("{hash:#x}");
        let Some(got) = self.get(&["api", "v2", "multisig-transactions", &name], &[]).await? else {
            return Ok(None);
        };
        let json: &RawValue = parse_body(&got.body)?;
        let item = parse::parse_proposal(json.get()).map_err(|why| ServiceError::Lies(format!("{hash}: {why}")))?;
        if item.safe != safe || item.claimed != hash {
            return Err(ServiceError::Lies(format!("asked about {hash}, it speaks of another transaction")));
        }
        Ok(Some(item))
    }

    /// Returns `None` where the service has no such resource.
    async fn get(&mut self, path: &[&str], query: &[(&str, &str)]) -> Result<Option<Got>, ServiceError> {
        let (now, ready) = (monotonic_now(), self.budget.ready_at());
        let wait = ready.saturating_duration_since(now);
        if wait > Duration::from_secs(1) {
            return Err(ServiceError::Busy(wait));
        }
        tokio::time::sleep(wait).await;
        self.spend_request().await?;
        let now_ms = runtime::steady_millis(&*self.clock);
        let answer = self.service.endpoint.get(path, query, self.request_headers()?, ANSWER_BYTES_MAX).await;
        let (outcome, answer) = match answer {
            Ok(got) => {
                self.apply_rate_limits(&Limits::from_headers(&got.headers, now_ms));
                ("ok", Ok(Some(got)))
            }
            Err(GetError::Absent) => ("ok", Ok(None)),
            Err(GetError::TooLong) => ("nonsense", Err(ServiceError::Lies(GetError::TooLong.to_string()))),
            Err(GetError::Answered { status, headers, said }) => {
                let (outcome, error) =
                    self.interpret_error_status(status, said, &Limits::from_headers(&headers, now_ms));
                (outcome, Err(error))
            }
            Err(GetError::Not(error)) => ("error", Err(ServiceError::Down(error.to_string()))),
        };
        self.metrics.service_request(&self.chain, &self.service.name, outcome);
        self.record_quota();
        answer
    }

    /// Takes one request from the budget. It is recorded before it is sent, so that a process killed in between has
    /// spent it.
    async fn spend_request(&mut self) -> Result<(), ServiceError> {
        let unkept = |error: store::StoreError| ServiceError::Unkept(error.to_string());
        self.roll_over_month().await.map_err(unkept)?;
        if self.budget.of_month() < 1.0 {
            return Err(ServiceError::UsedUp(self.service.requests_per_month));
        }
        self.budget.spend_request(monotonic_now());
        let (left, now_ms) = (self.budget.available_requests(monotonic_now()), runtime::steady_millis(&*self.clock));
        let spent = self.store.spend_quota(&self.service.name, &self.month, left, now_ms).await.map_err(unkept)?;
        self.budget.set_spent_this_month(spent);
        Ok(())
    }

    fn request_headers(&self) -> Result<HeaderMap, ServiceError> {
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

    /// Applies the quota that a service reports: requests are spread until its reset, and none is sent while nothing is
    /// left. The report can only reduce our requests.
    fn apply_rate_limits(&mut self, limits: &Limits) {
        let now = monotonic_now();
        for RemainingQuota { requests, reset } in &limits.left {
            if (*requests as f64) < LOOK_COST {
                self.pause_requests(*reset);
            } else if *reset >= SPREAD_FROM {
                self.budget.apply_service_limit(*requests, *reset, now);
            }
        }
        if let Some(least) = limits.left.iter().map(|left| left.requests).min() {
            self.metrics.service_says(&self.chain, &self.service.name, least);
        }
    }

    /// Converts a failed response to an error: any response other than the requested data or "not found".
    fn interpret_error_status(
        &mut self,
        status: StatusCode,
        said: String,
        limits: &Limits,
    ) -> (&'static str, ServiceError) {
        self.apply_rate_limits(limits);
        if let Some(pause) = limits.pause {
            self.pause_requests(pause);
        }
        let rest = |client: &Self| client.ready_at().saturating_duration_since(monotonic_now());
        match status {
            StatusCode::TOO_MANY_REQUESTS => {
                // A service that gives no duration is not queried for the interval of an active queue.
                if rest(self).is_zero() {
                    self.pause_requests(self.service.hot);
                }
                ("limited", ServiceError::Busy(rest(self)))
            }
            StatusCode::UNAUTHORIZED | StatusCode::PAYMENT_REQUIRED | StatusCode::FORBIDDEN => {
                // Only a person can fix this, so wait for the interval of a quiet queue.
                if limits.pause.is_none() {
                    self.pause_requests(self.service.cold);
                }
                ("refused", ServiceError::Denied(said))
            }
            _ => ("error", ServiceError::Down(said)),
        }
    }

    fn pause_requests(&mut self, pause: Duration) {
        let pause = pause.min(PAUSE_MAX);
        self.budget.pause_until(monotonic_now() + pause);
        let until_s = self.clock.now().as_millisecond() as f64 / 1_000.0 + pause.as_secs_f64();
        self.metrics.service_paused(&self.chain, &self.service.name, until_s);
    }

    /// Returns the time from which the service may be queried again.
    #[must_use]
    pub fn ready_at(&self) -> Instant {
        self.budget.ready_at()
    }
}

fn parse_body<'a, T: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<T, ServiceError> {
    serde_json::from_slice(body)
        .map_err(|_| ServiceError::Lies("its answer is not what was asked for, or no JSON".to_owned()))
}

//! Commands that people give to a watch: each one commits, wakes the delivery worker, and returns a typed outcome.
//!
//! Input: typed arguments. Output: what was committed, or a [`CommandError`] that says why nothing was. The command line,
//! and every other surface through which a person responds, calls these functions. Never here: a parsed argument, a
//! printed line, or a change that is not committed. What they commit is published like every other commit, because the
//! store publishes it.

use crate::escalate::{self, ResponseError, Routing};
use crate::model::incident::{ChangeSet, Incident};
use crate::model::{ChainId, DeliveryKey, IncidentId};
use crate::runtime::{self, Clock, SystemClock};
use crate::store::{ReorgOverride, Store, StoreError, Unseen};
use alloy_primitives::B256;
use std::fmt;
use std::sync::Arc;
use tokio::sync::Notify;

/// Commands on one store. Clones act on the same store.
#[derive(Clone)]
pub struct Commands {
    store: Store,
    roster: Arc<Routing>,
    clock: Arc<dyn Clock>,
    /// Wakes the delivery worker of this process, if one runs. A worker of another process polls the store.
    wake: Arc<Notify>,
}

/// Response of a person to an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncidentResponse {
    /// Id of the incident, or an unambiguous beginning of it: `inc_3f2a`, `3f2a`.
    pub incident: String,
    /// Name of the responder.
    pub by: String,
    /// Revision of the incident at which the responder read the list of undelivered findings; they then count as seen.
    pub seen: Option<u32>,
}

/// Reason for which a person closes an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// The incident was handled.
    Handled,
    /// The incident was a false alarm.
    FalseAlarm,
}

/// Result of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Responded {
    /// The response took effect.
    Done(Box<Incident>),
    /// The incident stays open, because no delivered page contains some of its findings.
    StaysOpen {
        /// The incident. Its revision is the one to give as [`IncidentResponse::seen`].
        incident: Box<Incident>,
        /// The findings that no delivered page contains.
        unseen: Vec<Unseen>,
    },
}

/// A committed test page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestPage {
    /// The incidents that it opened.
    pub incidents: Vec<IncidentId>,
    /// Messages, one for each destination of the first step of the path.
    pub messages: Vec<DeliveryKey>,
}

/// Reason that a command changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// An id that no incident has.
    #[error("there is no incident `{0}`")]
    NoIncident(String),
    /// The state of the incident does not allow the response.
    #[error("failed to {attempt} {incident}")]
    Refused {
        /// Verb of the response: `acknowledge`, `resolve`.
        attempt: &'static str,
        /// The incident.
        incident: IncidentId,
        /// Reason of the refusal.
        #[source]
        source: ResponseError,
    },
    /// A key that no dead letter has.
    #[error("there is no undelivered message {0}")]
    NoDeadLetter(DeliveryKey),
    /// A chain without an unused reorg override.
    #[error("nothing is allowed on chain {0}")]
    NoOverride(ChainId),
    /// The configuration has no path of this name.
    #[error("there is no path `{path}`; the configuration has {}", known.join(", "))]
    NoPath {
        /// Requested name.
        path: String,
        /// Names of the configured paths.
        known: Vec<String>,
    },
    /// The store could not be read or written.
    #[error("failed to {attempt}")]
    Store {
        /// Operation that failed.
        attempt: &'static str,
        /// Reason of the failure.
        #[source]
        source: StoreError,
    },
}

impl Commands {
    /// Creates commands on `store`, at the time of this machine. `roster` gives the paths of test pages.
    #[must_use]
    pub fn new(store: Store, roster: Arc<Routing>) -> Self {
        Self { store, roster, clock: Arc::new(SystemClock), wake: Arc::default() }
    }

    /// Sets the handle that wakes the delivery worker of this process.
    #[must_use]
    pub fn with_wake_handle(self, wake: Arc<Notify>) -> Self {
        Self { wake, ..self }
    }

    /// Sets the clock, instead of that of the machine.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Acknowledges an incident: its escalation stops until the acknowledgement expires.
    ///
    /// # Errors
    /// [`CommandError::NoIncident`], [`CommandError::Refused`] when it is acknowledged or closed already,
    /// [`CommandError::Store`].
    pub async fn acknowledge(&self, response: &IncidentResponse) -> Result<Responded, CommandError> {
        self.respond("acknowledge", response, escalate::acknowledge_incident).await
    }

    /// Closes an incident.
    ///
    /// # Errors
    /// [`CommandError::NoIncident`], [`CommandError::Refused`] when it is closed already, [`CommandError::Store`].
    pub async fn resolve(
        &self,
        response: &IncidentResponse,
        resolution: Resolution,
    ) -> Result<Responded, CommandError> {
        match resolution {
            Resolution::Handled => self.respond("resolve", response, escalate::resolve_incident).await,
            Resolution::FalseAlarm => self.respond("resolve", response, escalate::false_alarm).await,
        }
    }

    async fn respond<F>(
        &self,
        attempt: &'static str,
        response: &IncidentResponse,
        engine: F,
    ) -> Result<Responded, CommandError>
    where
        F: FnOnce(&Incident, &str, u64) -> Result<ChangeSet, ResponseError> + Send + 'static,
    {
        let incident = match self.store.find_incident(&response.incident).await {
            Err(StoreError::NoIncident(id)) => return Err(CommandError::NoIncident(id)),
            found => found.map_err(failed_to("find the incident"))?,
        };
        let (now_ms, by) = (self.now_ms(), response.by.clone());
        let answered = self
            .store
            .commit_response(incident.id.clone(), now_ms, response.seen, move |incident| engine(incident, &by, now_ms))
            .await
            .map_err(failed_to("record the response"))?
            .map_err(|source| CommandError::Refused { attempt, incident: incident.id.clone(), source })?;
        self.wake.notify_one();
        let changed = answered.plan.incidents.into_iter().find(|changed| changed.id == incident.id);
        let incident = Box::new(changed.unwrap_or(incident));
        Ok(match answered.unseen {
            unseen if unseen.is_empty() => Responded::Done(incident),
            unseen => Responded::StaysOpen { incident, unseen },
        })
    }

    /// Makes a dead letter due again.
    ///
    /// # Errors
    /// [`CommandError::NoDeadLetter`], [`CommandError::Store`].
    pub async fn resend(&self, key: &DeliveryKey) -> Result<(), CommandError> {
        let revived = self.store.revive_dead_letter(key, self.now_ms()).await;
        if !revived.map_err(failed_to("make the message due again"))? {
            return Err(CommandError::NoDeadLetter(key.clone()));
        }
        self.wake.notify_one();
        Ok(())
    }

    /// Allows final blocks of a chain to be undone, once, in favor of the branch that contains `block`, and returns the
    /// permission. A running watch reads it within seconds.
    ///
    /// # Errors
    /// [`CommandError::Store`].
    pub async fn override_reorg(&self, chain: ChainId, block: B256, by: &str) -> Result<ReorgOverride, CommandError> {
        let allowed = self.store.allow_reorg(chain, block, by, self.now_ms()).await;
        allowed.map_err(failed_to("record the reorg override"))
    }

    /// Withdraws the permission to undo final blocks of a chain, if it was not used yet, and returns it.
    ///
    /// # Errors
    /// [`CommandError::NoOverride`], [`CommandError::Store`].
    pub async fn withdraw_reorg_override(&self, chain: ChainId, by: &str) -> Result<ReorgOverride, CommandError> {
        let withdrawn = self.store.withdraw_reorg_override(chain, by, self.now_ms()).await;
        withdrawn.map_err(failed_to("withdraw the reorg override"))?.ok_or(CommandError::NoOverride(chain))
    }

    /// Commits a page marked TEST to the first step of `path`. The delivery worker sends it like every other page.
    ///
    /// # Errors
    /// [`CommandError::NoPath`], [`CommandError::Store`].
    pub async fn test_page(&self, path: &str) -> Result<TestPage, CommandError> {
        if !self.roster.paths.contains_key(path) {
            let mut known: Vec<String> = self.roster.paths.keys().cloned().collect();
            known.sort_unstable();
            return Err(CommandError::NoPath { path: path.to_owned(), known });
        }
        let (now_ms, roster, path) = (self.now_ms(), self.roster.clone(), self.roster.path(path));
        let plan = self.store.commit_change(now_ms, move |_| escalate::test_page(&path, &roster, now_ms)).await;
        let plan = plan.map_err(failed_to("record the test page"))?;
        self.wake.notify_one();
        Ok(TestPage {
            incidents: plan.incidents.into_iter().map(|incident| incident.id).collect(),
            messages: plan.deliveries.into_iter().map(|delivery| delivery.key).collect(),
        })
    }

    fn now_ms(&self) -> u64 {
        runtime::steady_millis(&*self.clock)
    }
}

impl fmt::Debug for Commands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commands").field("store", &self.store).finish_non_exhaustive()
    }
}

/// Returns a function that makes a [`CommandError`] of an error of the store.
fn failed_to(attempt: &'static str) -> impl Fn(StoreError) -> CommandError {
    move |source| CommandError::Store { attempt, source }
}

//! State that must survive a crash: one file, one writer, one commit per step of the chain.
//!
//! Input: judged steps with the plan the escalation engine computes for them, answers of people, outcomes of
//! deliveries. Output: the position of each chain, the content of its rolling windows, live incidents, and due
//! messages, each leased to one worker at a time.
//!
//! Never here: a decision. The caller passes in a function that computes the new state of an incident. It runs inside
//! the transaction that writes the result, so that two processes answering at once see each other's changes. No message
//! is sent before its cause is committed, and a reorg is recorded by new records, never by deletion.

mod actor;
mod backup;
mod chain;
mod clock;
mod commit;
mod disk;
mod error;
mod evidence;
mod finality;
mod gaps;
mod incidents;
mod lanes;
mod messages;
mod outbox;
mod pages;
mod pending;
mod place;
mod progress;
mod proposals;
mod quota;
mod reorg_override;
mod schema;
mod unseen;
mod write_health;

pub use backup::{Restored, backup_store, restore_store};
pub use chain::{PastDelta, Pruned, WINDOW_BLOCKS_MAX};
pub use commit::{Answered, OwnedStepJudged};
pub use disk::DiskSpace;
pub use error::StoreError;
pub use evidence::EvidenceStore;
pub use finality::{ConfidenceGain, GAINED_MAX, Settled};
pub use gaps::FeedGap;
pub use incidents::Filter;
pub use lanes::{LeaseRequest, LeasedRow};
pub use outbox::{Counts, DeadLetter, Leased, Unfinished, Unsent, Waiting};
pub use pages::Pages;
pub use pending::PendingSeen;
pub use place::StoreLock;
pub use proposals::{LINES_MAX, QueueKept, QueueSeen};
pub use quota::QuotaSpent;
pub use reorg_override::{OverrideEnd, ReorgOverride};
pub use unseen::Unseen;
pub use write_health::WriteRefusal;

use crate::escalate::StepJudged;
use crate::model::incident::{ChangeSet, Finding, Incident, OpenState};
use crate::model::page::Way;
use crate::model::pending::Pending;
use crate::model::record::VerdictLine;
use crate::model::{ChainId, IncidentId, IncidentScope};
use crate::runtime::{monotonic_now, quoted_path};
use crate::telemetry::Metrics;
use actor::Actor;
use alloy_primitives::{Address, B256};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

/// Result of every function of this module.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// A handle to the store. Clones share the one writer; other processes may open the same file beside it.
#[derive(Clone, Debug)]
pub struct Store {
    actor: Actor,
    /// Absent for a store in memory.
    file: Option<Arc<StoreFile>>,
}

/// The file behind a store.
#[derive(Debug)]
struct StoreFile {
    path: PathBuf,
    /// Identity of the opened file; absent where the system does not provide it.
    identity: Option<place::Identity>,
    /// Instant at which the file was first found missing from its path.
    gone: Mutex<Option<Instant>>,
}

/// Opening.
impl Store {
    /// Opens the file at `path`, creates it when missing and migrates it when it is older.
    ///
    /// # Errors
    /// [`StoreError::Newer`] when a later version of the program wrote it, [`StoreError::Foreign`] when it is another
    /// program's database, [`StoreError::Vanished`] when it is missing though an earlier run left its traces beside it,
    /// [`StoreError::Place`] when the place takes no file, [`StoreError::Sqlite`] when it cannot be opened or written.
    pub async fn open(path: &Path) -> Result<Self> {
        let opened = path.to_path_buf();
        let actor = Actor::start_thread(move || schema::open_database(&opened)).await?;
        let file = StoreFile { path: path.to_path_buf(), identity: place::file_identity(path), gone: Mutex::default() };
        Ok(Self { actor, file: Some(Arc::new(file)) })
    }

    /// Moves the store at `path` aside, if there is one, and creates a new one in its place even if an earlier run left
    /// files there. Returns the new path of the earlier store.
    ///
    /// # Errors
    /// [`StoreError::InUse`] while a run works on it, and as [`Store::open`].
    pub async fn begin_anew(path: &Path, stamp: &str) -> Result<Option<PathBuf>> {
        if Self::is_first_start(path) {
            return Ok(None);
        }
        let _lock = StoreLock::acquire_lock(path)?;
        let before = backup::move_aside(path, stamp)?;
        let opened = path.to_path_buf();
        Actor::start_thread(move || schema::open_anew(&opened)).await?;
        Ok(before)
    }

    /// Returns whether `path` has neither a store nor files of an earlier run.
    #[must_use]
    pub fn is_first_start(path: &Path) -> bool {
        !path.exists() && place::left_behind(path).is_empty()
    }

    /// Creates a store in memory that is lost with its last handle: for dry runs and replays.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`] when there is no memory for it.
    pub async fn in_memory() -> Result<Self> {
        Ok(Self { actor: Actor::start_thread(schema::open_in_memory).await?, file: None })
    }
}

/// Health of the store.
impl Store {
    /// Counts failed writes in `metrics`.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.actor.metrics = metrics;
        self
    }

    /// Returns the number of jobs that wait in the longer of the writer's two queues, and the maximum.
    #[must_use]
    pub fn queue_depth(&self) -> (usize, usize) {
        self.actor.queue_depth()
    }

    /// Returns the disk space; `None` for a store in memory, and if the system does not report it.
    #[must_use]
    pub fn disk_space(&self) -> Option<DiskSpace> {
        self.file.as_deref().and_then(|file| disk::disk_space(&file.path))
    }
}

/// Health of the store.
impl Store {
    /// Returns the current refusal: the store rejects writes, or its file is missing from its path.
    #[must_use]
    pub fn write_failure(&self) -> Option<WriteRefusal> {
        self.actor.write_failure().or_else(|| self.file.as_deref()?.check_missing())
    }

    /// Returns whether the opened file is no longer at its path: commits are then lost when this process ends.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.file.as_deref().is_some_and(|file| file.check_missing().is_some())
    }

    /// Writes a complete copy to `<store>.rescued`, even if the store's own file was removed from its path, and returns
    /// the path of the copy.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] for a store in memory, [`StoreError::Place`] and [`StoreError::Sqlite`] when it cannot be written.
    pub async fn rescue_copy(&self) -> Result<PathBuf> {
        let Some(file) = &self.file else { return Err(StoreError::Unknown("the store is in memory".to_owned())) };
        let to = place::path_with_suffix(&file.path, ".rescued");
        let copy = to.clone();
        self.actor.run_job(move |db| backup::copy_database(db, &copy)).await?;
        Ok(to)
    }
}

impl StoreFile {
    /// Returns a refusal if the path of this file holds another file or none.
    fn check_missing(&self) -> Option<WriteRefusal> {
        let opened = self.identity?;
        let found = place::file_identity(&self.path);
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        if found == Some(opened) {
            *gone = None;
            return None;
        }
        let since = *gone.get_or_insert_with(monotonic_now);
        let what = if found.is_some() { "another file lies in its place" } else { "it was moved or deleted" };
        let why = format!(
            "the store {path} is gone while this program runs on it: {what}. What is committed from now on is lost with this process: \
             put the file back, or stop the program and restore {path}.rescued",
            path = self.path.display()
        );
        let rescued = quoted_path(&place::path_with_suffix(&self.path, ".rescued"));
        let ways = vec![Way::new("once it is stopped", format!("store restore {rescued}"))];
        Some(WriteRefusal { since, why, ways })
    }
}

/// Changes of the stored state.
impl Store {
    /// Commits one step of the chain in one transaction: blocks retracted and appended, their activities and window
    /// entries, and the plan `engine` makes of the step and of the current state. Either all of it is on disk when this
    /// returns, or nothing.
    ///
    /// # Errors
    /// [`StoreError::Gap`] when the step does not build on the cursor, [`StoreError::Unknown`] when it retracts what is not
    /// there, [`StoreError::Finalized`] when it retracts what is final and nobody allowed it, [`StoreError::Engine`] when `engine` panicked, [`StoreError::Sqlite`]. Nothing is written then.
    pub async fn commit_step<F>(&self, step: OwnedStepJudged, now_ms: u64, engine: F) -> Result<ChangeSet>
    where
        F: FnOnce(&StepJudged<'_>, &OpenState) -> ChangeSet + Send + 'static,
    {
        self.actor.run_write(move |db| commit::commit_step(db, &step, now_ms, engine)).await
    }

    /// Reads the live incidents of all chains and the recent pages, and writes the plan that `engine` computes from
    /// them, in one transaction.
    ///
    /// # Errors
    /// As [`Store::commit_step`].
    pub async fn commit_change<F>(&self, now_ms: u64, engine: F) -> Result<ChangeSet>
    where
        F: FnOnce(&OpenState) -> ChangeSet + Send + 'static,
    {
        self.actor.run_write(move |db| commit::commit_change(db, now_ms, engine)).await
    }

    /// Does the same as [`Store::commit_change`], and passes recently closed incidents of `scope` in addition to the live
    /// ones: for issues that may return.
    ///
    /// # Errors
    /// As [`Store::commit_step`].
    pub async fn commit_visibility<F>(&self, scope: IncidentScope, now_ms: u64, engine: F) -> Result<ChangeSet>
    where
        F: FnOnce(&[Incident]) -> ChangeSet + Send + 'static,
    {
        self.actor.run_write(move |db| commit::commit_visibility(db, scope, now_ms, engine)).await
    }

    /// Reads the findings of `chain` by `rule` whose incidents are closed, and writes the plan that `engine` computes
    /// from them, in one transaction.
    ///
    /// # Errors
    /// As [`Store::commit_step`].
    pub async fn commit_reopening<F>(
        &self,
        chain: ChainId,
        rule: &'static str,
        now_ms: u64,
        engine: F,
    ) -> Result<ChangeSet>
    where
        F: FnOnce(&[(Finding, Incident)]) -> ChangeSet + Send + 'static,
    {
        self.actor.run_write(move |db| commit::commit_reopening(db, chain, rule, now_ms, engine)).await
    }

    /// Reads one incident and writes the plan that `engine` computes from it, in one transaction. Returns `Ok(Err(_))`
    /// when the engine refused.
    ///
    /// An answer never drops a page whose content no destination accepted. If such pages wait, or were given up, the
    /// incident stays open, and [`Answered::unseen`] lists them. `seen` is the revision of the incident at which a
    /// person read that list: everything up to that revision counts as seen.
    ///
    /// # Errors
    /// [`StoreError::NoIncident`], and as [`Store::commit_step`].
    pub async fn commit_response<F, E>(
        &self,
        id: IncidentId,
        now_ms: u64,
        seen: Option<u32>,
        engine: F,
    ) -> Result<Result<Answered, E>>
    where
        F: FnOnce(&Incident) -> Result<ChangeSet, E> + Send + 'static,
        E: Send + 'static,
    {
        self.actor.run_write(move |db| commit::commit_response(db, &id, now_ms, seen, engine)).await
    }
}

/// Proposals of Safes.
impl Store {
    /// Returns the transactions seen in the queue of `safe`, and the logs of the Safe that the queue has not accounted
    /// for.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn load_proposals(&self, chain: ChainId, safe: Address) -> Result<QueueKept> {
        self.actor.run_job(move |db| proposals::load_proposals(db, chain, safe)).await
    }

    /// Returns the latest verdict lines of a transaction, or of a queued one by its Safe transaction hash: oldest
    /// first, at most [`LINES_MAX`].
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn lines_of(&self, chain: ChainId, tx: B256) -> Result<Vec<VerdictLine>> {
        self.actor.run_job(move |db| proposals::verdict_lines(db, chain, tx)).await
    }

    /// Returns the findings that a transaction, or a queued one identified by its Safe transaction hash, caused and
    /// that no reorg removed.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn findings_by(&self, chain: ChainId, tx: B256) -> Result<Vec<Finding>> {
        let found = self.actor.run_job(move |db| incidents::findings_of_tx(db, chain, tx)).await?;
        Ok(found.into_iter().filter(|finding| !finding.orphaned).collect())
    }

    /// Returns those of `safes` that were touched on chain since their queues were last accounted for.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn touched_since(&self, chain: ChainId, safes: Vec<Address>) -> Result<Vec<Address>> {
        self.actor.run_job(move |db| proposals::touched_since(db, chain, &safes)).await
    }

    /// Commits one look at a queue in one transaction: the transactions it found, and the plan `engine` makes of them
    /// and of the current state.
    ///
    /// # Errors
    /// As [`Store::commit_step`]; [`StoreError::Unknown`] when it would retract a block.
    pub async fn commit_queue<F>(&self, seen: QueueSeen, now_ms: u64, engine: F) -> Result<ChangeSet>
    where
        F: FnOnce(&StepJudged<'_>, &OpenState) -> ChangeSet + Send + 'static,
    {
        self.actor.run_write(move |db| proposals::commit_proposals(db, &seen, now_ms, engine)).await
    }
}

/// Quotas of services.
impl Store {
    /// Returns the requests sent to `service` in `month`, such as `2026-11`, by every process that writes here.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn quota_spent(&self, service: &str, month: &str) -> Result<QuotaSpent> {
        let (service, month) = (service.to_owned(), month.to_owned());
        self.actor.run_job(move |db| quota::quota_spent(db, &service, &month)).await
    }

    /// Records one more request to `service` in `month`, after which `left` requests may be sent at once, and returns
    /// the number of requests in the month.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn spend_quota(&self, service: &str, month: &str, left: f64, now_ms: u64) -> Result<u64> {
        let (service, month) = (service.to_owned(), month.to_owned());
        self.actor.run_write(move |db| quota::spend_quota(db, &service, &month, left, now_ms)).await
    }
}

/// Pending transactions.
impl Store {
    /// Returns the pending transactions that have findings and wait to be included, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn pending_transactions(&self, chain: ChainId) -> Result<Vec<Pending>> {
        self.actor.run_job(move |db| pending::pending_transactions(db, chain)).await
    }

    /// Returns those of `hashes` that need not be judged: they are in a committed block, or were judged before.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn pending_known(&self, chain: ChainId, hashes: Vec<B256>) -> Result<Vec<B256>> {
        self.actor.run_job(move |db| pending::known_hashes(db, chain, &hashes)).await
    }

    /// Returns those of `hashes`, each of a transaction that touches a watch, that are in a committed block.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn included_hashes(&self, chain: ChainId, hashes: Vec<B256>) -> Result<Vec<B256>> {
        self.actor.run_job(move |db| pending::included_hashes(db, chain, &hashes)).await
    }

    /// Commits news of pending transactions in one transaction, with the plan `engine` makes of it and of the current
    /// state.
    ///
    /// # Errors
    /// As [`Store::commit_step`]; [`StoreError::Unknown`] when it would retract a block.
    pub async fn commit_pending<F>(&self, seen: PendingSeen, now_ms: u64, engine: F) -> Result<ChangeSet>
    where
        F: FnOnce(&StepJudged<'_>, &OpenState) -> ChangeSet + Send + 'static,
    {
        self.actor.run_write(move |db| pending::commit_pending(db, &seen, now_ms, engine)).await
    }
}

/// Incidents and findings.
impl Store {
    /// Returns the incident with this id or unambiguous prefix of an id (`inc_3f2a`, or `3f2a`).
    ///
    /// # Errors
    /// [`StoreError::NoIncident`], [`StoreError::Ambiguous`] with the candidates, [`StoreError::Sqlite`].
    pub async fn find_incident(&self, id_or_prefix: &str) -> Result<Incident> {
        let prefix = id_or_prefix.to_owned();
        self.actor.run_job(move |db| incidents::by_prefix(db, &prefix)).await
    }

    /// Incidents that pass the filter, newest first.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn list_incidents(&self, filter: Filter) -> Result<Vec<Incident>> {
        self.actor.run_job(move |db| incidents::list_incidents(db, &filter)).await
    }

    /// All findings that joined an incident, retracted ones too, in the order they joined.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn findings_of(&self, incident: &IncidentId) -> Result<Vec<Finding>> {
        let id = incident.clone();
        self.actor.run_job(move |db| incidents::findings_of(db, &id)).await
    }
}

#[cfg(test)]
mod tests;

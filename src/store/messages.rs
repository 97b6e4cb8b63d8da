//! Store functions about messages: which are due, what became of each, and which are dead letters.

#[cfg(doc)]
use super::StoreError;
use super::{
    Counts, DeadLetter, FeedGap, LeaseRequest, Leased, LeasedRow, Pages, Result, Store, Unfinished, Unsent, clock,
    gaps, lanes, outbox, pages,
};
use crate::model::incident::{ChangeSet, Delivery, OpenState};
use crate::model::{DeliveryKey, IncidentId};
use crate::runtime::Moment;

/// The outbox.
impl Store {
    /// Leases due messages: for each of `asks`, at most as many lanes as it has room for, with the lease time given
    /// beside it in milliseconds from `now_ms`.
    ///
    /// The first message of each lane is leased, together with those behind it up to [`LeaseRequest::in_a_row`]. Messages of one
    /// destination and lane are sent in the order in which they were written, and none is leased while an earlier one
    /// is neither sent nor given up. Lanes are ordered by urgency, see [`Delivery::urgency`], then by severity, then by
    /// age. A message whose lease expired is leased again, so a crash repeats it under the same key instead of losing
    /// it. The time does not depend on the number of waiting messages.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn lease_due(&self, now_ms: u64, asks: Vec<(LeaseRequest, u64)>) -> Result<LeasedRow> {
        let (asks, leases): (Vec<LeaseRequest>, Vec<u64>) = asks.into_iter().unzip();
        self.actor.run_write_later(move |db| lanes::lease_due(db, now_ms, &leases, &asks)).await
    }

    /// Leases at most `n` due messages of any kind to `destinations`, one per lane, in the order of
    /// [`Store::lease_due`].
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn lease_any_budget(
        &self,
        now_ms: u64,
        n: usize,
        lease_for_ms: u64,
        destinations: Vec<String>,
    ) -> Result<Vec<Leased>> {
        self.actor.run_write_later(move |db| lanes::lease_any_budget(db, now_ms, n, lease_for_ms, &destinations)).await
    }

    /// Moves all deadlines by the amount that the wall clock was changed since an earlier process wrote them, so that
    /// each keeps its remaining time, and records `now` as the reference moment of this process. Only the sending
    /// process calls it. Returns by how many milliseconds the clock was changed, if it was.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn rebase_deadlines(&self, now: Moment) -> Result<Option<i64>> {
        self.actor.run_write(move |db| clock::rebase_deadlines(db, &now)).await
    }

    /// Returns the reference moment of the process that sends from this store; absent before its first start.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn last_moment(&self) -> Result<Option<Moment>> {
        self.actor.run_job(|db| clock::last_moment(db)).await
    }

    /// Ends every lease, for a process that just became the only sender: messages that its predecessor had in flight
    /// when it died are sent again at once under the same key, without waiting for their leases to expire.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn end_leases(&self, now_ms: u64) -> Result<usize> {
        self.actor.run_write(move |db| outbox::end_leases(db, now_ms)).await
    }

    /// Records that a message was accepted.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn mark_sent(&self, key: &DeliveryKey, now_ms: u64) -> Result<()> {
        self.all_sent(vec![key.clone()], now_ms).await
    }

    /// Records that all of these messages were accepted.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn all_sent(&self, keys: Vec<DeliveryKey>, now_ms: u64) -> Result<()> {
        self.actor.run_write_later(move |db| outbox::mark_sent(db, &keys, now_ms)).await
    }

    /// Releases messages that were leased and not tried, since an earlier message of their lane was not accepted: they
    /// wait behind it.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn release_leases(&self, keys: Vec<DeliveryKey>, now_ms: u64) -> Result<()> {
        self.actor.run_write_later(move |db| outbox::release_leases(db, &keys, now_ms)).await
    }

    /// Deletes messages that were sent or dropped before `before_ms`, a bounded number per call, and returns how many.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn forget_sent(&self, before_ms: u64) -> Result<usize> {
        self.actor.run_write_later(move |db| outbox::delete_finished(db, before_ms)).await
    }

    /// Returns the gaps of the feed, omitted because too many lines waited, that are not reported in full yet.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn list_feed_gaps(&self) -> Result<Vec<FeedGap>> {
        self.actor.run_write_later(|db| gaps::list_feed_gaps(db)).await
    }

    /// Records that a gap was reported, with the text of its dead letter.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn gap_told(&self, gap: FeedGap, words: String) -> Result<()> {
        self.actor.run_write_later(move |db| gaps::mark_gap_reported(db, &gap, &words)).await
    }

    /// Records that an attempt failed; the next is due at `next_at_ms`.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn schedule_retry(&self, key: &DeliveryKey, now_ms: u64, next_at_ms: u64, error: &str) -> Result<()> {
        let (key, error) = (key.clone(), error.to_owned());
        self.actor.run_write_later(move |db| outbox::schedule_retry(db, &key, now_ms, next_at_ms, &error)).await
    }

    /// Gives a message up: it stays as a dead letter until [`Store::revive_dead_letter`], and the incident that `engine` makes of
    /// it, given the message and the live incidents, is written in the same transaction.
    ///
    /// # Errors
    /// As [`Store::commit_step`].
    pub async fn mark_dead_letter<F>(&self, key: &DeliveryKey, now_ms: u64, error: &str, engine: F) -> Result<ChangeSet>
    where
        F: FnOnce(&Delivery, &OpenState) -> ChangeSet + Send + 'static,
    {
        let (key, error) = (key.clone(), error.to_owned());
        self.actor.run_write_later(move |db| outbox::mark_dead_letter(db, &key, now_ms, &error, engine)).await
    }

    /// Makes a dead letter due again, and returns whether it existed.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn revive_dead_letter(&self, key: &DeliveryKey, now_ms: u64) -> Result<bool> {
        let key = key.clone();
        self.actor.run_write(move |db| outbox::revive_dead_letter(db, &key, now_ms)).await
    }

    /// Messages given up, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetter>> {
        self.actor.run_job(outbox::dead_letters).await
    }

    /// Returns those of the messages under `keys` that have not arrived yet, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn unsent_messages(&self, keys: Vec<DeliveryKey>) -> Result<Vec<Unsent>> {
        self.actor.run_job(move |db| outbox::unsent_messages(db, &keys)).await
    }

    /// Counts messages, incidents and findings, by state.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn counts(&self) -> Result<Counts> {
        self.actor.run_write_later(outbox::store_counts).await
    }

    /// Returns the waiting messages and the dead letters: the part of [`Store::counts`] that stays fast with a long
    /// history.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn unfinished_messages(&self) -> Result<Unfinished> {
        self.actor.run_write_later(outbox::unfinished_messages).await
    }

    /// Counts the pages of an incident by their outcome.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn pages_of(&self, incident: &IncidentId) -> Result<Pages> {
        let id = incident.clone();
        self.actor.run_job(move |db| pages::pages_of_incident(db, &id)).await
    }

    /// Marks all waiting messages as never to be sent: for a store that only shows the content of a tape.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn silence_outbox(&self) -> Result<()> {
        self.actor.run_write(pages::silence_outbox).await
    }

    /// Returns the time at which the next message to one of `destinations` falls due, or its lease expires: wall-clock
    /// milliseconds, possibly past. Absent when nothing waits.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn next_due(&self, destinations: Vec<String>) -> Result<Option<u64>> {
        self.actor.run_write_later(move |db| lanes::next_due(db, &destinations)).await
    }
}

//! What the store is asked about messages: which are due, what became of each, and what was given up.

#[cfg(doc)]
use super::StoreError;
use super::{
    Ask, Counts, DeadLetter, Dispatch, Gap, Leased, Pages, Result, Store, Unfinished, Unsent, clock, gaps, lanes,
    outbox, pages,
};
use crate::model::incident::{Delivery, Plan, Standing};
use crate::model::{DeliveryKey, IncidentId};
use crate::runtime::Moment;

/// The outbox.
impl Store {
    /// Leases what is due, for each of `asks` at most as many lanes as it has room for, with the lease that stands beside it, in
    /// milliseconds from `now_ms`.
    ///
    /// Of each lane the first message is leased and, up to [`Ask::in_a_row`], those behind it: what has the same destination and lane
    /// goes out in the order in which it was written, and nothing is leased while an earlier one is neither sent nor given up.
    /// Among lanes the most urgent goes first, see [`Delivery::urgency`], then the loudest, then the oldest. A lease that ran out is
    /// leased again, so a crash repeats a message under the same key rather than losing it. It takes the same time however many
    /// messages wait.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn dispatch(&self, now_ms: u64, asks: Vec<(Ask, u64)>) -> Result<Dispatch> {
        let (asks, leases): (Vec<Ask>, Vec<u64>) = asks.into_iter().unzip();
        self.actor.later(move |db| lanes::dispatch(db, now_ms, &leases, &asks)).await
    }

    /// Leases at most `n` due messages to `destinations` of any sort, one of each lane, in the order of [`Store::dispatch`].
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn lease(
        &self,
        now_ms: u64,
        n: usize,
        lease_for_ms: u64,
        destinations: Vec<String>,
    ) -> Result<Vec<Leased>> {
        self.actor.later(move |db| lanes::lease(db, now_ms, n, lease_for_ms, &destinations)).await
    }

    /// Moves all deadlines by as much as the wall clock was moved since an earlier process wrote them, so that each has as much time
    /// left as before, and notes `now` as the moment from which on this process counts. For the one process that sends. Gives back by
    /// how many milliseconds the clock was moved, if it was.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn rebase(&self, now: Moment) -> Result<Option<i64>> {
        self.actor.write(move |db| clock::rebase(db, &now)).await
    }

    /// The moment from which on the process counts that sends from this store; absent before its first start.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn noted(&self) -> Result<Option<Moment>> {
        self.actor.call(|db| clock::last(db)).await
    }

    /// Ends every lease, for a process that just became the only one to send: what its predecessor had on the wire when it
    /// died goes out again at once, under the same key, instead of waiting for its lease to run out.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn end_leases(&self, now_ms: u64) -> Result<usize> {
        self.actor.write(move |db| outbox::end_leases(db, now_ms)).await
    }

    /// It was accepted.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn sent(&self, key: &DeliveryKey, now_ms: u64) -> Result<()> {
        self.all_sent(vec![key.clone()], now_ms).await
    }

    /// All of them were accepted.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn all_sent(&self, keys: Vec<DeliveryKey>, now_ms: u64) -> Result<()> {
        self.actor.later(move |db| outbox::sent(db, &keys, now_ms)).await
    }

    /// They were leased and not tried, since one before them in their lane was not taken: they wait behind it.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn release(&self, keys: Vec<DeliveryKey>, now_ms: u64) -> Result<()> {
        self.actor.later(move |db| outbox::release(db, &keys, now_ms)).await
    }

    /// Deletes messages that were sent or dropped before `before_ms`, a bounded number of them, and says how many.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn forget_sent(&self, before_ms: u64) -> Result<usize> {
        self.actor.later(move |db| outbox::forget(db, before_ms)).await
    }

    /// Stretches of the feed that were left out, since too many lines waited, and that were not told of in full.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn gaps(&self) -> Result<Vec<Gap>> {
        self.actor.later(|db| gaps::all(db)).await
    }

    /// Writes down that a stretch was told of, with what its dead letter says.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn gap_told(&self, gap: Gap, words: String) -> Result<()> {
        self.actor.later(move |db| gaps::told(db, &gap, &words)).await
    }

    /// It was not; try again at `next_at_ms`.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn retry(&self, key: &DeliveryKey, now_ms: u64, next_at_ms: u64, error: &str) -> Result<()> {
        let (key, error) = (key.clone(), error.to_owned());
        self.actor.later(move |db| outbox::retry(db, &key, now_ms, next_at_ms, &error)).await
    }

    /// It never will be: it stays as a dead letter until [`Store::revive`], and the incident that `engine` makes of it, given
    /// the message and the live incidents, is written in the same transaction.
    ///
    /// # Errors
    /// As [`Store::commit_step`].
    pub async fn dead<F>(&self, key: &DeliveryKey, now_ms: u64, error: &str, engine: F) -> Result<Plan>
    where
        F: FnOnce(&Delivery, &Standing) -> Plan + Send + 'static,
    {
        let (key, error) = (key.clone(), error.to_owned());
        self.actor.later(move |db| outbox::dead(db, &key, now_ms, &error, engine)).await
    }

    /// Makes a dead letter due again, and says whether there was one.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn revive(&self, key: &DeliveryKey, now_ms: u64) -> Result<bool> {
        let key = key.clone();
        self.actor.write(move |db| outbox::revive(db, &key, now_ms)).await
    }

    /// Messages given up, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetter>> {
        self.actor.call(outbox::dead_letters).await
    }

    /// Those of the messages under `keys` that did not arrive so far, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn unsent(&self, keys: Vec<DeliveryKey>) -> Result<Vec<Unsent>> {
        self.actor.call(move |db| outbox::unsent(db, &keys)).await
    }

    /// How much of everything there is.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn counts(&self) -> Result<Counts> {
        self.actor.later(outbox::counts).await
    }

    /// Messages that wait, and messages that were given up: [`Store::counts`] without what takes time in a long history.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn unfinished(&self) -> Result<Unfinished> {
        self.actor.later(outbox::unfinished).await
    }

    /// Counts the pages of an incident by their outcome.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn pages_of(&self, incident: &IncidentId) -> Result<Pages> {
        let id = incident.clone();
        self.actor.call(move |db| pages::of(db, &id)).await
    }

    /// Lets nothing that waits be sent, now or later: for a store that only shows what a tape holds.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn silence(&self) -> Result<()> {
        self.actor.write(pages::silence).await
    }

    /// When the next message to one of `destinations` falls due, or its lease runs out: wall-clock milliseconds, possibly
    /// past. Absent when nothing waits.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn next_due(&self, destinations: Vec<String>) -> Result<Option<u64>> {
        self.actor.later(move |db| lanes::next_due(db, &destinations)).await
    }
}

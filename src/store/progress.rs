//! Store functions about a chain: its position, its finality, and the permissions that people gave.

#[cfg(doc)]
use super::StoreError;
use super::{ConfidenceGain, PastDelta, Pruned, ReorgOverride, Result, Settled, Store, allowance, chain, finality};
use crate::model::incident::Contested;
use crate::model::{BlockRef, ChainId, Finality, Link};
use alloy_primitives::B256;

/// Position of a chain.
impl Store {
    /// Records that watching `chain` begins with block `first`, before any block is fetched.
    ///
    /// The first step must append that block. A chain that began earlier keeps its position.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn begin_chain(&self, chain: ChainId, first: u64) -> Result<()> {
        self.actor.write(move |db| chain::begin(db, chain, first)).await
    }

    /// Continues `chain` with block `first`, regardless of its position: for tapes whose stretches do not join. Earlier
    /// judgements and notifications stay, and rolling windows too.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn begin_stretch(&self, chain: ChainId, first: u64) -> Result<()> {
        self.actor.write(move |db| chain::begin_stretch(db, chain, first)).await
    }

    /// Number of the first block that is judged; absent before [`Store::begin_chain`].
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn first(&self, chain: ChainId) -> Result<Option<u64>> {
        self.actor.call(move |db| chain::first(db, chain)).await
    }

    /// The last committed block; absent before the first.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn cursor(&self, chain: ChainId) -> Result<Option<BlockRef>> {
        self.actor.call(move |db| Ok(chain::tip(db, chain)?.map(|tip| tip.at))).await
    }

    /// The last committed block with its parent and time; absent before the first.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn tip(&self, chain: ChainId) -> Result<Option<Link>> {
        self.actor.call(move |db| chain::tip(db, chain)).await
    }

    /// Committed blocks with their parents and times, oldest first: at most [`WINDOW_BLOCKS_MAX`](super::WINDOW_BLOCKS_MAX).
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn window(&self, chain: ChainId) -> Result<Vec<Link>> {
        self.actor.call(move |db| chain::window(db, chain)).await
    }

    /// Returns the entries that the chain's blocks added to rolling windows since `since_s` (block time, Unix seconds),
    /// in order of blocks.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn deltas(&self, chain: ChainId, since_s: u64) -> Result<Vec<PastDelta>> {
        self.actor.call(move |db| chain::deltas(db, chain, since_s)).await
    }

    /// Deletes window entries of blocks before `deltas_before_s` (block time, Unix seconds) and messages that were
    /// sent, or superseded, before `sent_before_ms` (wall clock). Times of submissions, first-seen entries and the
    /// newest value of each watched state are kept permanently. Dead letters, findings, incidents and activities stay.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn prune(&self, chain: ChainId, deltas_before_s: u64, sent_before_ms: u64) -> Result<Pruned> {
        self.actor.write(move |db| chain::prune(db, chain, deltas_before_s, sent_before_ms)).await
    }
}

/// Finality of a chain.
impl Store {
    /// Returns the finality of `chain`, as last recorded.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn finality(&self, chain: ChainId) -> Result<Settled> {
        self.actor.call(move |db| finality::settled(db, chain)).await
    }

    /// Records that every committed block up to `at` has reached this level of finality, and returns the findings that
    /// reached it with them. Returns `None` if nothing changed: this or a later block was recorded before, or `at` is
    /// not a stored block of the committed chain.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn promote(&self, chain: ChainId, level: Finality, at: BlockRef) -> Result<Option<ConfidenceGain>> {
        self.actor.write(move |db| finality::promote(db, chain, level, at)).await
    }

    /// Records that `sources` endpoints hold `at` and every block before it, and returns the findings that gained
    /// confirmation. Returns `None` if nothing changed: as many endpoints were recorded before, or `at` is not a stored
    /// block of the committed chain.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn confirm(&self, chain: ChainId, at: BlockRef, sources: u32) -> Result<Option<ConfidenceGain>> {
        self.actor.write(move |db| finality::confirm(db, chain, at, sources)).await
    }

    /// Returns the retracted blocks of all chains that endpoints still hold, as last recorded.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn contested(&self) -> Result<Vec<Contested>> {
        self.actor.call(|db| finality::contested(db)).await
    }

    /// Records which retracted blocks of `chain` endpoints still hold, and replaces the earlier list. An incident whose
    /// evidence was in one of them stays open meanwhile; see [`crate::escalate::tick`].
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn contest(&self, chain: ChainId, contested: Vec<Contested>) -> Result<()> {
        self.actor.write(move |db| finality::contest(db, chain, &contested)).await
    }

    /// Allows, in the name of `by`, to undo final blocks in favor of the branch that contains `block`. The permission
    /// is valid for one step, see [`OwnedStepJudged::undo`](super::OwnedStepJudged::undo), and replaces one that was
    /// not used yet.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] when the chain was not begun or the block is on the committed chain, [`StoreError::Sqlite`].
    pub async fn allow(&self, chain: ChainId, block: B256, by: &str, now_ms: u64) -> Result<ReorgOverride> {
        let by = by.to_owned();
        self.actor.write(move |db| allowance::allow(db, chain, block, &by, now_ms)).await
    }

    /// Withdraws the permission that was not used yet, and returns it.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn withdraw(&self, chain: ChainId, by: &str, now_ms: u64) -> Result<Option<ReorgOverride>> {
        let by = by.to_owned();
        self.actor.write(move |db| allowance::withdraw(db, chain, &by, now_ms)).await
    }

    /// Returns the permission that was given and not used yet.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn allowance(&self, chain: ChainId) -> Result<Option<ReorgOverride>> {
        self.actor.call(move |db| allowance::open(db, chain)).await
    }

    /// Returns all permissions ever given, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn allowances(&self, chain: ChainId, limit: u32) -> Result<Vec<ReorgOverride>> {
        self.actor.call(move |db| allowance::all(db, chain, limit)).await
    }
}

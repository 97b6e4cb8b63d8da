//! Store functions about a chain: its position, its finality, and the permissions that people gave.

#[cfg(doc)]
use super::StoreError;
use super::{
    ConfidenceGain, PastDelta, Pruned, ReorgOverride, Result, Settled, Store, chain, finality, reorg_override,
};
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
        self.actor.run_write(move |db| chain::begin_chain(db, chain, first)).await
    }

    /// Continues `chain` with block `first`, regardless of its position: for tapes whose stretches do not join. Earlier
    /// judgements and notifications stay, and rolling windows too.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn begin_stretch(&self, chain: ChainId, first: u64) -> Result<()> {
        self.actor.run_write(move |db| chain::begin_stretch(db, chain, first)).await
    }

    /// Number of the first block that is judged; absent before [`Store::begin_chain`].
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn first_block_number(&self, chain: ChainId) -> Result<Option<u64>> {
        self.actor.run_job(move |db| chain::first_block_number(db, chain)).await
    }

    /// The last committed block; absent before the first.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn last_committed_block(&self, chain: ChainId) -> Result<Option<BlockRef>> {
        self.actor.run_job(move |db| Ok(chain::chain_tip(db, chain)?.map(|tip| tip.at))).await
    }

    /// The last committed block with its parent and time; absent before the first.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn chain_tip(&self, chain: ChainId) -> Result<Option<Link>> {
        self.actor.run_job(move |db| chain::chain_tip(db, chain)).await
    }

    /// Committed blocks with their parents and times, oldest first: at most [`WINDOW_BLOCKS_MAX`](super::WINDOW_BLOCKS_MAX).
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn recent_blocks(&self, chain: ChainId) -> Result<Vec<Link>> {
        self.actor.run_job(move |db| chain::recent_blocks(db, chain)).await
    }

    /// Returns the entries that the chain's blocks added to rolling windows since `since_s` (block time, Unix seconds),
    /// in order of blocks.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn window_entries_since(&self, chain: ChainId, since_s: u64) -> Result<Vec<PastDelta>> {
        self.actor.run_job(move |db| chain::window_entries_since(db, chain, since_s)).await
    }

    /// Deletes window entries of blocks before `deltas_before_s` (block time, Unix seconds) and messages that were
    /// sent, or superseded, before `sent_before_ms` (wall clock). Times of submissions, first-seen entries and the
    /// newest value of each watched state are kept permanently. Dead letters, findings, incidents and activities stay.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn prune_expired(&self, chain: ChainId, deltas_before_s: u64, sent_before_ms: u64) -> Result<Pruned> {
        self.actor.run_write(move |db| chain::prune_expired(db, chain, deltas_before_s, sent_before_ms)).await
    }
}

/// Finality of a chain.
impl Store {
    /// Returns the finality of `chain`, as last recorded.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn settled_finality(&self, chain: ChainId) -> Result<Settled> {
        self.actor.run_job(move |db| finality::settled_finality(db, chain)).await
    }

    /// Records that every committed block up to `at` has reached this level of finality, and returns the findings that
    /// reached it with them. Returns `None` if nothing changed: this or a later block was recorded before, or `at` is
    /// not a stored block of the committed chain.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn promote_finality(
        &self,
        chain: ChainId,
        level: Finality,
        at: BlockRef,
    ) -> Result<Option<ConfidenceGain>> {
        self.actor.run_write(move |db| finality::promote_finality(db, chain, level, at)).await
    }

    /// Records that `sources` endpoints hold `at` and every block before it, and returns the findings that gained
    /// confirmation. Returns `None` if nothing changed: as many endpoints were recorded before, or `at` is not a stored
    /// block of the committed chain.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn confirm_block(&self, chain: ChainId, at: BlockRef, sources: u32) -> Result<Option<ConfidenceGain>> {
        self.actor.run_write(move |db| finality::confirm_block(db, chain, at, sources)).await
    }

    /// Returns the retracted blocks of all chains that endpoints still hold, as last recorded.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn contested_blocks(&self) -> Result<Vec<Contested>> {
        self.actor.run_job(|db| finality::contested_blocks(db)).await
    }

    /// Records which retracted blocks of `chain` endpoints still hold, and replaces the earlier list. An incident whose
    /// evidence was in one of them stays open meanwhile; see [`crate::escalate::advance_timers`].
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn replace_contested(&self, chain: ChainId, contested: Vec<Contested>) -> Result<()> {
        self.actor.run_write(move |db| finality::replace_contested(db, chain, &contested)).await
    }

    /// Allows, in the name of `by`, to undo final blocks in favor of the branch that contains `block`. The permission
    /// is valid for one step, see [`OwnedStepJudged::undo`](super::OwnedStepJudged::undo), and replaces one that was
    /// not used yet.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] when the chain was not begun or the block is on the committed chain, [`StoreError::Sqlite`].
    pub async fn allow_reorg(&self, chain: ChainId, block: B256, by: &str, now_ms: u64) -> Result<ReorgOverride> {
        let by = by.to_owned();
        self.actor.run_write(move |db| reorg_override::allow_reorg(db, chain, block, &by, now_ms)).await
    }

    /// Withdraws the permission that was not used yet, and returns it.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn withdraw_reorg_override(
        &self,
        chain: ChainId,
        by: &str,
        now_ms: u64,
    ) -> Result<Option<ReorgOverride>> {
        let by = by.to_owned();
        self.actor.run_write(move |db| reorg_override::withdraw_reorg_override(db, chain, &by, now_ms)).await
    }

    /// Returns the permission that was given and not used yet.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn open_reorg_override(&self, chain: ChainId) -> Result<Option<ReorgOverride>> {
        self.actor.run_job(move |db| reorg_override::open_reorg_override(db, chain)).await
    }

    /// Returns all permissions ever given, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn list_reorg_overrides(&self, chain: ChainId, limit: u32) -> Result<Vec<ReorgOverride>> {
        self.actor.run_job(move |db| reorg_override::list_reorg_overrides(db, chain, limit)).await
    }
}

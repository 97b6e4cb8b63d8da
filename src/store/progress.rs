//! What the store is asked about a chain: where it stands, how final it is, and what a person allowed.

#[cfg(doc)]
use super::StoreError;
use super::{Allowance, Gained, PastDelta, Pruned, Result, Settled, Store, allowance, chain, finality};
use crate::model::incident::Contested;
use crate::model::{BlockRef, ChainId, Finality, Link};
use alloy_primitives::B256;

/// Where a chain stands.
impl Store {
    /// Writes down that watching `chain` begins with block `first`, before anything is fetched.
    ///
    /// The first step must append that block. A chain that began earlier keeps its place.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn begin_chain(&self, chain: ChainId, first: u64) -> Result<()> {
        self.actor.write(move |db| chain::begin(db, chain, first)).await
    }

    /// Lets `chain` go on with block `first`, whatever stood before: for tapes whose stretches do not join. What was judged
    /// and told stays, rolling windows too.
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

    /// What the chain's blocks added to rolling windows since `since_s` (block time, Unix seconds), in order of blocks.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn deltas(&self, chain: ChainId, since_s: u64) -> Result<Vec<PastDelta>> {
        self.actor.call(move |db| chain::deltas(db, chain, since_s)).await
    }

    /// Forgets window entries of blocks before `deltas_before_s` (block time, Unix seconds) and messages that were sent,
    /// or superseded, before `sent_before_ms` (wall clock). When a submission was written down, and who was met, is remembered for good. Dead letters, findings, incidents and activities stay.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn prune(&self, chain: ChainId, deltas_before_s: u64, sent_before_ms: u64) -> Result<Pruned> {
        self.actor.write(move |db| chain::prune(db, chain, deltas_before_s, sent_before_ms)).await
    }
}

/// How final a chain is.
impl Store {
    /// How far `chain` is from being undone, as was last written down.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn finality(&self, chain: ChainId) -> Result<Settled> {
        self.actor.call(move |db| finality::settled(db, chain)).await
    }

    /// Writes down that every committed block up to `at` has become so final, and gives back the findings that did so by it.
    /// `None` when nothing is new: when it is known, when more is known, or when `at` is not a remembered block of ours.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn promote(&self, chain: ChainId, level: Finality, at: BlockRef) -> Result<Option<Gained>> {
        self.actor.write(move |db| finality::promote(db, chain, level, at)).await
    }

    /// Writes down that `sources` endpoints hold `at`, and every block before it with it, and gives back the findings that
    /// gained by it. `None` when nothing is new: so many were known to hold it, or it is not a remembered block of ours.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn confirm(&self, chain: ChainId, at: BlockRef, sources: u32) -> Result<Option<Gained>> {
        self.actor.write(move |db| finality::confirm(db, chain, at, sources)).await
    }

    /// Blocks that were taken back and that endpoints still hold, of all chains, as was last written down.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn contested(&self) -> Result<Vec<Contested>> {
        self.actor.call(|db| finality::contested(db)).await
    }

    /// Writes down which blocks of `chain` that were taken back endpoints still hold, in place of what was known. An incident whose
    /// evidence stood in one of them stays open meanwhile; see [`crate::escalate::tick`].
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub async fn contest(&self, chain: ChainId, contested: Vec<Contested>) -> Result<()> {
        self.actor.write(move |db| finality::contest(db, chain, &contested)).await
    }

    /// Allows, in the name of `by`, that what is final is undone in favor of the branch that contains `block`. It is good for one
    /// step, see [`OwnedStepJudged::undo`](super::OwnedStepJudged::undo), and takes the place of one that was not used yet.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] when the chain was not begun or the block is on the committed chain, [`StoreError::Sqlite`].
    pub async fn allow(&self, chain: ChainId, block: B256, by: &str, now_ms: u64) -> Result<Allowance> {
        let by = by.to_owned();
        self.actor.write(move |db| allowance::allow(db, chain, block, &by, now_ms)).await
    }

    /// Takes back what was allowed and not used yet, and says what that was.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn withdraw(&self, chain: ChainId, by: &str, now_ms: u64) -> Result<Option<Allowance>> {
        let by = by.to_owned();
        self.actor.write(move |db| allowance::withdraw(db, chain, &by, now_ms)).await
    }

    /// What is allowed and not used yet.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn allowance(&self, chain: ChainId) -> Result<Option<Allowance>> {
        self.actor.call(move |db| allowance::open(db, chain)).await
    }

    /// What was ever allowed, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Damaged`].
    pub async fn allowances(&self, chain: ChainId, limit: u32) -> Result<Vec<Allowance>> {
        self.actor.call(move |db| allowance::all(db, chain, limit)).await
    }
}

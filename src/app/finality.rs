//! Finality and confirmation of blocks: recorded, and sent to programs. People are notified when something no longer
//! stands, not that it still stands.

use super::App;
use super::store_watchdog::Retry;
use crate::model::incident::Contested;
use crate::model::record::{FootingLine, Line};
use crate::model::{BlockRef, Finality};
use crate::pipeline::Watcher;
use crate::source::{Phase, Source};
use crate::store::{ConfidenceGain, Settled};
use crate::watchlist::ChainBook;
use alloy_primitives::B256;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior};
use tracing::warn;

/// Interval at which the session checks for a permission that a chain in quarantine waits for.
const GATE_EVERY: Duration = Duration::from_secs(2);

/// Gate before a branch that would undo final blocks. Only a person opens it.
pub(super) struct OverrideGate {
    /// True if the source waits at the gate.
    waits: bool,
    /// The branch that was let through last, named by one of its blocks.
    passed: Option<B256>,
    every: Interval,
}

impl OverrideGate {
    pub(super) fn new() -> Self {
        let mut every = tokio::time::interval(GATE_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { waits: false, passed: None, every }
    }

    /// Records a new phase of the source.
    pub(super) fn set_phase(&mut self, phase: Phase) {
        self.waits = phase == Phase::Quarantine;
    }

    /// Waits until the next check, or for ever while the source does not wait for a decision.
    pub(super) async fn wait_until_due(&mut self) {
        if self.waits {
            self.every.tick().await;
        } else {
            std::future::pending::<()>().await;
        }
    }
}

impl App {
    /// Restores the finality that an earlier process recorded; it holds until the chain reports more.
    pub(super) fn restore_finality(&self, chain: &ChainBook, settled: Settled) {
        if let Some(at) = settled.safe {
            self.signs.metrics.record_safe_block(&chain.info.name, at.number);
        }
        if let Some(at) = settled.finalized {
            self.signs.metrics.record_finalized_block(&chain.info.name, at.number);
        }
    }

    /// Records that blocks up to `at` have reached the finality `level`.
    pub(super) async fn record_finality(&self, chain: &ChainBook, level: Finality, at: BlockRef) {
        let name = &*chain.info.name;
        match self.store.promote_finality(chain.info.id, level, at).await {
            Ok(Some(gained)) => {
                let finalized = (level == Finality::Finalized).then_some(at);
                let safe = (level == Finality::Safe).then_some(at);
                self.restore_finality(chain, Settled { safe, finalized });
                self.told_footing(chain, at, Some(level), None, &gained);
            }
            Ok(None) => {}
            // The next promotion covers these blocks too.
            Err(error) => warn!("failed to record that {name} is {} up to block {at}: {error}", level.as_str()),
        }
    }

    /// Records that this many endpoints hold `at`.
    pub(super) async fn record_confirmations(&self, chain: &ChainBook, at: BlockRef, sources: u32) {
        match self.store.confirm_block(chain.info.id, at, sources).await {
            // Every block is confirmed sooner or later; readers of the record only need the findings.
            Ok(Some(gained)) if !gained.findings.is_empty() => {
                self.told_footing(chain, at, None, Some(sources), &gained);
            }
            Ok(_) => {}
            Err(error) => warn!("failed to record the confirmations of block {at} of {}: {error}", chain.info.name),
        }
    }

    /// Records retracted blocks that endpoints still hold. The record is written before the step that retracts them,
    /// however long the store rejects writes; returns false if a stop was requested first.
    pub(super) async fn record_contested_blocks(
        &self,
        chain: &ChainBook,
        blocks: Vec<(BlockRef, Vec<Arc<str>>)>,
        patience: &mut Retry<'_>,
    ) -> anyhow::Result<bool> {
        let id = chain.info.id;
        let named = |by: Vec<Arc<str>>| by.iter().map(ToString::to_string).collect();
        let blocks: Vec<Contested> =
            blocks.into_iter().map(|(block, by)| Contested { chain: id, block, by: named(by) }).collect();
        loop {
            match self.store.replace_contested(id, blocks.clone()).await {
                Ok(()) => return Ok(true),
                Err(error) => {
                    if !patience.wait(error.into()).await? {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Forwards a person's allowance, or its withdrawal, to the source once.
    pub(super) async fn look_at_gate(
        &self,
        gate: &mut OverrideGate,
        chain: &ChainBook,
        source: &Source,
        watcher: &mut Watcher,
    ) {
        let name = &chain.info.name;
        let open = match self.store.open_reorg_override(chain.info.id).await {
            Ok(open) => open,
            Err(error) => return warn!("failed to read the reorg override of {name}: {error}"),
        };
        let block = open.as_ref().map(|allowance| allowance.block);
        if block == gate.passed {
            return;
        }
        match &open {
            Some(open) => warn!(
                "reorg override by {}: final blocks of {name} may be undone for the branch with {}",
                open.by, open.block
            ),
            None => warn!("reorg override of {name} ended: final blocks stay"),
        }
        gate.passed = block;
        // No block has the hash zero, so that it allows nothing.
        watcher.allow_reorg(block.unwrap_or_default());
        source.allow_reorg(block.unwrap_or_default()).await;
    }

    fn told_footing(
        &self,
        chain: &ChainBook,
        at: BlockRef,
        level: Option<Finality>,
        sources: Option<u32>,
        gained: &ConfidenceGain,
    ) {
        // A person at the terminal cannot do anything about it.
        self.printer.line(&Line::Footing(FootingLine {
            chain: chain.info.name.to_string(),
            block: at.number,
            block_hash: format!("{:#x}", at.hash),
            finality: level.map(|level| level.as_str().to_owned()),
            sources,
            findings: gained.findings.iter().map(ToString::to_string).collect(),
            more: Some(gained.more).filter(|more| *more > 0),
        }));
    }
}

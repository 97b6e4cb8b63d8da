//! Pending transactions that the nodes of one chain announce before a block includes them: processed beside the chain,
//! and never in its way.

use super::App;
use super::supervisor::TaskName;
use crate::pipeline::PendingWatcher;
use crate::runtime::Stop;
use crate::source::Priority;
use crate::source::mempool::{BACKLOG_MAX, Mempool};
use crate::watchlist::ChainBook;
use anyhow::{Context as _, ensure};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Interval at which the task checks whether the chain advanced, and whether a transaction waited too long.
const TICK: Duration = Duration::from_millis(500);
/// Transactions that are judged and committed together.
const BATCH_MAX: usize = 64;

impl App {
    /// Judges the announced transactions of `chain` until a stop is requested.
    ///
    /// # Errors
    /// When the chain's endpoints cannot be used at all, or the store refuses for reasons that no waiting mends.
    pub(super) async fn watch_pending(
        self: Arc<Self>,
        chain: Arc<ChainBook>,
        nudge: Arc<Notify>,
        stop: Stop,
    ) -> anyhow::Result<()> {
        let metrics = &self.signs.metrics;
        let pool = self.pool(&chain)?.with_priority(Priority::Mempool);
        let (book, store, clock) = (self.book.clone(), self.store.clone(), self.clock.clone());
        let mut watcher = PendingWatcher::resume_from_store(book, chain.clone(), store, clock, nudge.clone()).await?;
        let task = TaskName::Mempool(chain.info.name.clone());
        let check = task.check();
        // Rules are applied at the newest block, so nothing can be judged before there is one.
        while self.store.chain_tip(chain.info.id).await.context("failed to read the newest block")?.is_none() {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(TICK) => self.signs.checks.renew(&check),
            }
        }
        let mut mempool = Mempool::spawn_listeners(&pool, &watcher.mempool_interest(), &stop);
        let name = &chain.info.name;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let heard = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                _ = tick.tick() => None,
                heard = mempool.next(BATCH_MAX) => Some(heard),
            };
            ensure!(
                heard.as_ref().is_none_or(|txs| !txs.is_empty()),
                "nobody reads the announcements of {name} any more"
            );
            self.signs.checks.renew(&check);
            let mut patience = self.retry_for((chain.info.id, &task), &nudge, &stop);
            let plan = loop {
                let done = match &heard {
                    Some(txs) => watcher.judge_announced(txs, &pool).await,
                    None => watcher.update_pending(&pool).await,
                };
                match done {
                    Ok(plan) => break plan,
                    Err(error) => {
                        if !patience.wait(error).await? {
                            return Ok(());
                        }
                    }
                }
            };
            self.report_change_set(&plan);
            metrics.record_queue_depth(name, "announced", mempool.queue_depth().0, BACKLOG_MAX);
            metrics.record_queue_depth(name, "pending", watcher.pending_count(), crate::pipeline::WAITING_MAX);
            metrics.record_dropped(name, "announced", mempool.dropped_count());
        }
    }
}

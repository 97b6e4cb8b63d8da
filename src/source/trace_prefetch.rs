//! Traces requested in advance, for blocks that wait for evaluation while earlier blocks are evaluated. Tracing is the
//! slowest request to a node. Without this, a backlog would be traced one block after the other.

use super::intake::{Held, has_room_ahead, hold_ahead};
use super::pool::Pool;
use crate::model::Block;
use crate::model::read::{Answer, Read};
use crate::model::trace::TxTrace;
use alloy_primitives::B256;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

/// Number of blocks that are traced at the same time: tracing is the most expensive request.
const AHEAD_MAX: usize = 8;
/// Number of blocks whose traces are kept: as many as may wait, plus some that left the chain before their traces were
/// used.
const BLOCKS_MAX: usize = 2 * super::ADVANCES_MAX;

/// See the module documentation.
#[derive(Debug)]
pub(super) struct TracePrefetch {
    pool: Pool,
    room: Arc<Semaphore>,
    asked: Mutex<VecDeque<(B256, Early)>>,
}

/// Traces of a block fetched in advance, with their memory reservation; `None` if the fetch returned none.
type Early = AbortOnDropHandle<Option<(Answer, Option<Held>)>>;

impl TracePrefetch {
    pub(super) fn new(pool: Pool) -> Self {
        Self { pool, room: Arc::new(Semaphore::new(AHEAD_MAX)), asked: Mutex::default() }
    }

    /// Asks for the traces of a block that is about to be passed on.
    pub(super) fn request_traces(&self, block: &Block) {
        if block.txs.is_empty() {
            return;
        }
        let (pool, room, at) = (self.pool.clone(), self.room.clone(), block.at);
        let asked = tokio::spawn(async move {
            // The semaphore is never closed.
            let _permit = room.acquire_owned().await;
            if !has_room_ahead() {
                return None;
            }
            let answer = pool.answer_reads(at, &[Read::Traces]).await.pop().unwrap_or(Answer::Unavailable);
            // Without room the traces are dropped, and the evaluation of the block requests them again when its turn
            // comes.
            match &answer {
                Answer::Traces(traces) => {
                    hold_ahead(traces.iter().map(TxTrace::size).sum()).map(|held| (answer, Some(held)))
                }
                _ => Some((answer, None)),
            }
        });
        let mut all = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() == BLOCKS_MAX {
            all.pop_front();
        }
        all.push_back((at.hash, AbortOnDropHandle::new(asked)));
    }

    /// Takes the early request for this block, once. Drops the requests for earlier blocks: blocks are judged in order,
    /// so nothing needs them any more.
    pub(super) fn take_traces(&self, block: B256) -> Option<Early> {
        let mut all = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let n = all.iter().position(|(hash, _)| *hash == block)?;
        all.drain(..=n).next_back().map(|(_, asked)| asked)
    }
}

//! Traces of blocks that wait to be judged, asked for while those before them are: a trace takes a node longer than anything else, and
//! a backlog would go at the pace of one after the other.

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

/// Blocks that nodes are asked to trace at once: it is the most costly thing to ask.
const AHEAD_MAX: usize = 8;
/// Blocks whose traces are kept in mind: as many as may wait, and some that left the chain before anybody asked.
const BLOCKS_MAX: usize = 2 * super::ADVANCES_MAX;

/// See the module's head.
#[derive(Debug)]
pub(super) struct Ahead {
    pool: Pool,
    room: Arc<Semaphore>,
    asked: Mutex<VecDeque<(B256, Early)>>,
}

/// What was had of a block in advance, with the room it takes; nothing where there was none.
type Early = AbortOnDropHandle<Option<(Answer, Option<Held>)>>;

impl Ahead {
    pub(super) fn new(pool: Pool) -> Self {
        Self { pool, room: Arc::new(Semaphore::new(AHEAD_MAX)), asked: Mutex::default() }
    }

    /// Asks for the traces of a block that is about to be passed on.
    pub(super) fn ask(&self, block: &Block) {
        if block.txs.is_empty() {
            return;
        }
        let (pool, room, at) = (self.pool.clone(), self.room.clone(), block.at);
        let asked = tokio::spawn(async move {
            // It is never closed.
            let _permit = room.acquire_owned().await;
            if !has_room_ahead() {
                return None;
            }
            let answer = pool.read(at, &[Read::Traces]).await.pop().unwrap_or(Answer::Unavailable);
            // Without room it is asked for again by whoever judges the block, once those before it are judged.
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

    /// What was asked for of this block, once. Blocks are judged in order, so that nobody asks for those before it any more.
    pub(super) fn take(&self, block: B256) -> Option<Early> {
        let mut all = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let n = all.iter().position(|(hash, _)| *hash == block)?;
        all.drain(..=n).next_back().map(|(_, asked)| asked)
    }
}

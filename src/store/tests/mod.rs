//! Tests with a real file: steps and answers in `steps`, messages in `messages`, their order in `lanes`, finality in
//! `finality`, Safe queues in `queue`, quotas in `quota`.

mod answers;
mod earlier;
mod finality;
mod lanes;
mod messages;
mod queue;
mod quota;
mod steps;

use super::{OwnedStepJudged, Store};
use crate::escalate::fixtures::*;
use crate::escalate::{Routing, step_change_set};
use crate::model::incident::ChangeSet;
use crate::model::{BlockRef, ChainId, Judged, JudgedBlock};
use std::path::PathBuf;
use tempfile::TempDir;

const MAINNET: ChainId = ChainId(1);

/// A store in its own directory, begun at block 0 of fork 0.
struct Kit {
    store: Store,
    roster: Routing,
    dir: TempDir,
}

impl Kit {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store.db")).await.unwrap();
        store.begin_chain(MAINNET, 0).await.unwrap();
        let kit = Self { store, roster: sample_routing(), dir };
        let genesis =
            JudgedBlock { parent: block_ref(9, 9).hash, ..judged_block(block_ref(0, 0), block_ref(0, 0), vec![]) };
        kit.step(&[], vec![genesis]).await.unwrap();
        kit
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("store.db")
    }

    /// A second handle with a connection of its own, as another process would have.
    async fn other(&self) -> Store {
        Store::open(&self.file()).await.unwrap()
    }

    fn owned(&self, retract: &[BlockRef], blocks: Vec<JudgedBlock>) -> OwnedStepJudged {
        OwnedStepJudged {
            chain: mainnet_info(),
            watches: self.roster.watches.clone(),
            retract: retract.to_vec(),
            blocks,
            undo: None,
        }
    }

    async fn step(&self, retract: &[BlockRef], blocks: Vec<JudgedBlock>) -> super::Result<ChangeSet> {
        let roster = self.roster.clone();
        let step = self.owned(retract, blocks);
        self.store.commit_step(step, T, move |step, standing| step_change_set(step, standing, &roster, T)).await
    }

    /// Commits one more block of fork 0.
    async fn block(&self, number: u64, judged: Vec<Judged>) -> ChangeSet {
        self.step(&[], vec![judged_block(block_ref(number, 0), block_ref(number - 1, 0), judged)]).await.unwrap()
    }

    /// Returns one number from the file, read beside the store.
    fn number(&self, sql: &str) -> i64 {
        let db = rusqlite::Connection::open(self.file()).unwrap();
        db.query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

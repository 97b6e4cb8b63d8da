//! Pending transactions: the findings in each before it was included in a block, and how each ended.

use super::chain::u64_to_sql;
use super::commit::{self, OwnedStepJudged};
use super::{Result, StoreError, incidents};
use crate::escalate::StepJudged;
use crate::model::ChainId;
use crate::model::incident::{ChangeSet, OpenState};
use crate::model::pending::{Ended, Pending};
use alloy_primitives::B256;
use rusqlite::{Connection, params};

/// Time for which an ended pending transaction is recognized if it is announced once more: a day, in milliseconds. Its
/// findings stay.
const ENDED_KEPT_MS: u64 = 86_400_000;

/// News of pending transactions, to be committed as a whole.
#[derive(Clone, Debug)]
pub struct PendingSeen {
    /// Judged transactions, each as a block of the moment at which it was first seen. Nothing is retracted.
    pub step: OwnedStepJudged,
    /// New or ended transactions.
    pub changed: Vec<Pending>,
    /// Endings of pending transactions, for the incidents of their findings.
    pub ended: Vec<Ended>,
}

/// Returns the waiting transactions, oldest first.
pub(super) fn pending_transactions(db: &Connection, chain: ChainId) -> Result<Vec<Pending>> {
    let sql = "SELECT body FROM pending WHERE chain = ?1 AND ended IS NULL ORDER BY seen_at_ms, hash";
    let mut statement = db.prepare_cached(sql)?;
    let bodies = statement.query_map([u64_to_sql(chain.0)], |row| row.get::<_, String>(0))?;
    bodies.map(|body| incidents::decode_body("pending", &body?)).collect()
}

/// Returns those of `hashes` that are in a committed block.
pub(super) fn included_hashes(db: &Connection, chain: ChainId, hashes: &[B256]) -> Result<Vec<B256>> {
    let sql = "SELECT EXISTS (SELECT 1 FROM activities WHERE tx = ?1 AND chain = ?2 AND orphaned = 0 AND block_hash IS NOT NULL)";
    select_hashes(db, sql, chain, hashes)
}

/// Returns those of `hashes` that need not be judged: they are in a block, or were received before.
pub(super) fn known_hashes(db: &Connection, chain: ChainId, hashes: &[B256]) -> Result<Vec<B256>> {
    let sql = "SELECT EXISTS (SELECT 1 FROM activities WHERE tx = ?1 AND chain = ?2 AND orphaned = 0 AND block_hash IS NOT NULL) \
               OR EXISTS (SELECT 1 FROM pending WHERE chain = ?2 AND hash = ?1)";
    select_hashes(db, sql, chain, hashes)
}

fn select_hashes(db: &Connection, sql: &str, chain: ChainId, hashes: &[B256]) -> Result<Vec<B256>> {
    let mut statement = db.prepare_cached(sql)?;
    let mut found = Vec::new();
    for hash in hashes {
        if statement.query_row(params![hash.to_string(), u64_to_sql(chain.0)], |row| row.get::<_, bool>(0))? {
            found.push(*hash);
        }
    }
    Ok(found)
}

pub(super) fn commit_pending<F>(db: &mut Connection, seen: &PendingSeen, now_ms: u64, engine: F) -> Result<ChangeSet>
where
    F: FnOnce(&StepJudged<'_>, &OpenState) -> ChangeSet,
{
    let chain = seen.step.chain.id;
    if !seen.step.retract.is_empty() {
        return Err(StoreError::Unknown("what is pending cannot retract a block".to_owned()));
    }
    let tx = commit::begin_immediate(db)?;
    let mut standing = commit::load_step_state(&tx, &seen.step, now_ms)?;
    for ended in &seen.ended {
        commit::add_findings(&tx, incidents::findings_of_tx(&tx, chain, ended.tx)?, &mut standing)?;
    }
    let plan = engine(&seen.step.as_step_judged(), &standing);
    commit::write_plan(&tx, &plan, now_ms)?;
    commit::write_lines(&tx, chain, &plan)?;
    for one in &seen.changed {
        let sql = "INSERT INTO pending (chain, hash, ended, seen_at_ms, body) VALUES (?1, ?2, ?3, ?4, ?5) \
                   ON CONFLICT (chain, hash) DO UPDATE SET ended = excluded.ended, body = excluded.body";
        tx.prepare_cached(sql)?.execute(params![
            u64_to_sql(chain.0),
            one.hash.to_string(),
            one.ended.map(|ended| ended.as_str()),
            u64_to_sql(one.seen_at),
            incidents::encode_body("pending", one)?
        ])?;
    }
    let sql = "DELETE FROM pending WHERE chain = ?1 AND ended IS NOT NULL AND seen_at_ms < ?2";
    tx.prepare_cached(sql)?.execute(params![u64_to_sql(chain.0), u64_to_sql(now_ms.saturating_sub(ENDED_KEPT_MS))])?;
    tx.commit()?;
    Ok(plan)
}

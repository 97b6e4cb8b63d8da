//! Proposals of Safes: the transactions seen in each queue, and the logs of the Safe that its queue has accounted for.

use super::chain::{parse_text_column, sql_to_u64, u64_to_sql};
use super::commit::{self, OwnedStepJudged};
use super::{Result, StoreError, incidents};
use crate::escalate::StepJudged;
use crate::model::incident::{ChangeSet, OpenState};
use crate::model::proposals::{Remembered, Trace, Waits};
use crate::model::record::{Line, VerdictLine};
use crate::model::{BlockRef, ChainId};
use alloy_primitives::{Address, B256};
use rusqlite::{Connection, OptionalExtension, params};

/// Time for which ended transactions are remembered: ninety days, in milliseconds. Their findings stay.
const ENDED_KEPT_MS: u64 = 90 * 86_400_000;
/// Maximum number of ended transactions kept for one Safe: a service that returns different ones at every poll must not
/// fill the disk.
const ENDED_MAX: u32 = 2_000;
/// Maximum number of logs of one Safe that are accounted for in one poll; the next poll continues.
const TRACES_MAX: u32 = 256;

/// Maximum number of lines shown for one transaction: the longest batch that is opened.
pub const LINES_MAX: u32 = 1_024;

/// Stored state of one Safe's queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueKept {
    /// Every transaction that was seen in the queue and is not deleted yet.
    pub remembered: Vec<Remembered>,
    /// Executions and approvals that the Safe logged and its queue has not accounted for, oldest first.
    pub traces: Vec<Trace>,
    /// Position up to which there are no others: the value to pass as [`QueueSeen::accounted`] once all of them are
    /// handled.
    pub until: i64,
    /// Time of the last look, wall-clock milliseconds; absent before the first look.
    pub looked_at: Option<u64>,
}

impl QueueKept {
    /// Leaves the logs above block `number` to the next poll. The state of the Safe that they are compared with was read
    /// at that block: an execution above it would be compared with a nonce that it had not used yet.
    pub fn retain_up_to(&mut self, number: u64) {
        if let Some(first) = self.traces.iter().position(|trace| trace.at.number > number) {
            self.until = self.traces[first].seq - 1;
            self.traces.truncate(first);
        }
    }
}

/// Results of a look at one Safe's queue, to be committed as a whole.
#[derive(Clone, Debug)]
pub struct QueueSeen {
    /// Judged transactions, each as a block of the moment at which it was first seen. Nothing is retracted.
    pub step: OwnedStepJudged,
    /// Address of the Safe.
    pub safe: Address,
    /// Remembered transactions that are new or have changed.
    pub remembered: Vec<Remembered>,
    /// News of transactions by their hash, for the incidents of their findings.
    pub news: Vec<(B256, String)>,
    /// Position up to which the Safe's logs are accounted for.
    pub accounted: i64,
}

/// Returns those of `safes` that logged anything since their queue was last accounted for.
pub(super) fn touched_since(db: &Connection, chain: ChainId, safes: &[Address]) -> Result<Vec<Address>> {
    // Records that the queue itself produced do not count as a change.
    let sql = "SELECT EXISTS (SELECT 1 FROM activities WHERE seq > (SELECT accounted FROM queues WHERE chain = ?1 AND safe = ?2) \
               AND chain = ?1 AND address = ?2 AND block_hash IS NOT NULL AND json_extract(line, '$.by') NOT LIKE 'builtin/queue-%')";
    let mut statement = db.prepare_cached(sql)?;
    let mut stirred = Vec::new();
    for safe in safes {
        if statement.query_row(params![u64_to_sql(chain.0), safe.to_checksum(None)], |row| row.get::<_, bool>(0))? {
            stirred.push(*safe);
        }
    }
    Ok(stirred)
}

pub(super) fn load_proposals(db: &Connection, chain: ChainId, safe: Address) -> Result<QueueKept> {
    let address = safe.to_checksum(None);
    let newest: i64 = db.query_row("SELECT coalesce(max(seq), 0) FROM activities", [], |row| row.get(0))?;
    let sql = "SELECT accounted, looked_at_ms FROM queues WHERE chain = ?1 AND safe = ?2";
    let before: Option<(i64, i64)> = db
        .prepare_cached(sql)?
        .query_row(params![u64_to_sql(chain.0), address], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let mut statement =
        db.prepare_cached("SELECT body FROM queued WHERE chain = ?1 AND safe = ?2 ORDER BY seen_at_ms")?;
    let bodies = statement.query_map(params![u64_to_sql(chain.0), address], |row| row.get::<_, String>(0))?;
    let remembered = bodies.map(|body| incidents::decode_body("queued", &body?)).collect::<Result<_>>()?;
    // Events before the first poll are not reported against the queue, since it was not polled then.
    let Some((accounted, looked_at)) = before else {
        return Ok(QueueKept { remembered, until: newest, ..QueueKept::default() });
    };
    let (traces, whole) = unaccounted_logs(db, chain, &address, accounted)?;
    let until = if whole { newest } else { traces.last().map_or(accounted, |last| last.seq) };
    Ok(QueueKept { remembered, traces, until, looked_at: Some(sql_to_u64(looked_at)) })
}

/// Returns the executions and approvals since `accounted`, and whether the list is complete.
fn unaccounted_logs(db: &Connection, chain: ChainId, address: &str, accounted: i64) -> Result<(Vec<Trace>, bool)> {
    let sql = "SELECT seq, number, block_hash, line FROM activities WHERE seq > ?1 AND chain = ?2 AND address = ?3 \
               AND orphaned = 0 AND block_hash IS NOT NULL AND json_extract(line, '$.activity') = 'event' \
               AND json_extract(line, '$.by') NOT LIKE 'builtin/queue-%' \
               AND json_extract(line, '$.function') IN ('ExecutionSuccess(bytes32,uint256)', 'ExecutionFailure(bytes32,uint256)', \
               'ApproveHash(bytes32,address)') ORDER BY seq LIMIT ?4";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(params![accounted, u64_to_sql(chain.0), address, TRACES_MAX], |row| {
        let at = (row.get::<_, i64>(1)?, parse_text_column::<B256>("activities", row, 2));
        Ok((row.get::<_, i64>(0)?, at, row.get::<_, String>(3)?))
    })?;
    let (mut found, mut n) = (Vec::new(), 0);
    for row in rows {
        let (seq, (number, hash), line) = row?;
        n += 1;
        let at = BlockRef { number: sql_to_u64(number), hash: hash? };
        if let Line::Verdict(line) = incidents::decode_body("activities", &line)? {
            found.extend(trace_from_line(seq, at, &line));
        }
    }
    Ok((found, n < TRACES_MAX))
}

/// Parses a log from its record line. A log that cannot be decoded has a finding of its own already.
fn trace_from_line(seq: i64, at: BlockRef, line: &VerdictLine) -> Option<Trace> {
    let mut args = line.args.values().filter_map(serde_json::Value::as_str);
    Some(Trace {
        seq,
        executed: line.function.starts_with("Execution"),
        hash: args.next()?.parse().ok()?,
        owner: args.next().and_then(|owner| owner.parse().ok()),
        tx: line.tx.parse().ok()?,
        origin: line.origin.parse().ok()?,
        ordinal: line.position.strip_prefix("log.")?.parse().ok()?,
        at,
        time: line.time.parse::<jiff::Timestamp>().ok().and_then(|at| u64::try_from(at.as_second()).ok()).unwrap_or(0),
    })
}

/// The newest lines of a transaction, oldest first.
pub(super) fn verdict_lines(db: &Connection, chain: ChainId, tx: B256) -> Result<Vec<VerdictLine>> {
    let sql = "SELECT line FROM activities WHERE tx = ?1 AND chain = ?2 AND orphaned = 0 ORDER BY seq DESC LIMIT ?3";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement
        .query_map(params![format!("{tx:#x}"), u64_to_sql(chain.0), LINES_MAX], |row| row.get::<_, String>(0))?;
    let mut found = Vec::new();
    for row in rows {
        if let Line::Verdict(line) = incidents::decode_body("activities", &row?)? {
            found.push(*line);
        }
    }
    found.reverse();
    Ok(found)
}

pub(super) fn commit_proposals<F>(db: &mut Connection, seen: &QueueSeen, now_ms: u64, engine: F) -> Result<ChangeSet>
where
    F: FnOnce(&StepJudged<'_>, &OpenState) -> ChangeSet,
{
    let chain = seen.step.chain.id;
    if !seen.step.retract.is_empty() {
        return Err(StoreError::Unknown("a look at a queue cannot retract a block".to_owned()));
    }
    let tx = commit::begin_immediate(db)?;
    let mut standing = commit::load_step_state(&tx, &seen.step, now_ms)?;
    for (hash, _) in &seen.news {
        commit::add_findings(&tx, incidents::findings_of_tx(&tx, chain, *hash)?, &mut standing)?;
    }
    let plan = engine(&seen.step.as_step_judged(), &standing);
    commit::write_plan(&tx, &plan, now_ms)?;
    commit::write_lines(&tx, chain, &plan)?;
    let address = seen.safe.to_checksum(None);
    for one in &seen.remembered {
        let sql = "INSERT INTO queued (chain, safe, hash, nonce, waits, seen_at_ms, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
                   ON CONFLICT (chain, safe, hash) DO UPDATE SET waits = excluded.waits, body = excluded.body";
        tx.prepare_cached(sql)?.execute(params![
            u64_to_sql(chain.0),
            address,
            one.hash.to_string(),
            one.nonce.to_string(),
            one.waits.as_str(),
            u64_to_sql(one.seen_at),
            incidents::encode_body("queued", one)?
        ])?;
    }
    let sql = "INSERT INTO queues (chain, safe, accounted, looked_at_ms) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT (chain, safe) DO UPDATE SET accounted = max(accounted, excluded.accounted), looked_at_ms = excluded.looked_at_ms";
    tx.prepare_cached(sql)?.execute(params![u64_to_sql(chain.0), address, seen.accounted, u64_to_sql(now_ms)])?;
    let sql = "DELETE FROM queued WHERE chain = ?1 AND safe = ?2 AND waits <> ?3 AND seen_at_ms < ?4";
    let kept_since = now_ms.saturating_sub(ENDED_KEPT_MS);
    tx.prepare_cached(sql)?.execute(params![
        u64_to_sql(chain.0),
        address,
        Waits::Queued.as_str(),
        u64_to_sql(kept_since)
    ])?;
    let sql = "DELETE FROM queued WHERE chain = ?1 AND safe = ?2 AND waits <> ?3 AND hash NOT IN (SELECT hash FROM queued \
               WHERE chain = ?1 AND safe = ?2 AND waits <> ?3 ORDER BY seen_at_ms DESC LIMIT ?4)";
    tx.prepare_cached(sql)?.execute(params![u64_to_sql(chain.0), address, Waits::Queued.as_str(), ENDED_MAX])?;
    tx.commit()?;
    Ok(plan)
}

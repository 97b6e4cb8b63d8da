//! Position of each chain, and the entries that its blocks added to rolling windows.

use super::{Result, StoreError};
use crate::classify::history::{LASTING, SUBMISSIONS};
use crate::model::state::STATES;
use crate::model::{BlockRef, ChainId, Link, Provenance, WindowEntry};
use alloy_primitives::{Address, U256};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use std::str::FromStr;

/// Blocks kept per chain to recognize a reorg by: seven hours of mainnet, thirty times the depth of its finality.
pub const WINDOW_BLOCKS_MAX: u64 = 2048;

/// Entry that a committed block added to a rolling window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastDelta {
    /// The block.
    pub at: BlockRef,
    /// Time of the block, Unix seconds.
    pub time: u64,
    /// The entry.
    pub delta: WindowEntry,
}

/// Number of records that [`super::Store::prune_expired`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Window entries.
    pub deltas: usize,
    /// Messages, with the record of their attempts.
    pub messages: usize,
}

pub(super) fn begin_chain(db: &mut Connection, chain: ChainId, first: u64) -> Result<()> {
    db.execute(
        "INSERT OR IGNORE INTO chains (id, first_number) VALUES (?1, ?2)",
        params![u64_to_sql(chain.0), u64_to_sql(first)],
    )?;
    Ok(())
}

pub(super) fn begin_stretch(db: &mut Connection, chain: ChainId, first: u64) -> Result<()> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let sql = "INSERT INTO chains (id, first_number) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET first_number = ?2, \
               safe_number = NULL, safe_hash = NULL, finalized_number = NULL, finalized_hash = NULL";
    tx.execute(sql, params![u64_to_sql(chain.0), u64_to_sql(first)])?;
    tx.execute("DELETE FROM blocks WHERE chain = ?1", [u64_to_sql(chain.0)])?;
    tx.commit()?;
    Ok(())
}

pub(super) fn first_block_number(db: &Connection, chain: ChainId) -> Result<Option<u64>> {
    let sql = "SELECT first_number FROM chains WHERE id = ?1";
    let first: Option<i64> = db.prepare_cached(sql)?.query_row([u64_to_sql(chain.0)], |row| row.get(0)).optional()?;
    Ok(first.map(i64::cast_unsigned))
}

pub(super) fn chain_tip(db: &Connection, chain: ChainId) -> Result<Option<Link>> {
    let sql = "SELECT number, hash, parent, time FROM blocks WHERE chain = ?1 ORDER BY number DESC LIMIT 1";
    db.prepare_cached(sql)?.query_row([u64_to_sql(chain.0)], |row| Ok(link_from_row(row))).optional()?.transpose()
}

pub(super) fn recent_blocks(db: &Connection, chain: ChainId) -> Result<Vec<Link>> {
    let sql = "SELECT number, hash, parent, time FROM blocks WHERE chain = ?1 ORDER BY number";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map([u64_to_sql(chain.0)], |row| Ok(link_from_row(row)))?;
    rows.map(|row| row?).collect()
}

/// Stores a block and drops the oldest block of a full window.
pub(super) fn append_block(db: &Connection, chain: ChainId, block: &Link, sight: Provenance) -> Result<()> {
    let sql = "INSERT INTO blocks (chain, number, hash, parent, time, sources, verified) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    db.prepare_cached(sql)?.execute(params![
        u64_to_sql(chain.0),
        u64_to_sql(block.at.number),
        block.at.hash.to_string(),
        block.parent.to_string(),
        u64_to_sql(block.time),
        sight.sources,
        sight.proof.is_verified()
    ])?;
    db.prepare_cached("DELETE FROM blocks WHERE chain = ?1 AND number <= ?2")?
        .execute(params![u64_to_sql(chain.0), u64_to_sql(block.at.number) - u64_to_sql(WINDOW_BLOCKS_MAX)])?;
    Ok(())
}

/// Removes a block from the chain, with the window entries it added; its activities are marked as orphaned.
pub(super) fn retract_block(db: &Connection, chain: ChainId, block: BlockRef) -> Result<()> {
    let place = params![u64_to_sql(chain.0), u64_to_sql(block.number), block.hash.to_string()];
    db.prepare_cached("DELETE FROM blocks WHERE chain = ?1 AND number = ?2 AND hash = ?3")?.execute(place)?;
    db.prepare_cached("DELETE FROM deltas WHERE chain = ?1 AND number = ?2 AND block_hash = ?3")?.execute(place)?;
    db.prepare_cached("UPDATE activities SET orphaned = 1 WHERE chain = ?1 AND number = ?2 AND block_hash = ?3")?
        .execute(place)?;
    Ok(())
}

pub(super) fn add_delta(db: &Connection, chain: ChainId, at: BlockRef, time: u64, delta: &WindowEntry) -> Result<()> {
    let sql = "INSERT INTO deltas (chain, number, block_hash, time, watch, rule, amount) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    db.prepare_cached(sql)?.execute(params![
        u64_to_sql(chain.0),
        u64_to_sql(at.number),
        at.hash.to_string(),
        u64_to_sql(time),
        delta.watch.to_checksum(None),
        delta.rule.as_ref(),
        delta.amount.to_string()
    ])?;
    Ok(())
}

pub(super) fn window_entries_since(db: &Connection, chain: ChainId, since_s: u64) -> Result<Vec<PastDelta>> {
    let sql = "SELECT number, block_hash, time, watch, rule, amount FROM deltas \
               WHERE chain = ?1 AND time >= ?2 ORDER BY number, seq";
    let mut statement = db.prepare_cached(sql)?;
    let rows =
        statement.query_map(params![u64_to_sql(chain.0), u64_to_sql(since_s)], |row| Ok(window_entry_from_row(row)))?;
    rows.map(|row| row?).collect()
}

pub(super) fn prune_expired(
    db: &mut Connection,
    chain: ChainId,
    deltas_before_s: u64,
    sent_before_ms: u64,
) -> Result<Pruned> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let deltas = tx.execute(
        "DELETE FROM deltas WHERE chain = ?1 AND time < ?2 \
         AND substr(rule, 1, length(?3)) <> ?3 AND substr(rule, 1, length(?4)) <> ?4 \
         AND substr(rule, 1, length(?5)) <> ?5",
        params![u64_to_sql(chain.0), u64_to_sql(deltas_before_s), SUBMISSIONS, LASTING, STATES],
    )?;
    // The newest value of a watched item is kept however old it is: no other row holds the current value.
    let superseded = tx.execute(
        "DELETE FROM deltas WHERE seq IN (SELECT seq FROM (SELECT seq, row_number() OVER \
         (PARTITION BY watch, rule ORDER BY seq DESC) AS age FROM deltas \
         WHERE chain = ?1 AND time < ?2 AND substr(rule, 1, length(?3)) = ?3) WHERE age > 1)",
        params![u64_to_sql(chain.0), u64_to_sql(deltas_before_s), STATES],
    )?;
    let messages = super::outbox::delete_finished(&tx, sent_before_ms)?;
    tx.commit()?;
    Ok(Pruned { deltas: deltas + superseded, messages })
}

fn link_from_row(row: &Row<'_>) -> Result<Link> {
    Ok(Link {
        at: BlockRef { number: sql_to_u64(row.get(0)?), hash: parse_text_column("blocks", row, 1)? },
        parent: parse_text_column("blocks", row, 2)?,
        time: sql_to_u64(row.get(3)?),
    })
}

fn window_entry_from_row(row: &Row<'_>) -> Result<PastDelta> {
    Ok(PastDelta {
        at: BlockRef { number: sql_to_u64(row.get(0)?), hash: parse_text_column("deltas", row, 1)? },
        time: sql_to_u64(row.get(2)?),
        delta: WindowEntry {
            watch: parse_text_column::<Address>("deltas", row, 3)?,
            rule: row.get::<_, String>(4)?.into(),
            amount: parse_text_column::<U256>("deltas", row, 5)?,
        },
    })
}

/// Parses a column that stores a value as text.
pub(super) fn parse_text_column<T: FromStr<Err: std::fmt::Display>>(
    table: &'static str,
    row: &Row<'_>,
    column: usize,
) -> Result<T> {
    let written: String = row.get(column)?;
    written.parse().map_err(|why: T::Err| StoreError::Damaged { table, why: why.to_string() })
}

/// Converts to SQLite's signed integer by keeping the bits. Heights, times and chain ids in use stay far below the sign
/// bit.
pub(super) const fn u64_to_sql(number: u64) -> i64 {
    number.cast_signed()
}

/// Converts back from [`u64_to_sql`].
pub(super) const fn sql_to_u64(number: i64) -> u64 {
    number.cast_unsigned()
}

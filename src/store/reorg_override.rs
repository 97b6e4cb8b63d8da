//! Permission of a person to undo final blocks: valid for one step of one chain, stored with the person's name and the
//! outcome.

use super::chain::{parse_text_column, sql_to_u64, u64_to_sql};
use super::finality::block_from_columns;
use super::{Result, StoreError, chain, commit};
use crate::model::{BlockRef, ChainId};
use alloy_primitives::B256;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Bytes of a name that are kept.
const NAME_BYTES_MAX: usize = 200;

/// A permission that a person gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReorgOverride {
    /// A block on the branch that may replace the final blocks.
    pub block: B256,
    /// Person who gave it.
    pub by: String,
    /// Time of the permission, wall-clock milliseconds.
    pub at_ms: u64,
    /// End of the permission; absent while it waits to be used.
    pub end: Option<OverrideEnd>,
}

/// End of a permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverrideEnd {
    /// A step used the permission.
    Used {
        /// Time of use, wall-clock milliseconds.
        at_ms: u64,
        /// The block that was final before that step.
        undone: BlockRef,
    },
    /// A later permission replaced it.
    Replaced {
        /// Person who gave the later permission.
        by: String,
        /// Time of replacement, wall-clock milliseconds.
        at_ms: u64,
    },
    /// Withdrawn by a person.
    Withdrawn {
        /// Person who withdrew it.
        by: String,
        /// Time of withdrawal, wall-clock milliseconds.
        at_ms: u64,
    },
}

const COLUMNS: &str = "block_hash, allowed_by, allowed_at_ms, state, ended_by, ended_at_ms, undone_number, undone_hash";

pub(super) fn allow_reorg(
    db: &mut Connection,
    chain: ChainId,
    block: B256,
    by: &str,
    now_ms: u64,
) -> Result<ReorgOverride> {
    let tx = commit::begin_immediate(db)?;
    if chain::first_block_number(&tx, chain)?.is_none() {
        return Err(StoreError::Unknown(format!("chain {chain} was not begun")));
    }
    let sql = "SELECT number FROM blocks WHERE chain = ?1 AND hash = ?2";
    let ours: Option<i64> = tx
        .prepare_cached(sql)?
        .query_row(params![u64_to_sql(chain.0), block.to_string()], |row| row.get(0))
        .optional()?;
    if let Some(number) = ours {
        let at = BlockRef { number: sql_to_u64(number), hash: block };
        return Err(StoreError::Unknown(format!("block {at} is on the chain that was judged: it undoes nothing")));
    }
    let by = truncate_name(by);
    end_reorg_override(&tx, chain, "replaced", by, now_ms)?;
    let sql = "INSERT INTO allowances (chain, block_hash, allowed_by, allowed_at_ms) VALUES (?1, ?2, ?3, ?4)";
    tx.execute(sql, params![u64_to_sql(chain.0), block.to_string(), by, u64_to_sql(now_ms)])?;
    tx.commit()?;
    Ok(ReorgOverride { block, by: by.to_owned(), at_ms: now_ms, end: None })
}

pub(super) fn withdraw_reorg_override(
    db: &mut Connection,
    chain: ChainId,
    by: &str,
    now_ms: u64,
) -> Result<Option<ReorgOverride>> {
    let tx = commit::begin_immediate(db)?;
    let open = open_reorg_override(&tx, chain)?;
    let by = truncate_name(by);
    end_reorg_override(&tx, chain, "withdrawn", by, now_ms)?;
    tx.commit()?;
    let end = OverrideEnd::Withdrawn { by: by.to_owned(), at_ms: now_ms };
    Ok(open.map(|open| ReorgOverride { end: Some(end), ..open }))
}

/// Returns the permission that is not used yet.
pub(super) fn open_reorg_override(db: &Connection, chain: ChainId) -> Result<Option<ReorgOverride>> {
    let sql = format!("SELECT {COLUMNS} FROM allowances WHERE chain = ?1 AND state = 'open'");
    db.prepare_cached(&sql)?
        .query_row([u64_to_sql(chain.0)], |row| Ok(reorg_override_from_row(row)))
        .optional()?
        .transpose()
}

/// Returns all permissions, newest first, at most `limit`.
pub(super) fn list_reorg_overrides(db: &Connection, chain: ChainId, limit: u32) -> Result<Vec<ReorgOverride>> {
    let sql = format!("SELECT {COLUMNS} FROM allowances WHERE chain = ?1 ORDER BY seq DESC LIMIT ?2");
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(params![u64_to_sql(chain.0), limit], |row| Ok(reorg_override_from_row(row)))?;
    rows.map(|row| row?).collect()
}

/// Consumes the open permission if it names this block, and returns whether it did.
pub(super) fn consume_reorg_override(
    db: &Connection,
    chain: ChainId,
    block: B256,
    undone: BlockRef,
    now_ms: u64,
) -> Result<bool> {
    let sql = "UPDATE allowances SET state = 'used', ended_at_ms = ?3, undone_number = ?4, undone_hash = ?5 \
               WHERE chain = ?1 AND block_hash = ?2 AND state = 'open'";
    let row = params![
        u64_to_sql(chain.0),
        block.to_string(),
        u64_to_sql(now_ms),
        u64_to_sql(undone.number),
        undone.hash.to_string()
    ];
    Ok(db.prepare_cached(sql)?.execute(row)? > 0)
}

fn end_reorg_override(db: &Connection, chain: ChainId, state: &str, by: &str, now_ms: u64) -> Result<()> {
    let sql = "UPDATE allowances SET state = ?2, ended_by = ?3, ended_at_ms = ?4 WHERE chain = ?1 AND state = 'open'";
    db.prepare_cached(sql)?.execute(params![u64_to_sql(chain.0), state, by, u64_to_sql(now_ms)])?;
    Ok(())
}

/// Parses a row of [`COLUMNS`].
fn reorg_override_from_row(row: &Row<'_>) -> Result<ReorgOverride> {
    let state: String = row.get(3)?;
    let ended_by = row.get::<_, Option<String>>(4)?.unwrap_or_default();
    let at_ms = row.get::<_, Option<i64>>(5)?.map_or(0, sql_to_u64);
    let end = match (state.as_str(), block_from_columns(row, 6)?) {
        ("open", _) => None,
        ("used", Some(undone)) => Some(OverrideEnd::Used { at_ms, undone }),
        ("replaced", _) => Some(OverrideEnd::Replaced { by: ended_by, at_ms }),
        ("withdrawn", _) => Some(OverrideEnd::Withdrawn { by: ended_by, at_ms }),
        _ => return Err(StoreError::Damaged { table: "allowances", why: format!("its state is {state}") }),
    };
    Ok(ReorgOverride {
        block: parse_text_column("allowances", row, 0)?,
        by: row.get(1)?,
        at_ms: sql_to_u64(row.get(2)?),
        end,
    })
}

fn truncate_name(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_BYTES_MAX)]
}

//! Finality of each chain, the number of endpoints that confirm each block, and the effect of both on the findings in
//! it.
//!
//! A chain's finality is stored as two blocks, which apply to everything at or below them. Only pages of live incidents
//! are rewritten, once when one of their findings gains confidence, since such a page may be sent at any time. All
//! other finality is computed when it is read.

use super::chain::{parse_text_column, sql_to_u64, u64_to_sql};
use super::{Result, commit, incidents};
use crate::model::incident::Contested;
use crate::model::{BlockRef, ChainId, Finality, FindingId, IncidentId, Link};
use alloy_primitives::B256;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::BTreeSet;

/// Maximum number of findings that [`ConfidenceGain`] lists; a finalized epoch may contain thousands.
pub const GAINED_MAX: usize = 256;

/// Finality that a chain has reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// The newest block that is known to be safe.
    pub safe: Option<BlockRef>,
    /// The newest finalized block: it is never undone unless a person allows it.
    pub finalized: Option<BlockRef>,
}

/// Findings that have gained finality or confirmation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfidenceGain {
    /// Oldest first, at most [`GAINED_MAX`].
    pub findings: Vec<FindingId>,
    /// Number of further findings.
    pub more: u64,
}

impl Settled {
    /// Returns the finality of a block of the committed chain, by its number.
    #[must_use]
    pub fn finality_at(&self, number: u64) -> Finality {
        let reaches = |at: Option<BlockRef>| at.is_some_and(|at| number <= at.number);
        match (reaches(self.finalized), reaches(self.safe)) {
            (true, _) => Finality::Finalized,
            (false, true) => Finality::Safe,
            (false, false) => Finality::Included,
        }
    }
}

pub(super) fn settled_finality(db: &Connection, chain: ChainId) -> Result<Settled> {
    let sql = "SELECT safe_number, safe_hash, finalized_number, finalized_hash FROM chains WHERE id = ?1";
    let read =
        |row: &Row<'_>| Ok(Settled { safe: block_from_columns(row, 0)?, finalized: block_from_columns(row, 2)? });
    let settled = db.prepare_cached(sql)?.query_row([u64_to_sql(chain.0)], |row| Ok(read(row))).optional()?;
    settled.unwrap_or_else(|| Ok(Settled::default()))
}

/// Returns the retracted blocks of all chains that endpoints still hold.
pub(super) fn contested_blocks(db: &Connection) -> Result<Vec<Contested>> {
    let sql = "SELECT chain, number, hash, held_by FROM contested ORDER BY chain, number, hash";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| {
        let chain = ChainId(sql_to_u64(row.get(0)?));
        Ok((chain, sql_to_u64(row.get(1)?), parse_text_column("contested", row, 2), row.get::<_, String>(3)?))
    })?;
    rows.map(|row| {
        let (chain, number, hash, by) = row?;
        Ok(Contested { chain, block: BlockRef { number, hash: hash? }, by: incidents::decode_body("contested", &by)? })
    })
    .collect()
}

/// Stores which blocks of a chain are contested, and replaces the earlier list.
pub(super) fn replace_contested(db: &mut Connection, chain: ChainId, contested: &[Contested]) -> Result<()> {
    let tx = commit::begin_immediate(db)?;
    tx.prepare_cached("DELETE FROM contested WHERE chain = ?1")?.execute([u64_to_sql(chain.0)])?;
    for Contested { block, by, .. } in contested {
        let sql = "INSERT OR REPLACE INTO contested (chain, number, hash, held_by) VALUES (?1, ?2, ?3, ?4)";
        let row = params![
            u64_to_sql(chain.0),
            u64_to_sql(block.number),
            block.hash.to_string(),
            incidents::encode_body("contested", by)?
        ];
        tx.prepare_cached(sql)?.execute(row)?;
    }
    tx.commit()?;
    Ok(())
}

pub(super) fn promote_finality(
    db: &mut Connection,
    chain: ChainId,
    level: Finality,
    at: BlockRef,
) -> Result<Option<ConfidenceGain>> {
    let tx = commit::begin_immediate(db)?;
    let mut settled = settled_finality(&tx, chain)?;
    let before = match level {
        Finality::Included => return Ok(None),
        Finality::Safe => settled.safe,
        Finality::Finalized => settled.finalized,
    };
    if before.is_some_and(|before| at.number <= before.number) || !is_ours(&tx, chain, at)? {
        return Ok(None);
    }
    // A finalized block is safe, whatever was stored as safe before.
    if settled.safe.is_none_or(|safe| safe.number < at.number) {
        settled.safe = Some(at);
    }
    if level == Finality::Finalized {
        settled.finalized = Some(at);
    }
    write_settled(&tx, chain, settled)?;
    let sql = "SELECT id, incident FROM findings WHERE chain = ?1 AND number > ?2 AND number <= ?3 AND orphaned = 0 \
               AND block_hash IS NOT NULL ORDER BY number, seq";
    let range =
        params![u64_to_sql(chain.0), before.map_or(-1, |before| u64_to_sql(before.number)), u64_to_sql(at.number)];
    let reached = query_reached(&tx, sql, range)?;
    let gained = update_live_pages(&tx, reached)?;
    tx.commit()?;
    Ok(Some(gained))
}

pub(super) fn confirm_block(
    db: &mut Connection,
    chain: ChainId,
    at: BlockRef,
    sources: u32,
) -> Result<Option<ConfidenceGain>> {
    let tx = commit::begin_immediate(db)?;
    let Some(reached) = raise_sources(&tx, chain, at, sources)? else { return Ok(None) };
    let gained = update_live_pages(&tx, reached)?;
    tx.commit()?;
    Ok(Some(gained))
}

/// Applies the endpoint counts of appended blocks to the blocks below them too: an endpoint that confirms a block also
/// confirms its ancestors.
pub(super) fn record_step_sources(
    db: &Connection,
    chain: ChainId,
    blocks: impl Iterator<Item = (BlockRef, u32)>,
) -> Result<()> {
    for (at, sources) in blocks.filter(|(_, sources)| *sources > 1) {
        let parent = at.number.checked_sub(1).map(|number| hash_at(db, chain, number).map(|hash| (number, hash)));
        if let Some((number, Some(hash))) = parent.transpose()?
            && let Some(reached) = raise_sources(db, chain, BlockRef { number, hash }, sources)?
        {
            update_live_pages(db, reached)?;
        }
    }
    Ok(())
}

/// Lowers finality to the parent of `lowest`: blocks from `lowest` on are removed, and statements about them no longer
/// hold. The parent keeps the finality they had.
pub(super) fn lower_finality(db: &Connection, chain: ChainId, lowest: &Link) -> Result<()> {
    let below = lowest.at.number.checked_sub(1).map(|number| BlockRef { number, hash: lowest.parent });
    let cut = |at: Option<BlockRef>| if at.is_some_and(|at| at.number >= lowest.at.number) { below } else { at };
    let before = settled_finality(db, chain)?;
    let after = Settled { safe: cut(before.safe), finalized: cut(before.finalized) };
    if after == before { Ok(()) } else { write_settled(db, chain, after) }
}

fn write_settled(db: &Connection, chain: ChainId, settled: Settled) -> Result<()> {
    let sql =
        "UPDATE chains SET safe_number = ?2, safe_hash = ?3, finalized_number = ?4, finalized_hash = ?5 WHERE id = ?1";
    let number = |at: Option<BlockRef>| at.map(|at| u64_to_sql(at.number));
    let hash = |at: Option<BlockRef>| at.map(|at| at.hash.to_string());
    let Settled { safe, finalized } = settled;
    let row = params![u64_to_sql(chain.0), number(safe), hash(safe), number(finalized), hash(finalized)];
    db.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

/// Records that `sources` endpoints hold `at` and with it every block before it. The update goes from `at` down to the
/// newest block that this number of endpoints already hold; below that block the record is complete. Returns the
/// findings that gained confirmation; `None` if `at` is not a block of the committed chain, or nothing changed.
fn raise_sources(
    db: &Connection,
    chain: ChainId,
    at: BlockRef,
    sources: u32,
) -> Result<Option<Vec<(FindingId, IncidentId)>>> {
    let sql = "SELECT sources FROM blocks WHERE chain = ?1 AND number = ?2 AND hash = ?3";
    let place = params![u64_to_sql(chain.0), u64_to_sql(at.number), at.hash.to_string()];
    let known: Option<u32> = db.prepare_cached(sql)?.query_row(place, |row| row.get(0)).optional()?;
    if known.is_none_or(|known| known >= sources) {
        return Ok(None);
    }
    let sql =
        "SELECT number FROM blocks WHERE chain = ?1 AND number < ?2 AND sources >= ?3 ORDER BY number DESC LIMIT 1";
    let held = params![u64_to_sql(chain.0), u64_to_sql(at.number), sources];
    let held: Option<i64> = db.prepare_cached(sql)?.query_row(held, |row| row.get(0)).optional()?;
    let range = params![u64_to_sql(chain.0), held.unwrap_or(-1), u64_to_sql(at.number), sources];
    let sql = "UPDATE blocks SET sources = ?4 WHERE chain = ?1 AND number > ?2 AND number <= ?3 AND sources < ?4";
    db.prepare_cached(sql)?.execute(range)?;
    let sql = "UPDATE findings SET sources = ?4 WHERE chain = ?1 AND number > ?2 AND number <= ?3 AND orphaned = 0 \
               AND sources < ?4 AND block_hash IS NOT NULL RETURNING id, incident";
    let range = params![u64_to_sql(chain.0), held.unwrap_or(-1), u64_to_sql(at.number), sources];
    query_reached(db, sql, range).map(Some)
}

/// Updates the pages of live incidents with the gained finality and confirmation.
fn update_live_pages(db: &Connection, reached: Vec<(FindingId, IncidentId)>) -> Result<ConfidenceGain> {
    let more = reached.len().saturating_sub(GAINED_MAX) as u64;
    let (mut findings, mut about) = (Vec::new(), BTreeSet::new());
    for (finding, incident) in reached {
        if findings.len() < GAINED_MAX {
            findings.push(finding);
        }
        about.insert(incident.0);
    }
    about.into_iter().try_for_each(|id| incidents::put_on_page(db, &IncidentId(id)))?;
    Ok(ConfidenceGain { findings, more })
}

fn query_reached(db: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<Vec<(FindingId, IncidentId)>> {
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(params, |row| Ok((FindingId(row.get(0)?), IncidentId(row.get(1)?))))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Returns whether the block is a remembered block of the committed chain.
fn is_ours(db: &Connection, chain: ChainId, at: BlockRef) -> Result<bool> {
    Ok(hash_at(db, chain, at.number)? == Some(at.hash))
}

fn hash_at(db: &Connection, chain: ChainId, number: u64) -> Result<Option<B256>> {
    let sql = "SELECT hash FROM blocks WHERE chain = ?1 AND number = ?2";
    let hash = db
        .prepare_cached(sql)?
        .query_row(params![u64_to_sql(chain.0), u64_to_sql(number)], |row| Ok(parse_text_column("blocks", row, 0)));
    hash.optional()?.transpose()
}

/// Reads a block from two columns, its number and its hash, starting at `column`; returns `None` if they are null.
pub(super) fn block_from_columns(row: &Row<'_>, column: usize) -> Result<Option<BlockRef>> {
    let Some(number) = row.get::<_, Option<i64>>(column)? else { return Ok(None) };
    Ok(Some(BlockRef { number: sql_to_u64(number), hash: parse_text_column("chains", row, column + 1)? }))
}

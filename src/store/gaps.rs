//! Limit of the feed, for a receiver that is unreachable so long that its lines would fill the disk.
//!
//! Lines beyond the limit are omitted and counted, and one dead letter reports each gap. Every omitted line remains
//! available among the judged activities of the store.

use super::Result;
use super::chain::{sql_to_u64, u64_to_sql};
use super::lanes::insert_message;
use crate::model::DeliveryKey;
use crate::model::incident::Delivery;
use rusqlite::{Connection, OptionalExtension, params};

/// Maximum number of lines of the feed that wait for one destination: about a gigabyte, and five and a half days at one
/// line a second, which is longer than any weekend. A higher limit would put the disk at risk that all other parts
/// need.
pub(super) const FEED_WAITING_MAX: u64 = 500_000;
/// Number of waiting lines below which a gap ends: far enough below the limit that single lines do not begin new gaps.
const FEED_RESUMES_AT: u64 = FEED_WAITING_MAX / 10 * 9;

/// A gap: consecutive lines that were omitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedGap {
    /// Name of the destination.
    pub destination: String,
    /// Key of the first omitted line, which is kept as a dead letter.
    pub key: DeliveryKey,
    /// Start of the gap, wall-clock milliseconds.
    pub began_ms: u64,
    /// Time when there was room again; absent while there is none.
    pub ended_ms: Option<u64>,
    /// Number of lines, the first included.
    pub lines: u64,
    /// True if its dead letter was written.
    pub told: bool,
}

/// Returns whether one more line may wait. A line that may not wait is counted; the first line of a gap is kept for its
/// dead letter.
pub(super) fn has_room(db: &Connection, line: &Delivery, now_ms: u64) -> Result<bool> {
    let sql = "SELECT messages FROM tallies WHERE destination = ?1 AND feed = 1 AND dead = 0";
    let waiting: Option<i64> = db.prepare_cached(sql)?.query_row([&line.destination], |row| row.get(0)).optional()?;
    let waiting = waiting.map_or(0, sql_to_u64);
    if waiting < FEED_RESUMES_AT {
        let sql = "UPDATE gaps SET ended_ms = ?2 WHERE destination = ?1 AND ended_ms IS NULL";
        db.prepare_cached(sql)?.execute(params![line.destination, u64_to_sql(now_ms)])?;
        return Ok(true);
    }
    let sql = "UPDATE gaps SET lines = lines + 1, ended_ms = NULL WHERE destination = ?1 AND (ended_ms IS NULL OR ?2)";
    let full = waiting >= FEED_WAITING_MAX;
    if db.prepare_cached(sql)?.execute(params![line.destination, full])? > 0 {
        return Ok(false);
    }
    if !full {
        return Ok(true);
    }
    // The line gets a lane of its own in which nothing moves up: it waits only for its dead letter.
    if insert_message(db, line, &format!("{}/gap", line.lane), now_ms)?.is_some() {
        let sql = "INSERT INTO gaps (destination, key, began_ms, lines) VALUES (?1, ?2, ?3, 1)";
        db.prepare_cached(sql)?.execute(params![line.destination, line.key.as_str(), u64_to_sql(now_ms)])?;
    }
    Ok(false)
}

/// Returns every gap that is not reported in full yet.
pub(super) fn list_feed_gaps(db: &Connection) -> Result<Vec<FeedGap>> {
    let sql = "SELECT destination, key, began_ms, ended_ms, lines, told FROM gaps ORDER BY destination";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| {
        Ok(FeedGap {
            destination: row.get(0)?,
            key: DeliveryKey(row.get(1)?),
            began_ms: sql_to_u64(row.get(2)?),
            ended_ms: row.get::<_, Option<i64>>(3)?.map(sql_to_u64),
            lines: sql_to_u64(row.get(4)?),
            told: row.get(5)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Records that a gap was reported, and its final text when it has ended.
pub(super) fn mark_gap_reported(db: &Connection, gap: &FeedGap, words: &str) -> Result<()> {
    let sql = "UPDATE outbox SET last_error = ?2 WHERE key = ?1 AND state = 'dead'";
    db.prepare_cached(sql)?.execute(params![gap.key.as_str(), words])?;
    let sql = match gap.ended_ms {
        Some(_) => "DELETE FROM gaps WHERE destination = ?1 AND ended_ms IS NOT NULL",
        None => "UPDATE gaps SET told = 1 WHERE destination = ?1",
    };
    db.prepare_cached(sql)?.execute([&gap.destination])?;
    Ok(())
}

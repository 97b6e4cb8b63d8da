//! Quotas of services: how much of each month's is spent. Each request is written down before it is sent, so that no crash makes one
//! forgotten; one that was written down and never sent costs nothing but itself.

use super::chain::{int, uint};
use super::{Result, commit};
use rusqlite::{Connection, OptionalExtension, params};

/// Months that are kept of one service: a year, for whoever wonders how much it takes.
const MONTHS_MAX: u32 = 12;

/// What was asked of a service, as far as that was written down.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// Requests in the month that was asked about.
    pub requests: u64,
    /// What might have been sent at once after the last one of any month, and when that was, wall-clock milliseconds.
    pub last: Option<(f64, u64)>,
}

pub(super) fn spent(db: &Connection, service: &str, month: &str) -> Result<Spent> {
    let mut of_month = db.prepare_cached("SELECT spent FROM quotas WHERE service = ?1 AND month = ?2")?;
    let requests = of_month.query_row([service, month], |row| row.get::<_, i64>(0)).optional()?.map_or(0, uint);
    let mut newest =
        db.prepare_cached("SELECT \"left\", at_ms FROM quotas WHERE service = ?1 ORDER BY at_ms DESC LIMIT 1")?;
    let last = newest.query_row([service], |row| Ok((row.get(0)?, uint(row.get(1)?)))).optional()?;
    Ok(Spent { requests, last })
}

/// Counts one more, whoever else counts beside us, and says how many that makes.
pub(super) fn spend(db: &mut Connection, service: &str, month: &str, left: f64, now_ms: u64) -> Result<u64> {
    let tx = commit::begin(db)?;
    let sql = "INSERT INTO quotas (service, month, spent, \"left\", at_ms) VALUES (?1, ?2, 1, ?3, ?4) \
               ON CONFLICT (service, month) DO UPDATE SET spent = spent + 1, \"left\" = excluded.\"left\", at_ms = excluded.at_ms \
               RETURNING spent";
    let row = params![service, month, left, int(now_ms)];
    let spent: i64 = tx.prepare_cached(sql)?.query_row(row, |row| row.get(0))?;
    if spent == 1 {
        let sql = "DELETE FROM quotas WHERE service = ?1 AND month NOT IN \
                   (SELECT month FROM quotas WHERE service = ?1 ORDER BY at_ms DESC LIMIT ?2)";
        tx.prepare_cached(sql)?.execute(params![service, MONTHS_MAX])?;
    }
    tx.commit()?;
    Ok(uint(spent))
}

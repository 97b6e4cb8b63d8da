//! Quotas of services: requests used in each month. Each request is recorded before it is sent, so that a crash loses
//! none; a request that was recorded and never sent only reduces the quota by itself.

use super::chain::{sql_to_u64, u64_to_sql};
use super::{Result, commit};
use rusqlite::{Connection, OptionalExtension, params};

/// Maximum number of months kept for one service: a year, so that an operator can review the usage.
const MONTHS_MAX: u32 = 12;

/// Requests sent to a service, as far as they were recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QuotaSpent {
    /// Number of requests in the requested month.
    pub requests: u64,
    /// Number of requests that could have been sent at once after the last request of any month, and the time of that
    /// request, wall-clock milliseconds.
    pub last: Option<(f64, u64)>,
}

pub(super) fn quota_spent(db: &Connection, service: &str, month: &str) -> Result<QuotaSpent> {
    let mut of_month = db.prepare_cached("SELECT spent FROM quotas WHERE service = ?1 AND month = ?2")?;
    let requests = of_month.query_row([service, month], |row| row.get::<_, i64>(0)).optional()?.map_or(0, sql_to_u64);
    let mut newest =
        db.prepare_cached("SELECT \"left\", at_ms FROM quotas WHERE service = ?1 ORDER BY at_ms DESC LIMIT 1")?;
    let last = newest.query_row([service], |row| Ok((row.get(0)?, sql_to_u64(row.get(1)?)))).optional()?;
    Ok(QuotaSpent { requests, last })
}

/// Counts one more request, together with those of other processes, and returns the total.
pub(super) fn spend_quota(db: &mut Connection, service: &str, month: &str, left: f64, now_ms: u64) -> Result<u64> {
    let tx = commit::begin_immediate(db)?;
    let sql = "INSERT INTO quotas (service, month, spent, \"left\", at_ms) VALUES (?1, ?2, 1, ?3, ?4) \
               ON CONFLICT (service, month) DO UPDATE SET spent = spent + 1, \"left\" = excluded.\"left\", at_ms = excluded.at_ms \
               RETURNING spent";
    let row = params![service, month, left, u64_to_sql(now_ms)];
    let spent: i64 = tx.prepare_cached(sql)?.query_row(row, |row| row.get(0))?;
    if spent == 1 {
        let sql = "DELETE FROM quotas WHERE service = ?1 AND month NOT IN \
                   (SELECT month FROM quotas WHERE service = ?1 ORDER BY at_ms DESC LIMIT ?2)";
        tx.prepare_cached(sql)?.execute(params![service, MONTHS_MAX])?;
    }
    tx.commit()?;
    Ok(sql_to_u64(spent))
}

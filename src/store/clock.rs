//! Adjustment of deadlines that an earlier process stored to the clock of this process.

use super::chain::{sql_to_u64, u64_to_sql};
use super::{Result, commit, incidents};
use crate::model::incident::Incident;
use crate::runtime::Moment;
use rusqlite::{Connection, OptionalExtension, params};

/// Clock difference below which no deadline is moved: two readings are never taken at the same instant.
const STEP_MIN_MS: u64 = 2_000;

/// Moves every deadline by the amount that the wall clock was changed since the deadlines were written, so that each
/// keeps its remaining time. Stores `now` for the next process, and returns by how many milliseconds the clock was
/// changed, if it was.
pub(super) fn rebase_deadlines(db: &mut Connection, now: &Moment) -> Result<Option<i64>> {
    let tx = commit::begin_immediate(db)?;
    let moved = match last_moment(&tx)? {
        None => None,
        Some(noted) => match noted.carried_to(now) {
            Some(expected) => Some(now.utc_ms.cast_signed().saturating_sub(expected.cast_signed())),
            // The machine was off for an unknown time; real time has not gone backwards meanwhile.
            None => {
                Some(now.utc_ms.cast_signed().saturating_sub(newest_recorded_time(&tx, &noted)?.cast_signed()).min(0))
            }
        },
    };
    let moved = moved.filter(|moved| moved.unsigned_abs() >= STEP_MIN_MS);
    if let Some(moved) = moved {
        for incident in incidents::all_live_incidents(&tx)? {
            incidents::write_incident(&tx, &shift_deadlines(incident, moved))?;
        }
        let sql = "UPDATE outbox SET next_at_ms = next_at_ms + ?1, created_at_ms = created_at_ms + ?1, \
                   lease_until_ms = lease_until_ms + ?1 WHERE state IN ('due', 'leased')";
        tx.execute(sql, [moved])?;
        tx.execute("UPDATE pages SET at_ms = at_ms + ?1", [moved])?;
    }
    let sql = "INSERT INTO clock (one, boot, since_boot_ms, utc_ms) VALUES (1, ?1, ?2, ?3) \
               ON CONFLICT (one) DO UPDATE SET boot = excluded.boot, since_boot_ms = excluded.since_boot_ms, utc_ms = excluded.utc_ms";
    tx.execute(sql, params![now.boot, u64_to_sql(now.since_boot_ms), u64_to_sql(now.utc_ms)])?;
    tx.commit()?;
    Ok(moved)
}

/// Returns the moment that the sending process of this store recorded.
pub(super) fn last_moment(db: &Connection) -> Result<Option<Moment>> {
    let sql = "SELECT boot, since_boot_ms, utc_ms FROM clock";
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Moment { boot: row.get(0)?, since_boot_ms: sql_to_u64(row.get(1)?), utc_ms: sql_to_u64(row.get(2)?) })
    };
    Ok(db.query_row(sql, [], read).optional()?)
}

/// Returns the newest time that was stored.
fn newest_recorded_time(db: &Connection, noted: &Moment) -> Result<u64> {
    let sql = "SELECT max(coalesce((SELECT created_at_ms FROM outbox ORDER BY seq DESC LIMIT 1), 0), \
               coalesce((SELECT at_ms FROM attempts ORDER BY seq DESC LIMIT 1), 0))";
    let written = db.query_row(sql, [], |row| row.get::<_, i64>(0)).map(sql_to_u64)?;
    Ok(written.max(noted.utc_ms))
}

fn shift_deadlines(mut incident: Incident, by_ms: i64) -> Incident {
    let shift = |at: &mut Option<u64>| {
        if let Some(at) = at {
            *at = at.saturating_add_signed(by_ms);
        }
    };
    incident.state.shift_deadlines(by_ms);
    if let Some(next) = &mut incident.page.next {
        next.at = next.at.saturating_add_signed(by_ms);
    }
    if let Some(blindness) = incident.origin.outage_mut() {
        shift(&mut blindness.over);
        shift(&mut blindness.resumes);
    }
    shift(&mut incident.coverage.tried_ms);
    if let Some(storm) = incident.origin.storm_mut() {
        storm.last_ms = storm.last_ms.saturating_add_signed(by_ms);
        storm.told_ms = storm.told_ms.saturating_add_signed(by_ms);
    }
    incident
}

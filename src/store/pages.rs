//! Outcomes of an incident's pages, and a store that sends no messages.

use super::Result;
use super::chain::sql_to_u64;
use crate::model::IncidentId;
use rusqlite::{Connection, params};

/// Number of pages of an incident that wake people, by outcome. Pages sent long ago are deleted and not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pages {
    /// Accepted by their destination.
    pub sent: u64,
    /// Due, or in flight.
    pub waiting: u64,
    /// Given up, or never to be sent.
    pub failed: u64,
}

pub(super) fn pages_of_incident(db: &Connection, incident: &IncidentId) -> Result<Pages> {
    let sql = "SELECT coalesce(sum(state = 'sent'), 0), coalesce(sum(state IN ('due', 'leased')), 0), \
               coalesce(sum(state IN ('dead', 'superseded')), 0) FROM outbox WHERE incident = ?1 AND kind = 'trigger'";
    let pages = db.prepare_cached(sql)?.query_row(params![incident.as_str()], |row| {
        Ok(Pages { sent: sql_to_u64(row.get(0)?), waiting: sql_to_u64(row.get(1)?), failed: sql_to_u64(row.get(2)?) })
    });
    Ok(pages?)
}

/// Marks every waiting message of the store as never to be sent.
pub(super) fn silence_outbox(db: &mut Connection) -> Result<()> {
    let sql = "UPDATE outbox SET state = 'superseded', place = 0, lease_until_ms = NULL, done_at_ms = created_at_ms \
               WHERE state IN ('due', 'leased')";
    db.execute(sql, [])?;
    Ok(())
}

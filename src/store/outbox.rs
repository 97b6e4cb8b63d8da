//! Messages between commit and destination: due, leased to a worker, sent, superseded, or dead. For their order, see
//! `lanes`.

use super::chain::{sql_to_u64, u64_to_sql};
use super::incidents::{decode_body, encode_body};
use super::lanes::{self, Lanes};
use super::{Result, StoreError, commit, unseen};
use crate::model::incident::{ChangeSet, Delivery, DeliveryKind, Incident, OpenState};
use crate::model::{DeliveryKey, IncidentId, Severity};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::BTreeMap;

/// Maximum number of bytes of an error that are kept; a destination's response may have any length.
const ERROR_BYTES_MAX: usize = 1000;

/// A message that a worker may send now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leased {
    /// Message to send, with its destination.
    pub delivery: Delivery,
    /// Number of this attempt, from 1.
    pub attempt: u32,
    /// Time when the message was written, wall-clock milliseconds.
    pub created_at_ms: u64,
}

/// A message that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Message that could not be sent, with its destination.
    pub delivery: Delivery,
    /// Number of attempts.
    pub attempts: u32,
    /// Time when the message was written, wall-clock milliseconds.
    pub created_at_ms: u64,
    /// Last error.
    pub error: String,
}

/// A message that has not arrived yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsent {
    /// Destination of the message.
    pub destination: String,
    /// True for a message that was given up, false for one still to be tried.
    pub dead: bool,
    /// Error of the last attempt; `None` before the first attempt has ended.
    pub error: Option<String>,
}

/// Messages still to be sent, and dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unfinished {
    /// Waiting messages and messages in flight, by destination.
    pub waiting: BTreeMap<String, Waiting>,
    /// Dead letters.
    pub dead: u64,
}

/// Counts of messages, incidents and findings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Waiting messages and messages in flight, by destination.
    pub waiting: BTreeMap<String, Waiting>,
    /// Messages sent and not yet pruned.
    pub sent: u64,
    /// Pages that were no longer needed.
    pub superseded: u64,
    /// Dead letters.
    pub dead: u64,
    /// Incidents open or acknowledged.
    pub incidents_live: u64,
    /// Active findings.
    pub findings_standing: u64,
    /// Findings that a reorg removed and that were not seen again.
    pub findings_retracted: u64,
}

/// Messages that wait for one destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Number of messages.
    pub messages: u64,
    /// Time when the oldest was written, wall-clock milliseconds.
    pub oldest_ms: u64,
}

/// Columns of a message in the order they are read from a row.
pub(super) const COLUMNS: &str = "seq, key, destination, kind, incident, severity, body, lane, attempts, created_at_ms";

/// Drops the pages of an incident that was acknowledged or is closed. Messages in flight are not stopped. An answer
/// that would drop unseen pages is handled before: see [`commit::commit_response`].
pub(super) fn supersede_pages(db: &Connection, incident: &Incident, now_ms: u64) -> Result<()> {
    if !incident.state.is_open() {
        let sql = "UPDATE outbox SET state = 'superseded', place = 0, done_at_ms = ?2 \
                   WHERE incident = ?1 AND kind = 'trigger' AND state IN ('due', 'leased') AND state = 'due' \
                   RETURNING destination, lane";
        let lanes = lanes::lanes_of(db, sql, params![incident.id.as_str(), u64_to_sql(now_ms)])?;
        lanes::move_all_up(db, &lanes, now_ms)?;
    }
    Ok(())
}

pub(super) fn end_leases(db: &Connection, now_ms: u64) -> Result<usize> {
    Ok(db.execute("UPDATE outbox SET lease_until_ms = ?1 WHERE place = 3", [u64_to_sql(now_ms)])?)
}

pub(super) fn mark_sent(db: &mut Connection, keys: &[DeliveryKey], now_ms: u64) -> Result<()> {
    let tx = commit::begin_immediate(db)?;
    // An accepted message counts as sent whatever happened to it meanwhile: its page may have been superseded in
    // flight, or leased again after a pause.
    let sql = "UPDATE outbox SET state = 'sent', place = 0, done_at_ms = ?2, lease_until_ms = NULL, last_error = NULL \
               WHERE key = ?1 RETURNING destination, lane";
    let mut left = Lanes::new();
    for key in keys {
        log_attempt(&tx, key, now_ms, "sent", None)?;
        left.extend(lanes::lanes_of(&tx, sql, params![key.as_str(), u64_to_sql(now_ms)])?);
    }
    lanes::move_all_up(&tx, &left, now_ms)?;
    tx.commit()?;
    Ok(())
}

pub(super) fn schedule_retry(
    db: &mut Connection,
    key: &DeliveryKey,
    now_ms: u64,
    next_at_ms: u64,
    error: &str,
) -> Result<()> {
    let tx = commit::begin_immediate(db)?;
    let error = truncate_error(error);
    log_attempt(&tx, key, now_ms, "retry", Some(error))?;
    let leased = "SELECT seq FROM outbox WHERE key = ?1 AND state = 'leased'";
    let leased: Option<i64> = tx.prepare_cached(leased)?.query_row([key.as_str()], |row| row.get(0)).optional()?;
    if let Some(seq) = leased {
        let sql = "UPDATE outbox SET last_error = ?2 WHERE seq = ?1";
        tx.prepare_cached(sql)?.execute(params![seq, error])?;
        // A responder may have answered the incident meanwhile.
        if unseen::hold_for_retry(&tx, seq, now_ms)? {
            let sql = "UPDATE outbox SET lease_until_ms = NULL, next_at_ms = ?2, place = 0, state = 'due' \
                       WHERE seq = ?1 RETURNING destination, lane";
            let left = lanes::lanes_of(&tx, sql, params![seq, u64_to_sql(next_at_ms)])?;
            lanes::move_all_up(&tx, &left, now_ms)?;
        } else {
            lanes::drop_page(&tx, seq, now_ms)?;
        }
    }
    tx.commit()?;
    Ok(())
}

/// Releases messages that were leased and not tried, since an earlier message of their lane was not accepted.
pub(super) fn release_leases(db: &mut Connection, keys: &[DeliveryKey], now_ms: u64) -> Result<()> {
    let tx = commit::begin_immediate(db)?;
    let sql = "UPDATE outbox SET state = 'due', place = 0, lease_until_ms = NULL, attempts = attempts - 1 \
               WHERE key = ?1 AND state = 'leased' RETURNING destination, lane";
    let mut left = Lanes::new();
    for key in keys {
        left.extend(lanes::lanes_of(&tx, sql, [key.as_str()])?);
    }
    lanes::move_all_up(&tx, &left, now_ms)?;
    tx.commit()?;
    Ok(())
}

/// Maximum number of messages deleted at once: a tenth of a second's work, so that a commit does not wait longer.
pub(super) const FORGOTTEN_MAX: usize = 2_000;

/// Deletes messages that were sent or dropped before `before_ms`, the oldest first and at most [`FORGOTTEN_MAX`].
pub(super) fn delete_finished(db: &Connection, before_ms: u64) -> Result<usize> {
    let sql = "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox WHERE state IN ('sent', 'superseded') \
               AND done_at_ms < ?1 ORDER BY done_at_ms LIMIT ?2)";
    let most = i64::try_from(FORGOTTEN_MAX).unwrap_or(i64::MAX);
    Ok(db.prepare_cached(sql)?.execute(params![u64_to_sql(before_ms), most])?)
}

/// Gives a message up, and writes the incident that `engine` creates for it in the same transaction.
pub(super) fn mark_dead_letter<F>(
    db: &mut Connection,
    key: &DeliveryKey,
    now_ms: u64,
    error: &str,
    engine: F,
) -> Result<ChangeSet>
where
    F: FnOnce(&Delivery, &OpenState) -> ChangeSet,
{
    let tx = commit::begin_immediate(db)?;
    let error = truncate_error(error);
    let sql = format!("SELECT {COLUMNS} FROM outbox WHERE key = ?1 AND state IN ('due', 'leased')");
    let row =
        tx.prepare_cached(&sql)?.query_row([key.as_str()], |row| Ok(leased_from_row(row))).optional()?.transpose()?;
    let Some((seq, letter)) = row else { return Ok(ChangeSet::default()) };
    log_attempt(&tx, key, now_ms, "dead", Some(error))?;
    let sql = "UPDATE outbox SET state = 'dead', place = 0, done_at_ms = ?2, lease_until_ms = NULL, last_error = ?3 WHERE key = ?1";
    tx.prepare_cached(sql)?.execute(params![key.as_str(), u64_to_sql(now_ms), error])?;
    lanes::move_up(&tx, &letter.delivery.destination, &letter.delivery.lane, now_ms)?;
    let plan = engine(&letter.delivery, &commit::load_open_state(&tx, now_ms)?);
    commit::write_plan(&tx, &plan, now_ms)?;
    if let Some(incident) = letter.delivery.incident.as_ref().filter(|_| letter.delivery.kind == DeliveryKind::Trigger)
    {
        unseen::hold_for_retry(&tx, seq, now_ms)?;
        unseen::clear_coverage(&tx, incident, &letter.delivery.body)?;
    }
    tx.commit()?;
    Ok(plan)
}

pub(super) fn revive_dead_letter(db: &mut Connection, key: &DeliveryKey, now_ms: u64) -> Result<bool> {
    let tx = commit::begin_immediate(db)?;
    let sql = "UPDATE outbox SET state = 'due', place = 0, next_at_ms = ?2, done_at_ms = NULL \
               WHERE key = ?1 AND state = 'dead' RETURNING destination, lane";
    let lanes = lanes::lanes_of(&tx, sql, params![key.as_str(), u64_to_sql(now_ms)])?;
    for (destination, lane) in &lanes {
        lanes::put_back(&tx, destination, lane, now_ms)?;
    }
    tx.commit()?;
    Ok(!lanes.is_empty())
}

pub(super) fn dead_letters(db: &mut Connection) -> Result<Vec<DeadLetter>> {
    let sql = format!("SELECT {COLUMNS}, coalesce(last_error, '') FROM outbox WHERE state = 'dead' ORDER BY seq");
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map([], |row| Ok((leased_from_row(row), row.get::<_, String>(10)?)))?;
    rows.map(|row| {
        let (letter, error) = row?;
        let (_, letter) = letter?;
        let attempts = letter.attempt - 1;
        Ok(DeadLetter { delivery: letter.delivery, attempts, created_at_ms: letter.created_at_ms, error })
    })
    .collect()
}

pub(super) fn unsent_messages(db: &Connection, keys: &[DeliveryKey]) -> Result<Vec<Unsent>> {
    let sql = "SELECT destination, state = 'dead', last_error FROM outbox \
               WHERE key IN (SELECT value FROM json_each(?1)) AND state IN ('due', 'leased', 'dead') ORDER BY seq";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map([encode_body("outbox", &keys)?], |row| {
        Ok(Unsent { destination: row.get(0)?, dead: row.get(1)?, error: row.get(2)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn store_counts(db: &mut Connection) -> Result<Counts> {
    let one = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).map(sql_to_u64);
    Ok(Counts {
        sent: one("SELECT count(*) FROM outbox WHERE state = 'sent'")?,
        superseded: one("SELECT count(*) FROM outbox WHERE state = 'superseded'")?,
        dead: one("SELECT coalesce(sum(messages), 0) FROM tallies WHERE dead = 1")?,
        incidents_live: one("SELECT count(*) FROM incidents WHERE live = 1")?,
        findings_standing: one("SELECT count(*) FROM findings WHERE orphaned = 0")?,
        findings_retracted: one("SELECT count(*) FROM findings WHERE orphaned = 1")?,
        waiting: waiting_by_destination(db)?,
    })
}

/// Reads the waiting messages and the number of dead letters, as tallied in the file.
pub(super) fn unfinished_messages(db: &mut Connection) -> Result<Unfinished> {
    let dead = "SELECT coalesce(sum(messages), 0) FROM tallies WHERE dead = 1";
    let dead = db.prepare_cached(dead)?.query_row([], |row| row.get::<_, i64>(0)).map(sql_to_u64)?;
    Ok(Unfinished { waiting: waiting_by_destination(db)?, dead })
}

fn waiting_by_destination(db: &Connection) -> Result<BTreeMap<String, Waiting>> {
    let sql = "SELECT destination, sum(messages), (SELECT created_at_ms FROM outbox WHERE state IN ('due', 'leased') \
                   AND destination = tallies.destination ORDER BY seq LIMIT 1) AS oldest \
               FROM tallies WHERE dead = 0 AND messages > 0 GROUP BY destination";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| {
        let oldest_ms = row.get::<_, Option<i64>>(2)?.map_or(0, sql_to_u64);
        Ok((row.get(0)?, Waiting { messages: sql_to_u64(row.get(1)?), oldest_ms }))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn log_attempt(db: &Connection, key: &DeliveryKey, now_ms: u64, outcome: &str, error: Option<&str>) -> Result<()> {
    let sql = "INSERT INTO attempts (message, attempt, at_ms, outcome, error) \
               SELECT seq, attempts, ?2, ?3, ?4 FROM outbox WHERE key = ?1";
    db.prepare_cached(sql)?.execute(params![key.as_str(), u64_to_sql(now_ms), outcome, error])?;
    Ok(())
}

/// Parses a row of [`COLUMNS`]; the attempt is the next one.
pub(super) fn leased_from_row(row: &Row<'_>) -> Result<(i64, Leased)> {
    let kind: String = row.get(3)?;
    let severity: u8 = row.get(5)?;
    let damaged = |what: &str| StoreError::Damaged { table: "outbox", why: what.to_owned() };
    let delivery = Delivery {
        key: DeliveryKey(row.get(1)?),
        destination: row.get(2)?,
        kind: kind_of(&kind).ok_or_else(|| damaged("no such kind"))?,
        incident: row.get::<_, Option<String>>(4)?.map(IncidentId),
        severity: *Severity::ALL.get(usize::from(severity)).ok_or_else(|| damaged("no such severity"))?,
        body: decode_body("outbox", &row.get::<_, String>(6)?)?,
        lane: row.get(7)?,
    };
    Ok((row.get(0)?, Leased { delivery, attempt: row.get::<_, u32>(8)? + 1, created_at_ms: sql_to_u64(row.get(9)?) }))
}

fn kind_of(word: &str) -> Option<DeliveryKind> {
    use DeliveryKind::{Acknowledge, Feed, Resolve, Retract, Trigger, Update};
    [Trigger, Update, Acknowledge, Resolve, Retract, Feed].into_iter().find(|kind| kind.as_str() == word)
}

fn truncate_error(error: &str) -> &str {
    &error[..error.floor_char_boundary(ERROR_BYTES_MAX)]
}

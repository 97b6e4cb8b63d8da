//! Messages between commit and destination: due, leased to a worker, sent, superseded, or dead.

use super::chain::{int, uint};
use super::incidents::{read, write};
use super::{Result, StoreError, commit, incidents};
use crate::model::incident::{Delivery, DeliveryKind, Incident, Plan, State};
use crate::model::{DeliveryKey, IncidentId, Severity};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::BTreeMap;

/// Bytes of an error that are kept; a destination's answer may be of any length.
const ERROR_BYTES_MAX: usize = 1000;

/// A message that a worker may send now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leased {
    /// What to send, where.
    pub delivery: Delivery,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// When it was written, wall-clock milliseconds.
    pub created_at_ms: u64,
}

/// A message that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// What could not be sent, where.
    pub delivery: Delivery,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was written, wall-clock milliseconds.
    pub created_at_ms: u64,
    /// The last refusal.
    pub error: String,
}

/// A message that has not arrived so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsent {
    /// Where it should go.
    pub destination: String,
    /// Given up, or still to be tried.
    pub dead: bool,
    /// What went wrong last; `None` before the first attempt has ended.
    pub error: Option<String>,
}

/// What is still to be sent, and what never was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unfinished {
    /// Messages that wait for their time, or are being sent, by destination.
    pub waiting: BTreeMap<String, Waiting>,
    /// Dead letters.
    pub dead: u64,
}

/// How much of everything there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that wait for their time, or are being sent, by destination.
    pub waiting: BTreeMap<String, Waiting>,
    /// Messages sent and not yet pruned.
    pub sent: u64,
    /// Pages nobody needed any more.
    pub superseded: u64,
    /// Dead letters.
    pub dead: u64,
    /// Incidents open or acknowledged.
    pub incidents_live: u64,
    /// Findings that stand.
    pub findings_standing: u64,
    /// Findings a reorg took away, not seen again.
    pub findings_retracted: u64,
}

/// What waits for one destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many messages.
    pub messages: u64,
    /// When the oldest was written, wall-clock milliseconds.
    pub oldest_ms: u64,
}

/// Columns of a message in the order they are read from a row.
const COLUMNS: &str = "seq, key, destination, kind, incident, severity, body, lane, attempts, created_at_ms";

/// The first waiting message of each lane to one of the destinations in `?2`: nothing else may be leased.
///
/// It steps from lane to lane through the index instead of reading every row that waits, so that draining a feed of ten
/// thousand lines in one lane looks at ten thousand rows and not at fifty million.
const HEADS: &str = "WITH RECURSIVE lanes (destination, lane) AS ( \
        SELECT asked.value, (SELECT min(lane) FROM outbox \
            WHERE state IN ('due', 'leased') AND destination = asked.value) FROM json_each(?2) asked \
        UNION SELECT lanes.destination, (SELECT min(o.lane) FROM outbox o WHERE o.state IN ('due', 'leased') \
            AND o.destination = lanes.destination AND o.lane > lanes.lane) FROM lanes WHERE lanes.lane IS NOT NULL \
    ), heads (head) AS ( \
        SELECT (SELECT min(o.seq) FROM outbox o WHERE o.state IN ('due', 'leased') \
            AND o.destination = lanes.destination AND o.lane = lanes.lane) FROM lanes WHERE lanes.lane IS NOT NULL \
    )";

/// Writes a message. One with the same key was written before and says the same.
pub(super) fn add(db: &Connection, delivery: &Delivery, now_ms: u64) -> Result<()> {
    let sql = "INSERT INTO outbox (key, destination, lane, kind, incident, severity, body, next_at_ms, created_at_ms) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8) ON CONFLICT (key) DO NOTHING";
    db.prepare_cached(sql)?.execute(params![
        delivery.key.as_str(),
        delivery.destination,
        delivery.lane,
        delivery.kind.as_str(),
        delivery.incident.as_ref().map(IncidentId::as_str),
        delivery.severity as u8,
        write("outbox", &delivery.body)?,
        int(now_ms)
    ])?;
    Ok(())
}

/// Drops pages of an incident that somebody has taken, or that is over. What is being sent at this moment goes out.
pub(super) fn supersede(db: &Connection, incident: &Incident, now_ms: u64) -> Result<()> {
    if incident.state != State::Open {
        let sql = "UPDATE outbox SET state = 'superseded', done_at_ms = ?2 \
                   WHERE incident = ?1 AND kind = 'trigger' AND state IN ('due', 'leased') AND state = 'due'";
        db.prepare_cached(sql)?.execute(params![incident.id.as_str(), int(now_ms)])?;
    }
    Ok(())
}

pub(super) fn lease(
    db: &mut Connection,
    now_ms: u64,
    n: usize,
    lease_for_ms: u64,
    destinations: &[String],
) -> Result<Vec<Leased>> {
    let tx = commit::begin(db)?;
    let destinations = write("outbox", &destinations)?;
    // A worker died with these in hand, and meanwhile somebody took the incident.
    tx.prepare_cached(
        "UPDATE outbox SET state = 'superseded', done_at_ms = ?1, lease_until_ms = NULL \
         WHERE state IN ('due', 'leased') AND state = 'leased' AND lease_until_ms <= ?1 AND kind = 'trigger' \
         AND EXISTS (SELECT 1 FROM incidents i WHERE i.id = outbox.incident AND i.state <> 'open')",
    )?
    .execute([int(now_ms)])?;
    let sql = lease_sql();
    let rows: Vec<(i64, Leased)> = {
        let mut statement = tx.prepare_cached(&sql)?;
        let limit = i64::try_from(n).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![int(now_ms), destinations, limit], |row| Ok(leased(row)))?;
        rows.map(|row| row?).collect::<Result<_>>()?
    };
    let sql = "UPDATE outbox SET state = 'leased', lease_until_ms = ?2, attempts = attempts + 1 WHERE seq = ?1";
    for (seq, _) in &rows {
        tx.prepare_cached(sql)?.execute(params![seq, int(now_ms.saturating_add(lease_for_ms))])?;
    }
    tx.commit()?;
    Ok(rows.into_iter().map(|(_, leased)| leased).collect())
}

pub(super) fn end_leases(db: &Connection, now_ms: u64) -> Result<usize> {
    Ok(db.execute("UPDATE outbox SET lease_until_ms = ?1 WHERE state = 'leased'", [int(now_ms)])?)
}

pub(super) fn sent(db: &mut Connection, key: &DeliveryKey, now_ms: u64) -> Result<()> {
    let tx = commit::begin(db)?;
    log(&tx, key, now_ms, "sent", None)?;
    // Whatever became of it meanwhile, it was accepted: a page superseded while on the wire, or leased anew after a pause.
    tx.prepare_cached(
        "UPDATE outbox SET state = 'sent', done_at_ms = ?2, lease_until_ms = NULL, last_error = NULL WHERE key = ?1",
    )?
    .execute(params![key.as_str(), int(now_ms)])?;
    tx.commit()?;
    Ok(())
}

pub(super) fn retry(db: &mut Connection, key: &DeliveryKey, now_ms: u64, next_at_ms: u64, error: &str) -> Result<()> {
    let tx = commit::begin(db)?;
    let error = cut(error);
    log(&tx, key, now_ms, "retry", Some(error))?;
    tx.prepare_cached(
        "UPDATE outbox SET last_error = ?4, lease_until_ms = NULL, next_at_ms = ?3, \
         state = CASE WHEN kind = 'trigger' AND EXISTS \
             (SELECT 1 FROM incidents i WHERE i.id = outbox.incident AND i.state <> 'open') \
             THEN 'superseded' ELSE 'due' END, \
         done_at_ms = ?2 WHERE key = ?1 AND state = 'leased'",
    )?
    .execute(params![key.as_str(), int(now_ms), int(next_at_ms), error])?;
    tx.commit()?;
    Ok(())
}

/// Gives a message up, and writes the incident that `engine` makes of it in the same transaction.
pub(super) fn dead<F>(db: &mut Connection, key: &DeliveryKey, now_ms: u64, error: &str, engine: F) -> Result<Plan>
where
    F: FnOnce(&Delivery, &[Incident]) -> Plan,
{
    let tx = commit::begin(db)?;
    let error = cut(error);
    let sql = format!("SELECT {COLUMNS} FROM outbox WHERE key = ?1 AND state IN ('due', 'leased')");
    let row = tx.prepare_cached(&sql)?.query_row([key.as_str()], |row| Ok(leased(row))).optional()?.transpose()?;
    let Some((_, letter)) = row else { return Ok(Plan::default()) };
    log(&tx, key, now_ms, "dead", Some(error))?;
    tx.prepare_cached(
        "UPDATE outbox SET state = 'dead', done_at_ms = ?2, lease_until_ms = NULL, last_error = ?3 WHERE key = ?1",
    )?
    .execute(params![key.as_str(), int(now_ms), error])?;
    let plan = engine(&letter.delivery, &incidents::live(&tx, None)?);
    commit::write(&tx, &plan, now_ms)?;
    tx.commit()?;
    Ok(plan)
}

pub(super) fn revive(db: &mut Connection, key: &DeliveryKey, now_ms: u64) -> Result<bool> {
    let sql = "UPDATE outbox SET state = 'due', next_at_ms = ?2, done_at_ms = NULL WHERE key = ?1 AND state = 'dead'";
    Ok(db.execute(sql, params![key.as_str(), int(now_ms)])? > 0)
}

pub(super) fn dead_letters(db: &mut Connection) -> Result<Vec<DeadLetter>> {
    let sql = format!("SELECT {COLUMNS}, coalesce(last_error, '') FROM outbox WHERE state = 'dead' ORDER BY seq");
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map([], |row| Ok((leased(row), row.get::<_, String>(10)?)))?;
    rows.map(|row| {
        let (letter, error) = row?;
        let (_, letter) = letter?;
        let attempts = letter.attempt - 1;
        Ok(DeadLetter { delivery: letter.delivery, attempts, created_at_ms: letter.created_at_ms, error })
    })
    .collect()
}

pub(super) fn unsent(db: &Connection, keys: &[DeliveryKey]) -> Result<Vec<Unsent>> {
    let sql = "SELECT destination, state = 'dead', last_error FROM outbox \
               WHERE key IN (SELECT value FROM json_each(?1)) AND state IN ('due', 'leased', 'dead') ORDER BY seq";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map([write("outbox", &keys)?], |row| {
        Ok(Unsent { destination: row.get(0)?, dead: row.get(1)?, error: row.get(2)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn counts(db: &mut Connection) -> Result<Counts> {
    let one = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).map(uint);
    Ok(Counts {
        sent: one("SELECT count(*) FROM outbox WHERE state = 'sent'")?,
        superseded: one("SELECT count(*) FROM outbox WHERE state = 'superseded'")?,
        dead: one("SELECT count(*) FROM outbox WHERE state = 'dead'")?,
        incidents_live: one("SELECT count(*) FROM incidents WHERE live = 1")?,
        findings_standing: one("SELECT count(*) FROM findings WHERE orphaned = 0")?,
        findings_retracted: one("SELECT count(*) FROM findings WHERE orphaned = 1")?,
        waiting: waiting(db)?,
    })
}

/// What waits, and how many messages were given up; by indexes that hold nothing else.
pub(super) fn unfinished(db: &mut Connection) -> Result<Unfinished> {
    let dead = "SELECT count(*) FROM outbox WHERE state = 'dead'";
    let dead = db.prepare_cached(dead)?.query_row([], |row| row.get::<_, i64>(0)).map(uint)?;
    Ok(Unfinished { waiting: waiting(db)?, dead })
}

fn waiting(db: &Connection) -> Result<BTreeMap<String, Waiting>> {
    let sql = "SELECT destination, count(*), min(created_at_ms) FROM outbox WHERE state IN ('due', 'leased') \
               GROUP BY destination";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| {
        Ok((row.get(0)?, Waiting { messages: uint(row.get(1)?), oldest_ms: uint(row.get(2)?) }))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn next_due(db: &mut Connection, destinations: &[String]) -> Result<Option<u64>> {
    let asked = params![0, write("outbox", &destinations)?];
    let next: Option<i64> = db.prepare_cached(&next_due_sql())?.query_row(asked, |row| row.get(0))?;
    Ok(next.map(uint))
}

fn log(db: &Connection, key: &DeliveryKey, now_ms: u64, outcome: &str, error: Option<&str>) -> Result<()> {
    let sql = "INSERT INTO attempts (message, attempt, at_ms, outcome, error) \
               SELECT seq, attempts, ?2, ?3, ?4 FROM outbox WHERE key = ?1";
    db.prepare_cached(sql)?.execute(params![key.as_str(), int(now_ms), outcome, error])?;
    Ok(())
}

fn lease_sql() -> String {
    format!(
        "{HEADS} SELECT {COLUMNS} FROM heads JOIN outbox ON seq = head \
         WHERE (state = 'due' AND next_at_ms <= ?1) OR (state = 'leased' AND lease_until_ms <= ?1) \
         ORDER BY kind = 'feed', severity DESC, seq LIMIT ?3"
    )
}

fn next_due_sql() -> String {
    format!(
        "{HEADS} SELECT min(CASE state WHEN 'due' THEN next_at_ms ELSE lease_until_ms END) \
         FROM heads JOIN outbox ON seq = head WHERE ?1 = ?1"
    )
}

/// A row of [`COLUMNS`], with the attempt that would come next.
fn leased(row: &Row<'_>) -> Result<(i64, Leased)> {
    let kind: String = row.get(3)?;
    let severity: u8 = row.get(5)?;
    let damaged = |what: &str| StoreError::Damaged { table: "outbox", why: what.to_owned() };
    let delivery = Delivery {
        key: DeliveryKey(row.get(1)?),
        destination: row.get(2)?,
        kind: kind_of(&kind).ok_or_else(|| damaged("no such kind"))?,
        incident: row.get::<_, Option<String>>(4)?.map(IncidentId),
        severity: *Severity::ALL.get(usize::from(severity)).ok_or_else(|| damaged("no such severity"))?,
        body: read("outbox", &row.get::<_, String>(6)?)?,
        lane: row.get(7)?,
    };
    Ok((row.get(0)?, Leased { delivery, attempt: row.get::<_, u32>(8)? + 1, created_at_ms: uint(row.get(9)?) }))
}

fn kind_of(word: &str) -> Option<DeliveryKind> {
    use DeliveryKind::{Acknowledge, Feed, Resolve, Retract, Trigger, Update};
    [Trigger, Update, Acknowledge, Resolve, Retract, Feed].into_iter().find(|kind| kind.as_str() == word)
}

fn cut(error: &str) -> &str {
    &error[..error.floor_char_boundary(ERROR_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_for_work_never_reads_through_the_outbox() {
        let db = super::super::schema::open_in_memory().unwrap();
        for sql in [lease_sql(), next_due_sql()] {
            let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let n = statement.parameter_count();
            let params = rusqlite::params_from_iter([0, 0, 0].into_iter().take(n));
            let steps: Vec<String> =
                statement.query_map(params, |row| row.get(3)).unwrap().map(Result::unwrap).collect();
            assert!(steps.iter().any(|step| step.contains("outbox_waiting (destination=? AND lane=?)")), "{steps:#?}");
            assert!(!steps.iter().any(|step| step.contains("SCAN o")), "{steps:#?}");
        }
    }
}

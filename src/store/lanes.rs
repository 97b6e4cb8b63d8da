//! Order of the outbox: selects the next message in a time that does not depend on the number of waiting messages.
//!
//! Each message is in the lane of its incident or watch at its destination, and only the first message of a lane may
//! leave, so that related messages keep their order. Among the first messages of all lanes, the most urgent leaves
//! first. `place` holds the position of each row; every function here that takes a row out of a lane moves the next one
//! up in the same transaction.

use super::chain::{sql_to_u64, u64_to_sql};
use super::outbox::{COLUMNS, Leased, leased_from_row};
use super::{Result, commit, gaps, unseen};
use crate::model::incident::{Budget, Delivery, DeliveryKind, Urgency};
use crate::model::{IncidentId, Severity};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeSet;

/// Capacity of a worker at one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRequest {
    /// Name of the destination.
    pub destination: String,
    /// Kind of message.
    pub budget: Budget,
    /// Maximum number of lanes that may send at once.
    pub lanes: usize,
    /// Maximum number of consecutive messages of one lane.
    pub in_a_row: usize,
}

/// Messages that may be sent now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeasedRow {
    /// Messages of one lane in sending order, for each [`LeaseRequest`] by its index.
    pub rows: Vec<(usize, Vec<Leased>)>,
    /// Time at which the next message that there is room for falls due, or a lease expires: wall-clock milliseconds,
    /// possibly past.
    pub next_ms: Option<u64>,
}

/// Lanes from which a message left, by destination.
pub(super) type Lanes = BTreeSet<(String, String)>;

/// Number of a budget in the file.
fn budget_number(budget: Budget) -> i64 {
    match budget {
        Budget::Pages => 0,
        Budget::Own => 1,
        Budget::Feed => 2,
    }
}

/// Returns the priority of a message within its budget: urgency first, then severity. All lines of the feed have the
/// same priority and leave by age.
fn message_priority(delivery: &Delivery) -> i64 {
    let by_urgency = match delivery.urgency() {
        Urgency::FirstPage => 0,
        Urgency::NextPage => 4,
        Urgency::Retraction => 8,
        Urgency::Rest => 12,
        Urgency::Line => return 16,
    };
    by_urgency + (Severity::Critical as i64 - delivery.severity as i64)
}

/// Appends a message to its lane. A message with the same key was written before and has the same content.
///
/// A waiting update is replaced by the next update or page of the same incident, which shows the whole incident again
/// and inherits the update's urgency. Messages in front of a more urgent message of their lane become as urgent, since
/// they have to leave first.
pub(super) fn enqueue_message(db: &Connection, delivery: &Delivery, now_ms: u64) -> Result<()> {
    if delivery.budget() == Budget::Feed && !gaps::has_room(db, delivery, now_ms)? {
        return Ok(());
    }
    let Some(seq) = insert_message(db, delivery, &delivery.lane, now_ms)? else { return Ok(()) };
    let (destination, lane) = (&delivery.destination, &delivery.lane);
    if delivery.budget() != Budget::Feed {
        let replaces = matches!(delivery.kind, DeliveryKind::Update | DeliveryKind::Trigger);
        let sql = "UPDATE outbox SET state = 'superseded', place = 0, done_at_ms = ?4 \
                   WHERE state IN ('due', 'leased') AND destination = ?1 AND lane = ?2 AND seq < ?3 \
                   AND state = 'due' AND kind = 'update' RETURNING prio";
        let mut prio = message_priority(delivery);
        if replaces {
            let mut statement = db.prepare_cached(sql)?;
            let replaced =
                statement.query_map(params![destination, lane, seq, u64_to_sql(now_ms)], |row| row.get(0))?;
            prio = replaced.collect::<rusqlite::Result<Vec<i64>>>()?.into_iter().fold(prio, i64::min);
        }
        let sql = "UPDATE outbox SET prio = ?3 WHERE state IN ('due', 'leased') AND destination = ?1 AND lane = ?2 AND prio > ?3";
        db.prepare_cached(sql)?.execute(params![destination, lane, prio])?;
    }
    move_up(db, destination, lane, now_ms)
}

/// Inserts the row, and returns its position in the file; `None` when the key exists already.
pub(super) fn insert_message(db: &Connection, delivery: &Delivery, lane: &str, now_ms: u64) -> Result<Option<i64>> {
    let sql = "INSERT INTO outbox \
               (key, destination, lane, kind, incident, severity, body, next_at_ms, created_at_ms, budget, prio) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?10) ON CONFLICT (key) DO NOTHING";
    let written = db.prepare_cached(sql)?.execute(params![
        delivery.key.as_str(),
        delivery.destination,
        lane,
        delivery.kind.as_str(),
        delivery.incident.as_ref().map(IncidentId::as_str),
        delivery.severity as u8,
        super::incidents::encode_body("outbox", &delivery.body)?,
        u64_to_sql(now_ms),
        budget_number(delivery.budget()),
        message_priority(delivery)
    ])?;
    Ok((written > 0).then(|| db.last_insert_rowid()))
}

/// Makes the first message of a lane available for leasing, unless it is available or leased already.
pub(super) fn move_up(db: &Connection, destination: &str, lane: &str, now_ms: u64) -> Result<()> {
    let sql = "UPDATE outbox SET place = CASE WHEN next_at_ms <= ?3 THEN 2 ELSE 1 END WHERE place = 0 AND state = 'due' AND seq = \
               (SELECT min(seq) FROM outbox WHERE state IN ('due', 'leased') AND destination = ?1 AND lane = ?2)";
    db.prepare_cached(sql)?.execute(params![destination, lane, u64_to_sql(now_ms)])?;
    Ok(())
}

/// Does the same as [`move_up`] in every lane from which a message left.
pub(super) fn move_all_up(db: &Connection, lanes: &Lanes, now_ms: u64) -> Result<()> {
    lanes.iter().try_for_each(|(destination, lane)| move_up(db, destination, lane, now_ms))
}

/// Puts a revived dead letter back to its old position, in front of messages that were written after it.
pub(super) fn put_back(db: &Connection, destination: &str, lane: &str, now_ms: u64) -> Result<()> {
    let sql = "UPDATE outbox SET place = 0 WHERE state IN ('due', 'leased') AND destination = ?1 AND lane = ?2 AND place IN (1, 2)";
    db.prepare_cached(sql)?.execute(params![destination, lane])?;
    move_up(db, destination, lane, now_ms)
}

/// Leases messages that may be sent now, as far as there is room for them.
pub(super) fn lease_due(
    db: &mut Connection,
    now_ms: u64,
    lease_for_ms: &[u64],
    asks: &[LeaseRequest],
) -> Result<LeasedRow> {
    let tx = commit::begin_immediate(db)?;
    let mut out = LeasedRow::default();
    for destination in asks.iter().map(|ask| &ask.destination).collect::<BTreeSet<_>>() {
        ready_due_messages(&tx, destination, now_ms)?;
    }
    for ((at, ask), lease_for_ms) in asks.iter().enumerate().zip(lease_for_ms) {
        let until_ms = now_ms.saturating_add(*lease_for_ms);
        let firsts = ready_lanes(&tx, &ask.destination, ask.budget, ask.lanes)?;
        let full = firsts.len() >= ask.lanes;
        for first in firsts {
            out.rows.push((at, lease_lane(&tx, first, ask.in_a_row, until_ms, now_ms)?));
        }
        if !full {
            let next = next_due_at(&tx, &ask.destination)?;
            out.next_ms = out.next_ms.into_iter().chain(next).min();
        }
    }
    tx.commit()?;
    Ok(out)
}

/// Leases at most `n` messages of any budget, most urgent first, one per lane.
pub(super) fn lease_any_budget(
    db: &mut Connection,
    now_ms: u64,
    n: usize,
    lease_for_ms: u64,
    destinations: &[String],
) -> Result<Vec<Leased>> {
    let tx = commit::begin_immediate(db)?;
    let mut firsts = Vec::new();
    for destination in destinations {
        ready_due_messages(&tx, destination, now_ms)?;
        for budget in Budget::ALL {
            firsts.extend(ready_lanes(&tx, destination, budget, n)?);
        }
    }
    firsts.sort_by_key(|first| (first.prio, first.seq));
    firsts.truncate(n);
    let until_ms = now_ms.saturating_add(lease_for_ms);
    let mut out = Vec::new();
    for first in firsts {
        out.extend(lease_lane(&tx, first, 1, until_ms, now_ms)?);
    }
    tx.commit()?;
    Ok(out)
}

/// Returns the time at which the next message to one of `destinations` falls due, or its lease expires.
pub(super) fn next_due(db: &Connection, destinations: &[String]) -> Result<Option<u64>> {
    let mut next = None;
    for destination in destinations {
        for budget in Budget::ALL {
            let sql = "SELECT next_at_ms FROM outbox WHERE place = 2 AND destination = ?1 AND budget = ?2 LIMIT 1";
            let ready: Option<i64> = db
                .prepare_cached(sql)?
                .query_row(params![destination, budget_number(budget)], |row| row.get(0))
                .optional()?;
            next = next.into_iter().chain(ready.map(sql_to_u64)).min();
        }
        next = next.into_iter().chain(next_due_at(db, destination)?).min();
    }
    Ok(next)
}

/// The first message of a lane, as it stands in the file.
struct LaneHead {
    seq: i64,
    prio: i64,
    leased: Leased,
}

fn ready_lanes(db: &Connection, destination: &str, budget: Budget, n: usize) -> Result<Vec<LaneHead>> {
    let sql = format!(
        "SELECT {COLUMNS}, prio FROM outbox WHERE place = 2 AND destination = ?1 AND budget = ?2 ORDER BY prio, seq LIMIT ?3"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let n = i64::try_from(n).unwrap_or(i64::MAX);
    let rows = statement
        .query_map(params![destination, budget_number(budget), n], |row| Ok((leased_from_row(row), row.get(10)?)))?;
    rows.map(|row| {
        let (row, prio) = row?;
        let (seq, leased) = row?;
        Ok(LaneHead { seq, prio, leased })
    })
    .collect()
}

/// Leases the first message of a lane and the messages directly behind it, up to `n` in total.
fn lease_lane(db: &Connection, first: LaneHead, n: usize, until_ms: u64, now_ms: u64) -> Result<Vec<Leased>> {
    let mut seqs = vec![first.seq];
    let mut row = vec![first.leased];
    if n > 1 {
        let sql = format!(
            "SELECT {COLUMNS}, state = 'due' AND next_at_ms <= ?4 FROM outbox \
             WHERE state IN ('due', 'leased') AND destination = ?1 AND lane = ?2 AND seq > ?3 ORDER BY seq LIMIT ?5"
        );
        let mut statement = db.prepare_cached(&sql)?;
        let about = &row[0].delivery;
        let more = i64::try_from(n - 1).unwrap_or(i64::MAX);
        let asked = params![about.destination, about.lane, first.seq, u64_to_sql(now_ms), more];
        let behind = statement.query_map(asked, |row| Ok((leased_from_row(row), row.get::<_, bool>(10)?)))?;
        for behind in behind {
            let (behind, may_go) = behind?;
            // A revived dead letter may be in front of messages of its lane that are in flight.
            if !may_go {
                break;
            }
            let (seq, leased) = behind?;
            seqs.push(seq);
            row.push(leased);
        }
    }
    let sql =
        "UPDATE outbox SET state = 'leased', place = 3, lease_until_ms = ?2, attempts = attempts + 1 WHERE seq = ?1";
    for seq in seqs {
        db.prepare_cached(sql)?.execute(params![seq, u64_to_sql(until_ms)])?;
    }
    Ok(row)
}

/// Marks due messages as ready, and returns messages with an expired lease to their lanes.
fn ready_due_messages(db: &Connection, destination: &str, now_ms: u64) -> Result<()> {
    // A responder may have answered the incident meanwhile.
    unseen::hold_lapsed(db, destination, now_ms)?;
    let sql = "UPDATE outbox SET place = 0, lease_until_ms = NULL, state = 'due' \
               WHERE place = 3 AND destination = ?1 AND lease_until_ms <= ?2 RETURNING destination, lane";
    let lanes = lanes_of(db, sql, params![destination, u64_to_sql(now_ms)])?;
    move_all_up(db, &lanes, now_ms)?;
    let sql = "UPDATE outbox SET place = 2 WHERE place = 1 AND destination = ?1 AND next_at_ms <= ?2";
    db.prepare_cached(sql)?.execute(params![destination, u64_to_sql(now_ms)])?;
    Ok(())
}

/// Drops a page that is no longer needed.
pub(super) fn drop_page(db: &Connection, seq: i64, now_ms: u64) -> Result<()> {
    let sql = "UPDATE outbox SET state = 'superseded', place = 0, lease_until_ms = NULL, done_at_ms = ?2 WHERE seq = ?1 \
               RETURNING destination, lane";
    let lanes = lanes_of(db, sql, params![seq, u64_to_sql(now_ms)])?;
    move_all_up(db, &lanes, now_ms)
}

/// Runs `sql`, which changes rows and returns their destination and lane, and collects the lanes.
pub(super) fn lanes_of(db: &Connection, sql: &str, asked: impl rusqlite::Params) -> Result<Lanes> {
    let mut statement = db.prepare_cached(sql)?;
    let lanes = statement.query_map(asked, |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(lanes.collect::<rusqlite::Result<_>>()?)
}

fn next_due_at(db: &Connection, destination: &str) -> Result<Option<u64>> {
    let sql = "SELECT min(at) FROM (SELECT min(next_at_ms) AS at FROM outbox WHERE place = 1 AND destination = ?1 \
               UNION ALL SELECT min(lease_until_ms) FROM outbox WHERE place = 3 AND destination = ?1)";
    let at: Option<i64> = db.prepare_cached(sql)?.query_row([destination], |row| row.get(0))?;
    Ok(at.map(sql_to_u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Query plans of every statement that runs while messages are sent.
    #[test]
    fn looking_for_work_never_reads_through_the_outbox() {
        let db = super::super::schema::open_in_memory().unwrap();
        let statements = [
            (
                "SELECT seq FROM outbox WHERE place = 2 AND destination = ?1 AND budget = ?2 ORDER BY prio, seq LIMIT ?3",
                "outbox_ready",
            ),
            ("UPDATE outbox SET place = 2 WHERE place = 1 AND destination = ?1 AND next_at_ms <= ?2", "outbox_parked"),
            ("SELECT min(next_at_ms) FROM outbox WHERE place = 1 AND destination = ?1", "outbox_parked"),
            ("SELECT min(lease_until_ms) FROM outbox WHERE place = 3 AND destination = ?1", "outbox_leased"),
            ("SELECT seq FROM outbox WHERE place = 3 AND destination = ?1 AND lease_until_ms <= ?2", "outbox_leased"),
            (
                "SELECT min(seq) FROM outbox WHERE state IN ('due', 'leased') AND destination = ?1 AND lane = ?2",
                "outbox_waiting",
            ),
            (
                "SELECT created_at_ms FROM outbox WHERE state IN ('due', 'leased') AND destination = ?1 ORDER BY seq LIMIT 1",
                "outbox_oldest",
            ),
        ];
        for (sql, index) in statements {
            let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let n = statement.parameter_count();
            let params = rusqlite::params_from_iter([0, 0, 0].into_iter().take(n));
            let steps: Vec<String> =
                statement.query_map(params, |row| row.get(3)).unwrap().map(Result::unwrap).collect();
            assert!(steps.iter().any(|step| step.contains(index)), "{sql}: {steps:#?}");
            assert!(
                !steps.iter().any(|step| step.contains("SCAN") || step.contains("TEMP B-TREE")),
                "{sql}: {steps:#?}"
            );
        }
    }
}

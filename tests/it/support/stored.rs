//! What the program wrote down, read by SQL from its file and by nothing of its own.

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// The whole store.
#[derive(Debug)]
pub(crate) struct Stored {
    /// Number, hash and parent, oldest first.
    pub(crate) blocks: Vec<(u64, String, String)>,
    /// Verdict lines and whether a reorg took them away, by block.
    pub(crate) activities: Vec<(bool, Value)>,
    /// What stands in rolling windows: number, hash, watch, rule, amount.
    pub(crate) deltas: Vec<(u64, String, String, String, String)>,
    /// Whole findings by id.
    pub(crate) findings: BTreeMap<String, Value>,
    /// Whole incidents by id.
    pub(crate) incidents: BTreeMap<String, Value>,
    /// Messages by key.
    pub(crate) outbox: BTreeMap<String, Message>,
}

/// One message of the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Place in the order in which messages were written.
    pub(crate) seq: u64,
    pub(crate) destination: String,
    pub(crate) kind: String,
    pub(crate) incident: Option<String>,
    pub(crate) state: String,
    pub(crate) attempts: u64,
}

/// What can be told of a store while its writer stands still.
#[derive(Debug, Default)]
pub(crate) struct Glance {
    /// The writer is inside a transaction.
    pub(crate) writing: bool,
    /// Number of the last committed block.
    pub(crate) cursor: Option<u64>,
    /// Messages a worker may lease now, by destination.
    pub(crate) leasable: BTreeMap<String, u64>,
    /// Leased messages: key, destination, and until when.
    pub(crate) leases: Vec<Lease>,
}

/// A message in a worker's hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) key: String,
    pub(crate) destination: String,
    /// Messages of one lane leave one after the other.
    pub(crate) lane: String,
    pub(crate) until_ms: i64,
}

impl Stored {
    /// Reads the store at `path`.
    pub(crate) fn read(path: &Path) -> Self {
        let db = open(path).expect("there is a store");
        let blocks = rows(&db, "SELECT number, hash, parent FROM blocks ORDER BY number", |row| {
            (unsigned(row, 0), row.get(1).unwrap(), row.get(2).unwrap())
        });
        let activities = rows(&db, "SELECT orphaned, line FROM activities ORDER BY number, seq", |row| {
            (row.get(0).unwrap(), json(&row.get::<_, String>(1).unwrap()))
        });
        let sql = "SELECT number, block_hash, watch, rule, amount FROM deltas ORDER BY number, seq";
        let deltas = rows(&db, sql, |row| {
            (unsigned(row, 0), row.get(1).unwrap(), row.get(2).unwrap(), row.get(3).unwrap(), row.get(4).unwrap())
        });
        let bodies = |sql: &str| rows(&db, sql, |row| (row.get(0).unwrap(), json(&row.get::<_, String>(1).unwrap())));
        let sql = "SELECT key, destination, kind, incident, state, attempts, seq FROM outbox";
        let outbox = rows(&db, sql, |row| {
            let message = Message {
                destination: row.get(1).unwrap(),
                kind: row.get(2).unwrap(),
                incident: row.get(3).unwrap(),
                state: row.get(4).unwrap(),
                attempts: unsigned(row, 5),
                seq: unsigned(row, 6),
            };
            (row.get::<_, String>(0).unwrap(), message)
        });
        Self {
            blocks,
            activities,
            deltas,
            findings: bodies("SELECT id, body FROM findings").into_iter().collect(),
            incidents: bodies("SELECT id, body FROM incidents").into_iter().collect(),
            outbox: outbox.into_iter().collect(),
        }
    }

    /// Findings that no reorg took away.
    pub(crate) fn standing(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.findings.iter().filter(|(_, finding)| finding["orphaned"] == false)
    }

    /// Messages to one destination.
    pub(crate) fn messages<'a>(&'a self, to: &'a str) -> impl Iterator<Item = (&'a String, &'a Message)> {
        self.outbox.iter().filter(move |(_, message)| message.destination == to)
    }
}

/// Hash of the last committed block and the number of messages that are neither sent nor given up; `None` while there is
/// nothing to read.
pub(crate) fn progress(path: &Path) -> Option<(String, u64)> {
    let db = open(path).ok()?;
    let tip = db.query_row("SELECT hash FROM blocks ORDER BY number DESC LIMIT 1", [], |row| row.get(0));
    let waiting = "SELECT count(*) FROM outbox WHERE state IN ('due', 'leased')";
    Some((tip.ok()?, db.query_row(waiting, [], |row| Ok(unsigned(row, 0))).ok()?))
}

/// How often messages to `destination` were tried in vain.
pub(crate) fn failed_attempts(path: &Path, destination: &str) -> u64 {
    let sql = "SELECT count(*) FROM attempts a JOIN outbox o ON o.seq = a.message \
               WHERE a.outcome = 'retry' AND o.destination = ?1";
    open(path).and_then(|db| db.query_row(sql, [destination], |row| Ok(unsigned(row, 0)))).unwrap_or(0)
}

/// Looks at a store whose writer was frozen; `None` when it cannot be read at that point.
pub(crate) fn glance(path: &Path) -> Option<Glance> {
    let db = open(path).ok()?;
    // A frozen writer lets go of no lock, however long one waits.
    db.busy_timeout(Duration::ZERO).ok()?;
    let mut glance = Glance {
        cursor: db
            .query_row("SELECT max(number) FROM blocks", [], |row| row.get::<_, Option<i64>>(0))
            .ok()?
            .map(i64::cast_unsigned),
        ..Glance::default()
    };
    let now = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";
    let leasable = format!(
        "SELECT destination, count(*) FROM outbox o WHERE ((state = 'due' AND next_at_ms <= {now}) \
         OR (state = 'leased' AND lease_until_ms <= {now})) AND NOT EXISTS (SELECT 1 FROM outbox e \
         WHERE e.state IN ('due', 'leased') AND e.destination = o.destination AND e.lane = o.lane AND e.seq < o.seq) \
         GROUP BY destination"
    );
    glance.leasable = rows(&db, &leasable, |row| (row.get(0).unwrap(), unsigned(row, 1))).into_iter().collect();
    let leases = format!(
        "SELECT key, destination, lane, lease_until_ms FROM outbox WHERE state = 'leased' AND lease_until_ms > {now}"
    );
    glance.leases = rows(&db, &leases, |row| Lease {
        key: row.get(0).unwrap(),
        destination: row.get(1).unwrap(),
        lane: row.get(2).unwrap(),
        until_ms: row.get(3).unwrap(),
    });
    glance.writing = match db.execute_batch("BEGIN IMMEDIATE; ROLLBACK") {
        Ok(()) => false,
        Err(error) => error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy),
    };
    Some(glance)
}

/// Changes the store behind the program's back.
pub(crate) fn tamper(path: &Path, sql: &str) {
    open(path).and_then(|db| db.execute_batch(sql)).expect("the store can be written");
}

/// One number out of the store.
pub(crate) fn number(path: &Path, sql: &str) -> i64 {
    open(path).and_then(|db| db.query_row(sql, [], |row| row.get(0))).expect("a number")
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // We only look. A writer that was killed leaves its log as it was, for the next one to recover from.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(db)
}

fn rows<T>(db: &Connection, sql: &str, read: impl Fn(&rusqlite::Row<'_>) -> T) -> Vec<T> {
    let mut statement = db.prepare(sql).expect("a statement");
    let rows = statement.query_map([], |row| Ok(read(row))).expect("rows");
    rows.map(|row| row.expect("a row")).collect()
}

fn unsigned(row: &rusqlite::Row<'_>, column: usize) -> u64 {
    row.get::<_, i64>(column).expect("a number").cast_unsigned()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

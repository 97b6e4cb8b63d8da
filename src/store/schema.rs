//! Opening of the file: settings for writing, and migration of an older file.

use super::{Result, StoreError, place};
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;
use std::time::Duration;

/// Migrations from an empty file to the newest schema; a file's `user_version` is the number of migrations it has.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_first.sql"),
    include_str!("migrations/0002_finality.sql"),
    include_str!("migrations/0003_queue.sql"),
    include_str!("migrations/0004_pending.sql"),
    include_str!("migrations/0005_quota.sql"),
    include_str!("migrations/0006_lanes.sql"),
    include_str!("migrations/0007_clock.sql"),
    include_str!("migrations/0008_pages.sql"),
    include_str!("migrations/0009_contested.sql"),
    include_str!("migrations/0010_triggers.sql"),
    include_str!("migrations/0011_origin.sql"),
    include_str!("migrations/0012_anchor.sql"),
    include_str!("migrations/0013_state.sql"),
];

/// Application id `WFIR`: distinguishes files of this program from those of others.
const APPLICATION_ID: i64 = 0x5746_4952;

/// Maximum time to wait for another process that writes; each of its transactions takes milliseconds.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn open_database(path: &Path) -> Result<Connection> {
    place::prepare_file(path, false)?;
    configure_connection(Connection::open(path)?, MIGRATIONS)
}

/// Does the same as [`open_database`], where an earlier run left files and its store was removed on purpose.
pub(super) fn open_anew(path: &Path) -> Result<Connection> {
    place::prepare_file(path, true)?;
    configure_connection(Connection::open(path)?, MIGRATIONS)
}

pub(super) fn open_in_memory() -> Result<Connection> {
    configure_connection(Connection::open_in_memory()?, MIGRATIONS)
}

fn configure_connection(mut db: Connection, migrations: &[&str]) -> Result<Connection> {
    db.busy_timeout(BUSY_TIMEOUT)?;
    // The version is checked before the first write, and again under the lock in `migrate`: changing the journal mode
    // writes to the file.
    schema_version(&db, migrations.len())?;
    // WAL lets readers of other processes continue beside the writer. FULL makes each commit survive a loss of power,
    // which the rule "commit first, then notify" requires; it costs a quarter of a millisecond a block.
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", true)?;
    db.set_prepared_statement_cache_capacity(64);
    migrate_schema(&mut db, migrations)?;
    Ok(db)
}

/// Applies the missing migrations, all in one transaction. If another process was faster, none are missing.
fn migrate_schema(db: &mut Connection, migrations: &[&str]) -> Result<()> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let taken = schema_version(&tx, migrations.len())?;
    if taken < migrations.len() {
        for step in &migrations[taken..] {
            tx.execute_batch(step)?;
        }
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", saturating_u32(migrations.len()))?;
    }
    tx.commit()?;
    Ok(())
}

/// Checks that a database is a store, and not of a later version.
pub(super) fn require_store(db: &Connection) -> Result<()> {
    match schema_version(db, MIGRATIONS.len())? {
        0 => Err(StoreError::Foreign),
        _ => Ok(()),
    }
}

/// Returns the number of migration steps that the file has taken.
fn schema_version(db: &Connection, known: usize) -> Result<usize> {
    let number = |pragma: &str| db.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let (application, taken) = (number("application_id")?, number("user_version")?);
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let ours = application == APPLICATION_ID || (application == 0 && taken == 0 && tables == 0);
    match usize::try_from(taken) {
        Ok(taken) if ours && taken <= known => Ok(taken),
        Ok(taken) if ours => Err(StoreError::Newer { found: saturating_u32(taken), known: saturating_u32(known) }),
        _ => Err(StoreError::Foreign),
    }
}

fn saturating_u32(version: usize) -> u32 {
    u32::try_from(version).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.db");
        (dir, path)
    }

    #[test]
    fn a_file_of_a_newer_version_is_refused_and_left_as_it_is() {
        let (_dir, path) = file();
        open_database(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let refusal = open_database(&path).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            format!("the store was written by a newer version (schema 99, this program knows {})", MIGRATIONS.len())
        );
        let version: i64 =
            Connection::open(&path).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(version, 99);
    }

    #[test]
    fn a_database_of_another_program_is_refused() {
        let (_dir, path) = file();
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE bookmarks (url TEXT)").unwrap();
        assert!(matches!(open_database(&path), Err(StoreError::Foreign)));
    }

    #[test]
    fn an_older_file_is_brought_up_to_date_and_keeps_its_rows() {
        let (_dir, path) = file();
        let first = ["CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (7);"];
        drop(configure_connection(Connection::open(&path).unwrap(), &first).unwrap());
        let second = [first[0], "ALTER TABLE a ADD COLUMN y INTEGER NOT NULL DEFAULT 1;"];
        let db = configure_connection(Connection::open(&path).unwrap(), &second).unwrap();
        let row: (i64, i64) = db.query_row("SELECT x, y FROM a", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(row, (7, 1));
    }

    #[test]
    fn a_migration_that_fails_halfway_leaves_the_older_file() {
        let (_dir, path) = file();
        let first = ["CREATE TABLE a (x INTEGER);"];
        drop(configure_connection(Connection::open(&path).unwrap(), &first).unwrap());
        let broken = [first[0], "CREATE TABLE b (x INTEGER);", "CREATE TABLE a (x INTEGER);"];
        assert!(configure_connection(Connection::open(&path).unwrap(), &broken).is_err());
        let db = configure_connection(Connection::open(&path).unwrap(), &first).unwrap();
        let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
        assert_eq!(tables, 1);
    }
}

-- Hashes, addresses and ids are text, so that an auditor can read the file with nothing but sqlite3. Chain ids, heights and
-- times are 64-bit integers; amounts are decimal text, since they have 256 bits.

-- The first block that is judged. The row is committed before anything is fetched.
CREATE TABLE chains (
    id           INTEGER PRIMARY KEY,
    first_number INTEGER NOT NULL
) STRICT;

-- The committed chain: the newest row of a chain is its cursor. Only the newest 2,048 are kept.
CREATE TABLE blocks (
    chain  INTEGER NOT NULL REFERENCES chains (id),
    number INTEGER NOT NULL,
    hash   TEXT NOT NULL,
    parent TEXT NOT NULL,
    time   INTEGER NOT NULL,
    PRIMARY KEY (chain, number)
) STRICT, WITHOUT ROWID;

-- Every judged activity as the line that was told of it. A reorg marks, it never deletes.
CREATE TABLE activities (
    seq        INTEGER PRIMARY KEY,
    chain      INTEGER NOT NULL,
    number     INTEGER NOT NULL,
    block_hash TEXT NOT NULL,
    tx         TEXT NOT NULL,
    address    TEXT NOT NULL,
    verdict    TEXT NOT NULL,
    orphaned   INTEGER NOT NULL DEFAULT 0,
    line       TEXT NOT NULL
) STRICT;
CREATE INDEX activities_block ON activities (chain, number);
CREATE INDEX activities_tx ON activities (tx);

-- What blocks added to rolling windows. Derived from the chain, so a reorg deletes what its blocks had added.
CREATE TABLE deltas (
    seq        INTEGER PRIMARY KEY,
    chain      INTEGER NOT NULL,
    number     INTEGER NOT NULL,
    block_hash TEXT NOT NULL,
    time       INTEGER NOT NULL,
    watch      TEXT NOT NULL,
    rule       TEXT NOT NULL,
    amount     TEXT NOT NULL
) STRICT;
CREATE INDEX deltas_time ON deltas (chain, time);
CREATE INDEX deltas_block ON deltas (chain, number);

-- `body` holds the whole incident as JSON; the other columns are what it is searched by.
CREATE TABLE incidents (
    seq             INTEGER PRIMARY KEY,
    id              TEXT NOT NULL UNIQUE,
    chain           INTEGER NOT NULL,
    watch           TEXT NOT NULL,
    path            TEXT NOT NULL,
    state           TEXT NOT NULL,
    live            INTEGER NOT NULL,
    severity        TEXT NOT NULL,
    opened_at_ms    INTEGER NOT NULL,
    next_escalation INTEGER,
    body            TEXT NOT NULL
) STRICT;
CREATE INDEX incidents_live ON incidents (chain) WHERE live = 1;

CREATE TABLE findings (
    seq        INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    incident   TEXT NOT NULL REFERENCES incidents (id),
    chain      INTEGER NOT NULL,
    block_hash TEXT NOT NULL,
    tx         TEXT NOT NULL,
    watch      TEXT NOT NULL,
    rule       TEXT NOT NULL,
    severity   TEXT NOT NULL,
    revision   INTEGER NOT NULL,
    orphaned   INTEGER NOT NULL,
    body       TEXT NOT NULL
) STRICT;
CREATE INDEX findings_block ON findings (chain, block_hash);
CREATE INDEX findings_incident ON findings (incident);

-- Messages. `state` is due, leased, sent, superseded (a page nobody needs any more) or dead.
CREATE TABLE outbox (
    seq            INTEGER PRIMARY KEY AUTOINCREMENT,
    key            TEXT NOT NULL UNIQUE,
    destination    TEXT NOT NULL,
    lane           TEXT NOT NULL,
    kind           TEXT NOT NULL,
    incident       TEXT REFERENCES incidents (id),
    severity       INTEGER NOT NULL,
    body           TEXT NOT NULL,
    state          TEXT NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'leased', 'sent', 'superseded', 'dead')),
    attempts       INTEGER NOT NULL DEFAULT 0,
    next_at_ms     INTEGER NOT NULL,
    lease_until_ms INTEGER,
    last_error     TEXT,
    created_at_ms  INTEGER NOT NULL,
    done_at_ms     INTEGER
) STRICT;
CREATE INDEX outbox_waiting ON outbox (destination, lane, seq) WHERE state IN ('due', 'leased');
CREATE INDEX outbox_incident ON outbox (incident) WHERE state IN ('due', 'leased');
CREATE INDEX outbox_dead ON outbox (seq) WHERE state = 'dead';
CREATE INDEX outbox_done ON outbox (done_at_ms) WHERE state IN ('sent', 'superseded');

-- What became of each attempt at a message.
CREATE TABLE attempts (
    seq     INTEGER PRIMARY KEY,
    message INTEGER NOT NULL REFERENCES outbox (seq) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    at_ms   INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    error   TEXT
) STRICT;
CREATE INDEX attempts_message ON attempts (message);

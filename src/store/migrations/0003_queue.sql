-- Transactions that a Safe's queue showed, each from when it was first seen. `body` holds what is remembered of it as JSON; a nonce has
-- 256 bits and is decimal text.
CREATE TABLE queued (
    chain  INTEGER NOT NULL,
    safe   TEXT NOT NULL,
    hash   TEXT NOT NULL,
    nonce  TEXT NOT NULL,
    waits  TEXT NOT NULL CHECK (waits IN ('queued', 'executed', 'replaced', 'withdrawn')),
    seen_at_ms INTEGER NOT NULL,
    body   TEXT NOT NULL,
    PRIMARY KEY (chain, safe, hash)
) STRICT, WITHOUT ROWID;

-- How far the queue of each Safe has accounted for what the Safe logged: the place in `activities` up to which it has.
CREATE TABLE queues (
    chain     INTEGER NOT NULL,
    safe      TEXT NOT NULL,
    accounted INTEGER NOT NULL,
    looked_at_ms INTEGER NOT NULL,
    PRIMARY KEY (chain, safe)
) STRICT, WITHOUT ROWID;

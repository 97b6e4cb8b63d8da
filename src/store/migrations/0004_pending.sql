-- Transactions that were announced and in which something is found, before a block holds them: `body` is the whole as JSON, the other
-- columns are what it is searched by. `ended` is NULL while it waits.
CREATE TABLE pending (
    chain  INTEGER NOT NULL,
    hash   TEXT NOT NULL,
    ended  TEXT CHECK (ended IN ('included', 'replaced', 'expired')),
    seen_at_ms INTEGER NOT NULL,
    body   TEXT NOT NULL,
    PRIMARY KEY (chain, hash)
) STRICT, WITHOUT ROWID;

-- Blocks that a reorg took back while endpoints still hold them: `held_by` lists their names as JSON. Incidents whose evidence stood
-- in such a block stay open for as long as its row is here.
CREATE TABLE contested (
    chain   INTEGER NOT NULL,
    number  INTEGER NOT NULL,
    hash    TEXT NOT NULL,
    held_by TEXT NOT NULL,
    PRIMARY KEY (chain, hash)
) STRICT, WITHOUT ROWID;

-- The newest blocks that are safe and finalized; NULL until the chain has said so. Everything of the committed chain at or
-- below them is so final, so that a block's finality is a comparison and no row is written again when the chain goes on.
ALTER TABLE chains ADD COLUMN safe_number      INTEGER;
ALTER TABLE chains ADD COLUMN safe_hash        TEXT;
ALTER TABLE chains ADD COLUMN finalized_number INTEGER;
ALTER TABLE chains ADD COLUMN finalized_hash   TEXT;

-- How many endpoints say that the block is theirs: what they say of a block they say of its ancestors. `verified` is 1 when
-- its header vouches for it, 0 when it cannot, NULL when nobody asked. Blocks of before were judged at one endpoint's word.
ALTER TABLE blocks ADD COLUMN sources  INTEGER NOT NULL DEFAULT 1;
ALTER TABLE blocks ADD COLUMN verified INTEGER;

-- A finding outlives the row of its block, so it carries these itself. `endpoints`: how many the chain had.
ALTER TABLE findings ADD COLUMN number    INTEGER NOT NULL DEFAULT 0;
ALTER TABLE findings ADD COLUMN sources   INTEGER NOT NULL DEFAULT 1;
ALTER TABLE findings ADD COLUMN endpoints INTEGER NOT NULL DEFAULT 1;
ALTER TABLE findings ADD COLUMN verified  INTEGER;
UPDATE findings SET number = coalesce(json_extract(body, '$.at.number'), 0);
DROP INDEX findings_block;
CREATE INDEX findings_block ON findings (chain, number);

-- What a person allowed: that finalized blocks are undone in favor of the branch with this block. Each is good for one step, and
-- none is deleted. `state` is open, used, replaced or withdrawn; `undone_*` is the block that was final until it was used.
CREATE TABLE allowances (
    seq           INTEGER PRIMARY KEY,
    chain         INTEGER NOT NULL REFERENCES chains (id),
    block_hash    TEXT NOT NULL,
    allowed_by    TEXT NOT NULL,
    allowed_at_ms INTEGER NOT NULL,
    state         TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'used', 'replaced', 'withdrawn')),
    ended_by      TEXT,
    ended_at_ms   INTEGER,
    undone_number INTEGER,
    undone_hash   TEXT
) STRICT;
CREATE UNIQUE INDEX allowances_open ON allowances (chain) WHERE state = 'open';

-- Activities with the stage they have reached, for whoever reads the file with nothing but sqlite3. A line keeps the stage at
-- which it was told.
CREATE VIEW staged AS
SELECT a.*,
       CASE
           WHEN a.orphaned THEN 'orphaned'
           WHEN json_extract(a.line, '$.stage') <> 'included' THEN json_extract(a.line, '$.stage')
           WHEN a.number <= c.finalized_number THEN 'finalized'
           WHEN a.number <= c.safe_number THEN 'safe'
           ELSE 'included'
       END AS stage
FROM activities a JOIN chains c ON c.id = a.chain;

-- Both clocks as the process that sends from this store read them at its start: the time since the boot with that id, and the UTC in
-- which it writes deadlines. Whoever starts later can tell by it how far the wall clock has moved meanwhile.
CREATE TABLE clock (
    one           INTEGER PRIMARY KEY CHECK (one = 1),
    boot          TEXT NOT NULL,
    since_boot_ms INTEGER NOT NULL,
    utc_ms        INTEGER NOT NULL
) STRICT;

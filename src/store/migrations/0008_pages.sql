-- Pages that paths sent within the last minute, for the storm limit: one row for each time an incident wakes people along its path.
-- Rows that the limit no longer looks at are deleted when the next one is written.
CREATE TABLE pages (
    seq      INTEGER PRIMARY KEY,
    path     TEXT NOT NULL,
    incident TEXT NOT NULL,
    severity INTEGER NOT NULL,
    at_ms    INTEGER NOT NULL
) STRICT;
CREATE INDEX pages_time ON pages (at_ms);

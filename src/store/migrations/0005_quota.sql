-- What was asked of each Safe service in each month (UTC, such as `2026-11`), and what its bucket held after the last request. The months
-- stand beside each other, so that a clock which was wrong for a while takes nothing from the right one.
CREATE TABLE quotas (
    service TEXT NOT NULL,
    month   TEXT NOT NULL,
    spent   INTEGER NOT NULL,
    "left"  REAL NOT NULL,
    at_ms   INTEGER NOT NULL,
    PRIMARY KEY (service, month)
) STRICT, WITHOUT ROWID;

-- Order of the outbox, kept so that no look at it reads through what waits.
--
-- `budget`: 0 messages about incidents, 1 messages of the path `self`, 2 lines of the feed.
-- `prio`: the smallest leaves first: 4 times the urgency (0 first page, 1 further page, 2 retraction, 3 the rest, 4 feed), plus 0 for
-- critical to 3 for info; 16 for every line of the feed.
-- `place`: 0 behind another message of its lane, or done; 1 first of its lane, waits until `next_at_ms`; 2 first of its lane, may be
-- sent now; 3 leased.
ALTER TABLE outbox ADD COLUMN budget INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN prio   INTEGER NOT NULL DEFAULT 12;
ALTER TABLE outbox ADD COLUMN place  INTEGER NOT NULL DEFAULT 0;

UPDATE outbox SET
    budget = CASE WHEN kind = 'feed' THEN 2 WHEN json_extract(body, '$.page.path') = 'self' THEN 1 ELSE 0 END,
    prio = CASE kind
        WHEN 'feed' THEN 16
        WHEN 'trigger' THEN CASE WHEN json_extract(body, '$.page.change') IS NULL THEN 0 ELSE 4 END + 3 - severity
        WHEN 'retract' THEN 8 + 3 - severity
        ELSE 12 + 3 - severity END
WHERE state IN ('due', 'leased', 'dead');
UPDATE outbox SET place = 3 WHERE state = 'leased';
UPDATE outbox SET place = 1 WHERE state = 'due' AND seq IN
    (SELECT min(seq) FROM outbox WHERE state IN ('due', 'leased') GROUP BY destination, lane);

CREATE INDEX outbox_ready  ON outbox (destination, budget, prio, seq) WHERE place = 2;
CREATE INDEX outbox_parked ON outbox (destination, next_at_ms) WHERE place = 1;
CREATE INDEX outbox_leased ON outbox (destination, lease_until_ms) WHERE place = 3;
CREATE INDEX outbox_oldest ON outbox (destination, seq) WHERE state IN ('due', 'leased');

-- How many messages wait or were given up, so that nobody counts them. Kept by the triggers below.
CREATE TABLE tallies (
    destination TEXT NOT NULL,
    feed        INTEGER NOT NULL,
    dead        INTEGER NOT NULL,
    messages    INTEGER NOT NULL,
    PRIMARY KEY (destination, feed, dead)
) STRICT, WITHOUT ROWID;
INSERT INTO tallies
    SELECT destination, kind = 'feed', state = 'dead', count(*) FROM outbox WHERE state IN ('due', 'leased', 'dead') GROUP BY 1, 2, 3;

CREATE TRIGGER outbox_comes AFTER INSERT ON outbox WHEN new.state IN ('due', 'leased', 'dead') BEGIN
    INSERT INTO tallies VALUES (new.destination, new.kind = 'feed', new.state = 'dead', 1)
        ON CONFLICT (destination, feed, dead) DO UPDATE SET messages = messages + 1;
END;
CREATE TRIGGER outbox_goes AFTER DELETE ON outbox WHEN old.state IN ('due', 'leased', 'dead') BEGIN
    UPDATE tallies SET messages = messages - 1
        WHERE destination = old.destination AND feed = (old.kind = 'feed') AND dead = (old.state = 'dead');
END;
CREATE TRIGGER outbox_leaves AFTER UPDATE OF state ON outbox
    WHEN old.state IN ('due', 'leased', 'dead')
        AND (new.state NOT IN ('due', 'leased', 'dead') OR (old.state = 'dead') <> (new.state = 'dead')) BEGIN
    UPDATE tallies SET messages = messages - 1
        WHERE destination = old.destination AND feed = (old.kind = 'feed') AND dead = (old.state = 'dead');
END;
CREATE TRIGGER outbox_returns AFTER UPDATE OF state ON outbox
    WHEN new.state IN ('due', 'leased', 'dead')
        AND (old.state NOT IN ('due', 'leased', 'dead') OR (old.state = 'dead') <> (new.state = 'dead')) BEGIN
    INSERT INTO tallies VALUES (new.destination, new.kind = 'feed', new.state = 'dead', 1)
        ON CONFLICT (destination, feed, dead) DO UPDATE SET messages = messages + 1;
END;

-- Lines of the feed that were left out because too many waited for the destination already. `key` is the first of them, which stays
-- as a dead letter; `ended_ms` is NULL while lines are still left out, `told` is 1 once the dead letter was told of.
CREATE TABLE gaps (
    destination TEXT PRIMARY KEY,
    key         TEXT NOT NULL,
    began_ms    INTEGER NOT NULL,
    ended_ms    INTEGER,
    lines       INTEGER NOT NULL,
    told        INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

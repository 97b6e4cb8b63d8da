-- What an incident is about stands in a column of its own: findings, noise, outage, store-failure, clock-step, delivery-failure, storm
-- or test. `chain` and `watch` are NULL where it is about neither; before, they were 0 and the zero address.
-- `v` in a body is the schema that gave the body its shape.
ALTER TABLE incidents ADD COLUMN origin TEXT NOT NULL DEFAULT 'findings';
DROP INDEX incidents_live;
ALTER TABLE incidents RENAME COLUMN chain TO former_chain;
ALTER TABLE incidents RENAME COLUMN watch TO former_watch;
ALTER TABLE incidents ADD COLUMN chain INTEGER;
ALTER TABLE incidents ADD COLUMN watch TEXT;
UPDATE incidents SET
    chain = nullif(former_chain, 0),
    watch = nullif(former_watch, '0x0000000000000000000000000000000000000000'),
    origin = CASE
        WHEN json_extract(body, '$.storm') IS NOT NULL THEN 'storm'
        WHEN json_extract(body, '$.noise') IS NOT NULL THEN 'noise'
        WHEN EXISTS (SELECT 1 FROM json_each(body, '$.rules') WHERE value = 'builtin/test-page') THEN 'test'
        WHEN EXISTS (SELECT 1 FROM json_each(body, '$.rules') WHERE value = 'builtin/undeliverable') THEN 'delivery-failure'
        WHEN EXISTS (SELECT 1 FROM json_each(body, '$.rules') WHERE value = 'builtin/blindness') THEN CASE
            WHEN former_chain <> 0 THEN 'outage'
            WHEN json_extract(body, '$.blindness.kind') = 'clock-stepped' THEN 'clock-step'
            ELSE 'store-failure' END
        ELSE 'findings' END;
ALTER TABLE incidents DROP COLUMN former_chain;
ALTER TABLE incidents DROP COLUMN former_watch;
CREATE INDEX incidents_live ON incidents (chain) WHERE live = 1;

-- An outage from before outages were recorded has none of its own: it began when its incident opened.
UPDATE incidents SET body = json_set(body, '$.blindness', json_object(
        'kind', iif(origin = 'outage', 'unreachable', 'store-refuses'),
        'first', opened_at_ms, 'since', opened_at_ms, 'times', 1, 'earlier', 0))
    WHERE origin IN ('outage', 'store-failure') AND json_extract(body, '$.blindness') IS NULL;
UPDATE incidents SET body = json_set(body, '$.undelivered', json_object('cause', '', 'destinations', json_array()))
    WHERE origin = 'delivery-failure' AND json_extract(body, '$.undelivered') IS NULL;

UPDATE incidents SET body = json_set(
    json_remove(body, '$.chain', '$.watch', '$.blindness', '$.noise', '$.storm', '$.undelivered'),
    '$.v', 11,
    '$.origin', json(CASE origin
        WHEN 'storm' THEN json_object('kind', origin, 'storm', json_extract(body, '$.storm'))
        WHEN 'outage' THEN json_object('kind', origin, 'chain', chain, 'outage', json_extract(body, '$.blindness'))
        WHEN 'store-failure' THEN json_object('kind', origin, 'outage', json_extract(body, '$.blindness'))
        WHEN 'clock-step' THEN json_object('kind', origin, 'outage', json_extract(body, '$.blindness'))
        ELSE json_patch(
            json_object('kind', origin, 'watch', json(iif(watch IS NULL, NULL,
                json_object('chain', json_extract(body, '$.chain'), 'address', json_extract(body, '$.watch'))))),
            CASE origin
                WHEN 'noise' THEN json_object('noise', json_extract(body, '$.noise'))
                WHEN 'delivery-failure' THEN json_object('failure', json_extract(body, '$.undelivered'))
                ELSE json_object() END)
        END));
UPDATE findings SET body = json_set(body, '$.v', 11);

-- Pages about the program name no watch and no chain.
UPDATE incidents SET body = json_remove(body, '$.page.watch') WHERE watch IS NULL;
UPDATE incidents SET body = json_remove(body, '$.page.chain_id') WHERE chain IS NULL;
UPDATE outbox SET body = json_remove(body, '$.page.watch')
    WHERE json_extract(body, '$.page.watch') = '0x0000000000000000000000000000000000000000';
UPDATE outbox SET body = json_remove(body, '$.page.chain_id') WHERE json_extract(body, '$.page.chain_id') = 0;

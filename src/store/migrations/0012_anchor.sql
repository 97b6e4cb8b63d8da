-- Where a finding stands in relation to the chain: in a block, proposed, pending, or due at a block. `block_hash` is NULL for what is
-- proposed or pending; before, it was zero.
DROP VIEW staged;
ALTER TABLE activities RENAME COLUMN block_hash TO former_hash;
ALTER TABLE activities ADD COLUMN block_hash TEXT;
UPDATE activities SET
    block_hash = nullif(former_hash, '0x0000000000000000000000000000000000000000000000000000000000000000'),
    line = iif(former_hash = '0x0000000000000000000000000000000000000000000000000000000000000000',
        json_remove(line, '$.block_hash'), line);
ALTER TABLE activities DROP COLUMN former_hash;
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

ALTER TABLE findings RENAME COLUMN block_hash TO former_hash;
ALTER TABLE findings ADD COLUMN block_hash TEXT;
ALTER TABLE findings ADD COLUMN anchor TEXT NOT NULL DEFAULT 'block';
UPDATE findings SET
    block_hash = nullif(former_hash, '0x0000000000000000000000000000000000000000000000000000000000000000'),
    anchor = CASE
        WHEN former_hash <> '0x0000000000000000000000000000000000000000000000000000000000000000' THEN 'block'
        WHEN json_extract(body, '$.pending') IS NOT NULL THEN 'pending'
        ELSE 'proposed' END;
ALTER TABLE findings DROP COLUMN former_hash;
UPDATE findings SET body = json_set(
    json_remove(body, '$.at'),
    '$.v', 12,
    '$.anchor', json(iif(anchor = 'block',
        json_object('kind', anchor, 'number', number, 'hash', block_hash),
        json_object('kind', anchor, 'since', number))));

-- Pages and lines omit the hash where there is no block.
UPDATE incidents SET body = json_set(body, '$.v', 12);
UPDATE incidents SET body = json_set(body, '$.page.evidence', json((
        SELECT json_group_array(json(iif(json_extract(value, '$.block_hash') =
            '0x0000000000000000000000000000000000000000000000000000000000000000', json_remove(value, '$.block_hash'), value)))
        FROM json_each(incidents.body, '$.page.evidence'))))
    WHERE instr(body, '"block_hash":"0x0000000000000000000000000000000000000000000000000000000000000000"');
UPDATE outbox SET body = json_set(body, '$.page.evidence', json((
        SELECT json_group_array(json(iif(json_extract(value, '$.block_hash') =
            '0x0000000000000000000000000000000000000000000000000000000000000000', json_remove(value, '$.block_hash'), value)))
        FROM json_each(outbox.body, '$.page.evidence'))))
    WHERE json_extract(body, '$.page') IS NOT NULL
        AND instr(body, '"block_hash":"0x0000000000000000000000000000000000000000000000000000000000000000"');
UPDATE outbox SET body = json_remove(body, '$.line.block_hash')
    WHERE json_extract(body, '$.line.block_hash') = '0x0000000000000000000000000000000000000000000000000000000000000000';
UPDATE outbox SET body = json_remove(body, '$.line.orphaned_hash')
    WHERE json_extract(body, '$.line.orphaned_hash') = '0x0000000000000000000000000000000000000000000000000000000000000000';

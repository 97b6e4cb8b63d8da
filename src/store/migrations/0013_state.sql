-- The state of an incident holds the data that only exists in it: who acknowledged it and until when, who or what closed it.
UPDATE incidents SET body = json_set(
    json_remove(body, '$.close_reason', '$.closed_by', '$.closed_at', '$.next_escalation', '$.acked_by', '$.ack_expires'),
    '$.v', 13,
    '$.state', json(CASE state
        WHEN 'open' THEN json_patch('{}', json_object('kind', 'open', 'next_escalation', json_extract(body, '$.next_escalation')))
        WHEN 'acknowledged' THEN json_object('kind', 'acknowledged',
            'by', coalesce(json_extract(body, '$.acked_by'), ''),
            'expires', coalesce(json_extract(body, '$.ack_expires'), opened_at_ms))
        ELSE json_patch('{}', json_object('kind', 'closed', 'resolution', state,
            'cause', json(iif(json_extract(body, '$.closed_by') IS NOT NULL,
                json_object('responder', json_extract(body, '$.closed_by')),
                json_object('itself', coalesce(json_extract(body, '$.close_reason'), '')))),
            'at', coalesce(json_extract(body, '$.closed_at'), opened_at_ms),
            'acknowledged_by', json_extract(body, '$.acked_by'))) END));
UPDATE findings SET body = json_set(body, '$.v', 13);

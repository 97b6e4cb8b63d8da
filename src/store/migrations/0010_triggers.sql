-- Pages of an incident that wake somebody, whatever became of them: looked at when somebody answers.
CREATE INDEX outbox_triggers ON outbox (incident, seq) WHERE kind = 'trigger';

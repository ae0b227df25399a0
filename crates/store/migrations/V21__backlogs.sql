-- Indexes of the backlogs that every worker measures: each has only the rows that are counted, so that a measurement reads no others.
CREATE INDEX outbox_unsent_by_age ON outbox (created_at) WHERE sent_at IS NULL;
CREATE INDEX tasks_dead ON tasks (dead_at) WHERE dead_at IS NOT NULL;

-- Vault keys by id, each with the time when the first worker used it to encrypt. The keys themselves are not here.
CREATE TABLE vault_keys (
    key_id        text        PRIMARY KEY,
    first_used_at timestamptz NOT NULL DEFAULT now()
);

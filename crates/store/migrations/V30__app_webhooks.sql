-- Webhooks that the application has not accepted yet: queued by the transactions that queue their events.
CREATE TABLE app_webhooks (
    id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id      text        NOT NULL,
    event_id     text        NOT NULL UNIQUE, -- the receiver's idempotency key
    type         text        NOT NULL,
    data         text        NOT NULL,        -- JSON
    created_at   timestamptz NOT NULL DEFAULT now(),
    due_at       timestamptz NOT NULL,
    tries        integer     NOT NULL DEFAULT 0,
    fence        bigint      NOT NULL DEFAULT 0,
    leased_by    text,
    leased_until timestamptz,
    last_error   text,
    dead_at      timestamptz
);

CREATE INDEX app_webhooks_due ON app_webhooks (due_at, id) WHERE dead_at IS NULL;
CREATE INDEX app_webhooks_waiting ON app_webhooks (created_at) WHERE dead_at IS NULL;
CREATE INDEX app_webhooks_dead ON app_webhooks (id) WHERE dead_at IS NOT NULL;
CREATE INDEX app_webhooks_by_user ON app_webhooks (user_id, id);
-- Webhooks of a user for which those behind them wait: untried ones, and those that are being sent.
CREATE INDEX app_webhooks_untried ON app_webhooks (user_id, id) WHERE dead_at IS NULL AND tries = 0;
CREATE INDEX app_webhooks_leased ON app_webhooks (user_id) WHERE dead_at IS NULL AND leased_until IS NOT NULL;
CREATE INDEX app_webhooks_by_age ON app_webhooks (created_at, id);

ALTER TABLE app_webhooks SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_insert_scale_factor = 0.05);

INSERT INTO prune_progress (pruned_table) VALUES ('app_webhooks');

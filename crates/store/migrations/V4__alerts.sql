-- What touched a user's security. A row is committed with what it tells of, and kept for 90 days.
CREATE TABLE alerts (
    -- The order of a user's alerts: they are raised under the user's head row.
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id         text        NOT NULL,
    alert_id        text        NOT NULL,
    severity        text        NOT NULL,
    type            text        NOT NULL,
    message         text        NOT NULL,
    -- What the alert says; `raised_at` is when the row was written.
    at              timestamptz NOT NULL,
    requires_action boolean     NOT NULL,
    acked_at        timestamptz,
    raised_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (user_id, alert_id)
);

CREATE INDEX alerts_by_user ON alerts (user_id, id);
CREATE INDEX alerts_open ON alerts (user_id, id) WHERE requires_action AND acked_at IS NULL;
CREATE INDEX alerts_by_age ON alerts (raised_at);

-- Confirmations that were used: none is used twice.
CREATE TABLE confirmations (
    hash    bytea       PRIMARY KEY, -- SHA-256
    user_id text        NOT NULL,
    used_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX confirmations_by_age ON confirmations (used_at);

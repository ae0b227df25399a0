-- What must survive. Secrets are bytes that the vault sealed; no column here holds one in the clear.

-- The head row of a user. Every transaction that changes what is the user's locks it first, so that a user's changes
-- happen one after the other and their events get their ids in the order in which they are committed.
CREATE TABLE users (
    user_id      text PRIMARY KEY,
    -- Moves when all access is revoked: what was begun before cannot be finished after.
    access_epoch bigint NOT NULL DEFAULT 0
);

CREATE SEQUENCE account_generations;

-- Linked accounts: one per user and platform.
CREATE TABLE accounts (
    user_id          text        NOT NULL REFERENCES users,
    account_type     text        NOT NULL,
    platform_user_id text        NOT NULL,
    username         text        NOT NULL,
    display_name     text,
    avatar_url       text,
    status           text        NOT NULL,
    scopes           text[]      NOT NULL,
    connected_at     timestamptz NOT NULL,
    last_synced      timestamptz,
    error_message    text,
    access_token     bytea       NOT NULL, -- sealed
    refresh_token    bytea,                -- sealed
    token_expires_at timestamptz,
    -- Another one each time the account is linked or its tokens are replaced, and never one that was used before.
    generation       bigint      NOT NULL DEFAULT nextval('account_generations'),
    -- Where the last sync stopped, in the platform module's own words.
    cursor           jsonb,
    PRIMARY KEY (user_id, account_type)
);

-- Several users may link one platform account; who else did decides how much a revocation may end.
CREATE INDEX accounts_by_platform_user ON accounts (account_type, platform_user_id);

-- Codes and states that were sent to a platform, or may have been: none is sent twice.
CREATE TABLE exchanges (
    code_hash    bytea       PRIMARY KEY, -- SHA-256
    state_hash   bytea       UNIQUE,      -- SHA-256
    user_id      text        NOT NULL,
    session_id   text        NOT NULL,
    account_type text        NOT NULL,
    begun_at     timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX exchanges_by_age ON exchanges (begun_at);

-- Answers already given, committed with the change they tell of: a job delivered twice is done once.
CREATE TABLE answers (
    job_id     text        PRIMARY KEY,
    scope      bytea       UNIQUE,   -- SHA-256 of user, session, event and idempotency key
    body       bytea,                -- SHA-256 of the payload that came with the key
    answer     bytea       NOT NULL, -- sealed
    expires_at timestamptz NOT NULL,
    CHECK ((scope IS NULL) = (body IS NULL))
);

CREATE INDEX answers_by_expiry ON answers (expires_at);

-- Events that are committed, published in the order of their ids, and kept for a while so that none is published anew.
CREATE TABLE outbox (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id    text        NOT NULL,
    event_id   text        NOT NULL UNIQUE,
    envelope   text        NOT NULL, -- JSON, byte for byte as it is published
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at    timestamptz
);

CREATE INDEX outbox_unsent ON outbox (user_id, id) WHERE sent_at IS NULL;
CREATE INDEX outbox_sent ON outbox (sent_at) WHERE sent_at IS NOT NULL;

-- Work that must be done some time. A task is leased to one worker; each lease has a higher fence than the one before, and
-- a worker whose lease was taken over can change nothing.
CREATE TABLE tasks (
    id               bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- What to do: `revocation`. A worker leaves kinds alone that it does not know.
    kind             text        NOT NULL,
    user_id          text        NOT NULL,
    account_type     text        NOT NULL,
    platform_user_id text        NOT NULL,
    token            bytea       NOT NULL, -- sealed
    token_column     text        NOT NULL, -- the column that it is sealed for
    scope            text        NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    due_at           timestamptz NOT NULL DEFAULT now(),
    tries            integer     NOT NULL DEFAULT 0,
    fence            bigint      NOT NULL DEFAULT 0,
    leased_by        text,
    leased_until     timestamptz,
    last_error       text,
    -- Given up; kept for an operator to look at.
    dead_at          timestamptz
);

CREATE INDEX tasks_due ON tasks (due_at) WHERE dead_at IS NULL;
CREATE INDEX tasks_by_platform_user ON tasks (account_type, platform_user_id) WHERE dead_at IS NULL;

-- When accounts are synced, and who may ask their platforms. All of a platform's calls for one account are made by whoever has
-- its lease; a worker whose lease was taken over can change nothing.
ALTER TABLE accounts
    -- Another one each time the account is linked or leased, and never one that was used before.
    ADD COLUMN fence           bigint      NOT NULL DEFAULT nextval('account_generations'),
    ADD COLUMN leased_until    timestamptz,
    -- An account that was just linked is first looked at a minute later: until then its client asks.
    ADD COLUMN next_sync_at    timestamptz NOT NULL DEFAULT now() + interval '1 minute',
    -- Syncs that failed in a row.
    ADD COLUMN failures        integer     NOT NULL DEFAULT 0,
    -- What the platform asked to wait for this account.
    ADD COLUMN paused_until    timestamptz,
    -- The generation whose tokens the platform takes no more. Linked anew, an account has another one.
    ADD COLUMN lost_generation bigint,
    -- How often the refresh token of `sent_generation` was sent, or may have been; written before it is.
    ADD COLUMN sent_generation bigint,
    ADD COLUMN sends           integer     NOT NULL DEFAULT 0,
    -- The last of these, so that recording it again does not count twice.
    ADD COLUMN send_id         bigint;

CREATE INDEX accounts_due ON accounts (account_type, next_sync_at) WHERE lost_generation IS DISTINCT FROM generation;

-- What a platform asked the whole application to wait.
CREATE TABLE pauses (
    account_type text        PRIMARY KEY,
    until        timestamptz NOT NULL
);

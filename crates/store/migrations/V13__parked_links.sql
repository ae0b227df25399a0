-- What a platform has granted and its user has not confirmed yet. Who does not confirm in time has it given back.
CREATE TABLE parked_links (
    id               bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- SHA-256 over what confirms it and all that this is bound to; nothing that is kept here confirms anything.
    hash             bytea       NOT NULL UNIQUE,
    user_id          text        NOT NULL REFERENCES users,
    session_id       text        NOT NULL,
    account_type     text        NOT NULL,
    platform_user_id text        NOT NULL,
    username         text        NOT NULL,
    display_name     text,
    avatar_url       text,
    scopes           text[]      NOT NULL,
    access_token     bytea,                -- sealed
    refresh_token    bytea,                -- sealed
    token_expires_at timestamptz,
    -- The user's access epoch when the authorization was begun.
    access_epoch     bigint      NOT NULL,
    parked_at        timestamptz NOT NULL DEFAULT now(),
    ends_at          timestamptz NOT NULL
);

CREATE INDEX parked_links_by_end ON parked_links (ends_at);
CREATE INDEX parked_links_by_user ON parked_links (user_id);
-- A grant that is parked is spared like a linked one when another link of the same platform account ends.
CREATE INDEX parked_links_by_platform_user ON parked_links (account_type, platform_user_id);

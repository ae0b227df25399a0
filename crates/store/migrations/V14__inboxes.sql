-- The inboxes of bots. Each is read by one worker at a time; who lost its turn can record nothing.
CREATE TABLE inboxes (
    account_type text        PRIMARY KEY,
    -- Another one each time it is taken.
    fence        bigint      NOT NULL,
    leased_until timestamptz,
    -- Up to where it was read, in the platform's own terms.
    cursor       jsonb,
    next_at      timestamptz NOT NULL DEFAULT now()
);

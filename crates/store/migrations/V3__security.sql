-- What a user has decided about security, and the second factor: one row, because to turn the factor on is a setting. A user
-- without a row has the defaults.
CREATE TABLE security (
    user_id           text          PRIMARY KEY REFERENCES users,
    session_timeout   integer       NOT NULL CHECK (session_timeout BETWEEN 1 AND 1440), -- minutes

    -- The second factor that is on; all null when none is.
    factor_secret     bytea,        -- sealed
    -- The newest time step (RFC 6238) whose code was accepted: none is accepted twice.
    last_step         bigint,
    -- Wrong codes since the last right one, and when the last of them came: delay and lock follow from the two.
    failures          integer,
    last_failed_at    timestamptz,
    recovery_codes    bytea[],      -- HMAC of each that is unused, under a key of the vault
    recovery_tried_at timestamptz[],

    -- A second factor that waits for its first code; all null when none does.
    pending_secret    bytea,        -- sealed
    pending_challenge text,
    pending_session   text,
    pending_until     timestamptz,

    CHECK (num_nulls(factor_secret, last_step, failures, recovery_codes, recovery_tried_at) IN (0, 5)),
    CHECK (num_nulls(pending_secret, pending_challenge, pending_session, pending_until) IN (0, 4))
);

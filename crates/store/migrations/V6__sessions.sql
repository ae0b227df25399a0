-- Sessions: one row for each that was ever opened. An ended one is remembered for ever, or its token would open it again.
CREATE TABLE sessions (
    user_id     text        NOT NULL REFERENCES users,
    session_id  text        NOT NULL,
    opened_at   timestamptz NOT NULL DEFAULT now(),
    -- When it is over without more activity. Activity moves it in Redis, and is copied here once a minute.
    exp_at      timestamptz NOT NULL,
    ended_at    timestamptz,
    -- The newest `iat` of the tokens that opened it.
    newest_iat  timestamptz,
    -- Wrong second factors since it was opened.
    failures    integer     NOT NULL DEFAULT 0,
    -- Where the socket came from that opened it last.
    address     text        NOT NULL,
    device_id   text,
    device_name text,
    user_agent  text,
    PRIMARY KEY (user_id, session_id)
);

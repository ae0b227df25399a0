-- Ends of sessions that are committed and that Redis has not confirmed: every worker tells it again until it does.
ALTER TABLE sessions ADD COLUMN end_unconfirmed boolean NOT NULL DEFAULT false;
CREATE INDEX sessions_unconfirmed ON sessions (user_id) WHERE end_unconfirmed;

ALTER TABLE users
    -- All sessions that were opened by then have ended, and none is opened by a token issued by then,
    ADD COLUMN sessions_ended_at       timestamptz,
    -- but for this one, where there is one.
    ADD COLUMN sessions_ended_but      text,
    ADD COLUMN sessions_end_unconfirmed boolean NOT NULL DEFAULT false;
CREATE INDEX users_sessions_unconfirmed ON users (user_id) WHERE sessions_end_unconfirmed;

-- One row: `exp_at` of every session is right for all activity up to then. A session whose `exp_at` is older than that was over then.
CREATE TABLE session_deadlines (
    copied_at timestamptz NOT NULL
);
INSERT INTO session_deadlines VALUES ('-infinity');

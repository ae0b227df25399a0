-- From where a row's command came, and the trace that it was a part of. Rows from before have neither, and the form that is
-- verified now is not theirs.
ALTER TABLE audit
    ADD COLUMN address  text NOT NULL DEFAULT '',
    ADD COLUMN device   text NOT NULL DEFAULT '',
    ADD COLUMN trace_id text NOT NULL DEFAULT ''; -- 32 hexadecimal digits, as in the log

ALTER TABLE audit
    ALTER COLUMN address  DROP DEFAULT,
    ALTER COLUMN device   DROP DEFAULT,
    ALTER COLUMN trace_id DROP DEFAULT;

-- Devices and networks that users were seen with. A gateway whose hint of them is fresh asks nobody, so `seen_at` lags behind,
-- by 30 days at most.
CREATE TABLE seen (
    user_id text        NOT NULL REFERENCES users,
    kind    text        NOT NULL CHECK (kind IN ('device', 'network')),
    name    text        NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, kind, name)
);

CREATE INDEX seen_by_age ON seen (seen_at);

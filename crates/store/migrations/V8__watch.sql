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

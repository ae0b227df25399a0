-- A revocation keeps every token of its link: a platform may end a grant with one and not with the other, or only with one that has
-- not expired.
ALTER TABLE tasks
    ADD COLUMN access_token     bytea, -- sealed
    ADD COLUMN refresh_token    bytea, -- sealed
    ADD COLUMN token_expires_at timestamptz;

UPDATE tasks SET access_token = token WHERE token_column = 'access_token';
-- From before, with one token only. It may not end the grant, so an operator is told of it.
UPDATE tasks SET refresh_token = token WHERE token_column = 'refresh_token';
UPDATE tasks SET dead_at = now(), last_error = 'it was queued without its access token'
WHERE access_token IS NULL AND dead_at IS NULL;

ALTER TABLE tasks
    DROP COLUMN token,
    DROP COLUMN token_column,
    ADD CHECK (access_token IS NOT NULL OR dead_at IS NOT NULL);

-- Tasks are taken platform by platform: many that wait for one are no delay to those of another.
DROP INDEX tasks_due;
CREATE INDEX tasks_due ON tasks (account_type, due_at) WHERE dead_at IS NULL;

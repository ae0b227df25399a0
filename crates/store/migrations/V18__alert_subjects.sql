-- Which session an alert is about: that one may not acknowledge it by itself. Null once the session has given a second factor since.
ALTER TABLE alerts
    ADD COLUMN about_session   text,
    -- When its user had signed in then, as far as its token said.
    ADD COLUMN about_signed_in timestamptz;

CREATE INDEX alerts_by_subject ON alerts (user_id, about_session) WHERE about_session IS NOT NULL;

-- Whether the user was ever seen with a device. Devices are forgotten after 90 days; that there were some is not.
ALTER TABLE users ADD COLUMN had_device boolean NOT NULL DEFAULT false;

UPDATE users SET had_device = true
WHERE EXISTS (SELECT FROM seen WHERE seen.user_id = users.user_id)
   OR EXISTS (SELECT FROM sessions WHERE sessions.user_id = users.user_id);

-- In which session each recovery code was tried: one element for each of `recovery_tried_at`.
ALTER TABLE security ADD COLUMN recovery_tried_in text[];

UPDATE security SET recovery_tried_in = array_fill('-'::text, ARRAY[cardinality(recovery_tried_at)])
WHERE recovery_tried_at IS NOT NULL;

-- Events of a user that were sent recently: they are published again, before anything newer, when Redis has lost the user's event
-- log.
CREATE INDEX outbox_recent ON outbox (user_id, sent_at) WHERE sent_at IS NOT NULL;

-- Renames tables and columns to the terms of the code. Values in rows are unchanged.
ALTER TABLE audit RENAME COLUMN act TO action;
ALTER TABLE audit RENAME COLUMN about TO subject;

ALTER TABLE parked_links RENAME TO pending_links;
ALTER TABLE pending_links RENAME COLUMN parked_at TO created_at;
ALTER TABLE pending_links RENAME COLUMN ends_at TO expires_at;
ALTER INDEX parked_links_pkey RENAME TO pending_links_pkey;
ALTER INDEX parked_links_hash_key RENAME TO pending_links_hash_key;
ALTER INDEX parked_links_by_end RENAME TO pending_links_by_expiry;
ALTER INDEX parked_links_by_user RENAME TO pending_links_by_user;
ALTER INDEX parked_links_by_platform_user RENAME TO pending_links_by_platform_user;
ALTER TABLE pending_links RENAME CONSTRAINT parked_links_user_id_fkey TO pending_links_user_id_fkey;
ALTER SEQUENCE parked_links_id_seq RENAME TO pending_links_id_seq;

ALTER TABLE accounts RENAME COLUMN lost_generation TO disconnected_generation;
ALTER TABLE alerts RENAME COLUMN about_session TO subject_session;
ALTER TABLE alerts RENAME COLUMN about_signed_in TO subject_signed_in_at;
ALTER TABLE exchanges RENAME COLUMN begun_at TO started_at;
ALTER TABLE users RENAME COLUMN sessions_ended_but TO sessions_ended_except;

COMMENT ON COLUMN audit.subject IS 'subject of the action: `github 583231`, or a command';
COMMENT ON COLUMN audit.v IS 'version of the encoding that the HMAC authenticates';
COMMENT ON COLUMN security.factor_secret IS 'encrypted: the shared secret, or the address that codes are sent to';
COMMENT ON COLUMN security.pending_secret IS 'encrypted: the shared secret, or the address that codes are sent to';

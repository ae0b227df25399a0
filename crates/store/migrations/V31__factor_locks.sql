-- Lock of a second factor by the application: no code is accepted, until `factor_locked_until`, or where that is NULL until it is unlocked.
-- Workers of the release before neither read nor write these columns.
ALTER TABLE security
    ADD COLUMN factor_locked_at    timestamptz,
    ADD COLUMN factor_locked_until timestamptz;

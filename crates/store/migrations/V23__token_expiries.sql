-- Latest `exp` of the tokens that were presented in a session; NULL where it is not known, in rows of before.
ALTER TABLE sessions ADD COLUMN newest_exp timestamptz;

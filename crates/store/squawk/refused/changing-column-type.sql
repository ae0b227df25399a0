ALTER TABLE users ALTER COLUMN access_epoch TYPE numeric;

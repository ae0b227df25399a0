CREATE INDEX users_by_epoch ON users (access_epoch);

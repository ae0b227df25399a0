ALTER TABLE users ADD CONSTRAINT has_epoch CHECK (access_epoch >= 0);

ALTER TABLE users DROP COLUMN had_device;

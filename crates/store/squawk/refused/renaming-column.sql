ALTER TABLE users RENAME COLUMN had_device TO has_device;

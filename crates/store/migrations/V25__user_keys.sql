-- Personal data of audit rows is encrypted under a key of its user, and the MAC authenticates a commitment to it: a user is erased by the
-- deletion of the key. NULL in rows of before, and in those without personal data.
ALTER TABLE audit ADD COLUMN personal bytea;

-- Keys of users in the audit log, encrypted.
CREATE TABLE user_keys (
    user_id    text COLLATE "C" PRIMARY KEY,
    key        bytea            NOT NULL,
    created_at timestamptz      NOT NULL DEFAULT now()
);

-- How a second factor is given, codes that were sent, and a key of its own for each user's recovery codes.
ALTER TABLE security
    ADD COLUMN factor_method   text CHECK (factor_method IN ('totp', 'sms', 'email')),
    -- Keys the HMACs of the recovery codes. Sealed, so that a rotation of the vault's keys takes it along as it does the secret.
    ADD COLUMN recovery_key    bytea,
    -- Codes that were sent and are waited for: one element of each array for each.
    ADD COLUMN sent_challenges text[],
    ADD COLUMN sent_sessions   text[],
    ADD COLUMN sent_codes      bytea[], -- HMAC, under a key of the vault; null where none could be sent
    ADD COLUMN sent_until      timestamptz[],

    ADD COLUMN pending_method  text CHECK (pending_method IN ('totp', 'sms', 'email')),
    ADD COLUMN pending_code    bytea; -- HMAC of the code that was sent; null for an authenticator's

COMMENT ON COLUMN security.factor_secret IS 'sealed: the shared secret, or the address that codes are sent to';
COMMENT ON COLUMN security.pending_secret IS 'sealed: the shared secret, or the address that codes are sent to';

-- The HMACs of earlier recovery codes are under a key of the vault itself, which would have to be kept for them alone: those
-- codes end here.
UPDATE security
SET factor_method = 'totp', recovery_codes = '{}',
    sent_challenges = '{}', sent_sessions = '{}', sent_codes = '{}', sent_until = '{}'
WHERE factor_secret IS NOT NULL;
UPDATE security SET pending_method = 'totp' WHERE pending_secret IS NOT NULL;

ALTER TABLE security
    ADD CHECK (num_nulls(factor_secret, factor_method, sent_challenges, sent_sessions, sent_codes, sent_until) IN (0, 6)),
    ADD CHECK (num_nulls(pending_secret, pending_method) IN (0, 2)),
    ADD CHECK (pending_code IS NULL OR pending_method <> 'totp');

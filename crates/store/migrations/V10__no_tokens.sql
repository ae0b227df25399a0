-- A platform may say who a user is and issue nothing to keep (telegram): then the account has no tokens.
ALTER TABLE accounts
    ALTER COLUMN access_token DROP NOT NULL,
    ADD CHECK (access_token IS NOT NULL OR num_nonnulls(refresh_token, token_expires_at) = 0);

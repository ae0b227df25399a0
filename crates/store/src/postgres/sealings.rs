//! The sealed texts as such.

use async_trait::async_trait;
use tokio_postgres::Row;

use super::error::Failure;
use super::{PgStore, row};
use crate::StoreError;
use crate::sealings::{Resealed, SealedColumn, SealedText, Sealings};
use crate::vault::{self, Sealed};

#[async_trait]
impl Sealings for PgStore {
    async fn sealed_otherwise(
        &self,
        column: SealedColumn,
        key_id: &str,
        after: Option<&SealedText>,
        max: usize,
    ) -> Result<Vec<SealedText>, StoreError> {
        let step = "look for texts that another key has sealed";
        let head = vault::head(key_id);
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let number = after.map_or(i64::MIN, |after| after.number);
        let (user, scope) = after.map_or(("", ""), |after| (after.user.as_str(), after.scope.as_str()));
        let rows = match column {
            SealedColumn::Task => self.pool.query(step, find(column), &[&head, &max, &number]).await?,
            _ => {
                self.pool
                    .query(step, find(column), &[&head, &max, &user, &scope])
                    .await?
            }
        };
        let texts = rows.iter().map(text).collect::<Result<_, _>>();
        texts.map_err(|failure| self.pool.report(step, failure))
    }

    async fn reseal(&self, column: SealedColumn, texts: &[Resealed]) -> Result<u64, StoreError> {
        if texts.is_empty() {
            return Ok(0);
        }
        let numbers: Vec<i64> = texts.iter().map(|text| text.was.number).collect();
        let users: Vec<&str> = texts.iter().map(|text| text.was.user.as_str()).collect();
        let scopes: Vec<&str> = texts.iter().map(|text| text.was.scope.as_str()).collect();
        let old: Vec<&[u8]> = texts.iter().map(|text| text.was.sealed.as_bytes()).collect();
        let new: Vec<&[u8]> = texts.iter().map(|text| text.sealed.as_bytes()).collect();
        let put = self
            .pool
            .query(
                "seal texts anew",
                replace(column),
                &[&numbers, &users, &scopes, &old, &new],
            )
            .await?;
        Ok(put.len() as u64)
    }
}

/// A text tells its key in its first bytes, so rows under another key are found without the keys.
fn find(column: SealedColumn) -> &'static str {
    match column {
        SealedColumn::AccountAccess => {
            "SELECT 0::bigint AS number, user_id, account_type, 'access_token' AS token_column, access_token AS sealed \
             FROM accounts WHERE substring(access_token FROM 1 FOR octet_length($1::bytea)) <> $1 \
             AND (user_id, account_type) > ($3, $4) ORDER BY user_id, account_type LIMIT $2"
        }
        SealedColumn::AccountRefresh => {
            "SELECT 0::bigint AS number, user_id, account_type, 'refresh_token' AS token_column, refresh_token AS sealed \
             FROM accounts WHERE substring(refresh_token FROM 1 FOR octet_length($1::bytea)) <> $1 \
             AND (user_id, account_type) > ($3, $4) ORDER BY user_id, account_type LIMIT $2"
        }
        SealedColumn::Task => {
            "SELECT id AS number, user_id, account_type, token_column, token AS sealed \
             FROM tasks WHERE substring(token FROM 1 FOR octet_length($1::bytea)) <> $1 AND id > $3 ORDER BY id LIMIT $2"
        }
        SealedColumn::PendingFactor => {
            "SELECT 0::bigint AS number, user_id, 'factor' AS account_type, \
             CASE pending_method WHEN 'totp' THEN 'secret' ELSE 'address' END AS token_column, pending_secret AS sealed \
             FROM security WHERE substring(pending_secret FROM 1 FOR octet_length($1::bytea)) <> $1 \
             AND (user_id, 'factor') > ($3, $4) ORDER BY user_id LIMIT $2"
        }
        SealedColumn::Factor => {
            "SELECT 0::bigint AS number, user_id, 'factor' AS account_type, \
             CASE factor_method WHEN 'totp' THEN 'secret' ELSE 'address' END AS token_column, factor_secret AS sealed \
             FROM security WHERE substring(factor_secret FROM 1 FOR octet_length($1::bytea)) <> $1 \
             AND (user_id, 'factor') > ($3, $4) ORDER BY user_id LIMIT $2"
        }
        SealedColumn::RecoveryKey => {
            "SELECT 0::bigint AS number, user_id, 'factor' AS account_type, 'recovery' AS token_column, \
             recovery_key AS sealed \
             FROM security WHERE substring(recovery_key FROM 1 FOR octet_length($1::bytea)) <> $1 \
             AND (user_id, 'factor') > ($3, $4) ORDER BY user_id LIMIT $2"
        }
    }
}

/// Rows that a worker is writing are passed over: what it writes is newer, and a later look finds what it leaves. So nobody
/// waits for a rotation, nor a rotation for anybody.
fn replace(column: SealedColumn) -> &'static str {
    match column {
        SealedColumn::AccountAccess => {
            "WITH fresh AS (SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bytea[], $5::bytea[]) \
             AS fresh (number, user_id, account_type, old, new)), \
             held AS (SELECT user_id, account_type, new FROM accounts JOIN fresh USING (user_id, account_type) \
             WHERE access_token = old FOR UPDATE OF accounts SKIP LOCKED) \
             UPDATE accounts SET access_token = held.new FROM held WHERE accounts.user_id = held.user_id \
             AND accounts.account_type = held.account_type RETURNING 1"
        }
        SealedColumn::AccountRefresh => {
            "WITH fresh AS (SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bytea[], $5::bytea[]) \
             AS fresh (number, user_id, account_type, old, new)), \
             held AS (SELECT user_id, account_type, new FROM accounts JOIN fresh USING (user_id, account_type) \
             WHERE refresh_token = old FOR UPDATE OF accounts SKIP LOCKED) \
             UPDATE accounts SET refresh_token = held.new FROM held WHERE accounts.user_id = held.user_id \
             AND accounts.account_type = held.account_type RETURNING 1"
        }
        SealedColumn::Task => {
            "WITH fresh AS (SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bytea[], $5::bytea[]) \
             AS fresh (number, user_id, account_type, old, new)), \
             held AS (SELECT id, new FROM tasks JOIN fresh ON id = number \
             WHERE token = old FOR UPDATE OF tasks SKIP LOCKED) \
             UPDATE tasks SET token = held.new FROM held WHERE tasks.id = held.id RETURNING 1"
        }
        SealedColumn::PendingFactor => {
            "WITH fresh AS (SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bytea[], $5::bytea[]) \
             AS fresh (number, user_id, scope, old, new)), \
             held AS (SELECT user_id, new FROM security JOIN fresh USING (user_id) \
             WHERE pending_secret = old FOR UPDATE OF security SKIP LOCKED) \
             UPDATE security SET pending_secret = held.new FROM held WHERE security.user_id = held.user_id RETURNING 1"
        }
        SealedColumn::Factor => {
            "WITH fresh AS (SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bytea[], $5::bytea[]) \
             AS fresh (number, user_id, scope, old, new)), \
             held AS (SELECT user_id, new FROM security JOIN fresh USING (user_id) \
             WHERE factor_secret = old FOR UPDATE OF security SKIP LOCKED) \
             UPDATE security SET factor_secret = held.new FROM held WHERE security.user_id = held.user_id RETURNING 1"
        }
        SealedColumn::RecoveryKey => {
            "WITH fresh AS (SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bytea[], $5::bytea[]) \
             AS fresh (number, user_id, scope, old, new)), \
             held AS (SELECT user_id, new FROM security JOIN fresh USING (user_id) \
             WHERE recovery_key = old FOR UPDATE OF security SKIP LOCKED) \
             UPDATE security SET recovery_key = held.new FROM held WHERE security.user_id = held.user_id RETURNING 1"
        }
    }
}

fn text(row: &Row) -> Result<SealedText, Failure> {
    Ok(SealedText {
        number: row.try_get("number")?,
        user: row::user(row)?,
        scope: row.try_get("account_type")?,
        bound: row.try_get("token_column")?,
        sealed: Sealed::from_bytes(row.try_get("sealed")?),
    })
}

//! Encrypted texts of all tables, for key rotation.

use async_trait::async_trait;
use tokio_postgres::Row;

use super::error::Failure;
use super::{PgStore, row};
use crate::StoreError;
use crate::encrypted_columns::{EncryptedColumn, EncryptedColumns, EncryptedText, ReencryptedText};
use crate::step::Step;
use crate::vault::{self, Ciphertext};

#[async_trait]
impl EncryptedColumns for PgStore {
    async fn texts_under_other_keys(
        &self,
        column: EncryptedColumn,
        key_id: &str,
        after: Option<&EncryptedText>,
        max: usize,
    ) -> Result<Vec<EncryptedText>, StoreError> {
        let step = Step::LookUpTextsUnderOtherKeys;
        let prefix = vault::prefix(key_id);
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let number = after.map_or(i64::MIN, |after| after.number);
        let (user, scope) = after.map_or(("", ""), |after| (after.user.as_str(), after.scope.as_str()));
        let rows = match column {
            EncryptedColumn::TaskAccess
            | EncryptedColumn::TaskRefresh
            | EncryptedColumn::PendingLinkAccess
            | EncryptedColumn::PendingLinkRefresh => {
                self.pool.query(step, &find(column), &[&prefix, &max, &number]).await?
            }
            _ => {
                self.pool
                    .query(step, &find(column), &[&prefix, &max, &user, &scope])
                    .await?
            }
        };
        let texts = rows.iter().map(text).collect::<Result<_, _>>();
        texts.map_err(|failure| self.pool.report(step, failure))
    }

    async fn has_texts_under(&self, column: EncryptedColumn, key_id: &str) -> Result<bool, StoreError> {
        let step = Step::LookUpTextsUnderKey;
        let found = self
            .pool
            .query(step, &find_under(column), &[&vault::prefix(key_id)])
            .await?;
        Ok(!found.is_empty())
    }

    async fn replace_texts(&self, column: EncryptedColumn, texts: &[ReencryptedText]) -> Result<u64, StoreError> {
        if texts.is_empty() {
            return Ok(0);
        }
        let numbers: Vec<i64> = texts.iter().map(|text| text.previous.number).collect();
        let users: Vec<&str> = texts.iter().map(|text| text.previous.user.as_str()).collect();
        let scopes: Vec<&str> = texts.iter().map(|text| text.previous.scope.as_str()).collect();
        let old: Vec<&[u8]> = texts.iter().map(|text| text.previous.encrypted.as_bytes()).collect();
        let new: Vec<&[u8]> = texts.iter().map(|text| text.encrypted.as_bytes()).collect();
        let replaced = self
            .pool
            .query(
                Step::ReplaceEncryptedTexts,
                &replace(column),
                &[&numbers, &users, &scopes, &old, &new],
            )
            .await?;
        Ok(replaced.len() as u64)
    }
}

/// Table with encrypted texts.
struct Table {
    name: &'static str,
    /// Columns that identify a row, in the order in which a key rotation reads.
    key: &'static [&'static str],
    number: &'static str,
    scope: &'static str,
    /// SQL condition: true if a row comes after the given one.
    after: &'static str,
}

const ACCOUNTS: Table = Table {
    name: "accounts",
    key: &["user_id", "account_type"],
    number: "0::bigint",
    scope: "account_type",
    after: "(user_id, account_type) > ($3, $4)",
};

const PENDING_LINKS: Table = Table {
    name: "pending_links",
    ..TASKS
};

const TASKS: Table = Table {
    name: "tasks",
    key: &["id"],
    number: "id",
    scope: "account_type",
    after: "id > $3",
};

const SECURITY: Table = Table {
    name: "security",
    key: &["user_id"],
    number: "0::bigint",
    scope: "'factor'",
    after: "(user_id, 'factor') > ($3, $4)",
};

const USER_KEYS: Table = Table {
    name: "user_keys",
    key: &["user_id"],
    number: "0::bigint",
    scope: "'audit'",
    after: "(user_id, 'audit') > ($3, $4)",
};

/// Table and column of a text, and the column of its binding as SQL.
fn location(column: EncryptedColumn) -> (Table, &'static str, &'static str) {
    match column {
        EncryptedColumn::PendingLinkAccess => (PENDING_LINKS, "access_token", "'access_token'"),
        EncryptedColumn::PendingLinkRefresh => (PENDING_LINKS, "refresh_token", "'refresh_token'"),
        EncryptedColumn::AccountAccess => (ACCOUNTS, "access_token", "'access_token'"),
        EncryptedColumn::AccountRefresh => (ACCOUNTS, "refresh_token", "'refresh_token'"),
        EncryptedColumn::TaskAccess => (TASKS, "access_token", "'access_token'"),
        EncryptedColumn::TaskRefresh => (TASKS, "refresh_token", "'refresh_token'"),
        EncryptedColumn::PendingFactor => (
            SECURITY,
            "pending_secret",
            "CASE pending_method WHEN 'totp' THEN 'secret' ELSE 'address' END",
        ),
        EncryptedColumn::Factor => (
            SECURITY,
            "factor_secret",
            "CASE factor_method WHEN 'totp' THEN 'secret' ELSE 'address' END",
        ),
        EncryptedColumn::RecoveryKey => (SECURITY, "recovery_key", "'recovery'"),
        EncryptedColumn::UserKey => (USER_KEYS, "key", "'user key'"),
    }
}

/// Names of the table and the column of a text.
pub(super) fn table_and_column(column: EncryptedColumn) -> (&'static str, &'static str) {
    let (table, encrypted, _) = location(column);
    (table.name, encrypted)
}

/// The first bytes of a text name its key, so rows under another key are found without the keys.
fn find(column: EncryptedColumn) -> String {
    let (table, encrypted, bound) = location(column);
    let Table {
        name,
        number,
        scope,
        after,
        ..
    } = table;
    let key_columns = table.key.join(", ");
    format!(
        "SELECT {number} AS number, user_id, {scope} AS account_type, {bound} AS token_column, {encrypted} AS encrypted \
         FROM {name} WHERE substring({encrypted} FROM 1 FOR octet_length($1::bytea)) <> $1 \
         AND {after} ORDER BY {key_columns} LIMIT $2"
    )
}

fn find_under(column: EncryptedColumn) -> String {
    let (Table { name, .. }, encrypted, _) = location(column);
    format!("SELECT 1 FROM {name} WHERE substring({encrypted} FROM 1 FOR octet_length($1::bytea)) = $1 LIMIT 1")
}

/// Skips rows that a worker is writing: the new text is encrypted with the first key or found by a later pass. So neither waits
/// for the other.
fn replace(column: EncryptedColumn) -> String {
    let (Table { name, key, .. }, encrypted, _) = location(column);
    let is_locked: Vec<_> = key
        .iter()
        .map(|part| format!("{name}.{part} = locked.{part}"))
        .collect();
    let (key, is_locked) = (key.join(", "), is_locked.join(" AND "));
    format!(
        "WITH fresh AS (SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bytea[], $5::bytea[]) \
         AS fresh (id, user_id, account_type, old, new)), \
         locked AS (SELECT {key}, new FROM {name} JOIN fresh USING ({key}) \
         WHERE {encrypted} = old FOR UPDATE OF {name} SKIP LOCKED) \
         UPDATE {name} SET {encrypted} = locked.new FROM locked WHERE {is_locked} RETURNING 1"
    )
}

fn text(row: &Row) -> Result<EncryptedText, Failure> {
    Ok(EncryptedText {
        number: row.try_get("number")?,
        user: row::user(row)?,
        scope: row.try_get("account_type")?,
        bound: row.try_get("token_column")?,
        encrypted: Ciphertext::from_bytes(row.try_get("encrypted")?),
    })
}

//! The sealed texts as such.

use async_trait::async_trait;
use tokio_postgres::Row;

use super::error::Failure;
use super::{PgStore, row};
use crate::StoreError;
use crate::sealings::{EncryptedColumn, EncryptedColumns, EncryptedText, ReencryptedText};
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
        let step = "look for texts that another key has sealed";
        let head = vault::head(key_id);
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let number = after.map_or(i64::MIN, |after| after.number);
        let (user, scope) = after.map_or(("", ""), |after| (after.user.as_str(), after.scope.as_str()));
        let rows = match column {
            EncryptedColumn::TaskAccess
            | EncryptedColumn::TaskRefresh
            | EncryptedColumn::PendingLinkAccess
            | EncryptedColumn::PendingLinkRefresh => {
                self.pool.query(step, &find(column), &[&head, &max, &number]).await?
            }
            _ => {
                self.pool
                    .query(step, &find(column), &[&head, &max, &user, &scope])
                    .await?
            }
        };
        let texts = rows.iter().map(text).collect::<Result<_, _>>();
        texts.map_err(|failure| self.pool.report(step, failure))
    }

    async fn replace_texts(&self, column: EncryptedColumn, texts: &[ReencryptedText]) -> Result<u64, StoreError> {
        if texts.is_empty() {
            return Ok(0);
        }
        let numbers: Vec<i64> = texts.iter().map(|text| text.was.number).collect();
        let users: Vec<&str> = texts.iter().map(|text| text.was.user.as_str()).collect();
        let scopes: Vec<&str> = texts.iter().map(|text| text.was.scope.as_str()).collect();
        let old: Vec<&[u8]> = texts.iter().map(|text| text.was.encrypted.as_bytes()).collect();
        let new: Vec<&[u8]> = texts.iter().map(|text| text.encrypted.as_bytes()).collect();
        let put = self
            .pool
            .query(
                "seal texts anew",
                &replace(column),
                &[&numbers, &users, &scopes, &old, &new],
            )
            .await?;
        Ok(put.len() as u64)
    }
}

/// A table with sealed texts.
struct Table {
    name: &'static str,
    /// What names a row, in the order of a rotation.
    key: &'static [&'static str],
    number: &'static str,
    scope: &'static str,
    /// Whether a row comes after the one that is told.
    after: &'static str,
}

const ACCOUNTS: Table = Table {
    name: "accounts",
    key: &["user_id", "account_type"],
    number: "0::bigint",
    scope: "account_type",
    after: "(user_id, account_type) > ($3, $4)",
};

const PARKED_LINKS: Table = Table {
    name: "parked_links",
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

/// Where the texts of a column are, in which column there, and what they are bound to.
fn place(column: EncryptedColumn) -> (Table, &'static str, &'static str) {
    match column {
        EncryptedColumn::PendingLinkAccess => (PARKED_LINKS, "access_token", "'access_token'"),
        EncryptedColumn::PendingLinkRefresh => (PARKED_LINKS, "refresh_token", "'refresh_token'"),
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
    }
}

/// A text tells its key in its first bytes, so rows under another key are found without the keys.
fn find(column: EncryptedColumn) -> String {
    let (table, encrypted, bound) = place(column);
    let Table {
        name,
        number,
        scope,
        after,
        ..
    } = table;
    let order = table.key.join(", ");
    format!(
        "SELECT {number} AS number, user_id, {scope} AS account_type, {bound} AS token_column, {encrypted} AS sealed \
         FROM {name} WHERE substring({encrypted} FROM 1 FOR octet_length($1::bytea)) <> $1 \
         AND {after} ORDER BY {order} LIMIT $2"
    )
}

/// Rows that a worker is writing are passed over: what it writes is newer, and a later look finds what it leaves. So nobody
/// waits for a rotation, nor a rotation for anybody.
fn replace(column: EncryptedColumn) -> String {
    let (Table { name, key, .. }, encrypted, _) = place(column);
    let is_held: Vec<_> = key.iter().map(|part| format!("{name}.{part} = held.{part}")).collect();
    let (key, is_held) = (key.join(", "), is_held.join(" AND "));
    format!(
        "WITH fresh AS (SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bytea[], $5::bytea[]) \
         AS fresh (id, user_id, account_type, old, new)), \
         held AS (SELECT {key}, new FROM {name} JOIN fresh USING ({key}) \
         WHERE {encrypted} = old FOR UPDATE OF {name} SKIP LOCKED) \
         UPDATE {name} SET {encrypted} = held.new FROM held WHERE {is_held} RETURNING 1"
    )
}

fn text(row: &Row) -> Result<EncryptedText, Failure> {
    Ok(EncryptedText {
        number: row.try_get("number")?,
        user: row::user(row)?,
        scope: row.try_get("account_type")?,
        bound: row.try_get("token_column")?,
        encrypted: Ciphertext::from_bytes(row.try_get("sealed")?),
    })
}

//! Findings in a restored database, for `postern restore check`: read before workers use it.

use std::time::Duration;

use protocol::account::AccountType;
use protocol::time::Timestamp;
use time::OffsetDateTime;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row};

use super::SetupError;
use super::direct::on_own_connection;
use super::encrypted_columns::table_and_column;
use super::parameter::Parameter;
use super::row::{timestamp, written};
use super::settings::PgSettings;
use crate::encrypted_columns::EncryptedColumn;
use crate::vault::{self, VaultKeys};

/// Facts that the check needs to judge a database.
#[derive(Debug)]
pub struct RestoreCheck<'a> {
    /// Time until which the lost server was in use.
    pub lost_until: Timestamp,
    /// Time before the expiry of an access token at which its refresh token is used, by platform.
    pub refresh_margins: &'a [(AccountType, Duration)],
    /// Keys that the workers have.
    pub keys: &'a VaultKeys,
    /// Last erasure of each user in the log of the workers: user, and number of its row.
    pub erasures: &'a [(String, i64)],
}

/// State of a restored database, and what it may lack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredState {
    /// Time of this state, to the minute; none if no worker has run for a minute.
    pub as_of: Option<Timestamp>,
    /// Accounts whose refresh token may have been used after that, by platform and user. A second use may end the grant.
    pub to_link_again: Vec<RestoredAccount>,
    /// Sessions that were open then, and may have ended since.
    pub open_sessions: u64,
    /// Users who were erased after that, and are there again.
    pub to_erase_again: Vec<String>,
    /// Encrypted columns with texts that none of the keys decrypts, and their number.
    pub unreadable: Vec<(&'static str, u64)>,
}

/// Account in a restored database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredAccount {
    /// User.
    pub user: String,
    /// Platform.
    pub account_type: AccountType,
    /// Id of the account at the platform.
    pub platform_user_id: String,
    /// Generation of its tokens.
    pub generation: i64,
    /// Name of the account at the platform.
    pub username: String,
    /// Time of its last sync.
    pub last_synced: Option<Timestamp>,
}

/// Condition of a session that was open when the deadlines were copied last.
macro_rules! is_open {
    () => {
        "ended_at IS NULL AND exp_at > copied_at \
         AND (sessions_ended_at IS NULL OR opened_at > sessions_ended_at OR session_id = sessions_ended_except)"
    };
}

/// Reads the state of a restored database. Changes nothing.
///
/// # Errors
/// [`SetupError`].
pub async fn read_restored_state(settings: &PgSettings, check: &RestoreCheck<'_>) -> Result<RestoredState, SetupError> {
    on_own_connection(settings, async |client| {
        let state = read(client, check).await;
        state.map_err(|error| SetupError::Reach(Box::new(error)))
    })
    .await
}

async fn read(client: &Client, check: &RestoreCheck<'_>) -> Result<RestoredState, Error> {
    let (as_of, open_sessions) = open_sessions(client).await?;
    let mut to_link_again = Vec::new();
    for (account_type, margin) in check.refresh_margins {
        let used_by = check.lost_until.plus(*margin);
        to_link_again.extend(expiring_accounts(client, *account_type, used_by).await?);
    }
    let mut unreadable = Vec::new();
    for column in EncryptedColumn::ALL {
        let texts = texts_without_key(client, column, check.keys).await?;
        if texts > 0 {
            unreadable.push((column.as_str(), texts));
        }
    }
    Ok(RestoredState {
        as_of,
        to_link_again,
        open_sessions,
        to_erase_again: users_to_erase(client, check.erasures).await?,
        unreadable,
    })
}

/// Users with sessions that were open at the time of a restored database, all at once: as many names as it has such users.
///
/// # Errors
/// [`SetupError`].
pub async fn read_users_with_open_sessions(settings: &PgSettings) -> Result<Vec<String>, SetupError> {
    on_own_connection(settings, async |client| {
        let users = concat!(
            "SELECT DISTINCT user_id FROM session_deadlines, sessions JOIN users USING (user_id) WHERE ",
            is_open!(),
            " ORDER BY user_id"
        );
        let rows = client.query_typed(users, &[]).await;
        let users = rows.and_then(|rows| rows.iter().map(|row| row.try_get("user_id")).collect());
        users.map_err(|error| SetupError::Reach(Box::new(error)))
    })
    .await
}

/// Time of the state, and the number of sessions that were open then.
async fn open_sessions(client: &Client) -> Result<(Option<Timestamp>, u64), Error> {
    // `copied_at` is `-infinity` until a worker has copied the deadlines of sessions.
    let count = concat!(
        "SELECT nullif(copied_at, '-infinity') AS as_of, \
         (SELECT count(*) FROM sessions JOIN users USING (user_id) WHERE ",
        is_open!(),
        ") AS open FROM session_deadlines"
    );
    let found = client.query_typed_one(count, &[]).await?;
    let as_of: Option<OffsetDateTime> = found.try_get("as_of")?;
    Ok((as_of.map(timestamp), found.try_get::<_, i64>("open")?.unsigned_abs()))
}

/// Accounts with a refresh token whose access token expires by then.
async fn expiring_accounts(
    client: &Client,
    account_type: AccountType,
    expiring_by: Timestamp,
) -> Result<Vec<RestoredAccount>, Error> {
    let find = "SELECT user_id, platform_user_id, generation, username, last_synced FROM accounts \
         WHERE account_type = $1 AND refresh_token IS NOT NULL AND token_expires_at <= $2 \
         AND disconnected_generation IS DISTINCT FROM generation ORDER BY user_id";
    let rows = query(client, find, &[&account_type.as_str(), &written(expiring_by)]).await?;
    let accounts = rows.iter().map(|row| {
        Ok(RestoredAccount {
            user: row.try_get("user_id")?,
            account_type,
            platform_user_id: row.try_get("platform_user_id")?,
            generation: row.try_get("generation")?,
            username: row.try_get("username")?,
            last_synced: row.try_get::<_, Option<OffsetDateTime>>("last_synced")?.map(timestamp),
        })
    });
    accounts.collect()
}

/// Users whose erasure is not in the database.
async fn users_to_erase(client: &Client, erasures: &[(String, i64)]) -> Result<Vec<String>, Error> {
    let find = "SELECT user_id FROM unnest($1::text[], $2::bigint[]) AS logged (user_id, seq) WHERE NOT EXISTS \
         (SELECT FROM audit_heads WHERE audit_heads.user_id = logged.user_id AND erased >= logged.seq) ORDER BY user_id";
    let users: Vec<&str> = erasures.iter().map(|(user, _)| user.as_str()).collect();
    let rows: Vec<i64> = erasures.iter().map(|(_, seq)| *seq).collect();
    let found = query(client, find, &[&users, &rows]).await?;
    found.iter().map(|row| row.try_get("user_id")).collect()
}

/// Number of texts of a column that none of these keys has encrypted.
async fn texts_without_key(client: &Client, column: EncryptedColumn, keys: &VaultKeys) -> Result<u64, Error> {
    let (table, encrypted) = table_and_column(column);
    let count = format!(
        "SELECT count(*) AS texts FROM {table} WHERE {encrypted} IS NOT NULL AND NOT EXISTS \
         (SELECT FROM unnest($1::bytea[]) AS prefix WHERE substring({encrypted} FROM 1 FOR octet_length(prefix)) = prefix)"
    );
    let prefixes: Vec<Vec<u8>> = keys.ids().map(vault::prefix).collect();
    let prefixes: Vec<&[u8]> = prefixes.iter().map(Vec::as_slice).collect();
    let rows = query(client, &count, &[&prefixes]).await?;
    let texts = rows.first().map_or(Ok(0), |row| row.try_get::<_, i64>("texts"));
    Ok(texts?.unsigned_abs())
}

async fn query(client: &Client, sql: &str, parameters: &[&dyn Parameter]) -> Result<Vec<Row>, Error> {
    let values = parameters.iter().map(|parameter| *parameter as &(dyn ToSql + Sync));
    let types = parameters.iter().map(|parameter| parameter.sql_type());
    let typed: Vec<_> = values.zip(types).collect();
    client.query_typed(sql, &typed).await
}

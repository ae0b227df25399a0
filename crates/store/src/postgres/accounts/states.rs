//! Linked accounts with the state of their syncs.

use time::OffsetDateTime;
use tokio_postgres::Row;

use crate::operator::AccountOverview;
use crate::postgres::error::Failure;
use crate::postgres::row::{account, timestamp};

/// Accounts from the columns of [`READ`].
pub(in crate::postgres) fn read(rows: &[Row]) -> Result<Vec<AccountOverview>, Failure> {
    let time = |row: &Row, column| Ok::<_, Failure>(row.try_get::<_, Option<OffsetDateTime>>(column)?.map(timestamp));
    let read = |row: &Row| {
        Ok(AccountOverview {
            account: account(row)?,
            is_disconnected: row.try_get("is_disconnected")?,
            has_refresh_token: row.try_get("has_refresh_token")?,
            token_expires_at: time(row, "token_expires_at")?,
            next_sync_at: timestamp(row.try_get("next_sync_at")?),
            failures: row.try_get("failures")?,
            paused_until: time(row, "paused_until")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Accounts of user `$1`.
pub(in crate::postgres) const READ: &str = "SELECT account_type, platform_user_id, username, display_name, avatar_url, status, scopes, \
                                            connected_at, last_synced, error_message, token_expires_at, next_sync_at, failures, \
                                            paused_until, refresh_token IS NOT NULL AS has_refresh_token, \
                                            disconnected_generation IS NOT DISTINCT FROM generation AS is_disconnected \
                                            FROM accounts WHERE user_id = $1 ORDER BY account_type COLLATE \"C\"";

//! Locks that serialize transactions. A transaction that takes several takes them in this order, so that none deadlock.

use protocol::account::AccountType;
use protocol::id::{SessionId, UserId};

use super::error::Failure;
use super::session_check;
use super::transaction::Transaction;

/// Locks the user's head row, and inserts it if it is missing. First lock of every transaction about a user. Returns the user's
/// access epoch.
///
/// # Errors
/// [`Failure::SessionEnded`] if `session`, on whose behalf the transaction acts, has ended; the row is locked nevertheless. None
/// if the transaction acts for no session.
pub(super) async fn lock_user(
    tx: &Transaction<'_>,
    user: &UserId,
    session: Option<&SessionId>,
) -> Result<i64, Failure> {
    if let Some(epoch) = lock_and_check(tx, user, session).await? {
        return Ok(epoch);
    }
    // A concurrent transaction inserted the row after this one had looked, or deleted it, as the user had nothing.
    let row = tx.query_one(INSERT_OR_LOCK_USER, &[&user.as_str()]).await?;
    session_check::refuse_ended(tx, user, session).await?;
    Ok(row.try_get(0)?)
}

/// Locks the row and checks the session. The two statements are sent together, and the second runs with the lock
/// held: within the first it would see the session as it was before the wait.
async fn lock_and_check(
    tx: &Transaction<'_>,
    user: &UserId,
    session: Option<&SessionId>,
) -> Result<Option<i64>, Failure> {
    let user = user.as_str();
    let row = match session {
        None => tx.query_opt(LOCK_USER, &[&user]).await?,
        Some(session) => {
            let session = session.as_str();
            let (locked, ended) = tx
                .query_both((LOCK_USER, &[&user]), (session_check::ENDED, &[&user, &session]))
                .await?;
            if !ended.is_empty() {
                return Err(Failure::SessionEnded);
            }
            locked.into_iter().next()
        }
    };
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Statement that locks the head row of the user `$1`, and inserts it if it is missing. It returns no row if a concurrent transaction
/// inserted or deleted the row after this one had looked. A statement that reads under the lock is sent after this one: within it, it would see
/// the rows as they were before the wait.
pub(super) const LOCK_USER: &str = "WITH made AS (INSERT INTO users (user_id) \
                                    SELECT $1 WHERE NOT EXISTS (SELECT FROM users WHERE user_id = $1) \
                                    ON CONFLICT DO NOTHING RETURNING access_epoch) \
                                    SELECT access_epoch FROM made UNION ALL SELECT access_epoch FROM \
                                    (SELECT access_epoch FROM users WHERE user_id = $1 FOR UPDATE) AS locked";

/// Statement that inserts the head row of the user `$1`, or locks it, whatever concurrent transactions do. It writes the row each time,
/// so [`LOCK_USER`] is tried before.
const INSERT_OR_LOCK_USER: &str = "INSERT INTO users (user_id) VALUES ($1) \
                                   ON CONFLICT (user_id) DO UPDATE SET access_epoch = users.access_epoch \
                                   RETURNING access_epoch";

/// Increments the access epoch, so that no authorization that started before can be completed. The caller holds the lock of the
/// user's head row.
pub(super) async fn move_access_epoch(tx: &Transaction<'_>, user: &UserId) -> Result<(), Failure> {
    let advance = "UPDATE users SET access_epoch = access_epoch + 1 WHERE user_id = $1";
    tx.execute(advance, &[&user.as_str()]).await?;
    Ok(())
}

/// Locks an account at its platform, independent of the user who links it. Second lock, after the head row: links, unlinks and revocations of one
/// account are serialized.
pub(super) async fn lock_platform_account(
    tx: &Transaction<'_>,
    account: AccountType,
    platform_user_id: &str,
) -> Result<(), Failure> {
    lock_name(tx, &format!("platform account {account} {platform_user_id}")).await
}

/// Locks the head row of a user whom the store knows; false if it knows none. First lock, as [`lock_user`].
pub(super) async fn lock_known_user(tx: &Transaction<'_>, user: &UserId) -> Result<bool, Failure> {
    let lock = "SELECT FROM users WHERE user_id = $1 FOR UPDATE";
    Ok(tx.query_opt(lock, &[&user.as_str()]).await?.is_some())
}

/// Locks the audit chain of operators. Last lock.
pub(super) async fn lock_operators(tx: &Transaction<'_>) -> Result<(), Failure> {
    lock_name(tx, "audit chain of operators").await
}

/// Locks the relay of a user's events; the only lock of its transaction.
pub(super) async fn lock_relay(tx: &Transaction<'_>, user: &UserId) -> Result<(), Failure> {
    lock_name(tx, &format!("relay {user}")).await
}

/// Takes an advisory lock. These belong to the whole database; with the schema in the name, two deployments in one database do
/// not wait for each other.
async fn lock_name(tx: &Transaction<'_>, name: &str) -> Result<(), Failure> {
    let lock = "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || ' ' || $1::text, 0))";
    tx.execute(lock, &[&name]).await?;
    Ok(())
}

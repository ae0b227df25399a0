//! The locks that put transactions one after the other. Whoever takes several takes them in this order, so that nobody waits
//! in a circle.

use protocol::account::AccountType;
use protocol::id::{SessionId, UserId};

use super::error::Failure;
use super::sessions;
use super::transaction::Transaction;

/// First: the user's head row, made where there is none. Gives the user's access epoch.
///
/// # Errors
/// [`Failure::SessionEnded`] where `session`, for which the transaction acts, has ended; the row is locked all the same. None: it acts
/// for no session.
pub(super) async fn lock_user(
    tx: &Transaction<'_>,
    user: &UserId,
    session: Option<&SessionId>,
) -> Result<i64, Failure> {
    if let Some(epoch) = lock_and_check(tx, user, session).await? {
        return Ok(epoch);
    }
    let make = "INSERT INTO users (user_id) VALUES ($1) ON CONFLICT DO NOTHING";
    tx.execute(make, &[&user.as_str()]).await?;
    let made = lock_and_check(tx, user, session).await?;
    made.ok_or_else(|| Failure::row(NoHead))
}

/// Locks the row, if it is there, and looks at the session. The two statements travel together, and the second begins when the lock is
/// held: within the first, it would see the session as it was before the wait.
async fn lock_and_check(
    tx: &Transaction<'_>,
    user: &UserId,
    session: Option<&SessionId>,
) -> Result<Option<i64>, Failure> {
    let user = user.as_str();
    let lock = "SELECT access_epoch FROM users WHERE user_id = $1 FOR UPDATE";
    let row = match session {
        None => tx.query_opt(lock, &[&user]).await?,
        Some(session) => {
            let session = session.as_str();
            let (locked, ended) = tx
                .query_both((lock, &[&user]), (sessions::ENDED, &[&user, &session]))
                .await?;
            if !ended.is_empty() {
                return Err(Failure::SessionEnded);
            }
            locked.into_iter().next()
        }
    };
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Users are never deleted.
#[derive(Debug, thiserror::Error)]
#[error("a user's head row is gone")]
struct NoHead;

/// From here on nothing that was begun before can be linked. The caller holds the user's head row.
pub(super) async fn move_access_epoch(tx: &Transaction<'_>, user: &UserId) -> Result<(), Failure> {
    let advance = "UPDATE users SET access_epoch = access_epoch + 1 WHERE user_id = $1";
    tx.execute(advance, &[&user.as_str()]).await?;
    Ok(())
}

/// Second: an account at its platform, whoever links it. Links, unlinks and revocations of it look at each other.
pub(super) async fn lock_platform_account(
    tx: &Transaction<'_>,
    account: AccountType,
    platform_user_id: &str,
) -> Result<(), Failure> {
    lock_name(tx, &format!("platform account {account} {platform_user_id}")).await
}

/// Alone: the right to publish a user's events.
pub(super) async fn lock_relay(tx: &Transaction<'_>, user: &UserId) -> Result<(), Failure> {
    lock_name(tx, &format!("relay {user}")).await
}

/// Advisory locks belong to a whole database; with the schema in their name, two Posterns in one database do not wait for
/// each other.
async fn lock_name(tx: &Transaction<'_>, name: &str) -> Result<(), Failure> {
    let lock = "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || ' ' || $1::text, 0))";
    tx.execute(lock, &[&name]).await?;
    Ok(())
}

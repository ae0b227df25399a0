//! Check that the session on whose behalf a transaction acts has not ended.

use protocol::id::{SessionId, UserId};

use super::error::Failure;
use super::transaction::Transaction;

/// Finds the session if it has ended, by itself or with all others of its user.
pub(super) const ENDED: &str = "SELECT FROM users JOIN sessions USING (user_id) WHERE user_id = $1 AND session_id = $2 \
                                AND (ended_at IS NOT NULL \
                                OR (opened_at <= sessions_ended_at AND session_id IS DISTINCT FROM sessions_ended_except))";

/// Refuses a transaction of a session that has ended. A transaction that holds a lock which the end of a session takes too sends
/// this after the lock.
pub(super) async fn refuse_ended(
    tx: &Transaction<'_>,
    user: &UserId,
    session: Option<&SessionId>,
) -> Result<(), Failure> {
    let Some(session) = session else { return Ok(()) };
    let find = ENDED;
    match tx.query_opt(find, &[&user.as_str(), &session.as_str()]).await? {
        Some(_) => Err(Failure::SessionEnded),
        None => Ok(()),
    }
}

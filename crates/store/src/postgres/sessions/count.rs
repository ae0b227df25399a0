//! Count of wrong second factors in an open session.

use async_trait::async_trait;
use protocol::id::{SessionId, UserId};

use crate::postgres::error::Failure;
use crate::postgres::locks;
use crate::postgres::pool::{Ending, Work};
use crate::postgres::transaction::Transaction;

pub(super) struct CountFailure<'a> {
    pub(super) user: &'a UserId,
    pub(super) session: &'a SessionId,
}

#[async_trait]
impl Work for CountFailure<'_> {
    type Outcome = u32;

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<u32>, Failure> {
        locks::lock_user(tx, self.user, Some(self.session)).await?;
        let count =
            "UPDATE sessions SET failures = failures + 1 WHERE user_id = $1 AND session_id = $2 RETURNING failures";
        let (user, session) = (self.user.as_str(), self.session.as_str());
        let counted = tx.query_opt(count, &[&user, &session]).await?;
        let failures = counted.map_or(Ok(0), |row| row.try_get::<_, i32>("failures"))?;
        Ok(Ending::Commit(u32::try_from(failures).unwrap_or(0)))
    }
}

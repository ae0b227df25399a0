//! Committed ends that Redis has not confirmed yet.

use protocol::id::{SessionId, UserId};
use protocol::time::Timestamp;
use time::OffsetDateTime;
use tokio_postgres::Row;

use super::{end_of_all, session};
use crate::StoreError;
use crate::postgres::PgStore;
use crate::postgres::error::Failure;
use crate::postgres::row::{self, timestamp, written};
use crate::sessions::CommittedEnds;
use crate::step::Step;

impl PgStore {
    pub(super) async fn find_unconfirmed(&self, limit: usize) -> Result<Vec<UserId>, StoreError> {
        let step = Step::LookUpUnconfirmedSessionEnds;
        let find = "SELECT user_id FROM sessions WHERE end_unconfirmed \
                    UNION SELECT user_id FROM users WHERE sessions_end_unconfirmed LIMIT $1";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.pool.query(step, find, &[&limit]).await?;
        let users = rows.iter().map(row::user).collect::<Result<_, _>>();
        users.map_err(|failure| self.pool.report(step, failure))
    }

    pub(super) async fn read_unconfirmed(&self, user: &UserId) -> Result<CommittedEnds, StoreError> {
        let step = Step::ReadUnconfirmedSessionEnds;
        let sessions = "SELECT session_id, ended_at FROM sessions \
                        WHERE user_id = $1 AND end_unconfirmed AND ended_at IS NOT NULL";
        let all = "SELECT sessions_ended_at, sessions_ended_except FROM users \
                   WHERE user_id = $1 AND sessions_end_unconfirmed";
        let sessions = self.pool.query(step, sessions, &[&user.as_str()]).await?;
        let all = self.pool.query(step, all, &[&user.as_str()]).await?;
        ends(&sessions, all.first()).map_err(|failure| self.pool.report(step, failure))
    }

    /// Confirms these ends, but not those that were committed since they were read.
    pub(super) async fn confirm(&self, user: &UserId, ends: &CommittedEnds) -> Result<(), StoreError> {
        let step = Step::ConfirmSessionEnds;
        if !ends.sessions.is_empty() {
            let confirm = "UPDATE sessions SET end_unconfirmed = false \
                           FROM unnest($2::text[], $3::timestamptz[]) AS confirmed (confirmed_session, confirmed_end) \
                           WHERE user_id = $1 AND session_id = confirmed_session AND ended_at <= confirmed_end";
            let sessions: Vec<&str> = ends.sessions.iter().map(|(session, _)| session.as_str()).collect();
            let times: Vec<OffsetDateTime> = ends.sessions.iter().map(|(_, ended_at)| written(*ended_at)).collect();
            self.pool
                .query(step, confirm, &[&user.as_str(), &sessions, &times])
                .await?;
        }
        if let Some(all) = &ends.all {
            let confirm = "UPDATE users SET sessions_end_unconfirmed = false \
                           WHERE user_id = $1 AND sessions_ended_at <= $2";
            self.pool
                .query(step, confirm, &[&user.as_str(), &written(all.ended_at)])
                .await?;
        }
        Ok(())
    }
}

fn ends(sessions: &[Row], all: Option<&Row>) -> Result<CommittedEnds, Failure> {
    let end = |row: &Row| Ok((session(row)?, timestamp(row.try_get("ended_at")?)));
    let sessions: Result<Vec<(SessionId, Timestamp)>, Failure> = sessions.iter().map(end).collect();
    Ok(CommittedEnds {
        sessions: sessions?,
        all: all.map(end_of_all).transpose()?.flatten(),
    })
}

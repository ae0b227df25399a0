//! Session records. [`open`] and [`end`] run under the user's lock, [`confirm`] tracks ends that Redis has not confirmed; this
//! file reads and copies.

mod confirm;
mod count;
mod end;
mod open;

use std::time::Duration;

use async_trait::async_trait;
use protocol::cluster::origin::Origin;
use protocol::id::{SessionId, UserId};
use protocol::time::Timestamp;
use time::OffsetDateTime;
use tokio_postgres::Row;

use self::count::CountFailure;
use self::end::EndSessions;
use self::open::OpenSession;
use super::error::Failure;
use super::parameter::Parameter;
use super::row::{seconds, timestamp, user, written};
use super::{PgStore, session_check};
use crate::StoreError;
use crate::session_rules::{KnownSession, SLACK};
use crate::sessions::{
    CommittedEnds, EndAllSessions, EndSessionsOutcome, EndSessionsRequest, OpeningSignIn, SessionDeadline,
    SessionOpenOutcome, SessionOpenRequest, SessionRecord, SessionRecords, SessionsReceipt,
};
use crate::step::Step;

#[async_trait]
impl SessionRecords for PgStore {
    async fn open_session(
        &self,
        opening: &SessionOpenRequest,
        sign_in: Option<&OpeningSignIn<'_>>,
    ) -> Result<SessionOpenOutcome, StoreError> {
        let work = OpenSession {
            opening,
            sign_in,
            keys: &self.audit,
        };
        self.pool.transact(Step::StoreOpenedSession, &work).await
    }

    async fn is_session_ended(&self, user: &UserId, session: &SessionId) -> Result<bool, StoreError> {
        let values: [&dyn Parameter; 2] = [&user.as_str(), &session.as_str()];
        Ok(!self
            .pool
            .query(Step::ReadSession, session_check::ENDED, &values)
            .await?
            .is_empty())
    }

    async fn end_sessions(
        &self,
        ending: &EndSessionsRequest<'_>,
        receipt: &SessionsReceipt<'_>,
    ) -> Result<EndSessionsOutcome, StoreError> {
        let work = EndSessions {
            ending,
            receipt,
            keys: &self.audit,
        };
        self.pool.transact(Step::CommitSessionEnds, &work).await
    }

    async fn count_factor_failure(&self, user: &UserId, session: &SessionId) -> Result<u32, StoreError> {
        let work = CountFailure { user, session };
        self.pool.transact(Step::CountWrongSecondFactor, &work).await
    }

    async fn users_with_unconfirmed_ends(&self, limit: usize) -> Result<Vec<UserId>, StoreError> {
        self.find_unconfirmed(limit).await
    }

    async fn unconfirmed_ends(&self, user: &UserId) -> Result<CommittedEnds, StoreError> {
        self.read_unconfirmed(user).await
    }

    async fn confirm_ends(&self, user: &UserId, ends: &CommittedEnds) -> Result<(), StoreError> {
        self.confirm(user, ends).await
    }

    async fn sessions_of(&self, user: &UserId, alive: &[SessionId]) -> Result<Vec<SessionRecord>, StoreError> {
        let step = Step::ListSessionsOfUser;
        let list = "SELECT session_id, opened_at, address, device_id, device_name, user_agent, \
                    extract(epoch FROM exp_at - now())::float8 AS left_secs \
                    FROM sessions JOIN users USING (user_id) \
                    WHERE user_id = $1 AND ended_at IS NULL AND (exp_at > now() OR session_id = ANY($2)) \
                    AND (sessions_ended_at IS NULL OR opened_at > sessions_ended_at OR session_id = sessions_ended_except) \
                    ORDER BY opened_at, session_id COLLATE \"C\"";
        let alive: Vec<&str> = alive.iter().map(SessionId::as_str).collect();
        let rows = self.pool.query(step, list, &[&user.as_str(), &alive]).await?;
        let sessions: Result<_, Failure> = rows.iter().map(opened_session).collect();
        sessions.map_err(|failure| self.pool.report(step, failure))
    }

    async fn live_sessions(
        &self,
        after: Option<&(UserId, SessionId)>,
        limit: usize,
    ) -> Result<Vec<(UserId, SessionId)>, StoreError> {
        let step = Step::ListLiveSessions;
        let list = "SELECT user_id, session_id FROM sessions WHERE ended_at IS NULL \
                    AND exp_at > (SELECT copied_at FROM session_deadlines) - $1 * interval '1 second' \
                    AND (user_id COLLATE \"C\", session_id COLLATE \"C\") > ($2, $3) \
                    ORDER BY user_id COLLATE \"C\", session_id COLLATE \"C\" LIMIT $4";
        // No id is empty, so every id sorts after these.
        let (user_id, session_id) = after.map_or(("", ""), |(user, session)| (user.as_str(), session.as_str()));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values: [&dyn Parameter; 4] = [&SLACK.as_secs_f64(), &user_id, &session_id, &limit];
        let rows = self.pool.query(step, list, &values).await?;
        let page: Result<_, Failure> = rows.iter().map(|row| Ok((user(row)?, session(row)?))).collect();
        page.map_err(|failure| self.pool.report(step, failure))
    }

    async fn save_deadlines(&self, deadlines: &[((UserId, SessionId), SessionDeadline)]) -> Result<(), StoreError> {
        // GREATEST ignores what is not known.
        let save = "UPDATE sessions SET exp_at = greatest(exp_at, now() + left_secs * interval '1 second'), \
                    newest_exp = greatest(newest_exp, live_exp) \
                    FROM unnest($1::text[], $2::text[], $3::float8[], $4::timestamptz[]) \
                    AS live (live_user, live_session, left_secs, live_exp) \
                    WHERE user_id = live_user AND session_id = live_session";
        let users: Vec<&str> = deadlines.iter().map(|((user, _), _)| user.as_str()).collect();
        let sessions: Vec<&str> = deadlines.iter().map(|((_, session), _)| session.as_str()).collect();
        let seconds: Vec<f64> = deadlines.iter().map(|(_, live)| live.left.as_secs_f64()).collect();
        let expiries = deadlines.iter().map(|(_, live)| live.latest_expiry.map(written));
        let expiries: Vec<Option<OffsetDateTime>> = expiries.collect();
        let values: [&dyn Parameter; 4] = [&users, &sessions, &seconds, &expiries];
        self.pool
            .query(Step::SaveSessionDeadlines, save, &values)
            .await
            .map(drop)
    }

    async fn mark_deadlines_saved(&self, ago: Duration) -> Result<(), StoreError> {
        let mark = "UPDATE session_deadlines SET copied_at = greatest(copied_at, now() - $1 * interval '1 second')";
        self.pool
            .query(Step::MarkSessionDeadlinesAsSaved, mark, &[&ago.as_secs_f64()])
            .await
            .map(drop)
    }

    async fn reset_deadlines(&self, user: &UserId, left: &[(SessionId, Duration)]) -> Result<(), StoreError> {
        let set = "UPDATE sessions SET exp_at = now() + left_secs * interval '1 second' \
                   FROM unnest($2::text[], $3::float8[]) AS reset (reset_session, left_secs) \
                   WHERE user_id = $1 AND session_id = reset_session";
        let sessions: Vec<&str> = left.iter().map(|(session, _)| session.as_str()).collect();
        let seconds: Vec<f64> = left.iter().map(|(_, left)| left.as_secs_f64()).collect();
        let values: [&dyn Parameter; 3] = [&user.as_str(), &sessions, &seconds];
        self.pool
            .query(Step::ResetSessionDeadlines, set, &values)
            .await
            .map(drop)
    }
}

fn known_session(row: &Row) -> Result<KnownSession, Failure> {
    Ok(KnownSession {
        opened_at: timestamp(row.try_get("opened_at")?),
        expires_at: timestamp(row.try_get("exp_at")?),
        ended_at: time(row, "ended_at")?,
        newest_token: time(row, "newest_iat")?,
        latest_expiry: time(row, "newest_exp")?,
    })
}

/// End of all sessions from the columns of `users`.
fn end_of_all(row: &Row) -> Result<Option<EndAllSessions>, Failure> {
    let Some(ended_at) = time(row, "sessions_ended_at")? else {
        return Ok(None);
    };
    let except: Option<&str> = row.try_get("sessions_ended_except")?;
    let except = except.map(SessionId::new).transpose().map_err(Failure::row)?;
    Ok(Some(EndAllSessions { ended_at, except }))
}

fn time(row: &Row, column: &str) -> Result<Option<Timestamp>, Failure> {
    Ok(row.try_get::<_, Option<OffsetDateTime>>(column)?.map(timestamp))
}

fn opened_session(row: &Row) -> Result<SessionRecord, Failure> {
    Ok(SessionRecord {
        session: session(row)?,
        opened_at: timestamp(row.try_get("opened_at")?),
        origin: Origin {
            address: row.try_get("address")?,
            device_id: row.try_get("device_id")?,
            device_name: row.try_get("device_name")?,
            user_agent: row.try_get("user_agent")?,
        },
        left: seconds(row, "left_secs")?,
    })
}

/// Session from the column `session_id`.
fn session(row: &Row) -> Result<SessionId, Failure> {
    SessionId::new(row.try_get::<_, &str>("session_id")?).map_err(Failure::row)
}

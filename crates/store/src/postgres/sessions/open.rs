//! Opening of a session under its user's lock.

use async_trait::async_trait;
use protocol::time::Timestamp;
use time::OffsetDateTime;

use super::{end_of_all, known_session};
use crate::postgres::error::Failure;
use crate::postgres::locks;
use crate::postgres::pool::{Ending, Work};
use crate::postgres::row::{timestamp, written};
use crate::postgres::transaction::Transaction;
use crate::session_rules::{self, KnownSession};
use crate::sessions::{EndAllSessions, SessionLife, SessionOpenOutcome, SessionOpenRequest};

pub(super) struct OpenSession<'a>(pub(super) &'a SessionOpenRequest);

#[async_trait]
impl Work for OpenSession<'_> {
    type Outcome = SessionOpenOutcome;

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<SessionOpenOutcome>, Failure> {
        locks::lock_user(tx, &self.0.user, None).await?;
        let (known, all, now) = self.find(tx).await?;
        let opened = session_rules::open(known.as_ref(), all.as_ref(), self.0, now);
        let SessionOpenOutcome::Open(life) = opened else {
            return Ok(Ending::RollBack(opened));
        };
        self.write(tx, known.as_ref(), &life, now).await?;
        Ok(Ending::Commit(opened))
    }
}

impl OpenSession<'_> {
    /// Reads the session, the end of all sessions and the time, after the lock.
    async fn find(
        &self,
        tx: &Transaction<'_>,
    ) -> Result<(Option<KnownSession>, Option<EndAllSessions>, Timestamp), Failure> {
        let find = "SELECT session_id, opened_at, exp_at, ended_at, newest_iat, sessions_ended_at, sessions_ended_except, \
                 clock_timestamp() AS now FROM users LEFT JOIN sessions \
                 ON sessions.user_id = users.user_id AND session_id = $2 WHERE users.user_id = $1";
        let (user, session) = (self.0.user.as_str(), self.0.session.as_str());
        let row = tx.query_one(find, &[&user, &session]).await?;
        let is_known = row.try_get::<_, Option<&str>>("session_id")?.is_some();
        let known = is_known.then(|| known_session(&row)).transpose()?;
        Ok((known, end_of_all(&row)?, timestamp(row.try_get("now")?)))
    }

    async fn write(
        &self,
        tx: &Transaction<'_>,
        known: Option<&KnownSession>,
        life: &SessionLife,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let upsert = "INSERT INTO sessions (user_id, session_id, opened_at, exp_at, newest_iat, \
                 address, device_id, device_name, user_agent) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
                 ON CONFLICT (user_id, session_id) DO UPDATE SET opened_at = excluded.opened_at, exp_at = excluded.exp_at, \
                 ended_at = NULL, end_unconfirmed = false, newest_iat = excluded.newest_iat, address = excluded.address, \
                 device_id = excluded.device_id, device_name = excluded.device_name, user_agent = excluded.user_agent, \
                 failures = CASE WHEN $10 THEN sessions.failures ELSE 0 END";
        let SessionOpenRequest {
            user, session, origin, ..
        } = self.0;
        let newest = self.0.issued_at.max(known.and_then(|known| known.newest_token));
        let newest: Option<OffsetDateTime> = newest.map(written);
        let goes_on = known.is_some_and(|known| known.is_open(now));
        tx.execute(
            upsert,
            &[
                &user.as_str(),
                &session.as_str(),
                &written(life.opened_at),
                &written(now.plus(life.left)),
                &newest,
                &origin.address,
                &origin.device_id,
                &origin.device_name,
                &origin.user_agent,
                &goes_on,
            ],
        )
        .await?;
        Ok(())
    }
}

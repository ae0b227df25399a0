//! End of sessions under the user's lock: announced to the shared state first, then committed.

use std::time::Duration;

use async_trait::async_trait;
use protocol::id::SessionId;
use protocol::time::Timestamp;
use time::OffsetDateTime;

use super::{end_of_all, known_session, session};
use crate::audit::Entry;
use crate::postgres::error::Failure;
use crate::postgres::pool::{Ending, Work};
use crate::postgres::receipt::ReceiptCheck;
use crate::postgres::row::{timestamp, written};
use crate::postgres::transaction::Transaction;
use crate::postgres::{audit, outbox, receipt};
use crate::session_rules::{self, KnownSession};
use crate::sessions::{EndAllSessions, EndSessionsOutcome, EndSessionsRequest, SessionSelector, SessionsReceipt};
use crate::vault::AuditKeys;

pub(super) struct EndSessions<'a> {
    pub(super) ending: &'a EndSessionsRequest<'a>,
    pub(super) receipt: &'a SessionsReceipt<'a>,
    pub(super) keys: &'a AuditKeys,
}

#[async_trait]
impl Work for EndSessions<'_> {
    type Outcome = EndSessionsOutcome;

    // The announcement has a timeout of its own.
    const TIME_LIMIT: Duration = Duration::from_secs(6);

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<EndSessionsOutcome>, Failure> {
        let user = &self.ending.user;
        if let ReceiptCheck::Repeated(answer) = receipt::begin(tx, user, &(self.receipt)(0)).await? {
            return Ok(Ending::RollBack(EndSessionsOutcome::Repeated(answer)));
        }
        let (all, now) = self.user(tx).await?;
        let to_end = session_rules::to_end(&self.known(tx, now).await?, self.ending, all.as_ref(), now);
        let ended_at = session_rules::end_time(&to_end, now);
        let sessions: Vec<_> = to_end.iter().map(|(session, _)| session.clone()).collect();
        let announced = match self.ending.announcer.announce(user, &sessions).await {
            Ok(announced) => announced,
            Err(error) => return Ok(Ending::RollBack(EndSessionsOutcome::Unannounced(error))),
        };
        let mut were_alive = Vec::new();
        for ((session, known), announced) in to_end.into_iter().zip(announced) {
            let (ended, was_alive) = session_rules::end(known, announced, ended_at);
            self.write(tx, &session, &ended).await?;
            were_alive.extend(was_alive.then_some(session));
        }
        self.end_all(tx, ended_at).await?;
        let receipt = (self.receipt)(were_alive.len());
        let notices: Vec<_> = were_alive.iter().map(|session| (self.ending.notice)(session)).collect();
        outbox::send(tx, user, &notices).await?;
        for session in &were_alive {
            audit::append(tx, self.keys, user, Entry::of_ended_session(session), &receipt).await?;
        }
        receipt::remember(tx, &receipt).await?;
        let ended = EndSessionsOutcome::Ended(were_alive.len());
        Ok(Ending::CommitBefore(receipt.deadline, ended))
    }
}

impl EndSessions<'_> {
    /// End of all sessions of the user, and the time.
    async fn user(&self, tx: &Transaction<'_>) -> Result<(Option<EndAllSessions>, Timestamp), Failure> {
        let find =
            "SELECT sessions_ended_at, sessions_ended_except, clock_timestamp() AS now FROM users WHERE user_id = $1";
        let row = tx.query_one(find, &[&self.ending.user.as_str()]).await?;
        Ok((end_of_all(&row)?, timestamp(row.try_get("now")?)))
    }

    /// Sessions that are alive in the store or in the shared state.
    async fn known(&self, tx: &Transaction<'_>, now: Timestamp) -> Result<Vec<(SessionId, KnownSession)>, Failure> {
        let find = "SELECT session_id, opened_at, exp_at, ended_at, newest_iat, newest_exp FROM sessions \
                 WHERE user_id = $1 AND (session_id = ANY($2) OR (ended_at IS NULL AND exp_at > $3))";
        let alive: Vec<&str> = self.ending.alive.iter().map(SessionId::as_str).collect();
        let rows = tx
            .query(find, &[&self.ending.user.as_str(), &alive, &written(now)])
            .await?;
        rows.iter()
            .map(|row| Ok((session(row)?, known_session(row)?)))
            .collect()
    }

    /// Writes the row of an ended session. The origin of a session without a row is unknown.
    async fn write(&self, tx: &Transaction<'_>, session: &SessionId, ended: &KnownSession) -> Result<(), Failure> {
        let upsert = "INSERT INTO sessions (user_id, session_id, opened_at, exp_at, ended_at, newest_iat, newest_exp, end_unconfirmed, \
                 address) VALUES ($1, $2, $3, $4, $5, $6, $7, true, '') ON CONFLICT (user_id, session_id) DO UPDATE SET \
                 ended_at = excluded.ended_at, newest_iat = excluded.newest_iat, newest_exp = excluded.newest_exp, \
                 end_unconfirmed = true";
        let time = |time: Option<Timestamp>| -> Option<OffsetDateTime> { time.map(written) };
        let user = self.ending.user.as_str();
        tx.execute(
            upsert,
            &[
                &user,
                &session.as_str(),
                &written(ended.opened_at),
                &written(ended.expires_at),
                &time(ended.ended_at),
                &time(ended.newest_token),
                &time(ended.latest_expiry),
            ],
        )
        .await?;
        Ok(())
    }

    /// Records the end of all sessions, which also covers those without a row.
    async fn end_all(&self, tx: &Transaction<'_>, ended_at: Timestamp) -> Result<(), Failure> {
        let except = match &self.ending.which {
            SessionSelector::One(_) => return Ok(()),
            SessionSelector::AllExcept(session) => Some(session.as_str()),
            SessionSelector::All => None,
        };
        let end = "UPDATE users SET sessions_ended_at = $2, sessions_ended_except = $3, sessions_end_unconfirmed = true \
                 WHERE user_id = $1";
        let user = self.ending.user.as_str();
        tx.execute(end, &[&user, &written(ended_at), &except]).await?;
        Ok(())
    }
}

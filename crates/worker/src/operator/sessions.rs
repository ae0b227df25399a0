//! `postern sessions`: a user's live sessions, and their end.

use std::time::Duration;

use bus::{Presence, SessionRegistry};
use lifecycle::Clock;
use protocol::expiry::Expiry;
use protocol::id::{SessionId, UserId};
use protocol::time::Timestamp;
use serde::Serialize;
use store::{AnnounceError, EndSessionsOutcome, Receipt, SessionRecords, SessionSelector};

use crate::session::{EndError, ListError, LiveSession, SessionEnder, SessionSources};

/// Sessions of users, in Postgres and Redis.
pub struct OperatorSessions<'a> {
    /// Store.
    pub records: &'a dyn SessionRecords,
    /// Live sessions.
    pub registry: &'a dyn SessionRegistry,
    /// Open sockets.
    pub presence: &'a dyn Presence,
    /// Clock.
    pub clock: &'a dyn Clock,
}

/// Live session, as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperatorSession {
    /// Session.
    pub session_id: SessionId,
    /// Time of its opening.
    pub opened_at: Timestamp,
    /// End without further activity. Those of its sockets' tokens are not known.
    #[serde(flatten)]
    pub expiry: Expiry,
    /// Number of open sockets.
    pub sockets: u32,
    /// False if Redis has lost the session: it is live by its stored deadline alone.
    pub is_in_redis: bool,
    /// Address of the socket that opened it last; empty if unknown.
    pub address: String,
    /// Name of the device.
    pub device_name: Option<String>,
    /// User agent.
    pub user_agent: Option<String>,
}

/// Failure to list or end sessions.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct OperatorSessionsError(Cause);

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error("list the sessions")]
    List(#[source] ListError),
    #[error("end the sessions; a repeat is harmless")]
    End(#[source] EndError),
    #[error("no session was ended")]
    Unannounced(#[source] AnnounceError),
}

impl OperatorSessions<'_> {
    /// Lists a user's live sessions, oldest first.
    ///
    /// # Errors
    /// [`OperatorSessionsError`].
    pub async fn list(&self, user: &UserId) -> Result<Vec<OperatorSession>, OperatorSessionsError> {
        let sources = SessionSources {
            records: self.records,
            registry: self.registry,
            presence: self.presence,
        };
        let sessions = sources.live_sessions(user).await.map_err(Cause::List)?;
        let now = Timestamp::from(self.clock.now());
        let mut sessions: Vec<_> = sessions.into_iter().map(|live| overview(live, now)).collect();
        sessions.sort_by_key(|session| session.opened_at);
        Ok(sessions)
    }

    /// Ends sessions for ever, as `security:end_sessions` does: no socket is admitted to them once this returns, and the workers have
    /// the open sockets closed. Returns the number of live ones.
    ///
    /// # Errors
    /// [`OperatorSessionsError`]. Sessions may have ended: a worker then confirms their ends in Redis.
    pub async fn end(
        &self,
        user: &UserId,
        which: SessionSelector,
        receipt: &Receipt,
    ) -> Result<usize, OperatorSessionsError> {
        let ender = SessionEnder {
            records: self.records,
            registry: self.registry,
            clock: self.clock,
        };
        let ended = ender.end((user, &receipt.job), which, &|_count| receipt.clone()).await;
        match ended.map_err(Cause::End)? {
            EndSessionsOutcome::Ended(count) => Ok(count),
            // No other command has the id of this job.
            EndSessionsOutcome::Repeated(_) => Ok(0),
            EndSessionsOutcome::Unannounced(error) => Err(Cause::Unannounced(error).into()),
        }
    }
}

impl From<Cause> for OperatorSessionsError {
    fn from(cause: Cause) -> Self {
        Self(cause)
    }
}

fn overview(LiveSession { opened, alive, sockets }: LiveSession, now: Timestamp) -> OperatorSession {
    let left: Duration = alive.as_ref().map_or(opened.left, |alive| alive.left);
    OperatorSession {
        session_id: opened.session,
        opened_at: opened.opened_at,
        expiry: Expiry::new(now.plus(left), None),
        sockets,
        is_in_redis: alive.is_some(),
        address: opened.origin.address,
        device_name: opened.origin.device_name,
        user_agent: opened.origin.user_agent,
    }
}

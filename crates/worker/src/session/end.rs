//! `security:end_sessions`: announced in Redis, committed, confirmed in Redis, then published to every gateway by the outbox relay.

use bus::{BusError, SessionRegistry};
use lifecycle::Clock;
use protocol::cluster::envelope::{Audience, Envelope};
use protocol::cluster::job::JobOutcome;
use protocol::code::ErrorCode;
use protocol::command::{Answer, EndSessions, EndSessionsAnswer};
use protocol::event::{DeliveryClass, Notice};
use protocol::fault::Fault;
use protocol::id::{JobId, SessionId, UserId};
use protocol::security::{SessionEnd, SessionExpired};
use store::{
    AnnounceError, EndSessionsOutcome as Committed, EndSessionsRequest, SessionRecords, SessionSelector,
    SessionsReceipt, StoreError,
};

use super::SessionService;
use super::announce::BusEndAnnouncer;
use super::confirm::{ConfirmError, confirm};
use crate::call::{Call, RecallError, Refusal, digest, event_id};

impl SessionService {
    /// Ends one session, or all but the caller's. A repeated job confirms the ends again and changes nothing.
    pub(crate) async fn end(&self, call: &Call, payload: &EndSessions) -> Result<JobOutcome, EndError> {
        let which = match payload.session_id.as_str() {
            OTHERS => SessionSelector::AllExcept(call.session.clone()),
            one => SessionSelector::One(SessionId::new(one).map_err(|_no_id| EndError::NoSession)?),
        };
        self.end_which(call, which).await
    }

    /// Ends one session, on request of the application's server. A session of another user has another key, whatever its id.
    pub(crate) async fn end_one(&self, call: &Call, session: &SessionId) -> Result<JobOutcome, EndError> {
        self.end_which(call, SessionSelector::One(session.clone())).await
    }

    /// Ends all sessions of the user, on request of the application's server.
    pub(crate) async fn end_all(&self, call: &Call) -> Result<JobOutcome, EndError> {
        self.end_which(call, SessionSelector::All).await
    }

    async fn end_which(&self, call: &Call, which: SessionSelector) -> Result<JobOutcome, EndError> {
        let receipt = |count| call.receipt(&answer(count));
        let ended = self.ender().end((&call.user, &call.job), which, &receipt).await?;
        match ended {
            Committed::Ended(count) => Ok(answer(count)),
            Committed::Repeated(before) => Ok(call.recall(&before)?),
            Committed::Unannounced(error) => Err(EndError::Unannounced(error)),
        }
    }

    pub(super) fn ender(&self) -> SessionEnder<'_> {
        SessionEnder {
            records: &*self.records,
            registry: &*self.registry,
            clock: &*self.clock,
        }
    }

    /// Confirms the committed ends of this user's sessions in Redis.
    pub(crate) async fn confirm_ends(&self, call: &Call) -> Result<(), EndError> {
        Ok(confirm(&*self.records, &*self.registry, &call.user).await?)
    }
}

/// Ends sessions in the store, and in Redis before and after.
pub(crate) struct SessionEnder<'a> {
    pub(crate) records: &'a dyn SessionRecords,
    pub(crate) registry: &'a dyn SessionRegistry,
    pub(crate) clock: &'a dyn Clock,
}

impl SessionEnder<'_> {
    /// Ends sessions of a user for this job, and confirms the ends in Redis.
    pub(crate) async fn end(
        &self,
        (user, job): (&UserId, &JobId),
        which: SessionSelector,
        receipt: &SessionsReceipt<'_>,
    ) -> Result<Committed, EndError> {
        let alive = self.registry.alive_sessions(user).await?;
        let alive: Vec<_> = alive.into_iter().map(|alive| alive.session).collect();
        let ending = EndSessionsRequest {
            user: user.clone(),
            which,
            alive: &alive,
            announcer: &BusEndAnnouncer(self.registry),
            notice: &|session| self.notice(user, job, session),
        };
        let ended = self.records.end_sessions(&ending, receipt).await?;
        confirm(self.records, self.registry, user).await?;
        Ok(ended)
    }

    /// Notice to all sockets of the session, upon which their gateways close them.
    fn notice(&self, user: &UserId, job: &JobId, session: &SessionId) -> Envelope {
        let notice = Notice::SessionExpired(SessionExpired {
            user_id: user.clone(),
            timestamp: self.clock.now().into(),
            reason: SessionEnd::Ended,
        });
        let parts = [
            b"session ended".as_slice(),
            job.as_str().as_bytes(),
            session.as_str().as_bytes(),
        ];
        Envelope {
            v: Envelope::VERSION,
            id: event_id(&digest(parts)),
            audience: Audience::Session(session.clone()),
            class: DeliveryClass::Critical,
            event: notice.name().to_owned(),
            data: notice.data(),
            traceparent: None,
            published_at: None,
        }
    }
}

fn answer(count: usize) -> JobOutcome {
    let sessions_ended = u64::try_from(count).unwrap_or(u64::MAX);
    JobOutcome::from(&Answer::EndSessions(EndSessionsAnswer { sessions_ended }))
}

/// Value of `sessionId` for all sessions but the caller's.
const OTHERS: &str = "others";

/// Failure to end sessions, or to confirm the ends; a retry repeats both.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndError {
    #[error("the session id is malformed")]
    NoSession,
    #[error("look up the live sessions")]
    Bus(#[from] BusError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Unannounced(AnnounceError),
    #[error("confirm the session ends")]
    Confirm(#[from] ConfirmError),
    #[error(transparent)]
    Recall(#[from] RecallError),
}

impl Fault for EndError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NoSession => ErrorCode::BadRequest,
            Self::Store(error) => error.code(),
            Self::Bus(error) => error.code(),
            Self::Unannounced(_) => ErrorCode::Unavailable,
            Self::Confirm(error) => error.code(),
            Self::Recall(error) => error.code(),
        }
    }
}

impl Refusal for EndError {}

//! `security:end_sessions`: committed first, then made known to Redis, then told to every gateway by the outbox.

use bus::BusError;
use futures_util::future::try_join_all;
use protocol::answer::{Answer, SessionsEnded};
use protocol::cluster::envelope::{Audience, Envelope};
use protocol::cluster::job::Outcome;
use protocol::code::ErrorCode;
use protocol::command::EndSessions;
use protocol::event::{Class, Notice};
use protocol::fault::Fault;
use protocol::id::SessionId;
use protocol::security::{SessionEnd, SessionExpired};
use store::{SessionEnding, StoreError, WhichSessions};

use super::{END_REMEMBERED, SessionService, key};
use crate::digest::digest;
use crate::jobs::{Call, RecallError, Refusal, event_id};

impl SessionService {
    /// Ends one session, or all but the caller's. Repeated, it does again what follows an end and changes nothing.
    pub(crate) async fn end(&self, call: &Call, asked: &EndSessions) -> Result<Outcome, EndError> {
        let which = match asked.session_id.as_str() {
            OTHERS => WhichSessions::AllBut(call.session.clone()),
            one => WhichSessions::One(SessionId::new(one).map_err(|_no_id| EndError::NoSession)?),
        };
        self.end_these(call, which).await
    }

    /// Ends all sessions of the user, at the word of the application's own server.
    pub(crate) async fn end_all(&self, call: &Call) -> Result<Outcome, EndError> {
        self.end_these(call, WhichSessions::All).await
    }

    async fn end_these(&self, call: &Call, which: WhichSessions) -> Result<Outcome, EndError> {
        let ending = SessionEnding {
            user: call.user.clone(),
            which,
            notice: &|session| self.notice(call, session),
        };
        let receipt = |count| call.receipt(&answer(count));
        let ended = self.store.end_sessions(&ending, &receipt).await?;
        self.make_known(call, &ended.ended).await?;
        match ended.count {
            Ok(count) => Ok(answer(count)),
            Err(before) => Ok(call.recall(&before)?),
        }
    }

    /// Redis learns of what is committed.
    pub(super) async fn make_known(&self, call: &Call, ended: &[SessionId]) -> Result<(), BusError> {
        let ends = ended
            .iter()
            .map(async |session| self.bus.end(&key(&call.user, session), END_REMEMBERED).await);
        try_join_all(ends).await.map(drop)
    }

    /// For the sockets of the session, wherever they are: their gateways close them.
    pub(super) fn notice(&self, call: &Call, session: &SessionId) -> Envelope {
        let notice = Notice::SessionExpired(SessionExpired {
            user_id: call.user.clone(),
            timestamp: self.clock.now().into(),
            reason: SessionEnd::Ended,
        });
        let of = [
            b"session ended".as_slice(),
            call.job.as_str().as_bytes(),
            session.as_str().as_bytes(),
        ];
        Envelope {
            v: Envelope::VERSION,
            id: event_id(&digest(of)),
            audience: Audience::Session(session.clone()),
            class: Class::Critical,
            event: notice.name().to_owned(),
            data: notice.data(),
        }
    }
}

fn answer(count: usize) -> Outcome {
    let sessions_ended = u64::try_from(count).unwrap_or(u64::MAX);
    Outcome::from(&Answer::SessionsEnded(SessionsEnded { sessions_ended }))
}

/// All sessions but the one that asks.
const OTHERS: &str = "others";

/// Why sessions were not ended, or not made known as ended: then it may be repeated.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndError {
    #[error("the session's name cannot be one")]
    NoSession,
    #[error("end the sessions")]
    Store(#[from] StoreError),
    #[error("make the ends known")]
    Bus(#[from] BusError),
    #[error(transparent)]
    Recall(#[from] RecallError),
}

impl Fault for EndError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NoSession => ErrorCode::BadRequest,
            Self::Store(error) => error.code(),
            Self::Bus(error) => error.code(),
            Self::Recall(error) => error.code(),
        }
    }
}

impl Refusal for EndError {}

//! `session.open`: may a socket join a session that Redis does not know?

use bus::{BusError, Seed};
use protocol::answer::Answer;
use protocol::cluster::job::{OpenSession, Outcome};
use protocol::code::ErrorCode;
use protocol::fault::Fault;
use store::{SessionOpened, SessionOpening, StoreError};

use super::{END_REMEMBERED, SessionService, key};
use crate::jobs::{Call, Refusal};

impl SessionService {
    /// Opens it, or makes it known again with the time it has left.
    pub(crate) async fn open(&self, call: &Call, asked: &OpenSession) -> Result<Outcome, OpenError> {
        let timeout = self.timeout(&call.user).await?;
        let opening = SessionOpening {
            user: call.user.clone(),
            session: call.session.clone(),
            issued_at: asked.issued_at,
            timeout,
            origin: asked.origin.clone(),
        };
        let left = match self.store.open_session(&opening).await? {
            SessionOpened::Open(left) => left,
            SessionOpened::Ended => return self.refuse(call).await,
            SessionOpened::IdledOut => return Err(OpenError::IdledOut),
        };
        let seed = Seed {
            left,
            timeout,
            lead: self.times.lead(timeout),
            over_end: call.session.is_default(),
        };
        self.bus.seed(&key(&call.user, &call.session), seed).await?;
        // An end that was committed meanwhile may have been overwritten just now, and it wins.
        if self.store.is_session_ended(&call.user, &call.session).await? {
            return self.refuse(call).await;
        }
        Ok(Outcome::from(&Answer::Acknowledged))
    }

    /// Redis may have forgotten that it was ended.
    async fn refuse(&self, call: &Call) -> Result<Outcome, OpenError> {
        self.bus.end(&key(&call.user, &call.session), END_REMEMBERED).await?;
        Err(OpenError::Ended)
    }
}

/// Why a session was not opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("the session was ended")]
    Ended,
    #[error("the session idled out and the token is older than its end")]
    IdledOut,
    #[error("open the session")]
    Store(#[from] StoreError),
    #[error("make the session known")]
    Bus(#[from] BusError),
}

impl Fault for OpenError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Ended => ErrorCode::Forbidden,
            Self::IdledOut => ErrorCode::Unauthenticated,
            Self::Store(error) => error.code(),
            Self::Bus(error) => error.code(),
        }
    }
}

impl Refusal for OpenError {}

//! `session.open`: may a socket join a session that Redis does not know?

use bus::{BusError, SessionSeed, SessionState};
use protocol::answer::Answer;
use protocol::cluster::job::{JobOutcome, OpenSession};
use protocol::code::ErrorCode;
use protocol::fault::Fault;
use store::{SessionOpenOutcome, SessionOpenRequest, StoreError};

use super::{END_REMEMBERED, SessionService, key};
use crate::call::{Call, Refusal};

impl SessionService {
    /// Opens it, or makes it known again with the time it has left.
    pub(crate) async fn open(&self, call: &Call, asked: &OpenSession) -> Result<JobOutcome, OpenError> {
        let timeout = self.timeout(&call.user).await?;
        let opening = SessionOpenRequest {
            user: call.user.clone(),
            session: call.session.clone(),
            issued_at: asked.issued_at,
            timeout,
            origin: asked.origin.clone(),
        };
        let mut announced = asked.announced;
        for _ in 0..MOST_ANNOUNCEMENTS {
            match self.open_over(call, &opening, announced).await? {
                SessionState::Ended => return Err(OpenError::Ended),
                // Its transaction may have been under way: it is over once the store has been asked again.
                SessionState::Ending(another) => announced = Some(another),
                SessionState::Alive(_) | SessionState::Unknown => break,
            }
        }
        // Where one end after the other is announced, the gateway will find that, and have its client try again.
        Ok(JobOutcome::from(&Answer::Acknowledged))
    }

    /// Opens it unless it was ended, also where this end was announced and not committed. An end that was committed meanwhile was
    /// announced before, so Redis does not take the session for alive then.
    async fn open_over(
        &self,
        call: &Call,
        opening: &SessionOpenRequest,
        announced: Option<u64>,
    ) -> Result<SessionState, OpenError> {
        let key = key(&call.user, &call.session);
        let life = match self.store.open_session(opening).await? {
            SessionOpenOutcome::Open(life) => life,
            SessionOpenOutcome::Ended(ended_at) => {
                // Redis may have forgotten that.
                self.bus.end(&key, ended_at, END_REMEMBERED).await?;
                return Err(OpenError::Ended);
            }
            SessionOpenOutcome::Outdated => return Err(OpenError::Outdated),
            SessionOpenOutcome::IdledOut => return Err(OpenError::IdledOut),
        };
        let seed = SessionSeed {
            left: life.left,
            timeout: opening.timeout,
            lead: self.times.lead(opening.timeout),
            opened_at: life.opened_at,
            newest_token: life.newest_token,
            announced,
        };
        Ok(self.bus.seed(&key, seed).await?)
    }
}

/// How many ends may be announced while a session is opened.
const MOST_ANNOUNCEMENTS: u32 = 3;

/// Why a session was not opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("the session was ended")]
    Ended,
    #[error("all sessions were ended since the token was issued")]
    Outdated,
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
            Self::Ended | Self::Outdated => ErrorCode::Forbidden,
            Self::IdledOut => ErrorCode::Unauthenticated,
            Self::Store(error) => error.code(),
            Self::Bus(error) => error.code(),
        }
    }
}

impl Refusal for OpenError {}

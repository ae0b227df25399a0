//! `session.open`: admission of a socket whose session Redis does not have.

use bus::{BusError, RecordedSignIn, SessionSeed, SessionState, TokenTimes};
use protocol::cluster::job::{JobOutcome, OpenSession};
use protocol::code::ErrorCode;
use protocol::fault::Fault;
use store::{OpeningSignIn, SessionOpenOutcome, SessionOpenRequest, StoreError};

use super::{END_TTL, SessionService, key};
use crate::call::{Call, Refusal};
use crate::new_device_alert::alerts;

impl SessionService {
    /// Opens a new session, or restores one in Redis with its remaining time. Where its sign-in raises no alert and none is open, that is
    /// recorded with it, so that the socket needs no further job.
    pub(crate) async fn open(&self, call: &Call, payload: &OpenSession) -> Result<JobOutcome, OpenError> {
        let opening = SessionOpenRequest {
            user: call.user.clone(),
            session: call.session.clone(),
            issued_at: payload.issued_at,
            expires_at: payload.expires_at,
            latest_expiry: payload.latest_expiry,
            timeout: self.times.timeout,
            origin: payload.origin.clone(),
        };
        let check = payload.alert_check.as_deref();
        let mut announced = payload.announced;
        for _ in 0..MAX_ATTEMPTS {
            match self.try_open(call, &opening, announced, check).await? {
                SessionState::Ended => return Err(OpenError::Ended),
                // The transaction of this end may be running. It has finished when the store has answered again.
                SessionState::Ending(another) => announced = Some(another),
                SessionState::Alive(_) | SessionState::Unknown => break,
            }
        }
        // If further ends keep being announced, the gateway sees it at its TTL check and lets the client retry.
        Ok(JobOutcome::done())
    }

    /// Opens the session unless the store has its end; an announced end that was not committed does not count. Redis refuses to restore
    /// the session if another end was announced since then, and every committed end was announced before. The sign-in is recorded under
    /// this check.
    async fn try_open(
        &self,
        call: &Call,
        opening: &SessionOpenRequest,
        announced: Option<u64>,
        check: Option<&str>,
    ) -> Result<SessionState, OpenError> {
        let key = key(&call.user, &call.session);
        let sign_in = OpeningSignIn {
            raises_no_alert: &|findings| alerts(&call.user, &opening.origin, findings).is_empty(),
            receipt: &call.receipt_without_answer(),
        };
        let opened = self.records.open_session(opening, check.map(|_| &sign_in));
        let life = match opened.await? {
            SessionOpenOutcome::Open(life) => life,
            SessionOpenOutcome::Ended(ended_at) => {
                // Redis may have lost the end.
                self.registry.end(&key, ended_at, END_TTL).await?;
                return Err(OpenError::Ended);
            }
            SessionOpenOutcome::Outdated => return Err(OpenError::Outdated),
            SessionOpenOutcome::IdledOut => return Err(OpenError::IdledOut),
        };
        let seed = SessionSeed {
            left: life.left,
            timeout: life.timeout,
            lead: self.times.lead(life.timeout),
            opened_at: life.opened_at,
            tokens: TokenTimes {
                issued_at: life.newest_token,
                expires_at: life.latest_expiry,
            },
            announced,
        };
        let from = &opening.origin;
        Ok(match check.filter(|_| life.sign_in_recorded) {
            Some(check) => {
                let recorded = RecordedSignIn { check, from };
                self.registry.seed_signed_in(&key, seed, &recorded).await?
            }
            None => self.registry.seed(&key, seed).await?,
        })
    }
}

/// Attempts to open a session while ends of it are announced.
const MAX_ATTEMPTS: u32 = 3;

/// Failure to open a session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("the session was ended")]
    Ended,
    #[error("all sessions were ended since the token was issued")]
    Outdated,
    #[error("the session expired by inactivity, and the token was issued before that")]
    IdledOut,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("write the session to Redis")]
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

//! Security settings and second factor of a user, in one record, because enabling the factor is a setting.

use std::time::Duration;

use async_trait::async_trait;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::job::JobOutcome;
use protocol::id::{SessionId, UserId};
use protocol::security::{FactorMethod, Settings};
use protocol::time::Timestamp;

use crate::StoreError;
use crate::alerts::SignIn;
use crate::answers::{Actor, Receipt};
use crate::audit::AuditEvent;
use crate::vault::{Ciphertext, VaultError};

/// Security settings and second factors.
#[async_trait]
pub trait Security: Send + Sync {
    /// Current record of a user; the default if nothing was ever changed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn security(&self, user: &UserId) -> Result<SecurityRecord, StoreError>;

    /// Passes the user's record to `decide` under a lock, and commits the decision: record, receipt and events together, or
    /// nothing. `decide` is called again if the transaction is retried.
    ///
    /// # Errors
    /// [`StoreError`]; `Broken` if `decide` cannot decrypt a text of the record. A session that has ended is refused before
    /// `decide` is called.
    async fn decide_security(
        &self,
        user: &UserId,
        by: &Actor,
        decide: &SecurityRule<'_>,
    ) -> Result<SecurityOutcome, StoreError>;
}

/// The worker's rules: decide on a record at the store's time, which is the same for all workers.
pub type SecurityRule<'a> =
    dyn Fn(&SecurityRecord, Timestamp) -> Result<SecurityDecision, VaultError> + Send + Sync + 'a;

/// Security settings and second factor of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityRecord {
    /// Minutes without activity until a session ends, 1 to 1440.
    pub session_timeout: u32,
    /// Enabled second factor.
    pub factor: Option<Factor>,
    /// Second factor that waits for its first code.
    pub pending: Option<PendingFactor>,
}

impl SecurityRecord {
    /// Settings as the user sees them.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            session_timeout: self.session_timeout,
            two_factor_enabled: self.factor.is_some(),
            method: self.factor.as_ref().map(|factor| factor.method),
        }
    }
}

impl Default for SecurityRecord {
    fn default() -> Self {
        Self {
            session_timeout: DEFAULT_SESSION_TIMEOUT,
            factor: None,
            pending: None,
        }
    }
}

/// Enabled second factor and the state of its verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Factor {
    /// Method.
    pub method: FactorMethod,
    /// Shared secret, or address to which codes are sent.
    pub secret: Ciphertext,
    /// Newest accepted time step (RFC 6238); 0 for codes that are sent.
    pub last_step: i64,
    /// Codes that were sent and not yet entered.
    pub sent: Vec<SentCode>,
    /// Wrong codes since the last right one.
    pub failures: u32,
    /// Time of the last wrong code.
    pub last_failed: Option<Timestamp>,
    /// Key of the recovery codes' HMACs; none if there are no such codes.
    pub recovery_key: Option<Ciphertext>,
    /// HMACs of the unused recovery codes.
    pub recovery_codes: Vec<[u8; 32]>,
    /// Recent attempts with recovery codes, oldest first.
    pub recovery_attempts: Vec<RecoveryAttempt>,
    /// Lock by the application, which may have ended.
    pub lock: Option<FactorLock>,
}

impl Factor {
    /// Lock by the application that applies at this time: no code is accepted.
    #[must_use]
    pub fn lock_at(&self, now: Timestamp) -> Option<FactorLock> {
        self.lock.filter(|lock| lock.until.is_none_or(|until| now < until))
    }
}

/// Lock of a second factor by the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FactorLock {
    /// Time at which it was locked.
    pub since: Timestamp,
    /// End; none if only an unlock ends it.
    pub until: Option<Timestamp>,
}

/// Attempt with a recovery code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryAttempt {
    /// Time.
    pub at: Timestamp,
    /// Session.
    pub session: SessionId,
}

/// Code that was sent for a challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentCode {
    /// Challenge that the code answers.
    pub challenge: String,
    /// Session that was challenged.
    pub session: SessionId,
    /// HMAC of the code; none if none could be sent, so that only a recovery code is accepted.
    pub code: Option<[u8; 32]>,
    /// Expiry of challenge and code.
    pub until: Timestamp,
}

/// Second factor being set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingFactor {
    /// Method.
    pub method: FactorMethod,
    /// Shared secret, or address to which codes are sent; encrypted as [`Factor::secret`].
    pub secret: Ciphertext,
    /// HMAC of the code that was sent; none for an authenticator.
    pub code: Option<[u8; 32]>,
    /// Challenge that the first code answers.
    pub challenge: String,
    /// Session that started the setup.
    pub session: SessionId,
    /// Expiry.
    pub until: Timestamp,
}

/// Decision on a record.
#[derive(Debug, Clone)]
pub enum SecurityDecision {
    /// The record remains unchanged; the answer.
    Leave(JobOutcome),
    /// The record changes.
    Change(Box<SecurityChange>),
}

/// Change of a record, committed as a whole.
#[derive(Debug, Clone)]
pub struct SecurityChange {
    /// New record.
    pub record: SecurityRecord,
    /// Events to publish with it.
    pub events: Vec<Envelope>,
    /// The answer.
    pub outcome: JobOutcome,
    /// Receipt; none if what was asked is still to be done.
    pub receipt: Option<Receipt>,
    /// Entries for the audit log, by the actor of the receipt.
    pub audit_events: Vec<AuditEvent>,
    /// Effect beyond the record.
    pub effect: SecurityEffect,
}

/// Effect of a change beyond the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecurityEffect {
    /// No further effect.
    Nothing,
    /// The alerts of the change concern this session.
    Suspected(SignIn),
    /// No alert concerns this session any more, as it has given the second factor.
    Cleared(SessionId),
    /// The access epoch is incremented: authorizations that started before cannot be completed.
    AuthorizationsEnd,
}

/// Result of [`Security::decide_security`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecurityOutcome {
    /// The decision is carried out and committed.
    Committed(JobOutcome),
    /// An earlier delivery of the job, or another job with its idempotency key, was answered; nothing changed.
    Repeated(Ciphertext),
}

/// Session timeout of a user: the one that the user has chosen, else the operator's.
#[must_use]
pub fn session_timeout(minutes: u32, of_operator: Duration) -> Duration {
    if minutes == DEFAULT_SESSION_TIMEOUT {
        of_operator
    } else {
        Duration::from_secs(60 * u64::from(minutes))
    }
}

/// Session timeout of users who have not chosen one, in minutes.
pub const DEFAULT_SESSION_TIMEOUT: u32 = 30;

//! A user's security settings and second factor: one record, because to turn the factor on is a setting.

use async_trait::async_trait;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::job::JobOutcome;
use protocol::id::{SessionId, UserId};
use protocol::security::{FactorMethod, Settings};
use protocol::time::Timestamp;

use crate::StoreError;
use crate::alerts::SignIn;
use crate::answers::{Actor, Receipt};
use crate::audit::AuditAction;
use crate::vault::{Ciphertext, VaultError};

/// Security settings and second factors.
#[async_trait]
pub trait Security: Send + Sync {
    /// The user's record as it is now; the defaults where nothing was ever changed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn security(&self, user: &UserId) -> Result<SecurityRecord, StoreError>;

    /// Shows the user's record to `decide` while nobody else can change it, and commits what that decided: the record, the
    /// receipt and the events together, or nothing. `decide` may be asked again when another transaction was in the way.
    ///
    /// # Errors
    /// [`StoreError`]; `Broken` when `decide` cannot open what the vault has sealed. A session that has ended is refused before `decide`
    /// is asked.
    async fn decide_security(
        &self,
        user: &UserId,
        by: &Actor,
        decide: &SecurityRule<'_>,
    ) -> Result<SecurityOutcome, StoreError>;
}

/// The rules, which are the worker's: from the record and the store's time, which is the same for all workers, to what shall be.
pub type SecurityRule<'a> =
    dyn Fn(&SecurityRecord, Timestamp) -> Result<SecurityDecision, VaultError> + Send + Sync + 'a;

/// What is kept of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityRecord {
    /// Minutes without activity until a session ends, 1 to 1440.
    pub session_timeout: u32,
    /// The second factor that is on.
    pub factor: Option<Factor>,
    /// A second factor that waits for its first code.
    pub pending: Option<PendingFactor>,
}

impl SecurityRecord {
    /// What the user sees of it.
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

/// A second factor that is on, and how it has fared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Factor {
    /// How it is given.
    pub method: FactorMethod,
    /// The shared secret, or the address that codes are sent to.
    pub secret: Ciphertext,
    /// The newest time step (RFC 6238) whose code was accepted; 0 where codes are sent.
    pub last_step: i64,
    /// Codes that were sent and are waited for.
    pub sent: Vec<SentCode>,
    /// Wrong codes since the last right one.
    pub failures: u32,
    /// When the last wrong code came.
    pub last_failed: Option<Timestamp>,
    /// What the HMACs of recovery codes are keyed with; none where there are no such codes.
    pub recovery_key: Option<Ciphertext>,
    /// The HMAC of each recovery code that is unused.
    pub recovery_codes: Vec<[u8; 32]>,
    /// When recovery codes were tried lately, oldest first.
    pub recovery_attempts: Vec<RecoveryAttempt>,
}

/// A recovery code that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryAttempt {
    /// When.
    pub at: Timestamp,
    /// In which session.
    pub session: SessionId,
}

/// A code that was sent for a challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentCode {
    /// The challenge that it answers.
    pub challenge: String,
    /// The session that was challenged.
    pub session: SessionId,
    /// The HMAC of the code; none where none could be sent, so that only a recovery code answers.
    pub code: Option<[u8; 32]>,
    /// When both are over.
    pub until: Timestamp,
}

/// A second factor being set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingFactor {
    /// How it will be given.
    pub method: FactorMethod,
    /// The shared secret, or the address that codes are sent to; sealed as [`Factor::secret`] is.
    pub secret: Ciphertext,
    /// The HMAC of the code that was sent; none for an authenticator's.
    pub code: Option<[u8; 32]>,
    /// The challenge that the first code answers.
    pub challenge: String,
    /// The session that asked for it.
    pub session: SessionId,
    /// When it is over.
    pub until: Timestamp,
}

/// What shall be.
#[derive(Debug, Clone)]
pub enum SecurityDecision {
    /// Nothing changes.
    Leave(JobOutcome),
    /// The record changes.
    SecurityChange(Box<SecurityChange>),
}

/// A change of a record, committed whole.
#[derive(Debug, Clone)]
pub struct SecurityChange {
    /// The record from now on.
    pub record: SecurityRecord,
    /// Published with it.
    pub events: Vec<Envelope>,
    /// The answer.
    pub outcome: JobOutcome,
    /// What is remembered of the command; none where what was asked is still to be done.
    pub receipt: Option<Receipt>,
    /// Told in the audit log, as done by whom the receipt names.
    pub audit_events: Vec<AuditEvent>,
    /// What else comes of it.
    pub effect: SecurityEffect,
}

/// What a change does beside the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecurityEffect {
    /// Nothing.
    Nothing,
    /// Its alerts are about this session.
    Suspected(SignIn),
    /// No alert is about this session any more: it has given the second factor.
    Cleared(SessionId),
    /// The access epoch moves: authorizations that were begun before cannot be finished.
    AuthorizationsEnd,
}

/// A change in words of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// What was done.
    pub action: AuditAction,
    /// What it was done to: a method, a setting with its value.
    pub subject: String,
}

/// What became of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecurityOutcome {
    /// This was decided, and what changes is committed.
    Committed(JobOutcome),
    /// The job or idempotency key was answered before; nothing changed now.
    Repeated(Ciphertext),
}

/// How long a session lasts without activity where its user has not chosen, in minutes.
pub const DEFAULT_SESSION_TIMEOUT: u32 = 30;

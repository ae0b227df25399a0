//! An authorization under way: what `account:authorize` remembers for ten minutes, and `account:connect` or the hosted callback takes
//! once.

use std::sync::Arc;
use std::time::Duration;

use bus::{BusError, ChallengeKind, Challenges, PendingAuthorization};
use protocol::account::AccountType;
use protocol::id::{SessionId, UserId};
use protocol::json::Json;
use protocol::secret::Secret;
use serde::{Deserialize, Serialize};
use store::vault::{Binding, Ciphertext, Vault, VaultError};

use crate::call::digest;

/// What the platform's callback must fit.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Authorization {
    pub(super) session: SessionId,
    pub(super) account: AccountType,
    pub(super) redirect_uri: String,
    /// Who has to say to send the user back, where the platform says that.
    #[serde(default)]
    pub(super) issuer: Option<String>,
    /// The PKCE verifier (RFC 7636).
    pub(super) verifier: Secret,
    /// The user's access epoch when it began.
    pub(super) access_epoch: i64,
}

/// Authorizations under way. Each is sealed for its user, found by the hash of its state, and gone once taken.
pub(crate) struct Authorizations {
    challenges: Arc<dyn Challenges>,
    vault: Arc<Vault>,
}

impl Authorizations {
    pub(crate) fn new(challenges: Arc<dyn Challenges>, vault: Arc<Vault>) -> Self {
        Self { challenges, vault }
    }

    /// Remembers an authorization for [`LIFE`], in the place of the oldest where the user has as many as one may.
    pub(super) async fn begin(
        &self,
        user: &UserId,
        state: &Secret,
        authorization: &Authorization,
    ) -> Result<(), BusError> {
        let text = Secret::new(Json::of(authorization).as_str());
        let begun = PendingAuthorization {
            session: authorization.session.clone(),
            account: authorization.account,
            encrypted: self.vault.encrypt(&binding(user), &text).as_bytes().to_vec(),
        };
        let issued_to = user.as_str().as_bytes();
        self.challenges
            .put(&PendingAuthorization::owner_key(state), issued_to, LIFE)
            .await?;
        self.challenges
            .put(&PendingAuthorization::key(user, state), &begun.write(), LIFE)
            .await
    }

    /// Takes the authorization of this state: whatever becomes of the connect, the state is used up.
    pub(super) async fn take(
        &self,
        user: &UserId,
        session: &SessionId,
        account: AccountType,
        state: &Secret,
    ) -> Result<Authorization, TakeError> {
        let record = self.challenges.take(&PendingAuthorization::key(user, state)).await?;
        let begun = record
            .as_deref()
            .and_then(PendingAuthorization::read)
            .ok_or(TakeError::Unknown)?;
        let text = self
            .vault
            .decrypt(&binding(user), &Ciphertext::from_bytes(begun.encrypted))?;
        let authorization: Authorization = serde_json::from_str(text.expose())?;
        if authorization.session != *session || authorization.account != account {
            return Err(TakeError::Elsewhere);
        }
        Ok(authorization)
    }

    /// Whether this session has begun an authorization at this platform and not finished it.
    pub(super) async fn is_open(
        &self,
        user: &UserId,
        session: &SessionId,
        account: AccountType,
    ) -> Result<bool, BusError> {
        let open = self.challenges.read_all(user, ChallengeKind::Authorize).await?;
        let mut open = open.iter().filter_map(|record| PendingAuthorization::read(record));
        Ok(open.any(|begun| begun.session == *session && begun.account == account))
    }
}

/// Why there is no authorization to take.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TakeError {
    #[error("the state is unknown, used or over")]
    Unknown,
    #[error("the state was issued to another session or for another platform")]
    Elsewhere,
    /// Sealed for its user, it does not open for another.
    #[error("open the authorization")]
    Ciphertext(#[from] VaultError),
    #[error("read the authorization")]
    Unreadable(#[from] serde_json::Error),
    #[error(transparent)]
    Bus(#[from] BusError),
}

/// The name of a state that was used up.
pub(super) fn state_hash(state: &Secret) -> [u8; 32] {
    digest([state.expose().as_bytes()])
}

fn binding(user: &UserId) -> Binding<'_> {
    Binding {
        user,
        scope: "authorize",
        column: "record",
    }
}

/// How long a user has at the platform. GitHub's code itself lives as long.
pub(super) const LIFE: Duration = Duration::from_secs(10 * 60);

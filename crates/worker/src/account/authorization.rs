//! Pending authorizations: `account:authorize` stores one for ten minutes, and `account:connect` or the hosted callback takes it once.

use std::sync::Arc;
use std::time::Duration;

use bus::{BusError, ChallengeKind, Challenges, PendingAuthorization};
use protocol::account::AccountType;
use protocol::cluster::version::is_newer;
use protocol::id::{SessionId, UserId};
use protocol::json::Json;
use protocol::secret::Secret;
use serde::{Deserialize, Serialize};
use store::vault::{Binding, Ciphertext, Vault, VaultError};

use crate::call::digest;

/// Pending authorization, which the callback of its platform must match.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Authorization {
    /// Version of the record, [`Authorization::VERSION`]; releases before 0.2 wrote none.
    #[serde(default = "first_version")]
    pub(super) v: u8,
    pub(super) session: SessionId,
    pub(super) account: AccountType,
    pub(super) redirect_uri: String,
    /// Issuer that the callback must name, where the platform names one (RFC 9207).
    #[serde(default)]
    pub(super) issuer: Option<String>,
    /// PKCE verifier (RFC 7636).
    pub(super) verifier: Secret,
    /// Access epoch of the user when the authorization started.
    pub(super) access_epoch: i64,
}

impl Authorization {
    /// Current version.
    pub(super) const VERSION: u8 = 1;

    /// Reads a record. One of a newer version is unknown: its user starts again.
    fn read(text: &Secret) -> Result<Self, AuthorizationError> {
        if is_newer(text.expose().as_bytes(), Self::VERSION) {
            return Err(AuthorizationError::Unknown);
        }
        Ok(serde_json::from_str(text.expose())?)
    }
}

fn first_version() -> u8 {
    1
}

/// Pending authorizations. Each is encrypted for its user, found by the hash of its state, and deleted when taken.
pub(crate) struct Authorizations {
    challenges: Arc<dyn Challenges>,
    vault: Arc<Vault>,
}

impl Authorizations {
    pub(crate) fn new(challenges: Arc<dyn Challenges>, vault: Arc<Vault>) -> Self {
        Self { challenges, vault }
    }

    /// Stores an authorization for [`LIFETIME`]; it replaces the oldest where the user has the maximum.
    pub(super) async fn start(
        &self,
        user: &UserId,
        state: &Secret,
        authorization: &Authorization,
    ) -> Result<(), BusError> {
        let text = Secret::new(Json::of(authorization).as_str());
        let pending = PendingAuthorization {
            session: authorization.session.clone(),
            account: authorization.account,
            encrypted: self.vault.encrypt(&binding(user), &text).as_bytes().to_vec(),
        };
        let issued_to = user.as_str().as_bytes();
        self.challenges
            .put(&PendingAuthorization::owner_key(state), issued_to, LIFETIME)
            .await?;
        self.challenges
            .put(&PendingAuthorization::key(user, state), &pending.write(), LIFETIME)
            .await
    }

    /// Takes the authorization of this state. The state is consumed, whatever the outcome of the connect.
    pub(super) async fn take(
        &self,
        user: &UserId,
        session: &SessionId,
        account: AccountType,
        state: &Secret,
    ) -> Result<Authorization, AuthorizationError> {
        let record = self.challenges.take(&PendingAuthorization::key(user, state)).await?;
        let pending = record
            .as_deref()
            .and_then(PendingAuthorization::read)
            .ok_or(AuthorizationError::Unknown)?;
        let text = self
            .vault
            .decrypt(&binding(user), &Ciphertext::from_bytes(pending.encrypted))?;
        let authorization = Authorization::read(&text)?;
        if authorization.session != *session || authorization.account != account {
            return Err(AuthorizationError::Elsewhere);
        }
        Ok(authorization)
    }

    /// Reports whether this session has a pending authorization at this platform.
    pub(super) async fn is_pending(
        &self,
        user: &UserId,
        session: &SessionId,
        account: AccountType,
    ) -> Result<bool, BusError> {
        let open = self.challenges.read_all(user, ChallengeKind::Authorize).await?;
        let mut open = open.iter().filter_map(|record| PendingAuthorization::read(record));
        Ok(open.any(|pending| pending.session == *session && pending.account == account))
    }
}

/// Error of taking an authorization.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthorizationError {
    #[error("the state is unknown, used or expired")]
    Unknown,
    #[error("the state was issued to another session or for another platform")]
    Elsewhere,
    /// The record is encrypted for its user, and cannot be decrypted for another.
    #[error("decrypt the authorization")]
    Decrypt(#[from] VaultError),
    #[error("parse the authorization")]
    Unreadable(#[from] serde_json::Error),
    #[error(transparent)]
    Bus(#[from] BusError),
}

/// Hash under which a consumed state is recorded.
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

/// Time that a user has at the platform. GitHub's authorization codes have the same lifetime.
pub(super) const LIFETIME: Duration = Duration::from_secs(10 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"v":1,"session":"s-1","account":"github","redirect_uri":"https://app.example/callback","issuer":null,"verifier":"verifier-1","access_epoch":7}"#;

    #[test]
    fn record_is_written_and_read_in_the_checked_in_format() {
        let authorization = Authorization::read(&Secret::new(RECORD)).unwrap();
        assert_eq!(Json::of(&authorization).as_str(), RECORD);
        let unversioned = RECORD.replacen(r#""v":1,"#, "", 1);
        let authorization = Authorization::read(&Secret::new(unversioned)).unwrap();
        assert_eq!(Json::of(&authorization).as_str(), RECORD);
    }

    #[test]
    fn record_of_a_newer_version_is_unknown() {
        let read = Authorization::read(&Secret::new(r#"{"v":2}"#));
        assert!(matches!(read, Err(AuthorizationError::Unknown)), "{read:?}");
    }
}

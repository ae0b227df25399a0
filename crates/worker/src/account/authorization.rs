//! An authorization under way: what `account:authorize` remembers for ten minutes, and `account:connect` or the hosted callback takes
//! once.

use std::sync::Arc;
use std::time::Duration;

use bus::{Begun, BusError, Challenges, Key};
use protocol::account::AccountType;
use protocol::id::{SessionId, UserId};
use protocol::json::Json;
use protocol::secret::Secret;
use serde::{Deserialize, Serialize};
use store::vault::{Binding, Sealed, Vault, VaultError};

use crate::digest::{digest, hex};

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

    /// Remembers an authorization for [`LIFE`].
    pub(super) async fn begin(
        &self,
        user: &UserId,
        state: &Secret,
        authorization: &Authorization,
    ) -> Result<(), BusError> {
        let text = Secret::new(Json::of(authorization).as_str());
        let begun = Begun {
            user: user.clone(),
            session: authorization.session.clone(),
            sealed: self.vault.seal(&binding(user), &text).as_bytes().to_vec(),
        };
        let flag = open_flag(user, &authorization.session, authorization.account);
        self.challenges.put(&Begun::key(state), &begun.write(), LIFE).await?;
        self.challenges.put(&flag, &name_of(state), LIFE).await
    }

    /// Takes the authorization of this state: whatever becomes of the connect, the state is used up.
    pub(super) async fn take(
        &self,
        user: &UserId,
        session: &SessionId,
        account: AccountType,
        state: &Secret,
    ) -> Result<Authorization, TakeError> {
        let record = self.challenges.take(&Begun::key(state)).await?;
        let begun = record.as_deref().and_then(Begun::read).ok_or(TakeError::Unknown)?;
        let text = self.vault.open(&binding(user), &Sealed::from_bytes(begun.sealed))?;
        let authorization: Authorization = serde_json::from_str(text.expose())?;
        if authorization.session != *session || authorization.account != account {
            return Err(TakeError::Elsewhere);
        }
        self.close(user, session, account, state).await?;
        Ok(authorization)
    }

    /// Whether this session has begun an authorization at this platform and not finished it.
    pub(super) async fn is_open(
        &self,
        user: &UserId,
        session: &SessionId,
        account: AccountType,
    ) -> Result<bool, BusError> {
        let flag = self.challenges.read(&open_flag(user, session, account)).await?;
        Ok(flag.is_some())
    }

    /// Takes the flag down, unless it stands for an authorization that was begun after this one.
    async fn close(
        &self,
        user: &UserId,
        session: &SessionId,
        account: AccountType,
        state: &Secret,
    ) -> Result<(), BusError> {
        let flag = open_flag(user, session, account);
        if self.challenges.read(&flag).await? == Some(name_of(state)) {
            self.challenges.take(&flag).await?;
        }
        Ok(())
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
    Sealed(#[from] VaultError),
    #[error("read the authorization")]
    Unreadable(#[from] serde_json::Error),
    #[error(transparent)]
    Bus(#[from] BusError),
}

/// Under which name a flag tells of an authorization.
fn name_of(state: &Secret) -> Vec<u8> {
    hex(&state_hash(state)).into_bytes()
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

fn open_flag(user: &UserId, session: &SessionId, account: AccountType) -> Key {
    Key::OpenAuthorize {
        user: user.clone(),
        of: format!("{session}:{account}"),
    }
}

/// How long a user has at the platform. GitHub's code itself lives as long.
pub(super) const LIFE: Duration = Duration::from_secs(10 * 60);

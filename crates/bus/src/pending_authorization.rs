//! Pending authorization of an OAuth state: every node can read its session and platform, the rest is encrypted.

use data_encoding::HEXLOWER;
use protocol::account::AccountType;
use protocol::id::{SessionId, UserId};
use protocol::secret::Secret;
use sha2::{Digest, Sha256};

use crate::{BusError, ChallengeKey, Challenges};

/// Record of `account:authorize`. A gateway that receives only the state finds the owner for the job to the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingAuthorization {
    /// Session that started it.
    pub session: SessionId,
    /// Platform.
    pub account: AccountType,
    /// Details for workers, encrypted for the user.
    pub encrypted: Vec<u8>,
}

impl PendingAuthorization {
    /// Key of the state's owner. The key holds a hash, so that it does not reveal the state.
    #[must_use]
    pub fn owner_key(state: &Secret) -> ChallengeKey {
        ChallengeKey::State { hash: hash(state) }
    }

    /// Key of the authorization that was issued to this user for this state.
    #[must_use]
    pub fn key(user: &UserId, state: &Secret) -> ChallengeKey {
        ChallengeKey::Authorize {
            user: user.clone(),
            state_hash: hash(state),
        }
    }

    /// Finds the authorization of a state, with its owner.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    pub async fn find(challenges: &dyn Challenges, state: &Secret) -> Result<Option<(UserId, Self)>, BusError> {
        let user = challenges.read(&Self::owner_key(state)).await?;
        let user = user.and_then(|user| UserId::new(str::from_utf8(&user).ok()?).ok());
        let Some(user) = user else { return Ok(None) };
        let stored = challenges.read(&Self::key(&user, state)).await?;
        Ok(stored
            .as_deref()
            .and_then(Self::read)
            .map(|authorization| (user, authorization)))
    }

    /// Encodes session and platform, a line each, as no id contains a line break, then the encrypted details.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = format!("{}\n{}\n", self.session, self.account).into_bytes();
        bytes.extend_from_slice(&self.encrypted);
        bytes
    }

    /// Decodes [`PendingAuthorization::write`]; none if malformed.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut parts = bytes.splitn(3, |byte| *byte == b'\n');
        let (session, account, encrypted) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self {
            session: SessionId::new(str::from_utf8(session).ok()?).ok()?,
            account: str::from_utf8(account).ok()?.parse().ok()?,
            encrypted: encrypted.to_vec(),
        })
    }
}

/// SHA-256 of a state, in hexadecimal.
fn hash(state: &Secret) -> String {
    HEXLOWER.encode(&Sha256::digest(state.expose().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_authorization_decodes_with_any_ciphertext() {
        let pending_authorization = PendingAuthorization {
            session: SessionId::new("s 1").unwrap(),
            account: AccountType::Github,
            encrypted: b"\n\0\xff\n".to_vec(),
        };
        assert_eq!(
            PendingAuthorization::read(&pending_authorization.write()),
            Some(pending_authorization)
        );
    }

    #[test]
    fn malformed_bytes_do_not_decode() {
        for bytes in [
            b"".as_slice(),
            b"s\n",
            b"s\ngithub",
            b"\ngithub\nsealed",
            b"s\nmyspace\nsealed",
            b"\xff\ngithub\nsealed",
        ] {
            assert_eq!(PendingAuthorization::read(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn key_does_not_reveal_the_state() {
        let state = Secret::new("the-state");
        let keys = [
            PendingAuthorization::owner_key(&state),
            PendingAuthorization::key(&UserId::new("u").unwrap(), &state),
        ];
        assert!(!format!("{keys:?}").contains("the-state"), "{keys:?}");
    }

    /// Another form begins with a line for its version, so that its second line is no platform.
    #[test]
    fn authorization_is_written_in_the_checked_in_format_and_another_one_is_unknown() {
        let stored = b"s-1\ngithub\n\x01sealed";
        assert_eq!(PendingAuthorization::read(stored).unwrap().write(), stored);
        assert_eq!(PendingAuthorization::read(b"v2\ns-1\ngithub\n\x01sealed"), None);
    }
}

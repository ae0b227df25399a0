//! A pending authorization, as it is kept for its state: what it is for can be read by every node, all else is sealed.

use protocol::account::AccountType;
use protocol::id::{SessionId, UserId};
use protocol::secret::Secret;
use sha2::{Digest, Sha256};

use crate::{BusError, ChallengeKey, Challenges};

/// What `account:authorize` keeps. A gateway that is handed nothing but the state learns in whose name to ask a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingAuthorization {
    /// In which session it was begun.
    pub session: SessionId,
    /// At which platform.
    pub account: AccountType,
    /// The rest, sealed for the user: for workers.
    pub encrypted: Vec<u8>,
}

impl PendingAuthorization {
    /// Where it is noted to which user this state was issued. What the platform and the client see of it hides where that is.
    #[must_use]
    pub fn owner_key(state: &Secret) -> ChallengeKey {
        ChallengeKey::State { hash: hash(state) }
    }

    /// Where the authorization of this state is kept, if it was issued to this user.
    #[must_use]
    pub fn key(user: &UserId, state: &Secret) -> ChallengeKey {
        ChallengeKey::Authorize {
            user: user.clone(),
            state_hash: hash(state),
        }
    }

    /// Finds the authorization of a state, and whose it is.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    pub async fn find(challenges: &dyn Challenges, state: &Secret) -> Result<Option<(UserId, Self)>, BusError> {
        let user = challenges.read(&Self::owner_key(state)).await?;
        let user = user.and_then(|user| UserId::new(str::from_utf8(&user).ok()?).ok());
        let Some(user) = user else { return Ok(None) };
        let kept = challenges.read(&Self::key(&user, state)).await?;
        Ok(kept
            .as_deref()
            .and_then(Self::read)
            .map(|pending_authorization| (user, pending_authorization)))
    }

    /// As bytes: session and platform each on a line, as no id holds a line break, then the rest.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = format!("{}\n{}\n", self.session, self.account).into_bytes();
        bytes.extend_from_slice(&self.encrypted);
        bytes
    }

    /// Reads what [`PendingAuthorization::write`] wrote; none where it is something else.
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
    let digest = Sha256::digest(state.expose().as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_reads_back_whatever_is_sealed() {
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
    fn what_was_written_by_somebody_else_is_nothing() {
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
    fn a_key_does_not_show_the_state() {
        let state = Secret::new("the-state");
        let keys = [
            PendingAuthorization::owner_key(&state),
            PendingAuthorization::key(&UserId::new("u").unwrap(), &state),
        ];
        assert!(!format!("{keys:?}").contains("the-state"), "{keys:?}");
    }
}

//! An authorization under way, as it is kept for its state: whose it is can be read by every node, all else is sealed.

use protocol::id::{SessionId, UserId};
use protocol::secret::Secret;
use sha2::{Digest, Sha256};

use crate::Key;

/// What `account:authorize` keeps. A gateway that is handed nothing but the state learns in whose name to ask a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// Who has begun it.
    pub user: UserId,
    /// In which session.
    pub session: SessionId,
    /// The rest, sealed for the user: for workers.
    pub sealed: Vec<u8>,
}

impl Begun {
    /// Where the authorization of this state is kept. What the platform and the client see of it hides where that is.
    #[must_use]
    pub fn key(state: &Secret) -> Key {
        let digest = Sha256::digest(state.expose().as_bytes());
        Key::Authorize {
            state_hash: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    /// As bytes: user and session each on a line, as no id holds a line break, then the rest.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = format!("{}\n{}\n", self.user, self.session).into_bytes();
        bytes.extend_from_slice(&self.sealed);
        bytes
    }

    /// Reads what [`Begun::write`] wrote; none where it is something else.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut parts = bytes.splitn(3, |byte| *byte == b'\n');
        let (user, session, sealed) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self {
            user: UserId::new(std::str::from_utf8(user).ok()?).ok()?,
            session: SessionId::new(std::str::from_utf8(session).ok()?).ok()?,
            sealed: sealed.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_reads_back_whatever_is_sealed() {
        let begun = Begun {
            user: UserId::new("GEN 001").unwrap(),
            session: SessionId::new("s").unwrap(),
            sealed: b"\n\0\xff\n".to_vec(),
        };
        assert_eq!(Begun::read(&begun.write()), Some(begun));
    }

    #[test]
    fn what_was_written_by_somebody_else_is_nothing() {
        for bytes in [b"".as_slice(), b"u\n", b"u\ns", b"\ns\nsealed", b"\xff\ns\nsealed"] {
            assert_eq!(Begun::read(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn a_key_does_not_show_the_state() {
        let key = format!("{:?}", Begun::key(&Secret::new("the-state")));
        assert!(!key.contains("the-state"), "{key}");
    }
}

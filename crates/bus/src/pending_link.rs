//! A link that waits to be confirmed, as gateways know it: in whose name, and nothing more. The link itself is in the store.

use protocol::account::AccountType;
use protocol::id::{SessionId, UserId};
use protocol::secret::Secret;
use sha2::{Digest, Sha256};

use crate::ChallengeKey;

/// What is kept beside a pending link for as long as it may be confirmed. Whoever cannot name it learns nothing of any user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingLink {
    /// Whose link it is.
    pub user: UserId,
    /// In which session it was begun.
    pub session: SessionId,
}

impl PendingLink {
    /// Where it is kept: only who has the token of the page and the cookie beside it can tell.
    #[must_use]
    pub fn key(account: AccountType, token: &Secret, cookie: &Secret) -> ChallengeKey {
        let mut hash = Sha256::new();
        for part in [account.as_str(), token.expose(), cookie.expose()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        ChallengeKey::PendingLink {
            hash: hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    /// As bytes: user and session each on a line, as no id holds a line break.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        format!("{}\n{}", self.user, self.session).into_bytes()
    }

    /// Reads what [`PendingLink::write`] wrote; none where it is something else.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (user, session) = str::from_utf8(bytes).ok()?.split_once('\n')?;
        Some(Self {
            user: UserId::new(user).ok()?,
            session: SessionId::new(session).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use AccountType::{Discord, Github};

    use super::*;

    #[test]
    fn what_was_written_reads_back_and_nothing_else_does() {
        let link = PendingLink {
            user: UserId::new("GEN 001").unwrap(),
            session: SessionId::new("s").unwrap(),
        };
        assert_eq!(PendingLink::read(&link.write()), Some(link));
        for bytes in [b"".as_slice(), b"u", b"u\n", b"\ns", b"u\ns\nt", b"\xff\ns"] {
            assert_eq!(PendingLink::read(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn another_platform_token_or_cookie_names_another_link() {
        let key = |account, token, cookie| PendingLink::key(account, &Secret::new(token), &Secret::new(cookie));
        let link = key(Github, "token", "cookie");
        assert_eq!(link, key(Github, "token", "cookie"));
        for other in [
            key(Discord, "token", "cookie"),
            key(Github, "cookie", "token"),
            key(Github, "tokenc", "ookie"),
            key(Github, "token", ""),
        ] {
            assert_ne!(link, other);
        }
    }
}

//! Pending link as gateways know it: its owner, and no more. The link itself is in the store.

use data_encoding::HEXLOWER;
use protocol::account::AccountType;
use protocol::id::{SessionId, UserId};
use protocol::secret::Secret;
use sha2::{Digest, Sha256};

use crate::ChallengeKey;

/// Owner of a pending link, stored as long as the link may be confirmed. A caller without its key learns nothing of any user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingLink {
    /// Owner of the link.
    pub user: UserId,
    /// Session that started it.
    pub session: SessionId,
}

impl PendingLink {
    /// Key, which only the holder of the page's token and the browser's cookie can compute.
    #[must_use]
    pub fn key(account: AccountType, token: &Secret, cookie: &Secret) -> ChallengeKey {
        let mut hash = Sha256::new();
        for part in [account.as_str(), token.expose(), cookie.expose()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        ChallengeKey::PendingLink {
            hash: HEXLOWER.encode(&hash.finalize()),
        }
    }

    /// Encodes user and session, a line each, as no id contains a line break.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        format!("{}\n{}", self.user, self.session).into_bytes()
    }

    /// Decodes [`PendingLink::write`]; none if malformed.
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
    fn encoded_link_decodes_and_malformed_bytes_do_not() {
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
    fn key_depends_on_platform_token_and_cookie() {
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

    #[test]
    fn link_is_written_in_the_checked_in_format_and_another_one_is_unknown() {
        let stored = b"GEN-001\ns-1";
        assert_eq!(PendingLink::read(stored).unwrap().write(), stored);
        assert_eq!(PendingLink::read(b"v2\nGEN-001\ns-1"), None);
    }
}

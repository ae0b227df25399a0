//! Names of things: users, sessions, connections, jobs. Each kind is a type of its own, so that one cannot stand for another.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a text cannot be an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id has 1 to 128 printable ASCII characters")]
pub struct InvalidId;

/// The longest id, in characters. A bound for memory and for key names; platforms' and identity providers' ids are far shorter.
pub const MAX_ID_LEN: usize = 128;

/// Declares one kind of id: a shared, immutable text of 1 to 128 printable ASCII characters.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes a text as an id.
            ///
            /// # Errors
            /// [`InvalidId`] unless it has 1 to 128 printable ASCII characters.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidId> {
                let text = text.as_ref();
                let printable = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
                if text.is_empty() || text.len() > MAX_ID_LEN || !printable {
                    return Err(InvalidId);
                }
                Ok(Self(Arc::from(text)))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().to_owned()
            }
        }
    };
}

text_id! {
    /// A user of the application: the token's `sub`.
    UserId
}
text_id! {
    /// A session of a user: the token's `sid`, or `default` where it has none.
    SessionId
}
text_id! {
    /// One live socket, named by the gateway that holds it.
    ConnectionId
}
text_id! {
    /// With what a client that lost its socket comes back: the `pid` of Socket.IO, the `session` of `ready`.
    ResumeTokenId
}
text_id! {
    /// One gateway process, new at each start.
    NodeId
}
text_id! {
    /// One worker process, new at each start.
    WorkerId
}
text_id! {
    /// One command of a client on its way to a worker and back.
    JobId
}
text_id! {
    /// One event; publishing the same id twice is publishing it once.
    EventId
}
text_id! {
    /// One security alert, as its user acknowledges it.
    AlertId
}

/// The event that tells of an alert goes by the alert's own name.
impl From<AlertId> for EventId {
    fn from(alert: AlertId) -> Self {
        Self(alert.0)
    }
}

impl From<EventId> for AlertId {
    fn from(event: EventId) -> Self {
        Self(event.0)
    }
}

impl SessionId {
    /// The session of all tokens that name none.
    pub const DEFAULT: &str = "default";

    /// Whether it is the one that tokens without `sid` share.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.as_str() == Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_printable_ascii_of_bounded_length() {
        assert!(UserId::new("GEN-001").is_ok());
        assert!(UserId::new("x".repeat(MAX_ID_LEN)).is_ok());
        for bad in ["", "line\nbreak", "caf\u{e9}", &"x".repeat(MAX_ID_LEN + 1)] {
            assert_eq!(UserId::new(bad), Err(InvalidId), "{bad:?}");
        }
    }
}

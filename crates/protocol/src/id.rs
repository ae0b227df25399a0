//! Ids of users, sessions, connections, jobs. Each kind is a type of its own, so that one is not taken for another.

use std::fmt;
use std::sync::Arc;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Text that is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id has 1 to 128 printable ASCII characters")]
pub struct InvalidId;

/// Longest id, in characters. It bounds memory and Redis keys; ids of platforms and identity providers are far shorter.
pub const MAX_ID_LEN: usize = 128;

/// Declares one kind of id: a shared, immutable text of 1 to 128 printable ASCII characters.
macro_rules! text_id {
    ($(#[doc = $doc:literal])+ $name:ident) => {
        $(#[doc = $doc])+
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks a text.
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

            /// Text of the id.
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

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                /// Takes the text where it stands, without a copy of its own.
                struct Text;

                impl Visitor<'_> for Text {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a string")
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        $name::new(text).map_err(E::custom)
                    }
                }

                deserializer.deserialize_str(Text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().to_owned()
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "description": concat!($($doc),+).trim(),
                    "minLength": 1,
                    "maxLength": MAX_ID_LEN,
                    "pattern": "^[ -~]+$",
                })
            }
        }
    };
}

text_id! {
    /// User of the application: the token's `sub`.
    UserId
}
text_id! {
    /// Session of a user: the token's `sid`, or `default` where it has none.
    SessionId
}
text_id! {
    /// Open connection, named by its gateway.
    ConnectionId
}
text_id! {
    /// Resume token that a client shows when it reconnects: the `pid` of Socket.IO, the `resumeToken` of `ready`.
    ResumeTokenId
}
text_id! {
    /// Gateway process, new at each start.
    NodeId
}
text_id! {
    /// Worker process, new at each start.
    WorkerId
}
text_id! {
    /// Job of a worker.
    JobId
}
text_id! {
    /// Event. A second event with the same id is a duplicate, and is not published.
    EventId
}
text_id! {
    /// Security alert, as its user acknowledges it.
    AlertId
}

/// The event of an alert has the alert's id.
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
    /// Session of all tokens without `sid`.
    pub const DEFAULT: &str = "default";

    /// True for the session that tokens without `sid` share.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.as_str() == Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_other_than_bounded_printable_ascii_is_refused() {
        assert!(UserId::new("GEN-001").is_ok());
        assert!(UserId::new("x".repeat(MAX_ID_LEN)).is_ok());
        for bad in ["", "line\nbreak", "caf\u{e9}", &"x".repeat(MAX_ID_LEN + 1)] {
            assert_eq!(UserId::new(bad), Err(InvalidId), "{bad:?}");
        }
    }
}

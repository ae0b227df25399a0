//! End of a session as one socket sees it: by the session's timeout or by the socket's token, whichever is earlier.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// End of a session. Every event and answer with `expiresAt` has these fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Expiry {
    /// Earlier of the two ends: the socket is closed then.
    expires_at: Timestamp,
    /// End of the session without further activity.
    session_expires_at: Timestamp,
    /// End of the socket's token. Absent for a session of other sockets, each of which has a token of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token_expires_at: Option<Timestamp>,
}

impl Expiry {
    /// Earlier one of these ends.
    #[must_use]
    pub fn new(session_expires_at: Timestamp, token_expires_at: Option<Timestamp>) -> Self {
        Self {
            expires_at: token_expires_at.map_or(session_expires_at, |token| token.min(session_expires_at)),
            session_expires_at,
            token_expires_at,
        }
    }

    /// Earlier of the two ends.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Limit that keeps activity from moving the end, if there is one.
    #[must_use]
    pub fn limit(&self) -> Option<ExtensionLimit> {
        let is_token_first = self
            .token_expires_at
            .is_some_and(|token| token <= self.session_expires_at);
        is_token_first.then_some(ExtensionLimit::TokenExpiresFirst)
    }
}

/// Reason for which activity does not move the end of a session, as a socket sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ExtensionLimit {
    /// The token ends first, or at the same time; `auth:refresh` moves that end.
    TokenExpiresFirst,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn earlier_end_counts_and_a_token_that_is_not_later_limits_extensions() {
        let limit = Some(ExtensionLimit::TokenExpiresFirst);
        for (session, token, expires, limited) in [
            (30, Some(15), 15, limit),
            (30, Some(30), 30, limit),
            (30, Some(60), 30, None),
            (30, None, 30, None),
        ] {
            let expiry = Expiry::new(at(session), token.map(at));
            assert_eq!((expiry.expires_at(), expiry.limit()), (at(expires), limited));
        }
    }

    #[test]
    fn unknown_token_end_is_absent() {
        let written = serde_json::to_string(&Expiry::new(at(0), None)).unwrap();
        let expected = r#"{"expiresAt":"1970-01-01T00:00:00.000Z","sessionExpiresAt":"1970-01-01T00:00:00.000Z"}"#;
        assert_eq!(written, expected);
    }
}

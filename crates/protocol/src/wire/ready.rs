//! Greeting of a plain WebSocket.

use serde::{Deserialize, Serialize};

use crate::expiry::Expiry;
use crate::id::{SessionId, UserId};
use crate::time::Timestamp;

/// `ready`: the socket is authenticated and live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    /// User of the token.
    pub user_id: UserId,
    /// Session of the token.
    pub session_id: SessionId,
    /// Resume token of this socket.
    pub resume_token: String,
    /// Offset after which events follow.
    pub offset: String,
    /// True if the client resumed and missed no event.
    pub recovered: bool,
    /// End of the session and of the token.
    #[serde(flatten)]
    pub expiry: Expiry,
    /// Time of the greeting, by the same clock as the ends.
    pub server_time: Timestamp,
}

//! Presence: open sockets of each user across gateways, with a bound per user.

use std::time::Duration;

use async_trait::async_trait;
use protocol::cluster::origin::Origin;
use protocol::id::{ConnectionId, NodeId, SessionId, UserId};
use protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::BusError;

/// Registry of open sockets. The sockets of a crashed gateway disappear with its lease.
#[async_trait]
pub trait Presence: Send + Sync {
    /// Renews a gateway's lease for `lease`.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn renew_node(&self, node: &NodeId, lease: Duration) -> Result<(), BusError>;

    /// Registers a socket, or renews its registration. Returns the sockets to close because the user now has more than `most`:
    /// the oldest of the session with the most sockets, never the one being registered. They are unregistered.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: the socket may be registered.
    async fn register_socket(
        &self,
        user: &UserId,
        socket: &OpenSocket,
        most: usize,
    ) -> Result<Vec<OpenSocket>, BusError>;

    /// Unregisters a socket of this gateway. If its client resumed on another gateway, that registration stays.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn unregister_socket(&self, user: &UserId, node: &NodeId, connection: &ConnectionId) -> Result<(), BusError>;

    /// Lists the user's sockets on live gateways, oldest first.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn open_sockets(&self, user: &UserId) -> Result<Vec<OpenSocket>, BusError>;
}

/// Open socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenSocket {
    /// Id of the connection.
    pub connection: ConnectionId,
    /// Gateway.
    pub node: NodeId,
    /// Session.
    pub session: SessionId,
    /// Start of the connection.
    pub connected_at: Timestamp,
    /// Origin of the connection.
    #[serde(flatten)]
    pub origin: Origin,
}

/// Order by age, oldest first.
pub(crate) fn age(one: &OpenSocket, other: &OpenSocket) -> std::cmp::Ordering {
    (one.connected_at, &one.connection).cmp(&(other.connected_at, &other.connection))
}

/// TTL of a user's registered sockets after the last registration.
pub(crate) const SOCKETS_TTL: Duration = Duration::from_secs(10 * 60);

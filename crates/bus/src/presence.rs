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

    /// Registers a socket, or renews its registration. Returns the sockets to close because the user now has more than `most`: the
    /// oldest of the session with the most sockets, never the one being registered. They are unregistered.
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

/// Removes sockets above `most` and returns them: each time the oldest of the session with the most sockets, never `registered`.
pub(crate) fn excess(mut present: Vec<OpenSocket>, registered: &ConnectionId, most: usize) -> Vec<OpenSocket> {
    let mut excess = Vec::new();
    present.sort_by(age);
    while present.len() > most.max(1) {
        let of = |session: &SessionId| present.iter().filter(|other| other.session == *session).count();
        let others = present
            .iter()
            .enumerate()
            .filter(|(_, socket)| socket.connection != *registered);
        // Among equals the first, which is the oldest.
        let index = others.rev().max_by_key(|(_, socket)| of(&socket.session));
        let Some(index) = index.map(|(index, _)| index) else {
            break;
        };
        excess.push(present.remove(index));
    }
    excess
}

/// Order by age, oldest first.
pub(crate) fn age(one: &OpenSocket, other: &OpenSocket) -> std::cmp::Ordering {
    (one.connected_at, &one.connection).cmp(&(other.connected_at, &other.connection))
}

/// TTL of a user's registered sockets after the last registration.
pub(crate) const SOCKETS_TTL: Duration = Duration::from_secs(10 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    fn sockets(of: &[&str]) -> Vec<OpenSocket> {
        let numbered = of.iter().zip(0..);
        let socket = |(session, number): (&&str, i64)| OpenSocket {
            connection: ConnectionId::new(format!("c{number}")).unwrap(),
            node: NodeId::new("n").unwrap(),
            session: SessionId::new(*session).unwrap(),
            connected_at: Timestamp::from_millis(number),
            origin: Origin {
                address: "192.0.2.1".to_owned(),
                device_id: None,
                device_name: None,
                user_agent: None,
            },
        };
        numbered.map(socket).collect()
    }

    fn closed(of: &[&str], registered: &str, most: usize) -> Vec<String> {
        let excess = excess(sockets(of), &ConnectionId::new(registered).unwrap(), most);
        excess.into_iter().map(|socket| socket.connection.to_string()).collect()
    }

    #[test]
    fn oldest_socket_of_the_largest_session_is_closed() {
        assert_eq!(closed(&["a", "b", "b", "a", "b"], "c4", 4), ["c1"]);
        assert_eq!(closed(&["a", "b", "b", "b", "a"], "c4", 2), ["c1", "c0", "c2"]);
        assert_eq!(closed(&["a", "b"], "c1", 2), [""; 0]);
    }

    #[test]
    fn registered_socket_is_never_closed() {
        assert_eq!(closed(&["a", "a"], "c0", 1), ["c1"]);
        assert_eq!(closed(&["a", "b", "b"], "c1", 1), ["c2", "c0"]);
    }
}

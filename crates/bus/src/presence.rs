//! Presence: which sockets a user has, on which gateways, and no more of them than one may have.

use std::time::Duration;

use async_trait::async_trait;
use protocol::cluster::origin::Origin;
use protocol::id::{ConnectionId, NodeId, SessionId, UserId};
use protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::BusError;

/// The sockets that are open. A gateway that is gone takes its own along when its lease ends.
#[async_trait]
pub trait Presence: Send + Sync {
    /// Says that a gateway is alive, for as long as `lease`.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn renew_node(&self, node: &NodeId, lease: Duration) -> Result<(), BusError>;

    /// Enters a socket, or keeps it entered. Gives those that have to go because the user has more than `most` now: the oldest of
    /// the session that has most, never the newcomer. They are not present any more.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: it may have been entered.
    async fn register_socket(
        &self,
        user: &UserId,
        socket: &OpenSocket,
        most: usize,
    ) -> Result<Vec<OpenSocket>, BusError>;

    /// Strikes a socket of this gateway out. Where its client has come back to another, that one's entry stays.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn unregister_socket(&self, user: &UserId, node: &NodeId, connection: &ConnectionId) -> Result<(), BusError>;

    /// The user's sockets on gateways that are alive, oldest first.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn open_sockets(&self, user: &UserId) -> Result<Vec<OpenSocket>, BusError>;
}

/// A socket that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenSocket {
    /// Which.
    pub connection: ConnectionId,
    /// On which gateway.
    pub node: NodeId,
    /// Of which session.
    pub session: SessionId,
    /// Since when.
    pub connected_at: Timestamp,
    /// Where it comes from.
    #[serde(flatten)]
    pub origin: Origin,
}

/// Who has to go so that no more than `most` remain: of the session that has most, the oldest, and so on. The newcomer stays.
pub(crate) fn surplus(mut present: Vec<OpenSocket>, newcomer: &ConnectionId, most: usize) -> Vec<OpenSocket> {
    let mut surplus = Vec::new();
    present.sort_by(age);
    while present.len() > most.max(1) {
        let of = |session: &SessionId| present.iter().filter(|other| other.session == *session).count();
        let others = present
            .iter()
            .enumerate()
            .filter(|(_, socket)| socket.connection != *newcomer);
        // Of equals the first: the oldest.
        let goes = others.rev().max_by_key(|(_, socket)| of(&socket.session));
        let Some(index) = goes.map(|(index, _)| index) else {
            break;
        };
        surplus.push(present.remove(index));
    }
    surplus
}

/// Oldest first.
pub(crate) fn age(one: &OpenSocket, other: &OpenSocket) -> std::cmp::Ordering {
    (one.connected_at, &one.connection).cmp(&(other.connected_at, &other.connection))
}

/// How long what is known of a user's sockets is kept without a word of any of them.
pub(crate) const KEPT_FOR: Duration = Duration::from_secs(10 * 60);

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

    fn go(of: &[&str], newcomer: &str, most: usize) -> Vec<String> {
        let surplus = surplus(sockets(of), &ConnectionId::new(newcomer).unwrap(), most);
        surplus
            .into_iter()
            .map(|socket| socket.connection.to_string())
            .collect()
    }

    #[test]
    fn the_oldest_of_the_session_that_has_most_goes() {
        assert_eq!(go(&["a", "b", "b", "a", "b"], "c4", 4), ["c1"]);
        assert_eq!(go(&["a", "b", "b", "b", "a"], "c4", 2), ["c1", "c0", "c2"]);
        assert_eq!(go(&["a", "b"], "c1", 2), [""; 0]);
    }

    #[test]
    fn the_newcomer_stays() {
        assert_eq!(go(&["a", "a"], "c0", 1), ["c1"]);
        assert_eq!(go(&["a", "b", "b"], "c1", 1), ["c2", "c0"]);
    }
}

//! Cap of sockets per user: the choice of the sockets to close above it. `register_socket.lua` makes the same choice in Redis.
//! The cap itself is `POSTERN_MAX_SOCKETS_PER_USER`.

use protocol::id::{ConnectionId, SessionId};

use crate::OpenSocket;
use crate::presence::age;

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

#[cfg(test)]
mod tests {
    use protocol::cluster::origin::Origin;
    use protocol::id::NodeId;
    use protocol::time::Timestamp;

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

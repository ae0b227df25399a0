//! Presence in memory. All gateways run in this process, so there are no leases.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use protocol::id::{ConnectionId, NodeId, UserId};

use super::{MemoryBus, lock};
use crate::presence::age;
use crate::socket_cap::excess;
use crate::{BusError, OpenSocket, Presence};

/// Open sockets of each user.
pub(super) type Sockets = HashMap<UserId, HashMap<ConnectionId, OpenSocket>>;

#[async_trait]
impl Presence for MemoryBus {
    async fn renew_node(&self, _node: &NodeId, _lease: Duration) -> Result<(), BusError> {
        Ok(())
    }

    async fn register_socket(
        &self,
        user: &UserId,
        socket: &OpenSocket,
        most: usize,
    ) -> Result<Vec<OpenSocket>, BusError> {
        let mut users = lock(&self.shared.present);
        let sockets = users.entry(user.clone()).or_default();
        sockets.insert(socket.connection.clone(), socket.clone());
        let excess = excess(sockets.values().cloned().collect(), &socket.connection, most);
        for closed in &excess {
            sockets.remove(&closed.connection);
        }
        Ok(excess)
    }

    async fn unregister_socket(&self, user: &UserId, node: &NodeId, connection: &ConnectionId) -> Result<(), BusError> {
        let mut users = lock(&self.shared.present);
        if let Some(sockets) = users.get_mut(user) {
            if sockets.get(connection).is_some_and(|socket| socket.node == *node) {
                sockets.remove(connection);
            }
            if sockets.is_empty() {
                users.remove(user);
            }
        }
        Ok(())
    }

    async fn open_sockets(&self, user: &UserId) -> Result<Vec<OpenSocket>, BusError> {
        let users = lock(&self.shared.present);
        let sockets = users.get(user).into_iter().flat_map(HashMap::values);
        let mut present: Vec<OpenSocket> = sockets.cloned().collect();
        present.sort_by(age);
        Ok(present)
    }
}

//! Presence in memory: the sockets of each user, and the leases of the gateways. A gateway of this process can end like a killed one, and
//! leaves its sockets to the end of its lease, as in Redis.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use protocol::id::{ConnectionId, NodeId, UserId};

use super::expiring::Expiring;
use super::{MemoryBus, lock};
use crate::presence::{SOCKETS_TTL, age};
use crate::socket_cap::excess;
use crate::{BusError, OpenSocket, Presence};

/// Open sockets of each user, and leases of the gateways.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    users: Expiring<UserId, HashMap<ConnectionId, OpenSocket>>,
    leases: Expiring<NodeId, ()>,
}

impl Sockets {
    /// Adds a socket of a user, and returns how many the user has then, those of dead gateways included.
    pub(super) fn add(&mut self, user: &UserId, socket: &OpenSocket) -> usize {
        let sockets = self.users.renew_or(user.clone(), SOCKETS_TTL, HashMap::new);
        sockets.insert(socket.connection.clone(), socket.clone());
        sockets.len()
    }

    /// Adds a socket of a user, and removes those of dead gateways, and those above the bound, which are returned.
    pub(super) fn register(&mut self, user: &UserId, socket: &OpenSocket, most: usize) -> Vec<OpenSocket> {
        let sockets = self.users.renew_or(user.clone(), SOCKETS_TTL, HashMap::new);
        sockets.insert(socket.connection.clone(), socket.clone());
        // Its own lease may have expired during a pause.
        sockets.retain(|_, other| other.node == socket.node || self.leases.get(&other.node).is_some());
        let excess = excess(sockets.values().cloned().collect(), &socket.connection, most);
        for closed in &excess {
            sockets.remove(&closed.connection);
        }
        excess
    }
}

#[async_trait]
impl Presence for MemoryBus {
    async fn renew_node(&self, node: &NodeId, lease: Duration) -> Result<(), BusError> {
        lock(&self.shared.present).leases.insert(node.clone(), (), lease);
        Ok(())
    }

    async fn register_socket(
        &self,
        user: &UserId,
        socket: &OpenSocket,
        most: usize,
    ) -> Result<Vec<OpenSocket>, BusError> {
        Ok(lock(&self.shared.present).register(user, socket, most))
    }

    async fn unregister_socket(&self, user: &UserId, node: &NodeId, connection: &ConnectionId) -> Result<(), BusError> {
        let mut present = lock(&self.shared.present);
        if let Some(sockets) = present.users.get_mut(user) {
            if sockets.get(connection).is_some_and(|socket| socket.node == *node) {
                sockets.remove(connection);
            }
            if sockets.is_empty() {
                present.users.remove(user);
            }
        }
        Ok(())
    }

    async fn open_sockets(&self, user: &UserId) -> Result<Vec<OpenSocket>, BusError> {
        let present = lock(&self.shared.present);
        let sockets = present.users.get(user).into_iter().flat_map(HashMap::values);
        let is_live = |socket: &&OpenSocket| present.leases.get(&socket.node).is_some();
        let mut listed: Vec<OpenSocket> = sockets.filter(is_live).cloned().collect();
        listed.sort_by(age);
        Ok(listed)
    }
}

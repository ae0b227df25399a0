//! Presence in Redis: a hash of sockets per user, and the leases of all gateways in one sorted set.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use protocol::id::{ConnectionId, NodeId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::RedisBus;
use super::client::{Arg, RedisReply, Script};
use crate::operation::Operation;
use crate::presence::{SOCKETS_TTL, age};
use crate::versioned_message::VersionedMessage;
use crate::{BusError, OpenSocket, Presence};

/// Scripts of the presence.
pub(super) struct PresenceScripts {
    register: Script,
    unregister: Script,
    list: Script,
    nodes: Script,
}

impl PresenceScripts {
    pub(super) fn new() -> Self {
        Self {
            register: Script::new(Operation::RegisterSocket, include_str!("script/register_socket.lua")),
            unregister: Script::new(
                Operation::UnregisterSocket,
                include_str!("script/unregister_socket.lua"),
            ),
            list: Script::new(Operation::ListSockets, include_str!("script/list_sockets.lua")),
            nodes: Script::new(Operation::LiveNodes, include_str!("script/live_nodes.lua")),
        }
    }

    /// All scripts, for the startup check.
    pub(super) fn all(&self) -> impl Iterator<Item = &Script> {
        let Self {
            register,
            unregister,
            list,
            nodes,
        } = self;
        [register, unregister, list, nodes].into_iter()
    }
}

/// State of a socket before it is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Registration {
    /// Not registered, or to be renewed.
    New,
    /// Registered by its join. Another registration may have evicted it since.
    Joined,
}

#[async_trait]
impl Presence for RedisBus {
    async fn renew_node(&self, node: &NodeId, lease: Duration) -> Result<(), BusError> {
        let args = [Arg::from(node.as_str()), Arg::from(lease.as_millis())];
        self.nodes(args).await.map(drop)
    }

    async fn register_socket(
        &self,
        user: &UserId,
        socket: &OpenSocket,
        most: usize,
    ) -> Result<Vec<OpenSocket>, BusError> {
        self.register(user, socket, (most, Registration::New)).await
    }

    async fn unregister_socket(&self, user: &UserId, node: &NodeId, connection: &ConnectionId) -> Result<(), BusError> {
        let shared = &self.shared;
        let key = shared.names.sockets(user);
        let member = format!(r#""node":{}"#, json!(node.as_str()));
        let args = [Arg::from(connection.as_str()), Arg::from(member)];
        let unregistered = shared
            .commands
            .run("unregister a socket", &shared.presence.unregister, [key], args);
        unregistered.await.map(drop)
    }

    async fn open_sockets(&self, user: &UserId) -> Result<Vec<OpenSocket>, BusError> {
        let alive = self.nodes([]).await?;
        let shared = &self.shared;
        let key = shared.names.sockets(user);
        let entries = shared.commands.run("list sockets", &shared.presence.list, [key], []);
        let mut list = self.sockets(entries.await?)?;
        list.retain(|socket| alive.contains(&socket.node));
        list.sort_by(age);
        Ok(list)
    }
}

impl RedisBus {
    /// Registers a socket, and evicts those above the bound.
    pub(super) async fn register(
        &self,
        user: &UserId,
        socket: &OpenSocket,
        (most, registration): (usize, Registration),
    ) -> Result<Vec<OpenSocket>, BusError> {
        let mut alive = self.nodes([]).await?;
        // Its own lease may have expired during a pause.
        alive.insert(socket.node.clone());
        let args = [
            Arg::from(socket.connection.as_str()),
            Arg::from(entry(socket)?),
            Arg::from(SOCKETS_TTL.as_millis()),
            Arg::from(most.max(1)),
            Arg::from(u64::from(registration == Registration::Joined)),
        ];
        let args = args
            .into_iter()
            .chain(alive.iter().map(|node| Arg::from(node.as_str())));
        let shared = &self.shared;
        let key = shared.names.sockets(user);
        let excess = shared
            .commands
            .run("register a socket", &shared.presence.register, [key], args);
        self.sockets(excess.await?)
    }

    /// Live gateways, after an optional renewal of one lease.
    async fn nodes<const N: usize>(&self, renewal: [Arg; N]) -> Result<HashSet<NodeId>, BusError> {
        let shared = &self.shared;
        let key = shared.names.nodes();
        let mut reply = shared
            .commands
            .run("list live gateways", &shared.presence.nodes, [key], renewal)
            .await?;
        let mut alive = HashSet::new();
        while !reply.is_empty() {
            let node = NodeId::new(reply.read::<String>()?);
            alive.insert(node.map_err(|_no_id| reply.unreadable("invalid gateway id"))?);
        }
        Ok(alive)
    }

    /// Decodes entries. Those of a newer version are left out: only gateways of a newer release can close their sockets.
    fn sockets(&self, mut reply: RedisReply) -> Result<Vec<OpenSocket>, BusError> {
        let mut sockets = Vec::new();
        while !reply.is_empty() {
            let entry = reply.bytes()?;
            if StoredSocket::is_newer(&entry) {
                self.shared.metrics.unreadable("socket");
            } else {
                sockets.push(StoredSocket::read(&entry)?.socket);
            }
        }
        Ok(sockets)
    }
}

/// Socket as stored.
#[derive(Serialize, Deserialize)]
struct StoredSocket {
    v: u8,
    #[serde(flatten)]
    socket: OpenSocket,
}

impl VersionedMessage for StoredSocket {
    const LATEST_VERSION: u8 = 1;
    const NAME: &'static str = "a socket";

    fn version(&self) -> u8 {
        self.v
    }
}

/// Encodes the entry of a socket.
pub(super) fn entry(socket: &OpenSocket) -> Result<Vec<u8>, BusError> {
    let (v, socket) = (StoredSocket::LATEST_VERSION, socket.clone());
    StoredSocket { v, socket }.write()
}

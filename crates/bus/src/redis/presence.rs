//! Presence in Redis: a hash of a user's sockets, and the leases of all gateways in one sorted set.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use protocol::id::{ConnectionId, NodeId, UserId};
use serde::{Deserialize, Serialize};

use super::RedisBus;
use super::client::{Arg, RedisReply, Script};
use crate::letter::Letter;
use crate::presence::{KEPT_FOR, age};
use crate::{BusError, OpenSocket, Presence};

/// What is one step on the server.
pub(super) struct Scripts {
    enter: Script,
    leave: Script,
    present: Script,
    nodes: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            enter: Script::new(include_str!("script/enter.lua")),
            leave: Script::new(include_str!("script/leave.lua")),
            present: Script::new(include_str!("script/present.lua")),
            nodes: Script::new(include_str!("script/nodes.lua")),
        }
    }
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
        let mut alive = self.nodes([]).await?;
        // Its own lease may have ended in a hiccup.
        alive.insert(socket.node.clone());
        let args = [
            Arg::from(socket.connection.as_str()),
            Arg::from(entry(socket)?),
            Arg::from(KEPT_FOR.as_millis()),
            Arg::from(most.max(1)),
        ];
        let args = args
            .into_iter()
            .chain(alive.iter().map(|node| Arg::from(node.as_str())));
        let shared = &self.shared;
        let key = shared.names.sockets(user);
        let surplus = shared
            .commands
            .run("enter a socket", &shared.presence.enter, [key], args);
        sockets(surplus.await?)
    }

    async fn unregister_socket(&self, user: &UserId, node: &NodeId, connection: &ConnectionId) -> Result<(), BusError> {
        let shared = &self.shared;
        let key = shared.names.sockets(user);
        let args = [Arg::from(connection.as_str()), Arg::from(node.as_str())];
        let struck = shared
            .commands
            .run("strike a socket out", &shared.presence.leave, [key], args);
        struck.await.map(drop)
    }

    async fn open_sockets(&self, user: &UserId) -> Result<Vec<OpenSocket>, BusError> {
        let alive = self.nodes([]).await?;
        let shared = &self.shared;
        let key = shared.names.sockets(user);
        let entries = shared
            .commands
            .run("list the sockets", &shared.presence.present, [key], []);
        let mut present = sockets(entries.await?)?;
        present.retain(|socket| alive.contains(&socket.node));
        present.sort_by(age);
        Ok(present)
    }
}

impl RedisBus {
    /// The gateways that are alive, after one has said so.
    async fn nodes<const N: usize>(&self, says: [Arg; N]) -> Result<HashSet<NodeId>, BusError> {
        let shared = &self.shared;
        let key = shared.names.nodes();
        let mut reply = shared
            .commands
            .run("ask who is alive", &shared.presence.nodes, [key], says)
            .await?;
        let mut alive = HashSet::new();
        while !reply.is_empty() {
            let node = NodeId::new(reply.read::<String>()?);
            alive.insert(node.map_err(|_no_id| reply.unreadable("it names no gateway"))?);
        }
        Ok(alive)
    }
}

/// A socket as it is written.
#[derive(Serialize, Deserialize)]
struct Entry {
    v: u8,
    #[serde(flatten)]
    socket: OpenSocket,
}

impl Letter for Entry {
    const NEWEST: u8 = 1;
    const NAME: &'static str = "a socket";

    fn version(&self) -> u8 {
        self.v
    }
}

fn entry(socket: &OpenSocket) -> Result<Vec<u8>, BusError> {
    let (v, socket) = (Entry::NEWEST, socket.clone());
    Entry { v, socket }.write()
}

fn sockets(mut reply: RedisReply) -> Result<Vec<OpenSocket>, BusError> {
    let mut sockets = Vec::new();
    while !reply.is_empty() {
        let entry = reply.bytes()?;
        sockets.push(Entry::read(&entry)?.socket);
    }
    Ok(sockets)
}

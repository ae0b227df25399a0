//! Redis Cluster of three primaries and three replicas, with the faults and moves of slots that an operator can cause.

mod migration;
mod nodes;
mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use tokio::sync::OnceCell;

use self::nodes::{Line, NodesReply};
use super::resp::{self, CommandError};
use super::{Redis, text};
use crate::account::Account;
use crate::fail::{OrFail as _, fail};
use crate::port::Port;
use crate::scratch::Scratch;
use crate::tls::Authority;
use crate::wait;

/// Running cluster. Nodes 0 to 2 start as primaries of a third of the slots each, nodes 3 to 5 as their replicas in this order.
/// All end with this value.
///
/// A primary that is silent for the node timeout, 2 s unless the arguments name another one, is replaced by its replica.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
    /// Ports on which the nodes speak with each other, by the same index. The default, 10,000 above the other port, may be taken.
    bus_ports: Vec<Port>,
    /// Ports for clients by TLS, by the same index; none in a cluster without TLS.
    tls_ports: Vec<Port>,
    prefixes: AtomicU64,
}

impl RedisCluster {
    /// Starts a cluster for one test.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a cluster for one test with further arguments of each node, such as `--cluster-require-full-coverage no`.
    pub async fn start_with(arguments: &[&str]) -> Self {
        Self::start_in(&scratch(), Vec::new(), arguments).await
    }

    /// Starts a cluster for one test whose nodes listen by TLS too, for clients with a certificate of this authority, and use TLS
    /// among each other. The port without TLS is for the commands of the test.
    pub async fn start_with_tls(authority: &Authority, arguments: &[&str]) -> Self {
        let scratch = scratch();
        tls::write_files(&scratch, authority);
        let ports = (0..NODES).map(|_| Port::claim()).collect();
        let arguments: Vec<&str> = tls::SETTINGS.iter().chain(arguments).copied().collect();
        Self::start_in(&scratch, ports, &arguments).await
    }

    async fn start_in(scratch: &Arc<Scratch>, tls_ports: Vec<Port>, arguments: &[&str]) -> Self {
        let bus_ports: Vec<Port> = (0..NODES).map(|_| Port::claim()).collect();
        let nodes = bus_ports.iter().enumerate().map(async |(index, bus_port)| {
            let (file, bus_port) = (format!("nodes-{index}.conf"), bus_port.number().to_string());
            let own = ["--cluster-config-file", &file, "--cluster-port", &bus_port];
            let mut all: Vec<&str> = SETTINGS.iter().chain(&own).chain(arguments).copied().collect();
            // A server that is built without TLS knows no such argument.
            let tls_port = tls_ports.get(index).map(|port| port.number().to_string());
            if let Some(port) = &tls_port {
                all.extend(["--tls-port", port]);
            }
            Redis::start_in(scratch, &format!("node-{index}"), &all).await
        });
        let this = Self {
            nodes: join_all(nodes).await,
            bus_ports,
            tls_ports,
            prefixes: AtomicU64::new(0),
        };
        this.form().await;
        this
    }

    /// Cluster that all tests of this process share; each uses only keys under its own [`RedisCluster::prefix`] and injects no
    /// fault.
    pub async fn shared() -> &'static Self {
        // One cluster per test process, isolated by prefix. It is never dropped: its supervisors end it.
        static SHARED: OnceCell<RedisCluster> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    /// Key prefix that no other call returns.
    pub fn prefix(&self) -> String {
        format!("t{}", self.prefixes.fetch_add(1, Ordering::Relaxed))
    }

    /// `redis-cluster://127.0.0.1:<port>,...` with all nodes.
    pub fn url(&self) -> String {
        let addresses: Vec<String> = self.nodes.iter().map(|node| node.addr().to_string()).collect();
        format!("redis-cluster://{}", addresses.join(","))
    }

    /// `rediss-cluster://<user>:<password>@127.0.0.1:<port>,...` with all nodes of a cluster with TLS.
    pub fn tls_url(&self, user: &str, password: &str) -> String {
        let addresses: Vec<String> = self.tls_ports.iter().map(|port| port.addr().to_string()).collect();
        format!("rediss-cluster://{user}:{password}@{}", addresses.join(","))
    }

    /// All nodes by their indexes of start.
    pub fn nodes(&self) -> impl Iterator<Item = &Redis> {
        self.nodes.iter()
    }

    /// Node by its index of start. A restarted one is empty, and what it was before: a primary with its slots, unless its
    /// replica has taken them over.
    pub fn node(&self, index: usize) -> &Redis {
        self.nodes.get(index).or_fail("find a node of the cluster")
    }

    /// [`RedisCluster::node`] to pause, kill or restart.
    pub fn node_mut(&mut self, index: usize) -> &mut Redis {
        self.nodes.get_mut(index).or_fail("find a node of the cluster")
    }

    /// Slot of a key.
    pub async fn slot_of(&self, key: &str) -> u16 {
        for node in &self.nodes {
            if let Ok(slot) = resp::try_command(node.addr(), &["CLUSTER", "KEYSLOT", key]).await {
                return text(&slot).parse().or_fail("read a slot");
            }
        }
        fail("find the slot of a key", "no node responds")
    }

    /// Index of the running primary that owns a slot.
    pub async fn primary_of(&self, slot: u16) -> usize {
        let replies = self.nodes_replies().await;
        let claims = replies.iter().enumerate().filter_map(|(index, reply)| {
            let own = reply.as_ref()?.myself()?;
            own.owns(slot).then_some((own.epoch, index))
        });
        // A previous owner claims it too until it has received the new map, whose epoch is greater.
        let owner = claims.max();
        owner.or_fail("find the primary of a slot").1
    }

    /// First and last slots of each range that a running node owns, as it says itself.
    pub async fn slots_of(&self, index: usize) -> Vec<(u16, u16)> {
        let reply = self.nodes_reply(index).await;
        let ranges = reply.as_ref().and_then(NodesReply::myself).map(Line::owned);
        ranges.unwrap_or_default()
    }

    /// Indexes of the running primaries that own slots.
    pub async fn primaries(&self) -> Vec<usize> {
        let replies = self.nodes_replies().await;
        let owns_slots = |reply: &NodesReply| reply.myself().is_some_and(Line::is_owner);
        let indexes = replies.iter().enumerate();
        let owners = indexes.filter(|(_, reply)| reply.as_ref().is_some_and(owns_slots));
        owners.map(|(index, _)| index).collect()
    }

    /// Index of a replica of this primary, as the primary lists it.
    pub async fn replica_of(&self, primary: usize) -> usize {
        let reply = self
            .nodes_reply(primary)
            .await
            .or_fail("ask a primary for its replicas");
        let port = reply.replica_port().or_fail("find a replica");
        let replica = self.nodes.iter().position(|node| node.port() == port);
        replica.or_fail("find a replica")
    }

    /// Runs a command on the primary that owns a key, as [`Redis::command`].
    pub async fn command_for(&self, key: &str, arguments: &[&str]) -> String {
        let slot = self.slot_of(key).await;
        self.node(self.primary_of(slot).await).command(arguments).await
    }

    /// Returns every key of the running primaries as [`Redis::dump`].
    pub async fn dump(&self, prefix: &str) -> String {
        let mut dump = String::new();
        for primary in self.primaries().await {
            dump += &self.node(primary).dump(prefix).await;
        }
        dump
    }

    /// Makes a replica the primary of its slots, and waits until all running nodes know it.
    pub async fn failover(&self, replica: usize, kind: Failover) {
        let arguments: &[&str] = match kind {
            Failover::Agreed => &["CLUSTER", "FAILOVER"],
            Failover::Takeover => &["CLUSTER", "FAILOVER", "TAKEOVER"],
        };
        self.node(replica).command(arguments).await;
        wait::until_true("the replica to be a primary", wait::deadline(), async || {
            self.primaries().await.contains(&replica)
        })
        .await;
        self.until_agreed().await;
    }

    /// Waits until another running node owns the slots of a primary that was paused or killed; returns its index.
    pub async fn until_replaced(&self, primary: usize, slot: u16) -> usize {
        wait::until("the replica to take over", 2 * wait::deadline(), async || {
            let replies = self.nodes_replies().await;
            let owns_it = |reply: &NodesReply| reply.myself().is_some_and(|own| own.owns(slot));
            let mut owners = replies.iter().enumerate();
            let owner = owners.find(|(index, reply)| *index != primary && reply.as_ref().is_some_and(owns_it));
            owner.map(|(index, _)| index)
        })
        .await
    }

    /// Waits until all running nodes serve all slots and know the same primaries and replicas, and the replicas have all data.
    pub async fn until_agreed(&self) {
        wait::until_true("the nodes of the cluster to agree", 2 * wait::deadline(), async || {
            let states = join_all(self.nodes.iter().map(is_settled)).await;
            let replies = self.nodes_replies().await;
            let mut layouts = replies.iter().flatten().map(NodesReply::layout);
            let first = layouts.next();
            first.is_some_and(|first| layouts.all(|layout| layout == first))
                && states.into_iter().all(|settled| settled)
        })
        .await;
    }

    /// Id of a running node.
    async fn id(&self, index: usize) -> String {
        self.node(index).command(&["CLUSTER", "MYID"]).await
    }

    /// Reply to CLUSTER NODES of each node; `None` for one that does not respond.
    async fn nodes_replies(&self) -> Vec<Option<NodesReply>> {
        join_all((0..self.nodes.len()).map(|index| self.nodes_reply(index))).await
    }

    async fn nodes_reply(&self, index: usize) -> Option<NodesReply> {
        let reply = resp::try_command(self.node(index).addr(), &["CLUSTER", "NODES"]).await;
        reply.ok().map(|reply| NodesReply::parse(&text(&reply)))
    }

    /// Makes one cluster of the started nodes.
    async fn form(&self) {
        for (index, first, last) in SHARDS {
            self.node(index)
                .command(&["CLUSTER", "ADDSLOTSRANGE", first, last])
                .await;
        }
        for (index, node) in self.nodes.iter().enumerate() {
            let epoch = (index + 1).to_string();
            node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]).await;
        }
        for (node, bus_port) in self.nodes.iter().zip(&self.bus_ports).skip(1) {
            let (port, bus_port) = (node.port().to_string(), bus_port.number().to_string());
            self.node(0)
                .command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus_port])
                .await;
        }
        wait::until_true("the nodes of a cluster to meet", 2 * wait::deadline(), async || {
            let (replies, know_ports) = tokio::join!(self.nodes_replies(), self.know_tls_ports());
            let complete = replies.iter().flatten().filter(|reply| reply.is_complete(NODES));
            complete.count() == NODES && know_ports
        })
        .await;
        for (primary, ..) in SHARDS {
            let id = self.id(primary).await;
            self.node(primary + SHARDS.len())
                .command(&["CLUSTER", "REPLICATE", &id])
                .await;
        }
        self.until_agreed().await;
    }
}

/// Folder of the nodes of a cluster.
fn scratch() -> Arc<Scratch> {
    Arc::new(Scratch::owned("redis-cluster", Account::unprivileged()))
}

/// Kind of an ordered failover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failover {
    /// Failover with the primary's help: it stops until the replica has all its data.
    Agreed,
    /// Failover without consent of the primary or of the other nodes (`TAKEOVER`): what the replica lacks is lost.
    Takeover,
}

/// Reports whether a node serves all slots, and is a primary or in sync with its primary. One that does not run counts as well.
async fn is_settled(node: &Redis) -> bool {
    let state = match resp::try_command(node.addr(), &["CLUSTER", "INFO"]).await {
        Ok(state) => text(&state),
        Err(CommandError::Refused(_)) => return false,
        Err(CommandError::Connection(_) | CommandError::Silent) => return true,
    };
    let info = resp::try_command(node.addr(), &["INFO", "replication"]).await;
    let info = info.map(|info| text(&info)).unwrap_or_default();
    let replicates = info.contains("role:master") || info.contains("master_link_status:up");
    state.contains("cluster_state:ok") && state.contains("cluster_slots_ok:16384") && replicates
}

/// Arguments of each node. A replica may take over however long its link to the primary was down.
const SETTINGS: [&str; 8] = [
    "--cluster-enabled",
    "yes",
    "--cluster-node-timeout",
    "2000",
    "--cluster-replica-validity-factor",
    "0",
    "--repl-diskless-sync-delay",
    "0",
];

/// Primaries at the start, with their first and last slots.
const SHARDS: [(usize, &str, &str); 3] = [(0, "0", "5460"), (1, "5461", "10922"), (2, "10923", "16383")];

const NODES: usize = 2 * SHARDS.len();

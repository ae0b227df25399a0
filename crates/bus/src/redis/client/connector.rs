//! Configuration of all connections to Redis. fred's defaults have no timeouts, no bounds, and no reconnection.

use std::sync::Arc;
use std::time::Duration;

use fred::clients::Client;
use fred::error::ErrorKind;
use fred::interfaces::ClientLike;
use fred::socket2::TcpKeepalive;
use fred::types::RespVersion;
use fred::types::config::{
    Config, ConnectionConfig, PerformanceConfig, ReconnectError, ReconnectPolicy, ServerConfig, TcpConfig,
    TlsConnector, UnresponsiveConfig,
};
use lifecycle::Reloadable;
use tokio::sync::broadcast;

use super::COMMAND_TIMEOUT;
use super::connect_error::ConnectError;
use super::connection::Connection;
use super::credentials::CurrentCredentials;
use super::slots::Slots;
use super::tls;
use crate::redis::settings::{Credentials, Endpoint, RedisUrl, Sentinels, Servers};
use crate::redis::tls::RedisTls;

/// Factory of connections to one Redis: the server of the URL, the primary that its sentinels name, or the primaries of a cluster.
#[derive(Clone)]
pub(in crate::redis) struct Connector {
    url: RedisUrl,
    tls: Option<TlsConnector>,
    slots: Slots,
}

/// Purpose of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::redis) enum Purpose {
    /// Short commands.
    Commands,
    /// Rate cells, if they have a Redis of their own.
    Limits,
    /// Subscription to the channels of this node's users.
    Events,
    /// Subscription to the reply channel of this node.
    Replies,
    /// Keyspace notifications of expired keys.
    Expiries,
    /// Blocking stream reads of one lane.
    Reads,
    /// Questions for the servers: to a sentinel, or to a node of a cluster.
    Topology,
}

impl Purpose {
    /// Name in logs and metrics.
    pub(in crate::redis) fn name(self) -> &'static str {
        match self {
            Self::Commands => "commands",
            Self::Limits => "limits",
            Self::Events => "events",
            Self::Replies => "replies",
            Self::Expiries => "expiries",
            Self::Reads => "reads",
            Self::Topology => "topology",
        }
    }

    /// Capacity of the queue of received messages of one of several servers. The first burst overruns fred's default of 32; 65,536 take
    /// 12 MB, which the servers share.
    fn messages(self, servers: usize) -> usize {
        match self {
            Self::Events => (65_536 / servers.max(1)).max(4096),
            Self::Replies => 4096,
            Self::Commands | Self::Limits | Self::Expiries | Self::Reads | Self::Topology => 1,
        }
    }

    /// Capacity of the queue of keyspace notifications, which fred keeps apart from messages.
    fn keyspace_events(self) -> usize {
        match self {
            Self::Expiries => 4096,
            Self::Commands | Self::Limits | Self::Events | Self::Replies | Self::Reads | Self::Topology => 1,
        }
    }
}

impl Connector {
    /// Prepares connections to a server; `tls` is that of `rediss://`. Where sentinels or nodes of a cluster name the servers,
    /// [`Topology::discover`](super::Topology::discover) comes before the first connection.
    pub(in crate::redis) fn new(url: RedisUrl, tls: &RedisTls) -> Result<Self, ConnectError> {
        let tls = url.tls.then(|| tls::connector(tls)).transpose();
        let tls = tls.map_err(|source| ConnectError::Certificates { source })?;
        let slots = match &url.servers {
            Servers::One(server) => Slots::of_one(server.clone()),
            Servers::Sentinel(_) | Servers::Cluster(_) => Slots::default(),
        };
        Ok(Self { url, tls, slots })
    }

    /// Sentinels that name the server, if any.
    pub(super) fn sentinels(&self) -> Option<&Sentinels> {
        match &self.url.servers {
            Servers::Sentinel(sentinels) => Some(sentinels),
            Servers::One(_) | Servers::Cluster(_) => None,
        }
    }

    /// Nodes of the cluster that the URL names, if it is one.
    pub(super) fn seeds(&self) -> Option<&[Endpoint]> {
        match &self.url.servers {
            Servers::Cluster(seeds) => Some(seeds),
            Servers::One(_) | Servers::Sentinel(_) => None,
        }
    }

    /// Reports whether the servers are nodes of a cluster.
    pub(super) fn is_cluster(&self) -> bool {
        self.seeds().is_some()
    }

    /// Servers by the slots that they own.
    pub(super) fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Address for logs and errors, without password: that of the server if there is one alone.
    pub(super) fn address(&self) -> String {
        match self.slots.current().primaries() {
            [server] => self.address_of(server),
            _ => self.url.to_string(),
        }
    }

    /// Address of a server for logs and errors.
    pub(super) fn address_of(&self, server: &Endpoint) -> String {
        let scheme = if self.url.tls { "rediss" } else { "redis" };
        format!("{scheme}://{server}/{}", self.url.database)
    }

    /// Keyspace channel of the expired keys of our database.
    pub(in crate::redis) fn expired_channel(&self) -> String {
        format!("__keyevent@{}__:expired", self.url.database)
    }

    /// Names of keys or channels, one in a slot of each primary, of numbered names.
    pub(in crate::redis) fn name_for_each(&self, name: &dyn Fn(u32) -> String) -> Vec<String> {
        let map = self.slots.current();
        let names = map.primaries().iter().map(|server| map.name_of(server, name, 0).1);
        names.collect()
    }

    /// Connects to a server, and checks its version.
    pub(super) async fn connect(&self, server: Endpoint, purpose: Purpose) -> Result<Connection, ConnectError> {
        let opened = self.open_at(server.clone(), purpose).await;
        let connection = opened.map_err(|error| self.unreachable(&server, error))?;
        match connection.client().server_version() {
            Some(version) if version.major < MIN_VERSION => Err(ConnectError::TooOld {
                address: self.address_of(&server),
                version: version.to_string(),
            }),
            _ => Ok(connection),
        }
    }

    /// Opens a connection to the owner of a key.
    pub(super) async fn open_for(&self, name: &str, purpose: Purpose) -> Result<Connection, fred::error::Error> {
        let unknown = || fred::error::Error::new(ErrorKind::Config, "no server is known for the slot");
        let server = self.slots.current().owner_of(name).cloned();
        self.open_at(server.ok_or_else(unknown)?, purpose).await
    }

    /// Opens a connection to this server.
    pub(super) async fn open_at(&self, server: Endpoint, purpose: Purpose) -> Result<Connection, fred::error::Error> {
        let config = Config {
            database: Some(self.url.database),
            ..self.config(&server, &self.url.credentials)
        };
        let servers = self.slots.current().primaries().len();
        Connection::open(client(config, purpose, servers), server).await
    }

    /// Opens a connection to a sentinel, which has no databases.
    pub(super) async fn open_sentinel(
        &self,
        sentinel: Endpoint,
        login: &Reloadable<Credentials>,
    ) -> Result<Connection, fred::error::Error> {
        let config = self.config(&sentinel, login);
        Connection::open(client(config, Purpose::Topology, 1), sentinel).await
    }

    /// Error for a server that refuses the connection or the first command.
    pub(super) fn unreachable(
        &self,
        server: &Endpoint,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> ConnectError {
        ConnectError::Unreachable {
            address: self.address_of(server),
            source: Box::new(source),
        }
    }

    fn config(&self, server: &Endpoint, login: &Reloadable<Credentials>) -> Config {
        Config {
            server: ServerConfig::new_centralized(&server.host, server.port),
            // The first connection fails at once, later ones are retried.
            fail_fast: true,
            credential_provider: Some(Arc::new(CurrentCredentials(login.clone()))),
            // In RESP 2 a connection with subscriptions accepts no other commands.
            version: RespVersion::RESP3,
            tls: self.tls.clone().map(Into::into),
            ..Config::default()
        }
    }
}

fn client(config: Config, purpose: Purpose, servers: usize) -> Client {
    let client = Client::new(config, Some(performance()), Some(connection()), Some(policy()));
    // The configured capacity applies to eight channels, which would take 47 MB for a burst of messages; so the channels for
    // messages and keyspace events are replaced here.
    let notifications = &client.inner().notifications;
    let (messages, _) = broadcast::channel(purpose.messages(servers));
    notifications.pubsub.store(Arc::new(messages));
    let (keyspace_events, _) = broadcast::channel(purpose.keyspace_events());
    notifications.keyspace.store(Arc::new(keyspace_events));
    client
}

fn performance() -> PerformanceConfig {
    PerformanceConfig {
        default_command_timeout: COMMAND_TIMEOUT,
        // Capacity of the other channels. Only reconnects are read, and a lagged one still counts as one.
        broadcast_channel_capacity: 16,
        ..PerformanceConfig::default()
    }
}

fn connection() -> ConnectionConfig {
    ConnectionConfig {
        connection_timeout: COMMAND_TIMEOUT,
        internal_command_timeout: COMMAND_TIMEOUT,
        // fred would resend commands in flight on a broken connection, though the server may have run them.
        max_command_attempts: 1,
        max_command_buffer_len: QUEUE,
        // Fires only while nothing is written; neither the monitor nor the subscriber relies on it.
        unresponsive: UnresponsiveConfig {
            max_timeout: Some(Duration::from_secs(4)),
            interval: Duration::from_secs(1),
        },
        reconnect_on_auth_error: true,
        // Error replies of a server that is no longer the primary, or not yet.
        reconnect_errors: vec![
            ReconnectError::ClusterDown,
            ReconnectError::Loading,
            ReconnectError::MasterDown,
            ReconnectError::ReadOnly,
        ],
        tcp: TcpConfig {
            nodelay: Some(true),
            keepalive: Some(
                TcpKeepalive::new()
                    .with_time(Duration::from_secs(3))
                    .with_interval(Duration::from_secs(1)),
            ),
            ..TcpConfig::default()
        },
        ..ConnectionConfig::default()
    }
}

/// Retries for ever, from 50 ms up to a second apart.
fn policy() -> ReconnectPolicy {
    ReconnectPolicy::new_exponential(0, 50, 1_000, 2)
}

/// Capacity of fred's queue of unsent commands.
pub(super) const QUEUE: usize = 10_000;

/// First release with SSUBSCRIBE and SPUBLISH.
const MIN_VERSION: u64 = 7;

#[cfg(test)]
mod tests;

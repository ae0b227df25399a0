//! How every connection to Redis is configured. fred's defaults have no timeouts, no bounds, and no reconnection.

use std::sync::Arc;
use std::time::Duration;

use fred::clients::Client;
use fred::interfaces::ClientLike;
use fred::socket2::TcpKeepalive;
use fred::types::RespVersion;
use fred::types::config::{
    Config, ConnectionConfig, PerformanceConfig, ReconnectError, ReconnectPolicy, ServerConfig, TcpConfig,
    TlsConnector, UnresponsiveConfig,
};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::sync::broadcast;

use super::COMMAND_TIMEOUT;
use super::link::Link;
use crate::redis::settings::RedisUrl;

/// Makes connections to one Redis.
#[derive(Clone)]
pub(in crate::redis) struct Connector {
    url: RedisUrl,
    tls: Option<TlsConnector>,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::redis) enum Use {
    /// Short commands.
    Commands,
    /// Rate cells, where they have a Redis of their own.
    Limits,
    /// Messages for all users of this node.
    Events,
    /// Messages for this node itself.
    Replies,
    /// What the server says of keys that have ended.
    Expiries,
    /// One read that waits.
    Reads,
}

impl Use {
    /// The name in logs and metrics.
    pub(in crate::redis) fn name(self) -> &'static str {
        match self {
            Self::Commands => "commands",
            Self::Limits => "limits",
            Self::Events => "events",
            Self::Replies => "replies",
            Self::Expiries => "expiries",
            Self::Reads => "reads",
        }
    }

    /// How many messages may wait to be heard. The default of 32 is overrun by the first burst; 65,536 take 12 MB.
    fn messages(self) -> usize {
        match self {
            Self::Events => 65_536,
            Self::Replies => 4096,
            Self::Commands | Self::Limits | Self::Expiries | Self::Reads => 1,
        }
    }

    /// How many notifications of the server about its keys may wait to be read: fred keeps them apart from messages.
    fn keyspace_events(self) -> usize {
        match self {
            Self::Expiries => 4096,
            Self::Commands | Self::Limits | Self::Events | Self::Replies | Self::Reads => 1,
        }
    }
}

impl Connector {
    /// Prepares for a server; `ca` is a PEM file of certificates.
    pub(in crate::redis) fn new(url: RedisUrl, ca: Option<&std::path::Path>) -> Result<Self, ConnectError> {
        let tls = if url.tls { Some(tls(ca)?) } else { None };
        Ok(Self { url, tls })
    }

    /// Where this connects to, for people.
    pub(super) fn at(&self) -> String {
        self.url.to_string()
    }

    /// The channel on which the server announces the keys of our database that have ended.
    pub(in crate::redis) fn expired_channel(&self) -> String {
        format!("__keyevent@{}__:expired", self.url.database)
    }

    /// Connects, and makes sure that it is a server that has what we need.
    pub(super) async fn connect(&self, to_do: Use) -> Result<Link, ConnectError> {
        let link = self.link(to_do).await.map_err(|error| self.unreachable(error))?;
        match link.client().server_version() {
            Some(version) if version.major < OLDEST => Err(ConnectError::TooOld {
                at: self.at(),
                version: version.to_string(),
            }),
            _ => Ok(link),
        }
    }

    /// Connects once.
    pub(super) async fn link(&self, to_do: Use) -> Result<Link, fred::error::Error> {
        Link::open(self.client(to_do)).await
    }

    /// The error for a server that does not do as it should.
    pub(super) fn unreachable(&self, source: impl std::error::Error + Send + Sync + 'static) -> ConnectError {
        ConnectError::Unreachable {
            at: self.at(),
            source: Box::new(source),
        }
    }

    fn client(&self, to_do: Use) -> Client {
        let (config, performance) = (self.config(), performance());
        let client = Client::new(config, Some(performance), Some(connection()), Some(policy()));
        // The capacity in the configuration is that of eight channels, 47 MB of them for a burst of messages; so those for
        // messages and for keyspace events are put in place here.
        let notifications = &client.inner().notifications;
        let (messages, _) = broadcast::channel(to_do.messages());
        notifications.pubsub.store(Arc::new(messages));
        let (keyspace_events, _) = broadcast::channel(to_do.keyspace_events());
        notifications.keyspace.store(Arc::new(keyspace_events));
        client
    }

    fn config(&self) -> Config {
        Config {
            server: ServerConfig::new_centralized(&self.url.host, self.url.port),
            // The first connection fails at once, later ones are tried again.
            fail_fast: true,
            username: self.url.username.clone(),
            password: self.url.password.as_ref().map(|password| password.expose().to_owned()),
            database: Some(self.url.database),
            // In RESP 2 a connection with subscriptions can be asked nothing else.
            version: RespVersion::RESP3,
            tls: self.tls.clone().map(Into::into),
            ..Config::default()
        }
    }
}

fn performance() -> PerformanceConfig {
    PerformanceConfig {
        default_command_timeout: COMMAND_TIMEOUT,
        // Of what remains after those two only reconnects are listened to, and one that is overrun is still one.
        broadcast_channel_capacity: 16,
        ..PerformanceConfig::default()
    }
}

fn connection() -> ConnectionConfig {
    ConnectionConfig {
        connection_timeout: COMMAND_TIMEOUT,
        internal_command_timeout: COMMAND_TIMEOUT,
        // fred would send again what was under way when a connection broke, though it may have been carried out.
        max_command_attempts: 1,
        max_command_buffer_len: QUEUE,
        // Strikes only where nothing is written meanwhile; the keeper and the ear do not rely on it.
        unresponsive: UnresponsiveConfig {
            max_timeout: Some(Duration::from_secs(4)),
            interval: Duration::from_secs(1),
        },
        reconnect_on_auth_error: true,
        // What a server says that is no primary any more, or not yet.
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

/// For ever, from 50 ms on, at most a second apart.
fn policy() -> ReconnectPolicy {
    ReconnectPolicy::new_exponential(0, 50, 1_000, 2)
}

fn tls(ca: Option<&std::path::Path>) -> Result<TlsConnector, ConnectError> {
    let certificates = |source: Box<dyn std::error::Error + Send + Sync>| ConnectError::Certificates { source };
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            let read = CertificateDer::pem_file_iter(path).map_err(|error| certificates(error.into()))?;
            for certificate in read {
                let certificate = certificate.map_err(|error| certificates(error.into()))?;
                roots.add(certificate).map_err(|error| certificates(error.into()))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(certificates("there are none".into()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| certificates(error.into()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth().into())
}

/// Why there is no bus.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No connection, or no answer, or a refusal.
    #[error("connect to {at}")]
    Unreachable {
        /// The URL without its password.
        at: String,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Sharded channels came with Redis 7.
    #[error("{at} is Redis {version}, and 7.0 is needed")]
    TooOld {
        /// The URL without its password.
        at: String,
        /// What it is.
        version: String,
    },
    /// The Redis user may not read `INFO`: after a failover nobody would know that the order of events broke off.
    #[error("the user of {at} must be allowed INFO")]
    NoInfo {
        /// The URL without its password.
        at: String,
        /// What it was told.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server answers, and refuses what every node needs: the user lacks a permission, it is a node of a cluster and other
    /// nodes have the slots, it is a replica, or it is still loading.
    #[error("a command that every node needs failed at {at}")]
    Unusable {
        /// The URL without its password.
        at: String,
        /// The command, and what the server replied.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No certificate authority can be read.
    #[error("read the certificates that a rediss:// server may have")]
    Certificates {
        /// Which of them, and why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// How many commands fred may hold that it has not sent yet.
pub(super) const QUEUE: usize = 10_000;

/// The first release with SSUBSCRIBE and SPUBLISH.
const OLDEST: u64 = 7;

#[cfg(test)]
mod tests {
    use fred::interfaces::EventInterface;
    use fred::types::config::Server;
    use fred::types::{Message, MessageKind};

    use super::*;

    #[test]
    fn no_connection_keeps_a_dangerous_default_of_fred() {
        let connector = Connector::new("redis://localhost".parse().unwrap(), None).unwrap();
        for to_do in [Use::Commands, Use::Limits, Use::Events, Use::Replies, Use::Reads] {
            let client = connector.client(to_do);
            let mut policy = client.client_reconnect_policy().unwrap();
            assert_eq!(policy.max_attempts(), 0, "for ever");
            assert!((0..100).all(|_| policy.next_delay().is_some_and(|delay| delay <= 1_000)));

            assert_eq!(client.perf_config().default_command_timeout, Duration::from_secs(2));
            let connection = client.connection_config();
            assert_eq!(connection.max_command_attempts, 1);
            assert_eq!(connection.max_command_buffer_len, 10_000);
            assert!(connection.connection_timeout <= Duration::from_secs(2));
            assert!(connection.internal_command_timeout <= Duration::from_secs(2));
            assert!(
                connection
                    .unresponsive
                    .max_timeout
                    .is_some_and(|it| it <= Duration::from_secs(4))
            );
            assert!(connection.reconnect_on_auth_error);
        }
    }

    #[test]
    fn a_burst_of_65_536_messages_waits_to_be_heard() {
        let connector = Connector::new("redis://localhost".parse().unwrap(), None).unwrap();
        let client = connector.client(Use::Events);
        let mut messages = client.message_rx();
        for _ in 0..65_536 {
            client.inner().notifications.broadcast_pubsub(Message {
                channel: "channel".into(),
                value: "message".into(),
                kind: MessageKind::SMessage,
                server: Server::new("localhost", 6379),
            });
        }
        assert!(messages.try_recv().is_ok());
    }
}

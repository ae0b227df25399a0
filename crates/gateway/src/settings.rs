//! Settings of a gateway: plain data, validated on construction.

mod internal;
mod origins;
mod proxies;
mod tls_groups;
mod token;

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use axum::Router;
use protocol::cluster::job::Lane;
use protocol::id::NodeId;
use telemetry::trace::DeliverySampling;

pub(crate) use self::internal::{CallerLimits, InternalCaller};
pub use self::internal::{InternalApiSettings, InternalCallers, InternalTlsSettings, InvalidTokensFile};
pub use self::origins::{InvalidOrigin, Origins};
pub use self::proxies::{InvalidProxy, InvalidProxyProtocol, NoTrustedProxies, Proxies, ProxyProtocol, TrustedProxies};
pub use self::tls_groups::{InvalidTlsGroups, TlsGroups};
pub(crate) use self::token::CLOCK_LEEWAY;
pub use self::token::{TokenKeys, TokenLimits, TokenSettings};

/// Settings of a gateway.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Id of the node in the cluster; a fresh one if none.
    pub node: Option<NodeId>,
    /// Listen address of clients; port 0 binds a free port.
    pub listen: SocketAddr,
    /// Files of the server certificate.
    pub tls: TlsSettings,
    /// Groups of the key exchange, for clients and for the internal API.
    pub tls_groups: TlsGroups,
    /// Settings of token verification.
    pub tokens: TokenSettings,
    /// Allowed browser origins.
    pub origins: Origins,
    /// Proxies in front of the gateway.
    pub proxies: Proxies,
    /// Interval and timeout of pings.
    pub heartbeat: Heartbeat,
    /// Rate limit of new connections per address (IPv6: per /64).
    pub connect_rate: Option<Rate>,
    /// Rate limit of new sockets per user, including a CONNECT after a disconnect on the same connection.
    pub user_connect_rate: Option<Rate>,
    /// Rate limit of events per socket.
    pub event_rate: Option<Rate>,
    /// Cluster-wide rate limit per user of commands that become jobs. Protective commands have a second bucket of the same rate.
    pub command_rate: Option<Rate>,
    /// Minimum size in bytes of a message that is compressed for a client that supports it.
    pub deflate_threshold: usize,
    /// Maximum delay of feed events for batching; zero disables batching.
    pub batch_interval: Duration,
    /// Maximum number of sockets per user in the cluster.
    pub max_sockets_per_user: usize,
    /// Maximum number of sockets of this gateway, for which its memory suffices. New ones above it are refused; `None` is no limit.
    pub max_sockets: Option<NonZeroUsize>,
    /// Maximum number of open connections, below the file descriptor limit of the process. New ones above it are dropped.
    pub max_connections: usize,
    /// Maximum number of connections without a verified token. New ones above it are dropped. With `connect_rate` set, one address
    /// may have at most a sixteenth of them.
    pub pending_connections: usize,
    /// Drain delay: time for which a draining gateway is unready and still accepts, until balancers send no more clients.
    pub drain_delay: Duration,
    /// Drain window: time over which a draining gateway spreads the closes of its sockets, after the drain delay.
    pub drain_window: Duration,
    /// Internal API; `None` disables it.
    pub internal_api: Option<InternalApiSettings>,
    /// Further routes of the public port, without a fallback: those of the demo of `postern dev`. None in a deployment.
    pub further_routes: Router,
    /// Traces of commands and deliveries.
    pub traces: TraceSettings,
    /// Timeouts and intervals.
    pub timing: Timing,
}

impl Settings {
    /// Default settings (docs/operations/configuration.md) around the required ones.
    #[must_use]
    pub fn new(listen: SocketAddr, tls: TlsSettings, tokens: TokenSettings) -> Self {
        Self {
            node: None,
            listen,
            tls,
            tls_groups: TlsGroups::default(),
            tokens,
            origins: Origins::none(),
            proxies: Proxies::default(),
            heartbeat: Heartbeat::default(),
            connect_rate: Rate::new(100, 1_000).ok(),
            user_connect_rate: Rate::new(4, 256).ok(),
            event_rate: Rate::new(20, 40).ok(),
            command_rate: Rate::new(2, 60).ok(),
            deflate_threshold: 1024,
            batch_interval: Duration::from_secs(5),
            max_sockets_per_user: 64,
            max_sockets: None,
            max_connections: usize::MAX,
            pending_connections: 4_096,
            drain_delay: Duration::from_secs(5),
            drain_window: Duration::from_secs(20),
            internal_api: None,
            further_routes: Router::new(),
            traces: TraceSettings::default(),
            timing: Timing::default(),
        }
    }
}

/// Files of the server certificate. They are reloaded while the gateway runs.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// Certificate chain, PEM.
    pub certificate: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
}

/// Detection of dead peers: a ping is sent one interval after the last pong, and must be answered within the timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// Time between a pong and the next ping.
    pub interval: Duration,
    /// Maximum time between a ping and its pong.
    pub timeout: Duration,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(20),
        }
    }
}

/// Token bucket rate: sustained rate and burst size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Sustained rate.
    pub per_second: NonZeroU32,
    /// Burst size.
    pub burst: NonZeroU32,
}

/// Error for a text that is not a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a rate is `<per second>/<burst>`, both at least 1, or `off`")]
pub struct InvalidRate;

impl Rate {
    /// Creates a rate.
    ///
    /// # Errors
    /// [`InvalidRate`] when one of them is 0.
    pub fn new(per_second: u32, burst: u32) -> Result<Self, InvalidRate> {
        Ok(Self {
            per_second: NonZeroU32::new(per_second).ok_or(InvalidRate)?,
            burst: NonZeroU32::new(burst).ok_or(InvalidRate)?,
        })
    }

    /// Parses `100/1000`; `off` is no limit.
    ///
    /// # Errors
    /// [`InvalidRate`] for any other text.
    pub fn parse(text: &str) -> Result<Option<Self>, InvalidRate> {
        match text {
            "off" => Ok(None),
            rate => rate.parse().map(Some),
        }
    }
}

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let (per_second, burst) = text.split_once('/').ok_or(InvalidRate)?;
        let number = |text: &str| text.parse().map_err(|_not_a_number| InvalidRate);
        Self::new(number(per_second)?, number(burst)?)
    }
}

/// Settings of the traces that a gateway begins and continues.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TraceSettings {
    /// Use of the `traceparent` of a client's command.
    pub client_context: ClientContext,
    /// Sampling of deliveries.
    pub deliveries: DeliverySampling,
}

/// Use of the `traceparent` of a client's command. It has no other effect, and that of the internal API is always the parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientContext {
    /// The command begins a trace, which is linked to that of the client. The sampler of the gateway decides on it.
    Link,
    /// The command continues the trace of the client, with its sampling decision.
    Parent,
}

/// Error for a text that is no use of a client's context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the context of a client is `link` or `parent`")]
pub struct InvalidClientContext;

impl FromStr for ClientContext {
    type Err = InvalidClientContext;

    fn from_str(text: &str) -> Result<Self, InvalidClientContext> {
        match text {
            "link" => Ok(Self::Link),
            "parent" => Ok(Self::Parent),
            _ => Err(InvalidClientContext),
        }
    }
}

impl Default for TraceSettings {
    fn default() -> Self {
        Self {
            client_context: ClientContext::Link,
            deliveries: DeliverySampling::new(0.1),
        }
    }
}

/// Timeouts and intervals of a gateway. The defaults are part of docs/protocol.md; tests shorten them.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Timeout of the TLS handshake.
    pub tls: Duration,
    /// Timeout of the HTTP request head, from the end of the TLS handshake.
    pub request_head: Duration,
    /// Timeout of the whole HTTP request, from accept.
    pub request: Duration,
    /// Timeout of writing an HTTP response.
    pub answer: Duration,
    /// Timeout of authentication, from the upgrade to a valid token.
    pub authentication: Duration,
    /// Timeout of the subscription to the user channel, from a valid token.
    pub join: Duration,
    /// Maximum time without write progress while messages are queued.
    pub write: Duration,
    /// Timeout of the closing handshake.
    pub close: Duration,
    /// Poll interval of the certificate files.
    pub certificate: Duration,
    /// Interval between audit records of refused commands.
    pub refusals: Duration,
    /// Period of the token refusal log, with one line per error.
    pub token_refusals: Duration,
    /// Timeout of commands of the interactive and the sign-in lane.
    pub interactive: Duration,
    /// Timeout of commands of the platform lane.
    pub platform: Duration,
    /// Timeout of webhook jobs.
    pub webhook: Duration,
}

impl Timing {
    /// Returns the timeout of jobs of this lane.
    #[must_use]
    pub fn job_timeout(&self, lane: Lane) -> Duration {
        match lane {
            Lane::SignIn | Lane::Interactive => self.interactive,
            Lane::Platform => self.platform,
            Lane::Webhook => self.webhook,
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            tls: Duration::from_secs(5),
            request_head: Duration::from_secs(5),
            request: Duration::from_secs(10),
            answer: Duration::from_secs(5),
            authentication: Duration::from_secs(10),
            join: Duration::from_secs(5),
            write: Duration::from_secs(20),
            close: Duration::from_secs(2),
            certificate: Duration::from_secs(5),
            refusals: Duration::from_secs(60),
            token_refusals: Duration::from_secs(10),
            interactive: Lane::Interactive.job_timeout(),
            platform: Lane::Platform.job_timeout(),
            webhook: Lane::Webhook.job_timeout(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_of_a_client_is_parsed_as_documented() {
        assert_eq!("link".parse(), Ok(ClientContext::Link));
        assert_eq!("parent".parse(), Ok(ClientContext::Parent));
        for bad in ["", "Parent", "true", "off"] {
            assert_eq!(bad.parse::<ClientContext>(), Err(InvalidClientContext), "{bad:?}");
        }
    }

    #[test]
    fn rate_is_parsed_as_documented() {
        assert_eq!(Rate::parse("100/1000"), Ok(Some(Rate::new(100, 1_000).unwrap())));
        assert_eq!(Rate::parse("off"), Ok(None));
        for bad in ["", "100", "0/10", "10/0", "1/2/3", "-1/5", "OFF"] {
            assert_eq!(Rate::parse(bad), Err(InvalidRate), "{bad:?}");
        }
    }
}

//! Options that scenarios share: servers, sockets and traffic.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use crate::address::Address;
use crate::dialect::Dialect;
use crate::publisher::{Api, ApiKind};
use crate::target::{KeyExchange, Target, TargetSettings};
use crate::traffic::Shape;

/// Server under load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Server {
    /// Postern.
    Postern,
    /// Any Socket.IO server with the publish endpoint of `peers`.
    Socketio,
    /// Centrifugo.
    Centrifugo,
}

/// Servers under load. All are on this machine.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServerOptions {
    /// Server under load.
    #[arg(long, value_enum, default_value_t = Server::Postern)]
    pub(crate) target: Server,
    /// Dialect of the sockets. Centrifugo has its own.
    #[arg(long, value_enum, default_value_t = Dialect::Socketio)]
    dialect: Dialect,
    /// Addresses of the gateways, over which sockets are spread.
    #[arg(long = "gateway", value_delimiter = ',', default_value = "127.0.0.1:8443", value_parser = Address::parse)]
    gateways: Vec<Address>,
    /// Addresses of the API that publishes events, over which connections are spread.
    #[arg(long = "internal", value_delimiter = ',', default_value = "127.0.0.1:9091", value_parser = Address::parse)]
    internals: Vec<Address>,
    /// Bearer token of the internal API, or API key of Centrifugo.
    #[arg(long, env = "POSTERN_INTERNAL_TOKEN", hide_env_values = true)]
    internal_token: Option<String>,
    /// Authority of the servers' certificates, PEM.
    #[arg(long)]
    ca: PathBuf,
    /// HS256 secret of the servers.
    #[arg(long, env = "POSTERN_JWT_HS256_SECRET", hide_env_values = true)]
    pub(crate) jwt_secret: String,
    /// Key exchange of TLS; all that this build has, if none is given.
    #[arg(long, value_enum)]
    key_exchange: Option<KeyExchange>,
    /// Number of source addresses 127.0.0.2, 127.0.0.3, ...; one for 100 sockets, if none is given.
    #[arg(long)]
    source_addresses: Option<u8>,
    /// Negotiates compression, which each socket uses once.
    #[arg(long)]
    deflate: bool,
    /// Seed of random choices and of the users' names; the time, if none is given. A seed that was used before has known users.
    #[arg(long)]
    seed: Option<u64>,
}

impl ServerOptions {
    /// Gateways and the way to connect to them.
    pub(crate) fn target(&self, sockets: usize) -> anyhow::Result<Target> {
        let gateways = on_loopback(&self.gateways)?;
        let dialect = match (self.target, self.dialect) {
            (Server::Centrifugo, _) => Dialect::Centrifugo,
            (Server::Socketio, Dialect::Native | Dialect::NativeMsgpack) => {
                bail!("only Postern has the native dialect")
            }
            (Server::Socketio | Server::Postern, dialect) => dialect,
        };
        let is_ipv4 = gateways.iter().all(Address::is_ipv4_loopback);
        let for_sockets = u8::try_from(sockets.div_ceil(SOCKETS_PER_ADDRESS)).unwrap_or(u8::MAX);
        let sources = self.source_addresses.unwrap_or(if is_ipv4 { for_sockets } else { 0 });
        Target::new(TargetSettings {
            gateways,
            ca: self.ca.clone(),
            dialect,
            key_exchange: self.key_exchange,
            sources: sources.min(MOST_ADDRESSES),
            deflate: self.deflate,
        })
    }

    /// Name of the server in results, with the dialect.
    pub(crate) fn name(&self) -> String {
        let name = |value: Option<PossibleValue>| value.map(|value| value.get_name().to_owned()).unwrap_or_default();
        let server = name(self.target.to_possible_value());
        match self.target {
            Server::Postern => format!("{server} {}", name(self.dialect.to_possible_value())),
            Server::Socketio | Server::Centrifugo => server,
        }
    }

    /// Command line of another process with the same servers; secrets are not on it.
    pub(crate) fn arguments(&self, seed: u64) -> Vec<OsString> {
        let gateways: Vec<String> = self.gateways.iter().map(ToString::to_string).collect();
        let named = |value: Option<PossibleValue>| value.map(|value| OsString::from(value.get_name().to_owned()));
        let mut arguments: Vec<OsString> = vec!["--gateway".into(), gateways.join(",").into()];
        let ca: [OsString; 2] = ["--ca".into(), self.ca.clone().into()];
        let seed: [OsString; 2] = ["--seed".into(), seed.to_string().into()];
        arguments.extend(ca.into_iter().chain(seed));
        for (name, value) in [
            ("--target", named(self.target.to_possible_value())),
            ("--dialect", named(self.dialect.to_possible_value())),
            (
                "--key-exchange",
                self.key_exchange.and_then(|group| named(group.to_possible_value())),
            ),
            (
                "--source-addresses",
                self.source_addresses.map(|count| count.to_string().into()),
            ),
        ] {
            if let Some(value) = value {
                arguments.push(name.into());
                arguments.push(value);
            }
        }
        if self.deflate {
            arguments.push("--deflate".into());
        }
        arguments
    }

    /// APIs that publish events.
    pub(crate) fn apis(&self) -> anyhow::Result<Vec<Api>> {
        let token = self.internal_token.as_ref();
        let token = token.context("the scenario needs --internal-token or POSTERN_INTERNAL_TOKEN")?;
        let api = |address| Api {
            address,
            token: token.clone(),
            kind: match self.target {
                Server::Centrifugo => ApiKind::Centrifugo,
                Server::Postern | Server::Socketio => ApiKind::Users,
            },
        };
        Ok(on_loopback(&self.internals)?.into_iter().map(api).collect())
    }

    /// Seed of the run.
    pub(crate) fn seed(&self) -> anyhow::Result<u64> {
        self.seed.map_or_else(unix_seconds, Ok)
    }
}

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "a load run happens now")]
pub(crate) fn unix_seconds() -> anyhow::Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

fn on_loopback(addresses: &[Address]) -> anyhow::Result<Vec<Address>> {
    addresses.iter().map(|address| address.clone().on_loopback()).collect()
}

/// Sockets per source address: below a server's limits for one address.
const SOCKETS_PER_ADDRESS: usize = 100;
/// Source addresses are 127.0.0.2 to 127.0.0.251.
const MOST_ADDRESSES: u8 = 250;

/// Sockets.
#[derive(Clone, Debug, Args)]
pub(crate) struct SocketOptions {
    /// Number of users.
    #[arg(long, default_value_t = 300)]
    pub(crate) users: usize,
    /// Number of sockets of each user.
    #[arg(long, default_value_t = 3)]
    pub(crate) sockets: usize,
}

impl SocketOptions {
    /// Numbers and names of users and sockets of a run.
    pub(crate) fn shape(&self, servers: &ServerOptions) -> anyhow::Result<Shape> {
        if self.users == 0 || self.sockets == 0 {
            bail!("give at least one user and one socket");
        }
        Ok(Shape {
            users: self.users,
            sockets: self.sockets,
            first: 0,
            seed: servers.seed()?,
            batching: true,
        })
    }
}

/// Published events.
#[derive(Clone, Debug, Args)]
pub(crate) struct TrafficOptions {
    /// Events a second, of all users.
    #[arg(long, default_value_t = 1_000.0)]
    pub(crate) rate: f64,
    /// Length of an event's data, in bytes.
    #[arg(long, default_value_t = 310)]
    pub(crate) bytes: usize,
    /// Number of connections to the API.
    #[arg(long, default_value_t = 32)]
    pub(crate) connections: usize,
    /// Gives every event an idempotency key, and repeats it until it is accepted, as is always done with alerts.
    #[arg(long)]
    pub(crate) keyed: bool,
    /// Events of one request, each to another user, which are due at the same time; the number of users must be a multiple of it.
    #[arg(long, default_value_t = 1)]
    pub(crate) batch: usize,
}

impl TrafficOptions {
    /// The options as parameters of the results.
    pub(crate) fn parameters(&self) -> [(&'static str, String); 4] {
        [
            ("rate", self.rate.to_string()),
            ("bytes", self.bytes.to_string()),
            ("connections", self.connections.to_string()),
            ("batch", self.batch.to_string()),
        ]
    }

    /// Fails if the events cannot be published in batches of the given size.
    pub(crate) fn check_batch(&self, servers: &ServerOptions, users: usize) -> anyhow::Result<()> {
        if servers.target == Server::Centrifugo && self.batch != 1 {
            bail!("Centrifugo has no request for a batch of events");
        }
        if !users.is_multiple_of(self.batch) {
            bail!("{users} users are no multiple of a batch of {}", self.batch);
        }
        Ok(())
    }
}

/// Duration of the measured part.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct DurationOptions {
    /// Duration of the measured traffic.
    #[arg(long, default_value = "20s", value_parser = humantime::parse_duration)]
    pub(crate) duration: Duration,
    /// Duration of the same traffic before it, which is counted and not measured.
    #[arg(long, default_value = "3s", value_parser = humantime::parse_duration)]
    pub(crate) warm_up: Duration,
}

/// Search for faults, and the verdict on them.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct FaultOptions {
    /// Exits with 0 although deliveries were lost, repeated or out of sequence, or connections failed: for servers that promise less.
    #[arg(long)]
    pub(crate) tolerate_faults: bool,
    /// Time for which missing deliveries and answers are waited for at the end; it begins anew with each that arrives.
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    pub(crate) patience: Duration,
}

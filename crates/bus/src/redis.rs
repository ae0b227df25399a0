//! Bus on Redis 7 or later.

mod challenges;
mod client;
mod erasure;
mod events;
mod hints;
mod jobs;
mod joins;
mod limits;
mod names;
mod presence;
mod resume_tokens;
mod scripts;
mod sessions;
mod settings;
mod tls;

use std::fmt;
use std::sync::Arc;

use futures_util::future::OptionFuture;
use lifecycle::{Clock, Dependencies, Entropy, Tasks};
use opentelemetry::metrics::Meter;
use protocol::fault::chain;
use protocol::time::Timestamp;

pub use self::client::{CommandRefusal, ConnectError, acl_rules, is_logged_outage};
pub use self::jobs::{DeadLetter, QueuedJob};
pub use self::settings::{InvalidPrefix, InvalidRedisUrl, Prefix, RedisSettings, RedisUrl, RedisUrlChange};
pub use self::tls::{RedisTls, RedisTlsError};

use self::client::{AccessCheck, AccessScope, Client, Connector, Purpose, Topology};
use self::names::Names;
use self::scripts::Scripts;
use crate::Liveness;
use crate::metrics::Metrics;

/// Bus on one Redis, optionally with a second one for the rate cells. Clones share the connections.
#[derive(Clone)]
pub struct RedisBus {
    shared: Arc<RedisState>,
}

struct RedisState {
    names: Names,
    connector: Connector,
    commands: Client,
    events: events::EventScripts,
    publish_lines: Arc<events::PublishLines>,
    jobs: jobs::JobScripts,
    joins: joins::JoinScripts,
    lanes: jobs::LaneReaders,
    limits: limits::RateLimiter,
    challenges: challenges::ChallengeScripts,
    hints: hints::HintScripts,
    sessions: sessions::SessionScripts,
    presence: presence::PresenceScripts,
    resume_tokens: resume_tokens::ResumeTokenScripts,
    /// Source of new epochs.
    entropy: Arc<dyn Entropy>,
    /// Tasks that monitor the connections.
    tasks: Tasks,
    metrics: Metrics,
}

impl RedisBus {
    /// Connects. Connections are monitored, and replaced when they break, until the tasks of the runtime are drained. Outages are
    /// reported to its dependencies `redis` and, if the rate cells have a Redis of their own, `redis_limits`, those of sentinels to
    /// `redis_sentinel` and `redis_limits_sentinel`, and those of all nodes of a cluster to `redis_cluster` and `redis_limits_cluster`. May
    /// be repeated after an error.
    ///
    /// # Errors
    /// [`ConnectError`], for the operator.
    pub async fn connect(settings: &RedisSettings, runtime: &RedisRuntime) -> Result<Self, ConnectError> {
        let metrics = Metrics::new(&runtime.meter);
        let names = Names::new(settings.prefix.clone());
        let scripts = Scripts::new();
        let connector = Connector::new(settings.url.clone(), &settings.tls)?;
        let open = |connector, purpose| {
            // Every caller would carry the state of a connect, some kilobytes.
            Box::pin(runtime.open(connector, purpose, (&names, &scripts), metrics.clone()))
        };
        let cells = match &settings.limits_url {
            Some(url) => {
                let connector = Connector::new(url.clone(), &settings.tls)?;
                Some(open(connector, Purpose::Limits))
            }
            None => None,
        };
        // Neither is cancelled when the other fails: each reports its outcome.
        let (commands, cells) = tokio::join!(open(connector.clone(), Purpose::Commands), OptionFuture::from(cells));
        let (commands, cells) = (commands?, cells.transpose()?);
        let commands = commands.monitored(&runtime.tasks);
        let cells = match cells {
            Some(cells) => cells.monitored(&runtime.tasks),
            None => commands.clone(),
        };
        metrics.backlogs().observe(&runtime.meter);
        let shared = RedisState {
            names,
            events: scripts.events,
            publish_lines: Arc::default(),
            jobs: scripts.jobs,
            joins: scripts.joins,
            lanes: jobs::LaneReaders::new(&connector, &runtime.dependencies.named("redis"), &metrics),
            limits: limits::RateLimiter::new(cells, scripts.limits),
            challenges: scripts.challenges,
            hints: scripts.hints,
            sessions: scripts.sessions,
            presence: scripts.presence,
            resume_tokens: scripts.resume_tokens,
            connector,
            commands,
            entropy: Arc::clone(&runtime.entropy),
            tasks: runtime.tasks.clone(),
            metrics,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }
}

/// Runtime of the node that uses the bus.
#[derive(Debug, Clone)]
pub struct RedisRuntime {
    /// Time of day, compared with the server's.
    pub clock: Arc<dyn Clock>,
    /// Source of new epochs.
    pub entropy: Arc<dyn Entropy>,
    /// Tasks that monitor the connections: the bus's own, drained after its users.
    pub tasks: Tasks,
    /// Meter of the node's metrics.
    pub meter: Meter,
    /// Dependencies of the node.
    pub dependencies: Dependencies,
}

impl RedisRuntime {
    /// Finds the server, opens a connection for commands, and checks what the server allows. Reports the outcome to the dependency.
    async fn open(
        &self,
        connector: Connector,
        purpose: Purpose,
        (names, scripts): (&Names, &Scripts),
        metrics: Metrics,
    ) -> Result<Opened, ConnectError> {
        let redis = match purpose {
            Purpose::Limits => "redis_limits",
            _ => "redis",
        };
        let dependency = self.dependencies.named(redis);
        let opened = async {
            let topology = Topology::discover(&connector, &self.dependencies, redis).await?;
            let (clock, dependency) = (Arc::clone(&self.clock), dependency.clone());
            let client = Client::connect(connector, purpose, clock, dependency, metrics).await?;
            let (scope, scripts) = match purpose {
                Purpose::Limits => (AccessScope::Scripts, scripts.limits.all().collect()),
                _ => (AccessScope::All, scripts.all()),
            };
            let access = AccessCheck {
                names: &|number| names.unused(number),
                scripts,
                scope,
            };
            // Boxed: fred's futures are several KiB.
            Box::pin(client.check(access)).await?;
            Ok(Opened { client, topology })
        };
        let opened: Result<Opened, ConnectError> = opened.await;
        match &opened {
            Ok(_) => dependency.succeeded(),
            Err(error) => {
                if let Some(class) = error.outage() {
                    dependency.failed(class, chain(error));
                }
            }
        }
        opened
    }
}

/// Connection for commands, and the watch of its server.
struct Opened {
    client: Client,
    topology: Topology,
}

impl Opened {
    /// Monitors both until the tasks are drained.
    fn monitored(self, tasks: &Tasks) -> Client {
        self.client.monitor(tasks);
        self.topology.follow(tasks);
        self.client
    }
}

impl Liveness for RedisBus {
    fn is_live(&self) -> bool {
        self.shared.commands.is_live() && self.shared.limits.is_live()
    }

    fn server_time(&self) -> Timestamp {
        self.shared.commands.server_time()
    }
}

impl fmt::Debug for RedisBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBus").finish_non_exhaustive()
    }
}

/// Scripts of one call that are in flight at once. Up to 30 futures are joined in one allocation, which the next 30 reuse; more take an
/// allocation of up to 8 KiB each across the heap, which the allocator keeps.
const PIPELINED: usize = 30;

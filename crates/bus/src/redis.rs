//! Bus on Redis 7 or later.

mod challenges;
mod client;
mod events;
mod hints;
mod jobs;
mod limits;
mod names;
mod presence;
mod resume_tokens;
mod sessions;
mod settings;

use std::fmt;
use std::sync::Arc;

use lifecycle::{Clock, Entropy, Tasks};
use opentelemetry::metrics::Meter;

pub use self::client::ConnectError;
pub use self::settings::{InvalidPrefix, InvalidRedisUrl, Prefix, RedisSettings, RedisUrl};

use self::client::{AccessCheck, Client, Connector, Purpose};
use self::names::Names;
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
    jobs: jobs::JobScripts,
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
    /// Connects. Connections are monitored, and replaced when they break, until `tasks` are drained; so these are the bus's own,
    /// drained after its users.
    ///
    /// # Errors
    /// [`ConnectError`], for the operator.
    pub async fn connect(
        settings: &RedisSettings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        tasks: Tasks,
        meter: &Meter,
    ) -> Result<Self, ConnectError> {
        let metrics = Metrics::new(meter);
        let connector = Connector::new(settings.url.clone(), settings.ca.as_deref())?;
        let connect =
            |connector, purpose| Client::connect(connector, purpose, Arc::clone(&clock), &tasks, metrics.clone());
        let commands = connect(connector.clone(), Purpose::Commands).await?;
        let names = Names::new(settings.prefix.clone());
        let access = |channel| AccessCheck {
            keys: names.probes().collect(),
            channel,
        };
        commands.check_info().await?;
        // Boxed: fred's futures are several KiB.
        Box::pin(commands.check_access(access(names.probes().next()))).await?;
        let cells = match &settings.limits_url {
            Some(url) => {
                let connector = Connector::new(url.clone(), settings.ca.as_deref())?;
                let cells = connect(connector, Purpose::Limits).await?;
                Box::pin(cells.check_access(access(None))).await?;
                cells
            }
            None => commands.clone(),
        };
        let shared = RedisState {
            names,
            events: events::EventScripts::new(),
            jobs: jobs::JobScripts::new(),
            lanes: jobs::LaneReaders::new(&connector),
            limits: limits::RateLimiter::new(cells),
            challenges: challenges::ChallengeScripts::new(),
            hints: hints::HintScripts::new(),
            sessions: sessions::SessionScripts::new(),
            presence: presence::PresenceScripts::new(),
            resume_tokens: resume_tokens::ResumeTokenScripts::new(),
            connector,
            commands,
            entropy,
            tasks,
            metrics,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }
}

impl Liveness for RedisBus {
    fn is_live(&self) -> bool {
        self.shared.commands.is_live() && self.shared.limits.is_live()
    }
}

impl fmt::Debug for RedisBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBus").finish_non_exhaustive()
    }
}

//! What every node stands on: clock, randomness, metrics, and the tasks that outlive its work.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bus::{RedisBus, RedisSettings};
use lifecycle::{Clock, DrainReport, Entropy, OsEntropy, SystemClock, Tasks};
use opentelemetry::metrics::Meter;
use telemetry::metrics::Metrics;
use tokio::signal::unix::{SignalKind, signal};

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Redis.
    #[error("connect to Redis")]
    Bus(#[from] bus::ConnectError),
    /// Postgres.
    #[error("connect to Postgres")]
    Store(#[from] store::SetupError),
    /// The HTTP client for the platforms.
    #[error(transparent)]
    Http(#[from] platforms::BuildError),
    /// What carries emails.
    #[error(transparent)]
    Email(#[from] worker::EmailError),
    /// What carries text messages.
    #[error(transparent)]
    Sms(#[from] worker::SmsError),
    /// A platform's URLs.
    #[error("set up a platform")]
    Platform(#[from] platforms::InsecureUrl),
    /// The gateway.
    #[error("build the gateway")]
    Gateway(#[from] gateway::BuildError),
    /// The internal listener.
    #[error("listen on {address} (POSTERN_INTERNAL_LISTEN)")]
    Internal {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The signals of the operating system.
    #[error("listen for signals")]
    Signal(#[source] io::Error),
}

/// What a node stands on.
pub(crate) struct Ground {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) metrics: Metrics,
    /// The internal listener and the connections to Redis: they end after the node's own work has.
    pub(crate) tasks: Tasks,
}

impl Ground {
    pub(crate) fn new(node: &'static str) -> Self {
        Self {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
            metrics: Metrics::new(node),
            tasks: Tasks::new(),
        }
    }

    /// This node's own connections to a Redis.
    pub(crate) async fn redis(&self, settings: &RedisSettings, meter: &Meter) -> Result<RedisBus, StartError> {
        let (clock, entropy) = (Arc::clone(&self.clock), Arc::clone(&self.entropy));
        Ok(RedisBus::connect(settings, clock, entropy, self.tasks.clone(), meter).await?)
    }

    /// Waits until the node is told to stop, or something essential ends.
    pub(crate) async fn until_stopped(
        &self,
        failure: impl Future<Output = &'static str>,
    ) -> Result<Ending, StartError> {
        let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Signal)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signal)?;
        Ok(tokio::select! {
            _ = terminate.recv() => Ending::Told,
            _ = interrupt.recv() => Ending::Told,
            task = failure => Ending::Failed(task),
            task = self.tasks.failure() => Ending::Failed(task),
        })
    }

    /// Ends what is left, and tells how the node ended.
    pub(crate) async fn leave(self, ending: Ending, report: &DrainReport) -> ExitCode {
        let ground = self.tasks.drain(LEAVING).await;
        tracing::info!(?ending, ?report, ?ground, "stopped");
        match ending {
            Ending::Told => ExitCode::SUCCESS,
            Ending::Failed(_) => ExitCode::FAILURE,
        }
    }
}

/// The internal listener and the Redis connections have nothing to finish.
const LEAVING: Duration = Duration::from_secs(2);

/// Why a node stops.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ending {
    /// SIGTERM or SIGINT.
    Told,
    /// A task that must not end has ended.
    Failed(&'static str),
}

impl Ending {
    /// Logs why the node stops.
    pub(crate) fn log(self) {
        match self {
            Self::Told => tracing::info!("told to stop: draining"),
            Self::Failed(task) => {
                tracing::error!(task, "an essential task has ended: draining, then exiting with failure");
            }
        }
    }
}

//! Runtime of a node: clock, randomness, metrics, and the tasks that outlive its work.

use std::fmt;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bus::{RedisBus, RedisSettings};
use lifecycle::{Clock, Entropy, OsEntropy, Readiness, SystemClock, Tasks};
use opentelemetry::metrics::Meter;
use telemetry::metrics::Metrics;
use tokio::signal::unix::{SignalKind, signal};

use super::NodeIdentity;
use super::http_listener::{HttpListener, ListenError};

/// Failure to start a node.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Connecting to Redis failed.
    #[error(transparent)]
    Bus(#[from] bus::ConnectError),
    /// Connecting to Postgres failed.
    #[error("connect to Postgres")]
    Store(#[from] store::SetupError),
    /// The HTTP client for the platforms could not be built.
    #[error(transparent)]
    Http(#[from] platforms::BuildError),
    /// The sender of emails could not be built.
    #[error(transparent)]
    Email(#[from] worker::EmailError),
    /// The sender of text messages could not be built.
    #[error(transparent)]
    Sms(#[from] worker::SmsError),
    /// A platform has an insecure URL.
    #[error("set up a platform")]
    Platform(#[from] platforms::InsecureUrl),
    /// The gateway could not be built.
    #[error("build the gateway")]
    Gateway(#[from] gateway::BuildError),
    /// An HTTP listener could not be bound.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Signal handlers could not be installed.
    #[error("install signal handlers")]
    Signal(#[source] io::Error),
}

/// Identity, clock, randomness, metrics and long-lived tasks of a node.
pub(crate) struct NodeRuntime {
    pub(crate) identity: NodeIdentity,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) metrics: Metrics,
    /// Internal listener and Redis connections, which end after the node's own work.
    pub(crate) tasks: Tasks,
    /// Health listener, which answers to the end of all other tasks.
    health: Tasks,
}

impl NodeRuntime {
    pub(crate) fn new(role: &'static str) -> Self {
        let identity = NodeIdentity::new(role, &OsEntropy);
        Self {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
            metrics: Metrics::new(identity.id()),
            tasks: identity.span().in_scope(Tasks::new),
            health: identity.span().in_scope(Tasks::new),
            identity,
        }
    }

    /// Serves the health routes and metrics of a node, until every other task has ended.
    pub(crate) fn serve_health(&self, listener: HttpListener, readiness: Readiness, metrics: Metrics) {
        listener.serve(telemetry::health::router(readiness, metrics), &self.health);
    }

    /// Connects to Redis, over connections of this node alone, which log in the current span.
    pub(crate) async fn redis(&self, settings: &RedisSettings, meter: &Meter) -> Result<RedisBus, StartError> {
        let (clock, entropy) = (Arc::clone(&self.clock), Arc::clone(&self.entropy));
        Ok(RedisBus::connect(settings, clock, entropy, self.tasks.with_current_span(), meter).await?)
    }

    /// Waits for a stop signal, or the end of an essential task.
    pub(crate) async fn until_stopped(
        &self,
        failure: impl Future<Output = &'static str>,
    ) -> Result<StopReason, StartError> {
        let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Signal)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signal)?;
        Ok(tokio::select! {
            _ = terminate.recv() => StopReason::Signal,
            _ = interrupt.recv() => StopReason::Signal,
            task = failure => StopReason::TaskEnded(task),
            task = self.tasks.failure() => StopReason::TaskEnded(task),
            task = self.health.failure() => StopReason::TaskEnded(task),
        })
    }

    /// Drains the remaining tasks, logs the report of the node's own drain, and returns the exit code.
    pub(crate) async fn finish(self, reason: StopReason, report: &impl fmt::Display) -> ExitCode {
        let mut runtime = self.tasks.drain(RUNTIME_DRAIN).await;
        for (task, count) in self.health.drain(HEALTH_DRAIN).await.cut {
            *runtime.cut.entry(task).or_default() += count;
        }
        tracing::info!(%reason, drain = %report, %runtime, "node stopped");
        match reason {
            StopReason::Signal => ExitCode::SUCCESS,
            StopReason::TaskEnded(_) => ExitCode::FAILURE,
        }
    }
}

/// Drain timeout of the internal listener and the Redis connections, which have nothing to finish.
const RUNTIME_DRAIN: Duration = Duration::from_secs(2);
/// Drain timeout of the health listener, whose responses take no time.
const HEALTH_DRAIN: Duration = Duration::from_secs(1);

/// Reason of a node's stop.
#[derive(Debug, Clone, Copy)]
pub(crate) enum StopReason {
    /// SIGTERM or SIGINT.
    Signal,
    /// An essential task ended.
    TaskEnded(&'static str),
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal => f.write_str("stop signal"),
            Self::TaskEnded(task) => write!(f, "essential task ended: {task}"),
        }
    }
}

impl StopReason {
    /// Logs the reason.
    pub(crate) fn log(self) {
        match self {
            Self::Signal => tracing::info!("stop signal received, draining"),
            Self::TaskEnded(task) => {
                tracing::error!(task, "essential task ended, draining, then exiting with failure");
            }
        }
    }
}

//! Runtime of a node: clock, randomness, metrics, and the tasks that outlive its work.

use std::fmt;
use std::future::ready;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bus::{RedisBus, RedisRuntime, RedisSettings};
use lifecycle::{BufferedEntropy, Clock, Dependencies, DrainReport, Entropy, OsEntropy, Readiness, SystemClock, Tasks};
use store::vault::AuditKeys;
use store::{PgSettings, PgStore};
use telemetry::export::Exports;
use telemetry::metrics::Metrics;
use tokio::runtime::Handle;

use super::http_listener::{Handler, HttpListener};
use super::identity::NodeIdentity;
use super::reload::Reloads;
use super::start_error::StartError;
use super::stop::{StopReason, StopSignals};
use super::wait::reach;
use crate::config::RedisFiles;

/// Identity, clock, randomness, metrics, readiness, dependencies and long-lived tasks of a node.
pub(crate) struct NodeRuntime {
    pub(crate) identity: NodeIdentity,
    pub(crate) clock: Arc<dyn Clock>,
    /// Randomness of keys and codes.
    pub(crate) entropy: Arc<dyn Entropy>,
    /// Randomness of ids, of which every request draws some.
    ids: Arc<dyn Entropy>,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Readiness,
    pub(crate) dependencies: Dependencies,
    /// Internal listener and Redis connections, which end after the node's own work.
    pub(crate) tasks: Tasks,
    /// Health listener, which answers to the end of all other tasks.
    health: Tasks,
    exports: Exports,
}

impl NodeRuntime {
    /// Runtime of the node that is the instance of these exports.
    pub(crate) fn new(role: &'static str, exports: &Exports) -> Self {
        let id = exports.service().instance().to_owned();
        Self::with_identity(NodeIdentity::new(role, id), exports)
    }

    fn with_identity(identity: NodeIdentity, exports: &Exports) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (metrics, dependencies) = (
            Metrics::of_node(exports, identity.id()),
            Dependencies::new(Arc::clone(&clock)),
        );
        metrics.watch(dependencies.clone());
        telemetry::process::observe(&metrics.meter(), &Handle::current());
        Self {
            clock,
            entropy: Arc::new(OsEntropy),
            ids: Arc::new(BufferedEntropy::default()),
            metrics,
            readiness: Readiness::new(),
            dependencies,
            tasks: identity.span().in_scope(Tasks::new),
            health: identity.span().in_scope(Tasks::new),
            identity,
            exports: exports.clone(),
        }
    }

    /// Serves the health routes and metrics of this node, until every other task has ended.
    pub(crate) fn serve_health(&self, listener: HttpListener) {
        let (readiness, dependencies) = (self.readiness.clone(), self.dependencies.clone());
        let router = telemetry::health::router(readiness, dependencies, self.metrics.clone());
        listener.serve(Handler::health(router), &self.health);
    }

    /// Runtime of another node of this process, with an identity, metrics, readiness and dependencies of its own.
    pub(crate) fn beside(&self, role: &'static str) -> Self {
        Self {
            tasks: self.tasks.clone(),
            ..Self::with_identity(NodeIdentity::new(role, NodeIdentity::draw(&OsEntropy)), &self.exports)
        }
    }

    /// Runtime of another node of this process that ends by itself: with tasks of its own too.
    pub(crate) fn apart(&self, role: &'static str) -> Self {
        Self::with_identity(NodeIdentity::new(role, NodeIdentity::draw(&OsEntropy)), &self.exports)
    }

    /// Drops the tasks of a node [`apart`](Self::apart), whose gateway is then killed: its listeners and its connections to Redis.
    pub(crate) fn abort(&self) {
        self.tasks.abort();
        self.health.abort();
    }

    /// Waits until the tasks have been dropped, after [`NodeRuntime::abort`].
    pub(crate) async fn aborted(&self) {
        self.tasks.aborted().await;
        self.health.aborted().await;
    }

    /// Resolves with the name of an essential task of the runtime when one has ended.
    pub(crate) async fn failure(&self) -> &'static str {
        tokio::select! {
            task = self.tasks.failure() => task,
            task = self.health.failure() => task,
        }
    }

    /// Runtime for a gateway.
    pub(crate) fn for_gateway(&self) -> gateway::Runtime {
        gateway::Runtime {
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.ids),
            meter: self.metrics.meter(),
            readiness: self.readiness.clone(),
            dependencies: self.dependencies.clone(),
        }
    }

    /// Connects to Redis, over connections of this node alone, which log in the current span.
    ///
    /// # Errors
    /// [`bus::ConnectError`].
    pub(crate) async fn redis(&self, settings: &RedisSettings) -> Result<RedisBus, bus::ConnectError> {
        let runtime = RedisRuntime {
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.ids),
            tasks: self.tasks.with_current_span(),
            meter: self.metrics.meter(),
            dependencies: self.dependencies.clone(),
        };
        RedisBus::connect(settings, &runtime).await
    }

    /// Connects to Redis, waiting for it if necessary.
    ///
    /// # Errors
    /// [`StartError`] of a fault that waiting cannot mend.
    pub(super) async fn reach_redis(&self, settings: &RedisSettings) -> Result<RedisBus, StartError> {
        Ok(reach(&*self.entropy, async || self.redis(settings).await).await?)
    }

    /// Connects to Postgres, waiting for it, and for its migration, if necessary.
    ///
    /// # Errors
    /// [`StartError`] of a fault that waiting cannot mend.
    pub(super) async fn reach_postgres(&self, settings: &PgSettings, audit: &AuditKeys) -> Result<PgStore, StartError> {
        let (meter, dependency) = (self.metrics.meter(), self.dependencies.named("postgres"));
        let connect = async || PgStore::connect_reporting(settings, audit.clone(), &meter, &dependency).await;
        Ok(reach(&*self.entropy, connect).await?)
    }

    /// Completes a start unless a stop signal comes before. None if it did: the node is then stopped.
    ///
    /// # Errors
    /// [`StartError`] of the start.
    pub(super) async fn unless_stopped<T>(
        &self,
        signals: &mut StopSignals,
        start: impl Future<Output = Result<T, StartError>>,
    ) -> Result<Option<T>, StartError> {
        tokio::select! {
            biased;
            () = signals.received() => {
                self.readiness.drain();
                Ok(None)
            }
            started = start => started.map(Some),
        }
    }

    /// Watches of this node's files, which begin with those of Redis.
    pub(crate) fn reloads(&self, settings: &RedisSettings, files: RedisFiles) -> Reloads {
        let mut reloads = Reloads::new(self.tasks.with_current_span());
        let url = settings.url.clone();
        reloads.watch(files.url, move |text| ready(url.replace_credentials(&text)));
        if let Some(url) = settings.limits_url.clone() {
            reloads.watch(files.limits_url, move |text| ready(url.replace_credentials(&text)));
        }
        let tls = settings.tls.clone();
        reloads.watch_files(files.authorities, move |[pem]| {
            ready(tls.replace_authorities(pem.as_bytes()))
        });
        let tls = settings.tls.clone();
        reloads.watch_files(files.identity, move |[certificate, key]| {
            ready(tls.replace_identity(certificate.as_bytes(), key.as_bytes()))
        });
        reloads
    }

    /// Waits for a stop signal, or the end of an essential task.
    pub(crate) async fn until_stopped(
        &self,
        signals: &mut StopSignals,
        failure: impl Future<Output = &'static str>,
    ) -> StopReason {
        tokio::select! {
            () = signals.received() => StopReason::Signal,
            task = failure => StopReason::TaskEnded(task),
            task = self.failure() => StopReason::TaskEnded(task),
        }
    }

    /// Ends a node that was stopped before it was ready, and returns the exit code.
    pub(super) async fn finish_start(self) -> ExitCode {
        let runtime = self.drain_runtime().await;
        tracing::info!(%runtime, "node stopped before it was ready");
        ExitCode::SUCCESS
    }

    /// Drains the remaining tasks, logs the report of the node's own drain, and returns the exit code.
    pub(crate) async fn finish(self, reason: StopReason, report: &impl fmt::Display) -> ExitCode {
        let runtime = self.drain_runtime().await;
        tracing::info!(%reason, drain = %report, %runtime, "node stopped");
        match reason {
            StopReason::Signal => ExitCode::SUCCESS,
            StopReason::TaskEnded(_) => ExitCode::FAILURE,
        }
    }

    /// Drains the listeners and the connections to Redis.
    pub(crate) async fn drain_runtime(&self) -> DrainReport {
        let mut report = self.tasks.drain(RUNTIME_DRAIN).await;
        for (task, count) in self.health.drain(HEALTH_DRAIN).await.cut {
            *report.cut.entry(task).or_default() += count;
        }
        report
    }
}

/// Drain timeout of the internal listener and the Redis connections, which have nothing to finish.
const RUNTIME_DRAIN: Duration = Duration::from_secs(2);
/// Drain timeout of the health listener, whose responses take no time.
const HEALTH_DRAIN: Duration = Duration::from_secs(1);

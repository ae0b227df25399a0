//! Reports about all servers of one bus as one dependency, one clock and one set of gauges.

mod server_clock;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lifecycle::Dependency;
use protocol::fault::chain;
use protocol::time::Timestamp;
use tokio::time::Instant;

use self::server_clock::ServerClock;
use super::command_failure::CommandFailure;
use super::health::Health;
use crate::BusError;
use crate::metrics::Metrics;
use crate::redis::settings::Endpoint;

/// Reports of the heartbeats of all servers, and of failed commands.
pub(super) struct ShardReports {
    /// Servers as a whole, to which outages are reported. It is up while each of them is.
    dependency: Dependency,
    metrics: Metrics,
    /// Name of the connections in metrics.
    redis: &'static str,
    /// True if outages are those of one server among several, which the log names.
    is_cluster: bool,
    clock: ServerClock,
    shards: Mutex<HashMap<Endpoint, Shard>>,
}

/// State of one server.
#[derive(Debug, Clone, Copy)]
struct Shard {
    is_up: bool,
    silence: Duration,
    /// Time that its clock showed at the start of ours, and its difference from the clock of this node.
    clock: Option<(i64, Duration)>,
}

impl ShardReports {
    pub(super) fn new(dependency: Dependency, metrics: Metrics, redis: &'static str, is_cluster: bool) -> Self {
        Self {
            dependency,
            metrics,
            redis,
            is_cluster,
            clock: ServerClock::new(),
            shards: Mutex::default(),
        }
    }

    /// Records a connection by its first heartbeat, which ends no outage: the server is not checked yet.
    pub(super) fn connected(&self, server: &Endpoint, health: &Health) {
        self.insert(server, health);
    }

    /// Records a heartbeat that was answered.
    pub(super) fn answered(&self, server: &Endpoint, health: &Health) {
        let all_up = self.insert(server, health);
        if health.is_skewed() {
            let failure = CommandFailure::ClockSkew.to_string();
            self.dependency.failed("clock_skew", self.named(server, failure));
        } else if all_up {
            self.dependency.succeeded();
        }
    }

    /// Records the state of a server that answers. True if all do.
    fn insert(&self, server: &Endpoint, health: &Health) -> bool {
        let shard = Shard {
            is_up: true,
            silence: health.silence(Instant::now()),
            clock: Some((self.clock.at_start(health.reading()), health.skew)),
        };
        let mut shards = self.shards();
        shards.insert(server.clone(), shard);
        self.set_clock(&shards);
        self.record(&shards);
        shards.values().all(|shard| shard.is_up)
    }

    /// Records a heartbeat or a connect that failed, with the class of the failure and the time since the last answer.
    pub(super) fn failed(
        &self,
        server: &Endpoint,
        class: &'static str,
        silence: Duration,
        error: &(dyn std::error::Error + 'static),
    ) {
        {
            let mut shards = self.shards();
            let clock = shards.get(server).and_then(|shard| shard.clock);
            let is_up = false;
            shards.insert(server.clone(), Shard { is_up, silence, clock });
            self.record(&shards);
        }
        self.dependency.failed(class, self.named(server, chain(error)));
    }

    /// Records the failure of a command.
    pub(super) fn command_failed(&self, server: Option<&Endpoint>, class: &'static str, error: &BusError) {
        let error = chain(error);
        let text = match server {
            Some(server) => self.named(server, error),
            None => error,
        };
        self.dependency.failed(class, text);
    }

    /// Forgets the servers that are not among these.
    pub(super) fn retain(&self, known: impl Fn(&Endpoint) -> bool) {
        let mut shards = self.shards();
        shards.retain(|server, _| known(server));
        self.set_clock(&shards);
    }

    /// Time on the servers' clock, as of the last heartbeats: of several, that which is furthest ahead. Takes no lock.
    pub(super) fn server_time(&self) -> Timestamp {
        self.clock.at(Instant::now())
    }

    /// Sets the clock to that which is furthest ahead; if none is known any more, it runs on.
    fn set_clock(&self, shards: &HashMap<Endpoint, Shard>) {
        let clocks = shards.values().filter_map(|shard| shard.clock);
        if let Some(ahead) = clocks.map(|(at_start, _)| at_start).max() {
            self.clock.set(ahead);
        }
    }

    /// Records the gauges: those of the server that is worst.
    fn record(&self, shards: &HashMap<Endpoint, Shard>) {
        let all_up = shards.values().all(|shard| shard.is_up);
        self.metrics.connected(self.redis, all_up);
        let silence = shards.values().map(|shard| shard.silence).max();
        self.metrics.silence(self.redis, silence.unwrap_or_default());
        let skews = shards.values().filter_map(|shard| shard.clock);
        if let Some(skew) = skews.map(|(_, skew)| skew).max() {
            self.metrics.clock_skew(self.redis, skew);
        }
    }

    /// Text of a failure, with the server's name where there are several.
    fn named(&self, server: &Endpoint, failure: String) -> String {
        if self.is_cluster {
            format!("{server}: {failure}")
        } else {
            failure
        }
    }

    fn shards(&self) -> MutexGuard<'_, HashMap<Endpoint, Shard>> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::SystemTime;

    use lifecycle::{Dependencies, DependencyState, SystemClock};
    use opentelemetry::metrics::MeterProvider as _;
    use opentelemetry_sdk::metrics::SdkMeterProvider;

    use super::*;

    fn server(host: &str) -> Endpoint {
        Endpoint {
            host: host.to_owned(),
            port: 6379,
        }
    }

    fn reports(dependencies: &Dependencies) -> ShardReports {
        let metrics = Metrics::new(&SdkMeterProvider::default().meter("test"));
        ShardReports::new(dependencies.named("redis"), metrics, "commands", true)
    }

    fn health(server_time: u64) -> Health {
        Health::up(
            Instant::now(),
            server_time,
            SystemTime::UNIX_EPOCH + Duration::from_millis(server_time),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn clock_is_that_of_the_server_furthest_ahead_which_a_failover_replaces() {
        let dependencies = Dependencies::new(Arc::new(SystemClock));
        let reports = reports(&dependencies);
        let at = || reports.server_time().as_millis();
        reports.answered(&server("a"), &health(1_000_000));
        reports.answered(&server("b"), &health(1_003_000));
        assert_eq!(at(), 1_003_000);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(at(), 1_005_000);
        reports.retain(|known| *known == server("a"));
        assert_eq!(at(), 1_002_000);
        reports.retain(|_| false);
        assert_eq!(at(), 1_002_000, "no other is known");
        // After a failover the clock of another server counts, which is 3 s behind.
        reports.answered(&server("c"), &health(999_000));
        assert_eq!(at(), 999_000);
    }

    #[tokio::test(start_paused = true)]
    async fn answer_of_one_server_does_not_end_the_outage_of_another() {
        let dependencies = Dependencies::new(Arc::new(SystemClock));
        let reports = reports(&dependencies);
        let state = || dependencies.statuses().first().map(|status| status.state);
        reports.answered(&server("a"), &health(1_000_000));
        reports.answered(&server("b"), &health(1_000_000));
        assert_eq!(state(), Some(DependencyState::Up));
        reports.failed(&server("b"), "timeout", Duration::ZERO, &CommandFailure::Unconfirmed);
        // An outage ends with a success at least a second after the last failure.
        tokio::time::advance(Duration::from_secs(2)).await;
        reports.answered(&server("a"), &health(1_002_000));
        assert_eq!(state(), Some(DependencyState::Down));
        reports.retain(|known| *known == server("a"));
        reports.answered(&server("a"), &health(1_003_000));
        assert_eq!(state(), Some(DependencyState::Up));
    }
}

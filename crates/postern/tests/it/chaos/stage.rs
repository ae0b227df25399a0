//! A cluster of three gateways and two workers with 200 reconnecting clients, publishers that retry, and faults.
#![expect(
    clippy::print_stdout,
    reason = "the seed and the figures are for whoever runs these tests"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use testkit::chaos::SeededRng;
use testkit::client::Endpoint;
use testkit::client::reconnecting::{ClientLibrary, ReconnectingClient};
use testkit::cluster::Cluster;
use testkit::wait;
use tokio::time::Instant;

use super::deployment::{Deployment, RedisFault};
use crate::audience::Audience;
use crate::numbered_alerts::NumberedAlerts;
use crate::stage::POSTERN;

/// A cluster under test. Its clients and publishers end with it.
pub(crate) struct Stage {
    name: &'static str,
    rng: SeededRng,
    cluster: Cluster,
    pub(crate) redis: Deployment,
    balancer: Arc<Mutex<Balancer>>,
    audience: Audience,
    _clients: Vec<ReconnectingClient>,
    alerts: NumberedAlerts,
    faults: BTreeMap<&'static str, usize>,
}

/// Gateways that accept connections, as a load balancer sees them.
#[derive(Default)]
struct Balancer {
    /// Addresses by index; none while the gateway is not ready.
    endpoints: Vec<Option<(Endpoint, std::net::SocketAddr)>>,
}

/// Kinds of faults.
#[derive(Clone, Copy, Debug)]
enum Faults {
    GatewayKilled,
    GatewayDrained,
    WorkerKilled,
    Redis(RedisFault),
}

impl Faults {
    /// Faults that every stage has.
    const OF_NODES: [Self; 3] = [Self::GatewayKilled, Self::GatewayDrained, Self::WorkerKilled];
}

impl Stage {
    pub(crate) async fn start(name: &'static str, rng: SeededRng, redis: Deployment) -> Self {
        Self::start_with(POSTERN, name, rng, redis).await
    }

    /// Starts a stage whose nodes and schema are those of a binary.
    pub(crate) async fn start_with(
        binary: impl AsRef<Path>,
        name: &'static str,
        mut rng: SeededRng,
        redis: Deployment,
    ) -> Self {
        println!("{name}: {rng:?}");
        let cluster = redis
            .connect(Cluster::builder(binary))
            .gateways(GATEWAYS)
            .workers(WORKERS)
            .gateway_env("POSTERN_DRAIN_WINDOW", "2s")
            .gateway_env("POSTERN_CONNECT_RATE", "off")
            .start()
            .await;
        let endpoints = (0..GATEWAYS).map(|gateway| Some(addresses(&cluster, gateway)));
        let balancer = Arc::new(Mutex::new(Balancer {
            endpoints: endpoints.collect(),
        }));
        let for_publishers = Arc::clone(&balancer);
        let internal =
            move |rng: &mut SeededRng| for_publishers.lock().unwrap().choose(rng).map(|(_, internal)| internal);
        let pause = Duration::from_millis(200)..Duration::from_millis(1_200);
        let alerts = NumberedAlerts::new(cluster.internal_token(), Arc::new(internal), pause);
        let mut audience = Audience::default();
        let clients = (0..CLIENTS).map(|index| {
            let user = user(index % USERS);
            let library = ClientLibrary::ALL[index / USERS % ClientLibrary::ALL.len()];
            let balancer = Arc::clone(&balancer);
            let route = move |rng: &mut SeededRng| balancer.lock().unwrap().choose(rng).map(|(endpoint, _)| endpoint);
            ReconnectingClient::start(
                library,
                cluster.token(&user),
                Arc::new(route),
                rng.fork(),
                audience.join(&user),
            )
        });
        let mut stage = Self {
            name,
            _clients: clients.collect(),
            rng,
            cluster,
            redis,
            balancer,
            audience,
            alerts,
            faults: BTreeMap::new(),
        };
        stage.audience.all_connect().await;
        for index in 0..USERS {
            let rng = stage.rng.fork();
            stage.alerts.publish_to(user(index), rng);
        }
        stage
    }

    /// Waits until each user has received a few more events.
    pub(crate) async fn publish_some(&mut self) {
        let before = self.alerts.published();
        wait::until_true("some more events", LONG, async || {
            let now = self.alerts.published();
            (0..USERS).all(|index| {
                let at = |numbers: &BTreeMap<String, u64>| numbers.get(&user(index)).copied().unwrap_or_default();
                at(&now) >= at(&before) + 3
            })
        })
        .await;
    }

    /// Migrates the schema with a binary, beside the nodes at work.
    pub(crate) async fn migrate_with(&self, binary: impl AsRef<Path>) {
        self.cluster.migrate_with(binary).await;
    }

    /// Replaces all gateways, one after the other, by those of a binary.
    pub(crate) async fn replace_gateways_with(&mut self, binary: impl AsRef<Path>) {
        self.cluster.set_gateway_binary(binary);
        for gateway in 0..GATEWAYS {
            self.drain_gateway(gateway).await;
        }
    }

    /// Replaces all workers, one after the other, by those of a binary.
    pub(crate) async fn replace_workers_with(&mut self, binary: impl AsRef<Path>) {
        self.cluster.set_worker_binary(binary);
        for worker in 0..WORKERS {
            self.cluster.worker(worker).terminate();
            let status = self.cluster.worker(worker).wait(LONG).await;
            assert_eq!(status, 0, "a drained worker ends well");
            self.cluster.restart_worker(worker).await;
        }
    }

    /// Injects faults of nodes and of Redis for this long, one after the other.
    pub(crate) async fn run_with_faults(mut self, lasts: Duration) -> Self {
        let end = Instant::now() + lasts;
        let mut bag = Vec::new();
        while Instant::now() < end {
            if bag.is_empty() {
                // Each fault occurs once before any is repeated.
                bag.extend(Faults::OF_NODES);
                bag.extend(self.redis.faults().iter().copied().map(Faults::Redis));
                self.rng.shuffle(&mut bag);
            }
            if let Some(fault) = bag.pop() {
                self.inject(fault).await;
                self.rng.pause(Duration::from_millis(200)..Duration::from_secs(3)).await;
            }
        }
        self
    }

    /// Injects each fault of nodes once.
    pub(crate) async fn run_with_each_fault_of_nodes(mut self) -> Self {
        for fault in Faults::OF_NODES {
            self.inject(fault).await;
        }
        self
    }

    /// Injects each fault of Redis once.
    pub(crate) async fn run_with_each_fault_of_redis(mut self) -> Self {
        let mut faults = self.redis.faults().to_vec();
        self.rng.shuffle(&mut faults);
        for fault in faults {
            self.inject(Faults::Redis(fault)).await;
        }
        self
    }

    /// Injects a fault, and waits until it is over.
    async fn inject(&mut self, fault: Faults) {
        let name = match fault {
            Faults::GatewayKilled => {
                let gateway = self.rng.below(GATEWAYS);
                self.cluster.gateway(gateway).kill().await;
                self.restart(gateway).await;
                "gateways killed"
            }
            Faults::GatewayDrained => {
                let gateway = self.rng.below(GATEWAYS);
                self.drain_gateway(gateway).await;
                "gateways drained"
            }
            Faults::WorkerKilled => {
                let worker = self.rng.below(WORKERS);
                self.cluster.worker(worker).kill().await;
                self.cluster.restart_worker(worker).await;
                "workers killed"
            }
            Faults::Redis(fault) => {
                Box::pin(self.redis.inject(fault, &mut self.rng)).await;
                fault.name()
            }
        };
        *self.faults.entry(name).or_default() += 1;
        assert_eq!(self.audience.stopped(), Vec::<String>::new(), "nobody is sent away");
    }

    async fn drain_gateway(&mut self, gateway: usize) {
        self.balancer.lock().unwrap().endpoints[gateway] = None;
        self.cluster.gateway(gateway).terminate();
        let status = self.cluster.gateway(gateway).wait(LONG).await;
        assert_eq!(status, 0, "a drained gateway ends well");
        self.restart(gateway).await;
    }

    async fn restart(&mut self, gateway: usize) {
        self.balancer.lock().unwrap().endpoints[gateway] = None;
        self.cluster.restart_gateway(gateway).await;
        self.balancer.lock().unwrap().endpoints[gateway] = Some(addresses(&self.cluster, gateway));
    }

    /// Stops publishing, waits until every client has received the last event, and checks the records.
    pub(crate) async fn check(mut self) {
        let loss_of = |user: &str| self.redis.loss_of(user);
        self.audience.all_start_fresh(&loss_of).await;
        self.audience.all_connect().await;
        let last = self.alerts.stop(LONG).await;
        let all: u64 = last.values().sum();
        self.audience.all_receive(&last).await;
        let findings = self.audience.findings(|user| self.redis.loss_of(user));
        println!(
            "{}: {all} alerts, {:?}; {} times recovered, {} fresh starts, {} repeats, {} inversions",
            self.name, self.faults, findings.recovered, findings.fresh_starts, findings.repeats, findings.inversions
        );
        assert_eq!(findings.violations, Vec::<String>::new());
        self.redis.restore().await;
        assert_eq!(self.cluster.finish().await, Vec::<String>::new());
    }
}

impl Balancer {
    fn choose(&self, rng: &mut SeededRng) -> Option<(Endpoint, std::net::SocketAddr)> {
        let ready: Vec<_> = self.endpoints.iter().flatten().collect();
        (!ready.is_empty()).then(|| ready[rng.below(ready.len())].clone())
    }
}

/// Addresses for clients and for publishers.
fn addresses(cluster: &Cluster, gateway: usize) -> (Endpoint, std::net::SocketAddr) {
    (cluster.endpoint(gateway), cluster.gateway(gateway).internal_addr())
}

/// Users of every stage.
pub(crate) fn users() -> impl Iterator<Item = String> {
    (0..USERS).map(user)
}

fn user(index: usize) -> String {
    format!("GEN-{index:03}")
}

const GATEWAYS: usize = 3;
const WORKERS: usize = 2;
const USERS: usize = 40;
const CLIENTS: usize = 200;
/// Time in which every backlog after a series of faults is processed.
const LONG: Duration = Duration::from_secs(120);

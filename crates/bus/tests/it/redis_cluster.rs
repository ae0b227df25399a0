//! Commands over a Redis Cluster whose slots move and whose primaries fail: each goes to the owner of its keys.

use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, ConnectError, RedisBus, RedisRuntime, RedisSettings};
use lifecycle::{DependencyState, SystemClock};
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};
use protocol::cluster::job::Lane::Interactive;
use protocol::fault::chain;
use protocol::id::UserId;
use testkit::port::Port;
use testkit::redis::Failover;
use testkit::{RedisCluster, wait};

use crate::nodes::{SHORT_WAIT, runtime};
use crate::sample::{event, job, publish, publish_with_retry, user, worker};

/// Bus on a cluster, with its runtime and the registry of its metrics.
pub(crate) struct ClusterNode {
    pub(crate) bus: Arc<dyn Bus>,
    runtime: RedisRuntime,
    registry: Registry,
    _provider: SdkMeterProvider,
}

impl ClusterNode {
    pub(crate) async fn connect(url: &str) -> Self {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone());
        let reader = exporter.scope_info_enabled(false).build().unwrap();
        let provider = SdkMeterProvider::builder().with_reader(reader).build();
        let runtime = RedisRuntime {
            meter: provider.meter("test"),
            ..runtime(Arc::new(SystemClock))
        };
        let settings = RedisSettings::new(url.parse().unwrap());
        Self {
            bus: Arc::new(RedisBus::connect(&settings, &runtime).await.unwrap()),
            runtime,
            registry,
            _provider: provider,
        }
    }

    /// Commands that were redirected, by the kind.
    pub(crate) fn redirects(&self, kind: &str) -> u64 {
        let text = TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap();
        let series = format!("postern_bus_redirects_total{{kind=\"{kind}\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&series));
        value.unwrap().parse().unwrap()
    }

    fn state(&self, dependency: &str) -> Option<DependencyState> {
        let statuses = self.runtime.dependencies.statuses();
        let status = statuses.iter().find(|status| status.name == dependency);
        status.map(|status| status.state)
    }
}

/// User whose keys are in a slot of this node, with the slot.
pub(crate) async fn user_of(cluster: &RedisCluster, primary: usize) -> (UserId, u16) {
    for number in 0..1_000 {
        let id = format!("GEN-{number:03}");
        let slot = cluster.slot_of(&format!("{{{id}}}")).await;
        if cluster.primary_of(slot).await == primary {
            return (user(&id), slot);
        }
    }
    panic!("no user of primary {primary}");
}

/// A new epoch deletes the log, so that a publish has keys on neither node while the slot moves (TRYAGAIN).
#[tokio::test]
async fn commands_follow_a_slot_while_it_moves() {
    let cluster = RedisCluster::start().await;
    let node = ClusterNode::connect(&cluster.url()).await;
    let bus = &*node.bus;
    let owner = user("u");
    let slot = cluster.slot_of("{u}").await;
    let from = cluster.primary_of(slot).await;
    let to = (from + 1) % 3;
    let before = publish(bus, &owner, 1).await;
    assert_eq!(publish(bus, &owner, 2).await.epoch, before.epoch);
    bus.begin_alert_check(&owner, "c-1").await.unwrap();
    let redirects = || ["moved", "ask", "tryagain", "clusterdown"].map(|kind| node.redirects(kind));
    assert_eq!(redirects(), [0; 4], "the map is right");

    cluster.open_migration(slot, to).await;
    assert_eq!(publish(bus, &owner, 3).await.epoch, before.epoch, "its keys are here");
    assert_eq!(redirects(), [0; 4]);
    cluster.migrate_keys(slot, to).await;
    bus.begin_alert_check(&owner, "c-2").await.unwrap();
    // Once for its digest, and once for its text, which the other server does not know yet.
    assert_eq!(node.redirects("ask"), 2);

    let published = async {
        wait::until_true("an event to be published", wait::deadline(), async || {
            let before = node.redirects("tryagain");
            let published = bus.publish(&owner, &event(4)).await;
            assert!(
                published.is_ok() || node.redirects("tryagain") > before,
                "{published:?}"
            );
            published.is_ok()
        })
        .await;
    };
    let closed = async {
        wait::until_true("a wait for the slot", wait::deadline(), async || {
            node.redirects("tryagain") > 0
        })
        .await;
        cluster.close_migration(slot, to).await;
    };
    tokio::join!(published, closed);
    // The other shard has another replication id: the epoch is new, as after every loss.
    let after = publish(bus, &owner, 5).await;
    assert_ne!(after.epoch, before.epoch);
    assert_eq!(after.seq, 2, "each was published once");

    lane_follows_its_slot(&cluster, &node).await;
}

async fn lane_follows_its_slot(cluster: &RedisCluster, node: &ClusterNode) {
    let (bus, claimer) = (&node.bus, worker("w-1"));
    bus.claim(Interactive, &claimer, 1, SHORT_WAIT).await.unwrap();
    bus.submit(Interactive, &job("j-0", 1), PATIENCE).await.unwrap();
    let slot = cluster.slot_of("pn:{jobs:interactive}").await;
    let to = (cluster.primary_of(slot).await + 1) % 3;
    let claimed = async {
        let mut claimed = Vec::new();
        wait::until_true("the jobs", 2 * wait::deadline(), async || {
            let jobs = bus
                .claim(Interactive, &claimer, 2, SHORT_WAIT)
                .await
                .unwrap_or_default();
            claimed.extend(jobs.into_iter().map(|claimed| claimed.job.id.as_str().to_owned()));
            claimed.contains(&"j-1".to_owned())
        })
        .await;
        claimed
    };
    let moved = async {
        cluster.migrate(slot, to).await;
        wait::until_true("a job to be submitted", wait::deadline(), async || {
            bus.submit(Interactive, &job("j-1", 1), PATIENCE).await.is_ok()
        })
        .await;
    };
    let (claimed, ()) = tokio::join!(claimed, moved);
    assert!(claimed.contains(&"j-0".to_owned()), "{claimed:?}");
}

#[tokio::test]
async fn failed_shard_fails_its_users_alone_until_its_replica_replaces_it() {
    let mut cluster = RedisCluster::start_with(&["--cluster-require-full-coverage", "no"]).await;
    let node = ClusterNode::connect(&cluster.url()).await;
    let bus = &*node.bus;
    let (lost, slot) = user_of(&cluster, 1).await;
    let (other, _) = user_of(&cluster, 2).await;
    publish(bus, &lost, 1).await;
    publish(bus, &other, 1).await;
    wait::until_true("the bus to be live", wait::deadline(), async || bus.is_live()).await;

    // Its replica waits, so that the outage does not end before it is seen.
    let replica = cluster.replica_of(1).await;
    cluster.node_mut(replica).pause();
    cluster.node_mut(1).kill().await;
    let mut number = 1;
    wait::until_true("the shard to fail", wait::deadline(), async || {
        number += 1;
        publish(bus, &other, number).await;
        bus.publish(&lost, &event(2)).await.is_err() && node.state("redis") == Some(DependencyState::Down)
    })
    .await;
    assert!(bus.is_live(), "sockets of other users are accepted");
    assert_eq!(
        node.state("redis_cluster"),
        Some(DependencyState::Up),
        "four nodes answer"
    );
    cluster.node_mut(replica).resume();
    let replica = cluster.until_replaced(1, slot).await;
    publish_with_retry(bus, &lost, 2).await;
    publish_with_retry(bus, &other, 1_000).await;
    wait::until_true("the bus to be live", wait::deadline(), async || {
        node.state("redis") == Some(DependencyState::Up)
    })
    .await;

    // The old primary comes back as a replica of the new one, and takes over from it.
    cluster.node_mut(1).restart().await;
    cluster.until_agreed().await;
    publish(bus, &lost, 3).await;
    cluster
        .failover(cluster.replica_of(replica).await, Failover::Agreed)
        .await;
    publish_with_retry(bus, &lost, 4).await;
    assert_eq!(cluster.primary_of(slot).await, 1);
    let log = cluster
        .node(1)
        .command(&["EXISTS", &format!("pn:{{{lost}}}:log")])
        .await;
    assert_eq!(log, "1");
}

/// A primary without slots is in no reply to CLUSTER SLOTS, and is asked for keys of the first slot that moves to it.
#[tokio::test]
async fn first_slot_of_a_new_primary_is_served_while_it_moves() {
    let cluster = RedisCluster::start().await;
    make_empty_primary(&cluster, 5).await;
    let node = ClusterNode::connect(&cluster.url()).await;
    let (owner, slot) = user_of(&cluster, 0).await;
    node.bus.begin_alert_check(&owner, "c-1").await.unwrap();
    cluster.open_migration(slot, 5).await;
    assert_eq!(cluster.migrate_keys(slot, 5).await, 1);
    node.bus.begin_alert_check(&owner, "c-2").await.unwrap();
    assert!(node.redirects("ask") > 0);
    cluster.close_migration(slot, 5).await;
    publish(&*node.bus, &owner, 1).await;
    let keys = cluster.node(5).command(&["DBSIZE"]).await;
    assert_ne!(keys, "0");
}

/// Makes a replica a primary without slots.
async fn make_empty_primary(cluster: &RedisCluster, index: usize) {
    let nodes = cluster.node(0).command(&["CLUSTER", "NODES"]).await;
    let myself = nodes.lines().find(|line| line.contains("myself")).unwrap();
    let (_, bus_port) = myself.split(' ').nth(1).unwrap().split_once('@').unwrap();
    let bus_port = bus_port.split(',').next().unwrap();
    let (replica, port) = (cluster.node(index), cluster.node(0).port().to_string());
    replica.command(&["CLUSTER", "RESET"]).await;
    replica
        .command(&["CLUSTER", "MEET", "127.0.0.1", &port, bus_port])
        .await;
    let name = format!("127.0.0.1:{}@", replica.port());
    wait::until_true("all nodes to know the primary", 2 * wait::deadline(), async || {
        for other in 0..6 {
            let nodes = cluster.node(other).command(&["CLUSTER", "NODES"]).await;
            let is_primary = |line: &str| line.contains(&name) && line.contains("master");
            if nodes.lines().count() != 6 || nodes.contains("handshake") || !nodes.lines().any(is_primary) {
                return false;
            }
        }
        // A primary waits for some seconds before it serves.
        let state = replica.command(&["CLUSTER", "INFO"]).await;
        state.contains("cluster_state:ok")
    })
    .await;
}

#[tokio::test]
async fn user_without_a_permission_on_one_primary_is_refused_at_the_start_by_its_name() {
    let cluster = RedisCluster::shared().await;
    for index in 0..3 {
        let user = ["ACL", "SETUSER", "gate-1", "on", ">right", "+@all", "~*", "&*"];
        cluster.node(index).command(&user).await;
    }
    let login = cluster.url().replace("://", "://gate-1:right@");
    let started = || async { RedisBus::connect(&settings(&login), &runtime(Arc::new(SystemClock))).await };
    // A node without this user is not asked for the slots: replicas have another list.
    started().await.unwrap();
    for missing in ["-getdel", "-asking", "-cluster|nodes", "-cluster|slots"] {
        cluster
            .node(1)
            .command(&["ACL", "SETUSER", "gate-1", "+@all", missing])
            .await;
        let error = started().await.expect_err(missing);
        let ConnectError::Missing { address, refusals } = &error else {
            panic!("{}", chain(&error));
        };
        assert_eq!(*address, format!("redis://{}/0", cluster.node(1).addr()));
        let command = missing.trim_start_matches('-').to_uppercase();
        assert_eq!(
            refusals.iter().map(|refused| &refused.command).collect::<Vec<_>>(),
            [&command]
        );
    }
}

#[tokio::test]
async fn url_without_a_reachable_node_is_waited_for_and_one_node_suffices() {
    let cluster = RedisCluster::shared().await;
    let port = Port::claim();
    let nobody = port.number();
    let url = format!("redis-cluster://127.0.0.1:{nobody}");
    let error = RedisBus::connect(&settings(&url), &runtime(Arc::new(SystemClock)))
        .await
        .expect_err("nobody listens");
    assert_eq!(error.outage(), Some("unreachable"));
    let line = chain(&error);
    assert!(
        line.starts_with(&format!("find the primary of {url}: no node of the cluster")),
        "{line}"
    );

    let url = format!("redis-cluster://127.0.0.1:{nobody},{}", cluster.node(4).addr());
    let settings = RedisSettings {
        prefix: cluster.prefix().parse().unwrap(),
        ..settings(&url)
    };
    let bus = RedisBus::connect(&settings, &runtime(Arc::new(SystemClock)))
        .await
        .unwrap();
    for id in ["a", "b", "c", "d", "e", "f"] {
        publish(&bus, &user(id), 1).await;
    }
}

fn settings(url: &str) -> RedisSettings {
    RedisSettings::new(url.parse().unwrap())
}

const PATIENCE: Duration = Duration::from_secs(60);

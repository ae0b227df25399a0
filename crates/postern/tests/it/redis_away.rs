//! Redis fails under connected clients, and recovers.

use std::time::Duration;

use serde_json::json;
use testkit::Redis;
use testkit::client::{Native, SocketIo};
use testkit::cluster::Cluster;
use testkit::wait;
use tokio::time::Instant;

use crate::dependency::{Dependency, get};
use crate::stage::{POSTERN, Platforms, by_hand, client, connect};

/// Duration of the outage: longer than every timeout that could close a socket or a connection. By hand,
/// `POSTERN_REDIS_AWAY_SECONDS` sets it.
fn outage() -> Duration {
    Duration::from_secs(by_hand("POSTERN_REDIS_AWAY_SECONDS").unwrap_or(10))
}

struct Stage {
    redis: Redis,
    platforms: Platforms,
    cluster: Cluster,
    socketio: SocketIo,
    native: Native,
}

/// A cluster on a Redis of its own, and a client of each kind on different gateways.
async fn stage() -> Stage {
    let platforms = Platforms::start().await;
    let redis = Redis::start().await;
    let cluster = platforms
        .linked_to(Cluster::builder(POSTERN))
        .redis(&redis)
        .gateway_env("POSTERN_HEARTBEAT_INTERVAL", "1s")
        .start()
        .await;
    let socketio = client(&cluster, 0, "GEN-001").await;
    let native = Native::connect(&cluster.endpoint(1), &cluster.token("GEN-001"))
        .await
        .unwrap();
    Stage {
        redis,
        platforms,
        cluster,
        socketio,
        native,
    }
}

impl Stage {
    /// Asserts that commands are answered `unavailable` and new upgrades 503 for the length of an [`outage`].
    async fn assert_refused_while_away(&self) {
        let since = Instant::now();
        let endpoint = self.cluster.endpoint(0);
        let refused = wait::until(
            "new upgrades to be refused",
            wait::deadline(),
            async || match SocketIo::connect(&endpoint, &self.cluster.token("GEN-002")).await {
                Err(refused) => refused.status(),
                Ok(_) => None,
            },
        )
        .await;
        assert_eq!(refused, 503);
        // Heartbeats continue meanwhile, and pace the loop.
        while since.elapsed() < outage() {
            self.socketio.next_ping().await;
            let answer = self.socketio.emit_with_ack("account:list", json!({})).await;
            assert_eq!(answer["error"], "unavailable", "{answer}");
        }
        assert!(self.socketio.is_open() && self.native.is_open());
    }

    /// Asserts that both clients receive a connect made on the first gateway; returns the time since `back`.
    async fn fan_out_works(&self, code: &str, back: Instant) -> Duration {
        wait::until("a connect to succeed", wait::deadline(), async || {
            let answer = self
                .socketio
                .emit_with_ack("account:connect", connect("GEN-001", code))
                .await;
            match answer["error"].as_str() {
                None => Some(()),
                Some("unavailable" | "timeout") => None,
                Some(_) => panic!("{answer}"),
            }
        })
        .await;
        for socket in [&*self.socketio, &*self.native] {
            let status = socket.next_event("account:status_changed").await;
            assert_eq!(status.data["status"], "connected");
        }
        back.elapsed()
    }
}

#[tokio::test]
async fn a_redis_that_stops_for_ten_seconds_closes_no_socket_and_loses_nothing() {
    let mut stage = Box::pin(stage()).await;
    stage.redis.pause();
    stage.assert_refused_while_away().await;
    stage.redis.resume();
    let took = stage.fan_out_works("test_code_resumed", Instant::now()).await;
    println!("fan-out after SIGCONT: {took:?}");
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert!(
        stage.native.unread().iter().all(|event| event.name != "resync"),
        "nothing was lost"
    );
    assert_eq!(stage.platforms.exchanges("test_code_resumed"), 1);
    assert_eq!(stage.cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn redis_that_restarts_empty_resyncs_plain_sockets_and_closes_others() {
    let mut stage = Box::pin(stage()).await;
    let token = stage.cluster.token("GEN-001");
    let beside = Native::connect(&stage.cluster.endpoint(0), &token).await.unwrap();
    stage.redis.kill().await;
    stage.assert_refused_while_away().await;
    stage.redis.restart().await;
    let back = Instant::now();
    // Events published before a gateway has noticed the new epoch are part of the loss that `resync` reports.
    for native in [&stage.native, &beside] {
        assert_eq!(native.next_event("resync").await.offset, None);
    }
    println!("resync after an empty restart: {:?}", back.elapsed());
    let closed = stage.socketio.closed().await;
    assert_eq!(closed.code, 1012, "{closed}");
    assert!(!stage.socketio.received_disconnect(), "it comes back by itself");
    stage.socketio = wait::until("the client to be let in again", wait::deadline(), async || {
        SocketIo::connect(&stage.cluster.endpoint(0), &token).await.ok()
    })
    .await;
    let took = stage.fan_out_works("test_code_emptied", back).await;
    println!("fan-out after an empty restart: {took:?}");
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert!(stage.socketio.is_open() && stage.native.is_open());
    assert_eq!(stage.cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn nodes_stay_ready_in_an_outage_of_redis_and_report_it_as_that_of_a_dependency() {
    let mut stage = Box::pin(stage()).await;
    let nodes = |cluster: &Cluster| [cluster.gateway(0).health_addr(), cluster.worker(0).health_addr()];
    for node in nodes(&stage.cluster) {
        assert_eq!(Dependency::of(node, "redis").await.state, "up");
        let lines = get(node, "/readyz").await.text();
        assert!(lines.contains("redis ok (at start)\n"), "{lines}");
    }
    stage.redis.pause();
    for node in nodes(&stage.cluster) {
        wait::until_true("the outage to be reported", wait::deadline(), async || {
            Dependency::of(node, "redis").await.state == "down"
        })
        .await;
    }
    stage.assert_refused_while_away().await;
    for node in nodes(&stage.cluster) {
        assert_eq!(get(node, "/readyz").await.status, 200);
        assert_eq!(get(node, "/livez").await.status, 200);
        let redis = Dependency::of(node, "redis").await;
        assert_eq!((redis.state.as_str(), redis.class.as_str()), ("down", "timeout"));
        assert_eq!(redis.up, "0");
    }
    stage.redis.resume();
    for node in nodes(&stage.cluster) {
        wait::until_true("the end of the outage", wait::deadline(), async || {
            let redis = Dependency::of(node, "redis").await;
            redis.state == "up" && redis.up == "1"
        })
        .await;
        assert_eq!(get(node, "/readyz").await.status, 200);
    }
    assert!(stage.socketio.is_open() && stage.native.is_open());
    for node in [stage.cluster.gateway(0), stage.cluster.worker(0)] {
        let logs = node.logs();
        for line in ["outage began", "outage ended"] {
            assert_eq!(logs.matches(line).count(), 1, "{line}: {logs}");
        }
    }
    assert_eq!(stage.cluster.finish().await, Vec::<String>::new());
}

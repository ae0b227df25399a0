//! Redis fails under connected clients, and recovers.

use std::time::Duration;

use serde_json::json;
use testkit::Redis;
use testkit::client::http::Request;
use testkit::client::{Native, SocketIo};
use testkit::cluster::Cluster;
use testkit::wait;

use tokio::time::Instant;

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
async fn a_node_without_redis_says_that_it_is_not_ready() {
    let mut stage = Box::pin(stage()).await;
    stage.redis.pause();
    for member in [stage.cluster.gateway(0), stage.cluster.worker(0)] {
        wait::until("the node to be unready", wait::deadline(), async || {
            (!member.is_ready().await).then_some(())
        })
        .await;
    }
    stage.redis.resume();
    for member in [stage.cluster.gateway(0), stage.cluster.worker(0)] {
        wait::until("the node to be ready", wait::deadline(), async || {
            member.is_ready().await.then_some(())
        })
        .await;
        let answer = testkit::client::http::plain(member.health_addr(), &Request::get("/readyz"))
            .await
            .unwrap();
        assert_eq!(answer.status, 200);
    }
    assert_eq!(stage.cluster.finish().await, Vec::<String>::new());
}

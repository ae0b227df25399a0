//! A gateway whose connection to Redis is half-open while a session is ended elsewhere.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::Redis;
use testkit::chaos::Proxy;
use testkit::client::SocketIo;
use testkit::cluster::Cluster;
use testkit::token::claims;

use crate::stage::POSTERN;

#[tokio::test]
async fn session_ended_elsewhere_closes_behind_a_half_open_connection_and_runs_no_command() {
    let redis = Redis::start().await;
    let proxy = Proxy::start(redis.addr()).await;
    let mut cluster = Cluster::builder(POSTERN).redis(&redis).gateways(1).start().await;
    let through_proxy = format!("redis://{}", proxy.addr());
    cluster
        .start_gateway_with(&[("POSTERN_REDIS_URL", through_proxy.as_str())])
        .await;
    let owner = client(&cluster, 0, "mine").await;
    let thief = client(&cluster, 1, "theirs").await;

    // No byte passes over existing connections; new ones work, as after an address has moved.
    proxy.blackhole();
    let ended = owner
        .emit_with_ack("security:end_sessions", json!({"sessionId": "theirs"}))
        .await;
    assert_eq!(ended, json!({"success": true, "sessionsEnded": 1}));
    let update = json!({"userId": "GEN-001", "settings": {"sessionTimeout": 7}});
    thief.emit("security:update_settings", update).await;
    assert_eq!(thief.closed().await.code, 4403);

    let settings = owner.emit_with_ack("security:get_settings", json!({})).await;
    assert_eq!(settings["settings"]["sessionTimeout"], 30, "{settings}");
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// A client of GEN-001 in one of its sessions.
async fn client(cluster: &Cluster, gateway: usize, session: &str) -> SocketIo {
    let mut claims: Value = claims("GEN-001", Duration::from_secs(3600));
    claims["sid"] = json!(session);
    let token = cluster.token_with(&claims);
    SocketIo::connect(&cluster.endpoint(gateway), &token).await.unwrap()
}

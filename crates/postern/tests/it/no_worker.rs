//! Cluster without a running worker: clients receive `unavailable` at once, and continue once one runs again.

use serde_json::json;
use testkit::client::{Native, Refused, SocketIo};
use testkit::wait;

use crate::stage::{Platforms, client, cluster};

#[tokio::test]
async fn clients_receive_unavailable_at_once_until_a_worker_runs_again() {
    let platforms = Platforms::start().await;
    let mut cluster = cluster(&platforms).await;
    let resident = client(&cluster, 0, "GEN-001").await;
    cluster.worker(0).kill().await;
    for lane in ["sign_in", "interactive"] {
        served(&cluster, lane, 0).await;
    }
    // A command that waited for its deadline would be answered `timeout`.
    for _ in 0..3 {
        let list = resident.emit_with_ack("account:list", json!({})).await;
        assert_eq!(list["error"], "unavailable", "{list}");
    }
    let native = Native::connect(&cluster.endpoint(0), &cluster.token("GEN-002")).await;
    let socketio = SocketIo::connect(&cluster.endpoint(0), &cluster.token("GEN-002")).await;
    let (
        Err(Refused::Answered {
            data,
            closed: Some(of_native),
        }),
        Err(Refused::Closed(of_socketio)),
    ) = (native, socketio)
    else {
        panic!("a new session needs a worker")
    };
    assert_eq!(data["error"], "unavailable", "{data}");
    for closed in [of_native, of_socketio] {
        assert_eq!(closed.code, 1012);
        assert!(
            closed.reason.starts_with("unavailable; reconnect-after-ms="),
            "{closed}"
        );
    }
    let log = cluster.gateway(0).logs();
    assert_eq!(log.matches("jobs of the interactive lane").count(), 1, "{log}");

    cluster.restart_worker(0).await;
    let list = resident.emit_with_ack("account:list", json!({})).await;
    assert_eq!(list["success"], true, "{list}");
    client(&cluster, 0, "GEN-002").await;
    for lane in ["sign_in", "interactive"] {
        served(&cluster, lane, 1).await;
    }
    wait::until_true("the end of the outage in the log", wait::deadline(), async || {
        cluster
            .gateway(0)
            .logs()
            .matches("jobs of the interactive lane")
            .count()
            == 2
    })
    .await;
    assert!(resident.is_open(), "no open socket was closed");
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// Waits until the gauge of a lane has this value at the first gateway.
async fn served(cluster: &testkit::cluster::Cluster, lane: &str, value: u8) {
    let line = format!("postern_gateway_lane_served{{lane=\"{lane}\"}} {value}");
    wait::until_true(&line, wait::deadline(), async || {
        cluster.gateway(0).metrics().await.lines().any(|found| found == line)
    })
    .await;
}

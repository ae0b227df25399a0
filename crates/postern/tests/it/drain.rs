//! SIGTERM: finish, hand over, exit 0.

use serde_json::json;
use testkit::wait;

use crate::stage::{POSTERN, Platforms, client, cluster, connect};

#[tokio::test]
async fn terminated_gateway_answers_pending_commands_and_closes_its_sockets() {
    let platforms = Platforms::start().await;
    let cluster = platforms
        .linked_to(testkit::cluster::Cluster::builder(POSTERN))
        .start()
        .await;
    let caller = client(&cluster, 0, "GEN-001").await;
    platforms.block_next_exchange();
    caller
        .emit("account:connect", connect("GEN-001", "test_code_drained"))
        .await;
    platforms.exchange_is_blocked().await;

    cluster.gateway(0).terminate();
    wait::until("the gateway to be unready", wait::deadline(), async || {
        (!cluster.gateway(0).is_ready().await).then_some(())
    })
    .await;
    platforms.handle.release();
    let answer = caller.next_event("account:connect_response").await.data;
    assert_eq!(answer["success"], true, "{answer}");
    let closed = caller.closed().await;
    assert!([1001, 1012].contains(&closed.code), "{closed:?}");
    assert!(!caller.received_disconnect(), "the client comes back by itself");
    assert_eq!(cluster.gateway(0).wait(wait::deadline()).await, 0);
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn terminated_worker_finishes_its_running_jobs() {
    let platforms = Platforms::start().await;
    let mut cluster = cluster(&platforms).await;
    let caller = client(&cluster, 0, "GEN-001").await;
    platforms.block_next_exchange();
    caller
        .emit("account:connect", connect("GEN-001", "test_code_finished"))
        .await;
    platforms.exchange_is_blocked().await;

    cluster.worker(0).terminate();
    cluster.start_worker().await;
    // The other worker claims new jobs while the first one still runs the connect.
    let list = caller.emit_with_ack("account:list", json!({})).await;
    assert_eq!(list["success"], true, "{list}");
    platforms.handle.release();
    let answer = caller.next_event("account:connect_response").await.data;
    assert_eq!(answer["success"], true, "{answer}");
    assert_eq!(cluster.worker(0).wait(wait::deadline()).await, 0);
    // Its last commit was published too.
    assert_eq!(
        caller.next_event("account:status_changed").await.data["status"],
        "connected"
    );
    assert_eq!(platforms.exchanges("test_code_finished"), 1);
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

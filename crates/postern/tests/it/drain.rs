//! SIGTERM: finish, hand over, exit 0.

use serde_json::json;
use testkit::wait;

use crate::stage::{POSTERN, Platforms, client, cluster, connect};

#[tokio::test]
async fn a_terminated_gateway_answers_what_is_under_way_and_closes_its_sockets() {
    let platforms = Platforms::start().await;
    let cluster = platforms
        .linked_to(testkit::cluster::Cluster::builder(POSTERN))
        .start()
        .await;
    let caller = client(&cluster, 0, "GEN-001").await;
    platforms.hold_next_exchange();
    caller
        .emit("account:connect", connect("GEN-001", "test_code_drained"))
        .await;
    platforms.exchange_is_held().await;

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
async fn a_terminated_worker_finishes_what_it_holds() {
    let platforms = Platforms::start().await;
    let mut cluster = cluster(&platforms).await;
    let caller = client(&cluster, 0, "GEN-001").await;
    platforms.hold_next_exchange();
    caller
        .emit("account:connect", connect("GEN-001", "test_code_finished"))
        .await;
    platforms.exchange_is_held().await;

    cluster.worker(0).terminate();
    cluster.start_worker().await;
    // The other one takes what is new while the first one still holds the connect.
    let list = caller.emit_with_ack("account:list", json!({})).await;
    assert_eq!(list["success"], true, "{list}");
    platforms.handle.release();
    let answer = caller.next_event("account:connect_response").await.data;
    assert_eq!(answer["success"], true, "{answer}");
    assert_eq!(cluster.worker(0).wait(wait::deadline()).await, 0);
    // What it committed last it also told.
    assert_eq!(
        caller.next_event("account:status_changed").await.data["status"],
        "connected"
    );
    assert_eq!(platforms.exchanges("test_code_finished"), 1);
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

//! SIGTERM: finish, hand over, exit 0.

use serde_json::json;
use testkit::client::http::{KeptAlive, Request, plain};
use testkit::wait;
use tokio::net::TcpStream;

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
async fn terminated_gateway_serves_new_clients_until_the_end_of_its_drain_delay() {
    let platforms = Platforms::start().await;
    let cluster = platforms
        .linked_to(testkit::cluster::Cluster::builder(POSTERN))
        .gateway_env("POSTERN_DRAIN_DELAY", "2s")
        .start()
        .await;
    let gateway = cluster.gateway(0);
    let resident = client(&cluster, 0, "GEN-001").await;
    let listed = Request::get("/v1/users/GEN-001/connections").bearer(cluster.internal_token());
    let mut server = KeptAlive::connect(gateway.internal_addr()).await.unwrap();
    let answer = server.send(&listed).await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, ""));

    gateway.terminate();
    wait::until_true("the gateway to be unready", wait::deadline(), async || {
        !gateway.is_ready().await
    })
    .await;
    let ready = plain(gateway.health_addr(), &Request::get("/readyz")).await.unwrap();
    assert_eq!(ready.status, 503);
    assert!(ready.text().ends_with("\ndraining\n"), "{}", ready.text());
    let late = client(&cluster, 0, "GEN-002").await;
    let list = late.emit_with_ack("account:list", json!({})).await;
    assert_eq!(list["success"], true, "{list}");
    let answer = server.send(&listed).await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, "close"));
    assert_eq!(answer.json()["connections"].as_array().unwrap().len(), 1);
    assert!(server.is_closed().await);
    assert!(resident.is_open(), "no socket closes during the delay");

    wait::until_true("the port to be closed", wait::deadline(), async || {
        TcpStream::connect(gateway.addr()).await.is_err()
    })
    .await;
    for socket in [&resident, &late] {
        assert_eq!(socket.closed().await.code, 1012);
        assert!(!socket.received_disconnect(), "the client comes back by itself");
    }
    assert_eq!(gateway.wait(wait::deadline()).await, 0);
    let report = "2 sockets handed to other gateways (pending commands answered on 0, unanswered on 0), nothing cut";
    assert!(gateway.logs().contains(report), "{}", gateway.logs());
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

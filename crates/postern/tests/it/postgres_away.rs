//! Postgres fails under connected clients, and recovers.

use serde_json::json;
use testkit::cluster::Cluster;
use testkit::{Postgres, wait};

use crate::command_line::postern;
use crate::dependency::{Dependency, get};
use crate::stage::{POSTERN, Platforms, client, connect};

#[tokio::test]
async fn commands_that_need_postgres_are_unavailable_without_it_and_work_again_after() {
    let platforms = Platforms::start().await;
    let mut postgres = Postgres::start().await;
    let schema = postgres.schema().await;
    let cluster = platforms
        .linked_to(Cluster::builder(POSTERN))
        .schema(schema)
        .start()
        .await;
    let caller = client(&cluster, 0, "GEN-001").await;
    let other = client(&cluster, 1, "GEN-001").await;

    postgres.stop().await;
    for command in ["account:list", "account:connect"] {
        let answer = caller
            .emit_with_ack(command, connect("GEN-001", "test_code_waiting"))
            .await;
        assert_eq!(answer["error"], "unavailable", "{command}: {answer}");
    }
    assert_eq!(platforms.exchanges("test_code_waiting"), 0);
    // Events do not need Postgres.
    let published = postern(&[
        "publish",
        "--server",
        &cluster.gateway(0).internal_url(),
        "--internal-token",
        cluster.internal_token(),
        "--user",
        "GEN-001",
        "--event",
        "notification:incoming",
        "--data",
        r#"{"platform":"github","type":"mention","content":"hello","sender":"octocat"}"#,
    ])
    .await;
    assert_eq!(published.status, 0, "{}", published.stderr);
    assert_eq!(other.next_event("notification:incoming").await.data["content"], "hello");

    let worker = cluster.worker(0).health_addr();
    wait::until_true("the outage to be reported", wait::deadline(), async || {
        let postgres = Dependency::of(worker, "postgres").await;
        postgres.state == "down" && postgres.class == "unreachable" && postgres.up == "0"
    })
    .await;
    assert_eq!(
        get(worker, "/readyz").await.status,
        200,
        "the outage is not the worker's"
    );

    postgres.start_again().await;
    wait::until("a command to work again", wait::deadline(), async || {
        let answer = caller.emit_with_ack("account:list", json!({})).await;
        (answer["success"] == true).then_some(())
    })
    .await;
    wait::until_true("the end of the outage", wait::deadline(), async || {
        let postgres = Dependency::of(worker, "postgres").await;
        postgres.state == "up" && postgres.up == "1"
    })
    .await;
    let answer = caller
        .emit_with_ack("account:connect", connect("GEN-001", "test_code_waiting"))
        .await;
    assert_eq!(answer["success"], true, "{answer}");
    assert_eq!(
        other.next_event("account:status_changed").await.data["status"],
        "connected"
    );
    let logs = cluster.worker(0).logs();
    for line in ["outage began", "outage ended"] {
        assert_eq!(logs.matches(line).count(), 1, "{line}: {logs}");
    }
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

//! A worker dies in the middle of a connect, or its answer is lost.

use serde_json::json;
use testkit::Proxy;
use testkit::client::SocketIo;

use crate::stage::{Platforms, client, cluster, connect};

#[tokio::test]
async fn a_worker_killed_while_the_platform_has_the_code_leaves_an_answer_and_one_exchange() {
    let platforms = Platforms::start().await;
    let mut cluster = cluster(&platforms).await;
    let caller = client(&cluster, 0, "GEN-001").await;
    platforms.block_next_exchange();

    caller
        .emit("account:connect", connect("GEN-001", "test_code_killed"))
        .await;
    platforms.exchange_is_blocked().await;
    cluster.worker(0).kill().await;
    cluster.start_worker().await;

    let answer = caller.next_event("account:connect_response").await.data;
    assert_eq!(answer["success"], false);
    let received = answer["error"].as_str().unwrap();
    assert!(["oauth_failed", "timeout"].contains(&received), "{answer}");
    assert_eq!(platforms.exchanges("test_code_killed"), 1);

    // The same code is not sent again, and another one works: no lock remains.
    let spent = caller
        .emit_with_ack("account:connect", connect("GEN-001", "test_code_killed"))
        .await;
    assert_eq!(spent["error"], "oauth_failed");
    assert_eq!(platforms.exchanges("test_code_killed"), 1);
    let fresh = caller
        .emit_with_ack("account:connect", connect("GEN-001", "test_code_fresh"))
        .await;
    assert_eq!(fresh["success"], true, "{fresh}");
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_worker_killed_before_it_answered_is_answered_for_by_another() {
    let platforms = Platforms::start().await;
    let mut cluster = cluster(&platforms).await;
    let caller = client(&cluster, 0, "GEN-001").await;
    // Stopped, not dead: it claims the job and does not continue.
    cluster.worker(0).pause();
    cluster.start_worker().await;
    let answer = caller.emit_with_ack("account:list", json!({})).await;
    assert_eq!(answer, json!({"success": true, "accounts": []}));
    cluster.worker(0).kill().await;
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_command_repeated_with_its_key_gets_the_first_result() {
    let platforms = Platforms::start().await;
    let cluster = cluster(&platforms).await;
    let caller = client(&cluster, 0, "GEN-001").await;
    let mut command = connect("GEN-001", "test_code_repeated");
    command["idempotencyKey"] = json!("once");

    let first = caller.emit_with_ack("account:connect", command.clone()).await;
    let again = caller.emit_with_ack("account:connect", command.clone()).await;
    assert_eq!(first["success"], true, "{first}");
    assert_eq!(again, first);
    assert_eq!(platforms.exchanges("test_code_repeated"), 1);

    command["oauthCode"] = json!("test_code_other");
    let other = caller.emit_with_ack("account:connect", command).await;
    assert_eq!(other["error"], "conflict");
    assert_eq!(platforms.exchanges("test_code_other"), 0);
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_answer_lost_after_the_commit_is_given_again_for_the_same_key() {
    let platforms = Platforms::start().await;
    let cluster = cluster(&platforms).await;
    let link = Proxy::start(cluster.gateway(0).addr()).await;
    let endpoint = cluster.endpoint(0).at(link.addr());
    let caller = SocketIo::connect(&endpoint, &cluster.token("GEN-001")).await.unwrap();
    let other = client(&cluster, 1, "GEN-001").await;
    let mut command = connect("GEN-001", "test_code_unheard");
    command["idempotencyKey"] = json!("once");
    platforms.block_next_exchange();
    caller.emit("account:connect", command.clone()).await;
    platforms.exchange_is_blocked().await;
    // From now on every message to the caller breaks its connection.
    link.cut_next_answer_after(0);
    platforms.handle.release();
    let committed = other.next_event("account:status_changed").await;
    assert_eq!(committed.data["status"], "connected");
    assert_eq!(caller.closed().await.code, 1006);
    assert!(
        caller
            .unread()
            .iter()
            .all(|event| event.name != "account:connect_response")
    );

    let back = client(&cluster, 0, "GEN-001").await;
    let again = back.emit_with_ack("account:connect", command.clone()).await;
    assert_eq!(again["success"], true, "{again}");
    assert_eq!(back.emit_with_ack("account:connect", command).await, again);
    assert_eq!(platforms.exchanges("test_code_unheard"), 1);
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

//! No secret in any log, nor in the clear in Redis or Postgres.

use serde_json::json;

use crate::stage::{Platforms, client, cluster, connect};

#[tokio::test]
async fn the_life_of_a_link_leaves_no_secret_behind() {
    let platforms = Platforms::start().await;
    let cluster = cluster(&platforms).await;
    cluster.canary(simulator::CLIENT_SECRET);
    let caller = client(&cluster, 0, "GEN-001").await;

    let code = "test_code_that_nobody_may_keep";
    cluster.canary(code);
    let authorize = json!({"accountType": "github", "redirectUri": "http://localhost:3000/callback"});
    let authorized = caller.emit_with_ack("account:authorize", authorize).await;
    let state = authorized["state"].as_str().unwrap().to_owned();
    let mut command = connect("GEN-001", code);
    command["state"] = json!(state);
    command["idempotencyKey"] = json!("link");
    let answer = caller.emit_with_ack("account:connect", command).await;
    assert_eq!(answer["success"], true, "{answer}");
    for issued in platforms.handle.snapshot().tokens {
        cluster.canary(&issued.access_token);
    }
    for command in ["account:sync", "account:list", "account:disconnect"] {
        let answer = caller
            .emit_with_ack(command, json!({"userId": "GEN-001", "accountType": "github"}))
            .await;
        assert_eq!(answer["success"], true, "{command}: {answer}");
    }
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

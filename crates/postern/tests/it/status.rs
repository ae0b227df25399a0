//! The customer's 'Real-time Status Test': connect an account on one node, see it on another.

use serde_json::Value;
use testkit::node::Script;

use crate::command_line::{Dev, postern};
use crate::stage::{Platforms, cluster, script};

#[tokio::test]
async fn an_account_connected_on_one_gateway_is_seen_on_the_other_in_the_embedded_cluster() {
    let dev = Dev::start(&[]).await;
    let token = postern(&["token", "--user", "GEN-001", "--dir", dev.dir()])
        .await
        .stdout;
    // The customer's own code, repeatedly.
    for _ in 0..2 {
        let seen = run(&dev.gateways(), token.trim(), &dev.ca(), "telegram", "test_code_123").await;
        assert_status_seen(&seen, "telegram");
    }
    dev.stop().await;
}

#[tokio::test]
async fn an_account_connected_on_one_gateway_is_seen_on_the_other_across_processes() {
    let platforms = Platforms::start().await;
    let cluster = cluster(&platforms).await;
    let gateways = [0, 1].map(|index| format!("https://{}", cluster.gateway(index).addr()));
    let seen = run(
        &gateways,
        &cluster.token("GEN-001"),
        cluster.authority().pem_path(),
        "github",
        "test_code_status",
    )
    .await;
    assert_status_seen(&seen, "github");
    assert_eq!(platforms.exchanges("test_code_status"), 1);
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

async fn run(gateways: &[String], token: &str, ca: &std::path::Path, platform: &str, code: &str) -> Value {
    let output = Script::new(script("status.cjs"))
        .trusting(ca)
        .env("GATEWAYS", gateways.join(" "))
        .env("TOKEN", token)
        .env("PLATFORM", platform)
        .env("CODE", code)
        .run()
        .await;
    assert_eq!(output.status, 0, "{}{}", output.stdout, output.stderr);
    serde_json::from_str(&output.stdout).unwrap()
}

fn assert_status_seen(seen: &Value, platform: &str) {
    for client in ["caller", "other"] {
        let status = &seen[client][0];
        assert_eq!(status["userId"], "GEN-001", "{client}");
        assert_eq!(status["accountType"], platform, "{client}");
        assert_eq!(status["status"], "connected", "{client}");
        assert!(status["timestamp"].as_str().unwrap().ends_with('Z'), "{client}");
    }
    let response = &seen["response"];
    assert_eq!(response["success"], true, "{response}");
    let account = &response["account"];
    assert_eq!(account["accountType"], platform);
    assert_eq!(account["status"], "connected");
    for field in ["platformUserId", "username", "connectedAt"] {
        assert!(account[field].is_string(), "{field}: {account}");
    }
}

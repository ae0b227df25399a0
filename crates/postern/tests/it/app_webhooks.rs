//! Webhooks to the application over a whole cluster, verified by the official library of Standard Webhooks.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::Redis;
use testkit::client::http::{Request, plain};
use testkit::cluster::Cluster;
use testkit::node::{Output, Script};
use testkit::scratch::Scratch;
use testkit::wait;
use testkit::webhook_receiver::{ReceivedWebhook, Response, WebhookReceiver};

use crate::command_line::postern;
use crate::stage::{POSTERN, Platforms, client, connect, script};

const KEYS: &str = "hooked:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const OLD: &str = "whsec_b2xkLXNlY3JldC1vbGQtc2VjcmV0LW9sZC1zZWNyZXQ=";
const NEW: &str = "whsec_bmV3LXNlY3JldC1uZXctc2VjcmV0LW5ldy1zZWNyZXQ=";

/// Publishes an alert for a user; returns its id.
async fn raise(cluster: &Cluster, user: &str) -> String {
    let alert = json!({"event": "security:alert", "data": {"severity": "high", "type": "suspicious_login",
        "message": "is it you?", "requiresAction": false}});
    let request = Request::post(&format!("/v1/users/{user}/events"), &alert).bearer(cluster.internal_token());
    let response = plain(cluster.gateway(0).internal_addr(), &request).await.unwrap();
    assert_eq!(response.status, 202, "{response:?}");
    response.json()["eventId"].as_str().unwrap().to_owned()
}

/// Webhooks with this id, once there are so many.
async fn with_id(receiver: &WebhookReceiver, id: &str, count: usize) -> Vec<ReceivedWebhook> {
    wait::until("a webhook", wait::deadline(), async || {
        let mut received = receiver.received();
        received.retain(|webhook| webhook.header("webhook-id") == id);
        (received.len() >= count).then_some(received)
    })
    .await
}

/// Indexes of the secrets under which the official library verifies each webhook.
async fn verified(scratch: &Scratch, secrets: &[&str], webhooks: &[ReceivedWebhook]) -> Vec<Vec<usize>> {
    let webhooks = webhooks.iter().map(|webhook| {
        let headers: serde_json::Map<_, _> = webhook
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        json!({"headers": headers, "body": webhook.body})
    });
    let input = json!({"secrets": secrets, "webhooks": webhooks.collect::<Vec<_>>()});
    let input = scratch.write("webhooks.json", input.to_string());
    let output = Script::new(script("webhooks.cjs")).arg(input).run().await;
    assert_eq!(output.status, 0, "{}", output.stderr);
    serde_json::from_str(&output.stdout).unwrap()
}

/// Replaces the file of the secrets in one step.
fn write_secrets(scratch: &Scratch, secrets: &str) -> PathBuf {
    let (next, path) = (scratch.write("next", secrets), scratch.path().join("secrets"));
    std::fs::rename(next, &path).unwrap();
    path
}

/// Publishes alerts until the receiver has one with these signatures.
async fn rotated(cluster: &Cluster, receiver: &WebhookReceiver, signatures: usize) {
    let is_rotated = async || {
        let id = raise(cluster, "GEN-002").await;
        let webhook = with_id(receiver, &id, 1).await.remove(0);
        webhook.header("webhook-signature").split(' ').count() == signatures
    };
    wait::until_true("the rotated secrets", wait::deadline(), is_rotated).await;
}

#[tokio::test]
async fn every_webhook_verifies_through_a_rotation_and_the_loss_of_a_worker_and_has_no_secret() {
    let (scratch, platforms) = (Scratch::new("webhooks"), Platforms::start().await);
    let receiver = WebhookReceiver::start().await;
    let builder = Cluster::builder(POSTERN)
        .worker_env("POSTERN_APP_WEBHOOK_URL", receiver.url())
        .worker_env(
            "POSTERN_APP_WEBHOOK_SECRETS_FILE",
            write_secrets(&scratch, OLD).display(),
        )
        .worker_env("POSTERN_APP_WEBHOOK_TIMEOUT", "2s");
    let mut cluster = platforms.linked_to(builder).start().await;
    for secret in [OLD, NEW] {
        cluster.canary(secret.trim_start_matches("whsec_").trim_end_matches('='));
    }

    let caller = client(&cluster, 0, "GEN-001").await;
    let linked = caller
        .emit_with_ack("account:connect", connect("GEN-001", "test_code_hooked"))
        .await;
    assert_eq!(linked["success"], true, "{linked}");
    let settings = json!({"userId": "GEN-001", "settings": {"sessionTimeout": 60}});
    let updated = caller.emit_with_ack("security:update_settings", settings).await;
    assert_eq!(updated["success"], true, "{updated}");
    let sessions = caller.emit_with_ack("security:sessions", json!({})).await;
    let session = json!({"sessionId": sessions["sessions"][0]["sessionId"]});
    caller.emit("security:end_sessions", session.clone()).await;
    let types = async || {
        let types = receiver
            .received()
            .iter()
            .map(|webhook| body(webhook)["type"].as_str().unwrap().to_owned())
            .collect();
        let types: BTreeSet<_> = types;
        (types.len() == 4).then_some(types)
    };
    let types = wait::until("webhooks of each type", wait::deadline(), types).await;
    let expected = [
        "account.status_changed",
        "security.alert",
        "security.session_expired",
        "security.settings_updated",
    ];
    assert_eq!(types, expected.map(str::to_owned).into());
    let received = receiver.received();
    let ended = received
        .iter()
        .map(body)
        .find(|body| body["type"] == "security.session_expired");
    let ended = ended.unwrap();
    assert_eq!(
        (&ended["data"]["sessionId"], &ended["data"]["userId"]),
        (&session["sessionId"], &json!("GEN-001"))
    );

    write_secrets(&scratch, &format!("{OLD},{NEW}"));
    rotated(&cluster, &receiver, 2).await;
    write_secrets(&scratch, NEW);
    rotated(&cluster, &receiver, 1).await;

    // The worker is killed after the receiver has the webhook, and before it knows.
    receiver.respond([Response::Hangs]);
    let id = raise(&cluster, "GEN-003").await;
    with_id(&receiver, &id, 1).await;
    cluster.worker(0).kill().await;
    cluster.restart_worker(0).await;
    let repeated = with_id(&receiver, &id, 2).await;
    assert_eq!(repeated[0].body, repeated[1].body);

    let mut received = receiver.received();
    let indexes = verified(&scratch, &[OLD, NEW], &received).await;
    let unverified = received.iter().zip(&indexes).find(|(_, indexes)| indexes.is_empty());
    assert!(unverified.is_none(), "{unverified:?}");
    assert_eq!(indexes.first(), Some(&vec![0]), "before the rotation");
    assert!(
        indexes.contains(&vec![0, 1]),
        "during the rotation a receiver may have either"
    );
    assert_eq!(indexes.last(), Some(&vec![1]), "after the rotation");
    for webhook in &mut received {
        webhook.body = webhook.body.replacen("GEN-", "GEN+", 1);
    }
    let altered = verified(&scratch, &[OLD, NEW], &received).await;
    assert!(
        altered.iter().all(Vec::is_empty),
        "an altered body verifies: {altered:?}"
    );
    let everything: Vec<_> = received.iter().map(|webhook| format!("{webhook:?}")).collect();
    assert_eq!(
        cluster.finish_with_text(everything.join("\n")).await,
        Vec::<String>::new()
    );
}

fn body(webhook: &ReceivedWebhook) -> Value {
    serde_json::from_str(&webhook.body).unwrap()
}

/// Runs a command of an operator, which needs Postgres and maybe Redis.
async fn run(cluster: &Cluster, command: &[&str]) -> Output {
    let url = cluster.schema().url();
    let parts = [
        "--database-url",
        &url,
        "--vault-keys",
        KEYS,
        "--operator",
        "alice",
        "--json",
    ];
    postern(&[command, &parts].concat()).await
}

async fn json_of(cluster: &Cluster, command: &[&str]) -> Value {
    let output = run(cluster, command).await;
    assert_eq!(output.status, 0, "{}", output.stderr);
    serde_json::from_str(&output.stdout).unwrap()
}

#[tokio::test]
async fn given_up_webhook_is_listed_and_sent_again_or_discarded_or_erased_with_its_user() {
    let receiver = WebhookReceiver::start().await;
    let cluster = Cluster::builder(POSTERN)
        .worker_env("POSTERN_VAULT_KEYS", KEYS)
        .worker_env("POSTERN_APP_WEBHOOK_URL", receiver.url())
        .worker_env("POSTERN_APP_WEBHOOK_SECRETS", OLD)
        .start()
        .await;
    receiver.respond((0..3).map(|_| Response::Status(410, String::new())));
    let mut ids = Vec::new();
    for user in ["GEN-001", "GEN-002", "GEN-003"] {
        ids.push(raise(&cluster, user).await);
    }
    let dead = async || {
        cluster
            .schema()
            .sql("SELECT count(*) FROM app_webhooks WHERE dead_at IS NOT NULL")
            .await
            == ["3"]
    };
    wait::until_true("three webhooks to be given up", wait::deadline(), dead).await;

    let listed = json_of(&cluster, &["webhooks", "list", "--dead"]).await;
    let webhooks = listed["webhooks"].as_array().unwrap();
    let mut listed: Vec<_> = webhooks
        .iter()
        .map(|webhook| webhook["eventId"].as_str().unwrap())
        .collect();
    let mut expected: Vec<_> = ids.iter().map(String::as_str).collect();
    listed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(listed, expected);
    assert!(webhooks.iter().all(|webhook| webhook["state"] == "dead"
        && webhook["tries"] == 1
        && webhook["type"] == "security.alert"
        && webhook["lastError"] == "the receiver answered with status 410"));

    let id_of = |user: &str| webhooks.iter().find(|webhook| webhook["user"] == user).unwrap()["id"].to_string();
    let retried = json_of(&cluster, &["webhooks", "retry", "--id", &id_of("GEN-001")]).await;
    assert_eq!(retried["retried"][0]["state"], "waiting", "{retried}");
    with_id(&receiver, &ids[0], 2).await;
    json_of(&cluster, &["webhooks", "discard", "--dead", "--user", "GEN-002"]).await;
    let redis = Redis::shared().await.url();
    let erase = [
        "users",
        "erase",
        "--user",
        "GEN-003",
        "--yes",
        "--redis-url",
        &redis,
        "--redis-prefix",
        cluster.redis_prefix(),
    ];
    json_of(&cluster, &erase).await;
    let is_empty = async || cluster.schema().sql("SELECT count(*) FROM app_webhooks").await == ["0"];
    wait::until_true("the last webhook to be accepted", wait::deadline(), is_empty).await;
    let unknown = run(&cluster, &["webhooks", "discard", "--id", &id_of("GEN-002")]).await;
    assert_eq!(unknown.status, 1);
    assert!(unknown.stderr.contains("there is no webhook"), "{}", unknown.stderr);

    let sender = [
        "webhooks",
        "test",
        "--app-webhook-url",
        &receiver.url(),
        "--app-webhook-secrets",
        OLD,
    ];
    let tested = json_of(&cluster, &sender).await;
    let webhook = with_id(&receiver, tested["eventId"].as_str().unwrap(), 1)
        .await
        .remove(0);
    assert_eq!(body(&webhook)["type"], "webhook.test");
    receiver.respond([Response::Status(500, String::new())]);
    let refused = run(&cluster, &sender).await;
    assert_eq!(refused.status, 1);
    assert!(refused.stderr.contains("status 500"), "{}", refused.stderr);

    let rows = "SELECT action FROM audit WHERE connection_id = 'operator' AND action LIKE 'webhook%' ORDER BY action";
    assert_eq!(
        cluster.schema().sql(rows).await,
        ["webhook_discarded", "webhook_retried"]
    );
    let url = cluster.schema().url();
    let verified = postern(&["audit", "verify", "--database-url", &url, "--vault-keys", KEYS]).await;
    assert_eq!(verified.status, 0, "{}", verified.stderr);
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// The receiver's address has no listener.
#[tokio::test]
async fn absent_receiver_delays_no_device_and_no_webhook_is_lost() {
    let away = testkit::port::Port::claim();
    let cluster = Cluster::builder(POSTERN)
        .worker_env("POSTERN_APP_WEBHOOK_URL", format!("http://{}/hooks", away.addr()))
        .worker_env("POSTERN_APP_WEBHOOK_SECRETS", OLD)
        .start()
        .await;
    let device = client(&cluster, 0, "GEN-001").await;
    for _ in 0..20 {
        let id = raise(&cluster, "GEN-001").await;
        let alert = device.next_event("security:alert").await;
        assert_eq!(alert.data["alertId"], json!(id));
    }
    let stored = async || {
        cluster
            .schema()
            .sql("SELECT count(*) FROM app_webhooks WHERE dead_at IS NULL")
            .await
    };
    assert_eq!(stored().await, ["20"]);
    let failed = async || {
        cluster
            .schema()
            .sql("SELECT count(*) > 0 FROM app_webhooks WHERE tries > 0")
            .await
            == ["t"]
    };
    wait::until_true("a failed try", Duration::from_secs(30), failed).await;
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

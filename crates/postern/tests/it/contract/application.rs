//! Webhooks that the application receives, against the OpenAPI document.

use std::collections::BTreeSet;

use serde_json::Value;
use testkit::cluster::Cluster;
use testkit::wait;
use testkit::webhook_receiver::{ReceivedWebhook, WebhookReceiver};

use super::http::Api;
use crate::command_line::postern;

/// Secret of the receiver.
pub(super) const SECRET: &str = "whsec_b2xkLXNlY3JldC1vbGQtc2VjcmV0LW9sZC1zZWNyZXQ=";
/// Vault keys of the cluster, which the operator's command needs.
pub(super) const KEYS: &str = "hooked:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// Sends the webhook of an operator's test, waits for one of each type of the document, and validates all.
pub(super) async fn assert_webhooks(api: &Api<'_>, receiver: &WebhookReceiver) {
    test_as_operator(api.cluster, receiver).await;
    let webhooks = api.document["webhooks"].as_object().unwrap();
    let expected: BTreeSet<_> = webhooks.keys().cloned().collect();
    wait::until_true("a webhook of each type", wait::deadline(), async || {
        receiver.received().iter().map(kind).collect::<BTreeSet<_>>() == expected
    })
    .await;
    for webhook in receiver.received() {
        let kind = kind(&webhook);
        api.validate(&kind, &body(&webhook));
        for parameter in webhooks[&kind]["post"]["parameters"].as_array().unwrap() {
            assert_ne!(webhook.header(parameter["name"].as_str().unwrap()), "", "{parameter}");
        }
        assert_eq!(webhook.header("content-type"), "application/json");
    }
}

async fn test_as_operator(cluster: &Cluster, receiver: &WebhookReceiver) {
    let (url, database) = (receiver.url(), cluster.schema().url());
    let command = [
        "webhooks",
        "test",
        "--app-webhook-url",
        &url,
        "--app-webhook-secrets",
        SECRET,
    ];
    let of_operator = ["--database-url", &database, "--vault-keys", KEYS, "--operator", "alice"];
    let sent = postern(&[&command[..], &of_operator[..]].concat()).await;
    assert_eq!(sent.status, 0, "{}", sent.stderr);
}

fn body(webhook: &ReceivedWebhook) -> Value {
    serde_json::from_str(&webhook.body).unwrap()
}

fn kind(webhook: &ReceivedWebhook) -> String {
    body(webhook)["type"].as_str().unwrap().to_owned()
}

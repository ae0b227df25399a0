//! The audit log as an operator reads it: with the personal data, which the database has encrypted.

use serde_json::Value;
use testkit::cluster::Cluster;

use crate::command_line::postern;

/// Events that `postern audit export` prints, of all times.
pub(crate) async fn audit_events(cluster: &Cluster, vault_keys: &str, more: &[&str]) -> Vec<Value> {
    let url = cluster.schema().url();
    let args = [
        "audit",
        "export",
        "--since",
        "1d",
        "--database-url",
        &url,
        "--vault-keys",
        vault_keys,
    ];
    let exported = postern(&[&args, more].concat()).await;
    assert_eq!(exported.status, 0, "{}", exported.stderr);
    let events = exported.stdout.lines();
    events.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Action, address and device of an event, divided by spaces.
pub(crate) fn origin(event: &Value) -> String {
    let endpoint = &event["src_endpoint"];
    let parts = [&event["metadata"]["event_code"], &endpoint["ip"], &endpoint["name"]];
    parts.map(|part| part.as_str().unwrap_or_default()).join(" ")
}

//! Requests to the internal API that schemathesis generates from the OpenAPI document, valid and invalid ones, alone and in sequences.
//!
//! `POSTERN_SCHEMATHESIS_SECONDS` sets the duration.

use std::time::Duration;

use serde_json::json;
use testkit::Cluster;
use testkit::client::Native;
use testkit::client::http::{Request, plain};
use testkit::library::Program;
use testkit::scratch::Scratch;

/// Sends requests to a cluster for a time, and fails if one has a response of 5xx, or one that differs from the document.
pub(crate) async fn check_responses() {
    let seconds = std::env::var("POSTERN_SCHEMATHESIS_SECONDS").map_or(60, |seconds| seconds.parse().unwrap());
    let scratch = Scratch::new("openapi");
    let documents = reference::documents().unwrap();
    let openapi = documents
        .iter()
        .find(|document| document.path == "openapi.json")
        .unwrap();
    let document = scratch.write(&openapi.path, &openapi.text);
    let cluster = Cluster::builder(env!("CARGO_BIN_EXE_postern"))
        .gateways(1)
        .start()
        .await;
    let user = Native::connect(&cluster.endpoint(0), &cluster.token(USER))
        .await
        .unwrap();
    raise_alert(&cluster).await;

    let run = Program::python_command("schemathesis")
        .arg("run")
        .arg(document)
        .args(["--url", &cluster.gateway(0).internal_url()])
        .args([
            "--header",
            &format!("Authorization: Bearer {}", cluster.internal_token()),
        ])
        .args(["--include-tag", "internal", "--exclude-checks", NOT_STATED])
        .args(["--max-time", &format!("{seconds}"), "--continue-on-failure"])
        .args(["--generation-database", "none", "--no-color"])
        .start();
    let status = run.wait(Duration::from_secs(seconds) + REPORTED_WITHIN).await;
    assert_eq!(status, 0, "{}", run.logs());
    assert!(sent_requests(&run.stdout()) > Some(100), "{}", run.logs());
    drop(user);
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// Number of requests that the report of a run states.
fn sent_requests(report: &str) -> Option<u64> {
    let line = report.lines().find(|line| line.contains(" generated, "))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Publishes an alert, so that the user has one to be listed.
async fn raise_alert(cluster: &Cluster) {
    let alert = json!({ "event": "security:alert", "data": { "severity": "high", "type": "suspicious_login",
        "message": "Sign-in from a new country", "requiresAction": true } });
    let request = Request::post(&format!("/v1/users/{USER}/events"), &alert).bearer(cluster.internal_token());
    let response = plain(cluster.gateway(0).internal_addr(), &request).await.unwrap();
    assert_eq!(response.status, 202, "{}", response.text());
}

/// User that the examples of the document name.
const USER: &str = "GEN-001";
/// Checks of what the document does not state: that an invalid request is refused, as Postern accepts numbers as text, and further
/// members; that a valid one is accepted, as a cursor must be one of the list, and `userId` the user of the path; and that a deleted
/// list is not found, as that of a user without sessions or accounts is empty.
const NOT_STATED: &str = "negative_data_rejection,positive_data_acceptance,use_after_free";
/// Time in which schemathesis starts, and reports.
const REPORTED_WITHIN: Duration = Duration::from_secs(120);

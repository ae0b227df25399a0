//! Drill: Postgres is restored from a base backup and the archived log, checked, and used again.

use serde_json::{Value, json};
use testkit::Postgres;
use testkit::cluster::Cluster;
use testkit::scratch::Scratch;
use testkit::wait;

use crate::callback::link_by_page;
use crate::command_line::postern;
use crate::stage::{POSTERN, Platforms, client, connect};
use crate::x_twitter;

const KEYS: &str = "backed-up:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const OTHER_KEYS: &str = "another:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// Result of `postern restore check`: its exit status and its report.
async fn check(url: &str, keys: &str, more: &[&str]) -> (i32, Value) {
    let args = [
        "restore",
        "check",
        "--json",
        "--database-url",
        url,
        "--vault-keys",
        keys,
    ];
    let checked = postern(&[&args, more].concat()).await;
    let report = serde_json::from_str(&checked.stdout);
    (checked.status, report.unwrap_or_else(|_| panic!("{}", checked.stderr)))
}

/// Cluster on this server, with the simulated GitHub and X.
async fn cluster(platforms: &Platforms, schema: testkit::postgres::Schema) -> Cluster {
    let builder = Cluster::builder(POSTERN).worker_env("POSTERN_VAULT_KEYS", KEYS);
    let builder = platforms.linked_to(builder.schema(schema));
    x_twitter::linked_to(platforms, builder).start().await
}

/// Number of accounts that a user sees.
async fn accounts(cluster: &Cluster, user: &str) -> usize {
    let caller = client(cluster, 0, user).await;
    let answer = caller.emit_with_ack("account:list", json!({})).await;
    answer["accounts"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"))
        .len()
}

#[tokio::test]
async fn restored_database_is_checked_and_has_what_was_committed_until_its_restore_point() {
    let mut postgres = Postgres::start_archiving().await;
    let platforms = Platforms::start().await;
    let mut before = cluster(&platforms, postgres.schema().await).await;
    let backup = postgres.base_backup().await;
    let early = client(&before, 0, "GEN-001").await;
    link_by_page(&before, &platforms, &early, "x_twitter").await;
    postgres.restore_point("noon").await;
    let late = client(&before, 0, "GEN-002").await;
    let linked = late
        .emit_with_ack("account:connect", connect("GEN-002", "test_code_late"))
        .await;
    assert_eq!(linked["success"], true, "{linked}");
    // A worker logs the heads of all chains at its start.
    before.start_worker().await;
    let logged = wait::until("the heads to be logged", wait::deadline(), async || {
        Some(before.worker(1).logs()).filter(|log| log.contains("audit heads"))
    });
    let scratch = Scratch::new("heads");
    let heads = scratch.write("worker.log", logged.await).display().to_string();
    postgres.kill().await;

    let restored = backup.restore_to("noon").await;
    let schema = restored.schema_of_copy(before.schema());
    let url = schema.url();
    drop(before);
    // X tokens live for two hours: a server that was lost now has not refreshed one.
    let (status, report) = check(&url, KEYS, &[]).await;
    assert_eq!((status, &report["linkAgain"]), (0, &json!([])), "{report}");
    let (status, report) = check(&url, KEYS, &["--heads", &heads, "--lost-until", "2099-01-01T00:00:00Z"]).await;
    assert_eq!(status, 1, "{report}");
    assert_eq!(report["linkAgain"][0]["user"], "GEN-001", "{report}");
    assert_eq!(report["linkAgain"][0]["accountType"], "x_twitter", "{report}");
    assert_eq!(report["openSessions"], 1, "{report}");
    let lost = json!([{ "user": "GEN-002", "seq": 1, "fault": "it is missing" }]);
    assert_eq!(report["audit"]["broken"], lost, "{report}");
    let (status, report) = check(&url, OTHER_KEYS, &[]).await;
    assert_eq!(status, 1, "{report}");
    assert!(!report["unreadable"].as_array().unwrap().is_empty(), "{report}");

    let after = cluster(&platforms, schema).await;
    assert_eq!(
        (accounts(&after, "GEN-001").await, accounts(&after, "GEN-002").await),
        (1, 0)
    );
    assert_eq!(after.finish().await, Vec::<String>::new());
}

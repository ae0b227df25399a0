//! Drill: Postgres is restored from a base backup and the archived log, checked, and used again.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::client::SocketIo;
use testkit::cluster::Cluster;
use testkit::postgres::Schema;
use testkit::scratch::Scratch;
use testkit::token::claims;
use testkit::wait;
use testkit::{Postgres, Redis};

use crate::callback::link_by_page;
use crate::command_line::postern;
use crate::stage::{POSTERN, Platforms, client, connect};
use crate::x_twitter;

const KEYS: &str = "backed-up:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const OTHER_KEYS: &str = "another:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// Result of `postern restore check`: its exit status and its report.
async fn check(url: &str, keys: &str, more: &[&str]) -> (i32, Value) {
    restore("check", url, keys, more).await
}

/// Result of a command of `postern restore`.
async fn restore(command: &str, url: &str, keys: &str, more: &[&str]) -> (i32, Value) {
    let args = [
        "restore",
        command,
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
async fn cluster(platforms: &Platforms, schema: Schema) -> Cluster {
    let builder = Cluster::builder(POSTERN).worker_env("POSTERN_VAULT_KEYS", KEYS);
    let builder = platforms.linked_to(builder.schema(schema));
    x_twitter::linked_to(platforms, builder).start().await
}

/// Socket of a user who has signed in again: the earlier session was ended.
async fn signed_in_again(cluster: &Cluster, user: &str) -> SocketIo {
    let mut claims = claims(user, Duration::from_secs(3_600));
    claims["sid"] = json!("again");
    let token = cluster.token_with(&claims);
    SocketIo::connect(&cluster.endpoint(0), &token).await.unwrap()
}

/// Number of accounts that a user sees.
async fn accounts(cluster: &Cluster, user: &str) -> usize {
    let caller = signed_in_again(cluster, user).await;
    let answer = caller.emit_with_ack("account:list", json!({})).await;
    answer["accounts"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"))
        .len()
}

/// Applies the findings: with the wrong keys nothing, then all, and then nothing is left to do.
async fn apply(schema: &Schema, loss: &[&str]) {
    let (url, operator) = (schema.url(), ["--operator", "alice"]);
    let loss_and_operator = [loss, &operator].concat();
    let operators = "SELECT subject FROM audit WHERE connection_id = 'operator' ORDER BY seq";
    let (status, report) = restore("apply", &url, OTHER_KEYS, &loss_and_operator).await;
    assert_eq!((status, &report["applied"]), (1, &json!(false)), "{report}");
    assert_eq!(schema.sql(operators).await, Vec::<String>::new());

    let redis = Redis::shared().await;
    let (address, prefix) = (redis.url(), redis.prefix());
    let ending = ["--end-sessions", "--redis-url", &address, "--redis-prefix", &prefix];
    let (status, report) = restore("apply", &url, KEYS, &[&loss_and_operator[..], &ending].concat()).await;
    assert_eq!((status, &report["marked"]), (0, &json!(1)), "{report}");
    let ended = "SELECT user_id FROM users WHERE sessions_ended_at IS NOT NULL";
    assert_eq!(schema.sql(ended).await, ["GEN-001"]);
    let recorded = schema.sql(operators).await;
    assert!(
        recorded[0].contains("lost until 2099-01-01T00:00:00.000Z, 1 accounts"),
        "{recorded:?}"
    );
    // The chain of a user whom the restored database does not know is named in that of the operators.
    let lost = "restore apply: rows from 1 on were lost, logged head ";
    assert!(
        recorded[1].starts_with(lost) && recorded[1].ends_with(" GEN-002"),
        "{recorded:?}"
    );
    let (_, report) = check(&url, KEYS, loss).await;
    assert_eq!(report["linkAgain"], json!([]), "{report}");
    assert_eq!(report["openSessions"], 0, "{report}");
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
    let loss = ["--heads", &heads, "--lost-until", "2099-01-01T00:00:00Z"];
    apply(&schema, &loss).await;

    let after = cluster(&platforms, schema).await;
    assert_eq!(
        (accounts(&after, "GEN-001").await, accounts(&after, "GEN-002").await),
        (1, 0)
    );
    let ended = SocketIo::connect(&after.endpoint(0), &after.token("GEN-001")).await;
    assert!(ended.is_err(), "a session that was open in the backup is ended");
    let user = signed_in_again(&after, "GEN-001").await;
    let listed = user.emit_with_ack("account:list", json!({})).await;
    assert_eq!(listed["accounts"][0]["status"], "error", "{listed}");
    let alerts = user.emit_with_ack("security:alerts", json!({})).await;
    let alert = alerts["alerts"].as_array().unwrap().last().unwrap();
    assert_eq!(alert["type"], "refresh_failed", "{alerts}");
    let verified = postern(&["audit", "verify", "--database-url", &url, "--vault-keys", KEYS]).await;
    assert_eq!(verified.status, 0, "{}", verified.stderr);
    assert_eq!(after.finish().await, Vec::<String>::new());
}

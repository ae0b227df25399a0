//! Audit log: every change of an account has a row, and tampering is detected.

use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};
use testkit::client::SocketIo;
use testkit::client::http::{Request, plain};
use testkit::cluster::Cluster;
use testkit::node::Output;
use testkit::process::Launch;
use testkit::scratch::Scratch;
use testkit::wait;

use crate::audit_events::{audit_events, origin};
use crate::command_line::postern;
use crate::stage::{POSTERN, Platforms, client, cluster, connect};

const KEYS: &str = "audited:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// Waits until the device of this user's first socket has its row.
async fn seen(cluster: &Cluster, user: &str) {
    let rows = format!("SELECT action FROM audit WHERE user_id = '{user}'");
    wait::until_true("the row of the device", wait::deadline(), async || {
        cluster.schema().sql(&rows).await == ["device_seen"]
    })
    .await;
}

/// A cluster in which GEN-001 was seen with a device, has linked an account and unlinked it again.
async fn cluster_with_a_history(platforms: &Platforms) -> Cluster {
    let builder = Cluster::builder(POSTERN).worker_env("POSTERN_VAULT_KEYS", KEYS);
    let cluster = platforms.linked_to(builder).start().await;
    let caller = SocketIo::to(&cluster.endpoint(0))
        .auth(json!({"token": cluster.token("GEN-001"), "deviceId": "a\nphone"}))
        .connect()
        .await
        .unwrap();
    seen(&cluster, "GEN-001").await;
    let answer = caller
        .emit_with_ack("account:connect", connect("GEN-001", "test_code_audited"))
        .await;
    assert_eq!(answer.get("success"), Some(&json!(true)), "{answer}");
    let unlink = json!({"userId": "GEN-001", "accountType": "github"});
    let answer = caller.emit_with_ack("account:disconnect", unlink).await;
    assert_eq!(answer.get("success"), Some(&json!(true)), "{answer}");
    cluster
}

async fn verify(cluster: &Cluster, more: &[&str]) -> Output {
    let url = cluster.schema().url();
    let args = ["audit", "verify", "--database-url", &url, "--vault-keys", KEYS];
    postern(&[&args, more].concat()).await
}

#[tokio::test]
async fn link_and_unlink_are_audited_in_a_valid_chain() {
    let platforms = Platforms::start().await;
    let cluster = cluster_with_a_history(&platforms).await;
    let rows = "SELECT seq, action, result, session_id, subject, address, device FROM audit WHERE user_id = 'GEN-001' ORDER BY seq";
    assert_eq!(
        cluster.schema().sql(rows).await,
        [
            "1\tdevice_seen\tok\tdefault\t\t\t",
            "2\taccount_linked\tok\tdefault\t\t\t",
            "3\taccount_unlinked\tok\tdefault\t\t\t"
        ]
    );
    let events = audit_events(&cluster, KEYS, &[]).await;
    assert_eq!(
        events.iter().map(origin).collect::<Vec<_>>(),
        [
            "device_seen 127.0.0.1 aphone",
            "account_linked 127.0.0.1 aphone",
            "account_unlinked 127.0.0.1 aphone"
        ]
    );
    assert_eq!(events[0]["message"], "device_seen the first, on 127.0.0.0/24");
    let traces = cluster.schema().sql("SELECT DISTINCT trace_id FROM audit").await;
    assert!(
        traces.len() == 3 && traces.iter().all(|trace| trace.len() == 32),
        "{traces:?}"
    );
    for user in [&[][..], &["--user", "GEN-001"]] {
        let verified = verify(&cluster, user).await;
        assert_eq!(
            (verified.status, verified.stdout.trim()),
            (0, "3 rows of 1 users are as they were written"),
            "{}",
            verified.stderr
        );
    }
    let without_a_row = verify(&cluster, &["--user", "GEN-002"]).await;
    assert_eq!(without_a_row.status, 0, "{}", without_a_row.stderr);
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn export_prints_the_rows_of_the_asked_time_once() {
    let platforms = Platforms::start().await;
    let cluster = cluster_with_a_history(&platforms).await;
    let other = client(&cluster, 0, "GEN-002").await;
    seen(&cluster, "GEN-002").await;
    let url = cluster.schema().url();
    let export = async |more: &[&str]| {
        let args = ["audit", "export", "--database-url", &url, "--vault-keys", KEYS];
        let exported = postern(&[&args, more].concat()).await;
        assert_eq!(exported.status, 0, "{}", exported.stderr);
        exported
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect::<Vec<Value>>()
    };
    let all = export(&["--since", "1h"]).await;
    let rows: Vec<_> = all
        .iter()
        .map(|event| {
            (
                event["metadata"]["uid"].as_str().unwrap(),
                event["type_uid"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            ("GEN-001/1", 300_201),
            ("GEN-001/2", 300_501),
            ("GEN-001/3", 300_502),
            ("GEN-002/1", 300_201)
        ]
    );
    assert_eq!(all[0]["src_endpoint"]["ip"], "127.0.0.1");
    assert_eq!(export(&["--since", "1h", "--user", "GEN-001"]).await, all[..3]);
    let after_first = export(&["--since", "1h", "--until", "30m"]).await;
    assert_eq!(after_first, Vec::<Value>::new());
    let tail = ["audit", "tail", "--database-url", &url, "--vault-keys", KEYS];
    let newest = postern(&tail).await;
    let actions: Vec<_> = newest
        .stdout
        .lines()
        .map(|line| line.split(' ').nth(3).unwrap())
        .collect();
    assert_eq!(
        actions,
        ["device_seen", "account_linked", "account_unlinked", "device_seen"]
    );
    drop(other);
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn refused_commands_for_another_user_are_counted_in_the_callers_chain() {
    let platforms = Platforms::start().await;
    let cluster = cluster_with_a_history(&platforms).await;
    let thief = client(&cluster, 0, "GEN-666").await;
    seen(&cluster, "GEN-666").await;
    for _ in 0..5 {
        let answer = thief
            .emit_with_ack("account:connect", connect("GEN-001", "test_code_stolen"))
            .await;
        assert_eq!(answer["error"], "forbidden", "{answer}");
    }
    // A gateway reports once a minute, and when it ends.
    cluster.gateway(0).terminate();
    let rows = "SELECT user_id, action, subject, result, count FROM audit WHERE action = 'command_refused'";
    let received = wait::until("the rows of the refusals", wait::deadline(), async || {
        Some(cluster.schema().sql(rows).await).filter(|rows| !rows.is_empty())
    })
    .await;
    assert_eq!(received, ["GEN-666\tcommand_refused\taccount:connect\tforbidden\t5"]);
    let verified = verify(&cluster, &[]).await;
    assert_eq!(
        (verified.status, verified.stdout.trim()),
        (0, "5 rows of 2 users are as they were written"),
        "{}",
        verified.stderr
    );
}

#[tokio::test]
async fn confirmations_and_alerts_are_audited_with_their_caller() {
    let cluster = cluster(&Platforms::start().await).await;
    let caller = client(&cluster, 0, "GEN-001").await;
    seen(&cluster, "GEN-001").await;
    let action = json!({"action": "security:revoke_all"});
    let confirmation = caller.emit_with_ack("security:request_confirmation", action).await;
    assert_eq!(confirmation["success"], true, "{confirmation}");
    let altered = json!({"userId": "GEN-001", "confirmationToken": "altered"});
    let refused = caller.emit_with_ack("security:revoke_all", altered).await;
    assert_eq!(refused["error"], "confirmation_invalid", "{refused}");

    let alert =
        json!({"severity": "high", "type": "suspicious_login", "message": "is it you?", "requiresAction": true});
    let event = json!({"event": "security:alert", "data": alert});
    let publish = Request::post("/v1/users/GEN-001/events", &event)
        .bearer(cluster.internal_token())
        .header("User-Agent", "application/1.0")
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let published = plain(cluster.gateway(0).internal_addr(), &publish).await.unwrap();
    let alert = published.json()["eventId"].as_str().unwrap().to_owned();
    let acked = caller.emit_with_ack("security:ack", json!({"alertId": alert})).await;
    assert_eq!(acked["success"], true, "{acked}");

    // A gateway reports refusals once a minute, and when it ends.
    cluster.gateway(0).terminate();
    let rows =
        "SELECT action, subject, result, session_id FROM audit WHERE user_id = 'GEN-001' AND seq > 1 ORDER BY seq";
    let received = wait::until("the row of the refusal", wait::deadline(), async || {
        Some(cluster.schema().sql(rows).await).filter(|rows| rows.len() == 4)
    })
    .await;
    assert_eq!(
        received,
        [
            "confirmation_issued\tsecurity:revoke_all\tok\tdefault".to_owned(),
            format!("alert_raised\tsuspicious_login {alert}\tok\tinternal API"),
            format!("alert_acknowledged\tsuspicious_login {alert}\tok\tdefault"),
            "command_refused\tsecurity:revoke_all\tconfirmation_invalid\tdefault".to_owned(),
        ]
    );
    let events = audit_events(&cluster, &cluster.vault_keys(), &["--user", "GEN-001"]).await;
    assert_eq!(
        events[1..].iter().map(origin).collect::<Vec<_>>(),
        [
            "confirmation_issued 127.0.0.1 unknown",
            "alert_raised 127.0.0.1 application/1.0",
            "alert_acknowledged 127.0.0.1 unknown",
            "command_refused 127.0.0.1 unknown"
        ]
    );
    let traced = "SELECT action FROM audit WHERE trace_id = '4bf92f3577b34da6a3ce929d0e0e4736'";
    assert_eq!(cluster.schema().sql(traced).await, ["alert_raised"]);
}

#[tokio::test]
async fn a_row_that_was_tampered_with_is_named() {
    let platforms = Platforms::start().await;
    let cluster = cluster_with_a_history(&platforms).await;
    cluster
        .schema()
        .sql("ALTER TABLE audit DISABLE TRIGGER USER; UPDATE audit SET session_id = 'another' WHERE seq = 2")
        .await;
    let verified = verify(&cluster, &[]).await;
    assert_eq!(verified.status, 1);
    let named = "user \"GEN-001\", row 2: it was altered";
    assert!(verified.stderr.contains(named), "{}", verified.stderr);
}

/// Starts another worker, and returns its log with the heads: a worker logs them when it starts, and then once an hour.
async fn log_with_heads(cluster: &mut Cluster) -> String {
    cluster.start_worker().await;
    wait::until("the heads to be logged", wait::deadline(), async || {
        Some(cluster.worker(1).logs()).filter(|log| log.contains("audit heads"))
    })
    .await
}

#[tokio::test]
async fn a_cut_tail_is_found_with_the_heads_that_a_worker_logged() {
    let platforms = Platforms::start().await;
    let mut cluster = cluster_with_a_history(&platforms).await;
    let log = log_with_heads(&mut cluster).await;
    let scratch = Scratch::new("heads");
    let heads = scratch.write("worker.log", log).display().to_string();
    let verified = verify(&cluster, &["--heads", &heads]).await;
    assert_eq!(verified.status, 0, "{}", verified.stderr);
    assert!(
        verified.stdout.contains("logged heads among them"),
        "{}",
        verified.stdout
    );

    cluster
        .schema()
        .sql(
            "ALTER TABLE audit DISABLE TRIGGER USER; ALTER TABLE audit_heads DISABLE TRIGGER USER; \
             DELETE FROM audit WHERE seq = 3; \
             UPDATE audit_heads SET (seq, mac) = (SELECT seq, mac FROM audit WHERE seq = 2)",
        )
        .await;
    assert_eq!(verify(&cluster, &[]).await.status, 0);
    for user in [&[][..], &["--user", "GEN-001"]] {
        let cut = verify(&cluster, &[&["--heads", &heads], user].concat()).await;
        assert_eq!(cut.status, 1);
        let named = "user \"GEN-001\", row 3: it is missing";
        assert!(cut.stderr.contains(named), "{}", cut.stderr);
    }
}

#[tokio::test]
async fn young_log_without_heads_is_intact_and_a_forged_head_is_not() {
    let platforms = Platforms::start().await;
    let mut cluster = cluster_with_a_history(&platforms).await;
    let log = log_with_heads(&mut cluster).await;
    let scratch = Scratch::new("heads");
    let young: String = log
        .lines()
        .filter(|line| !line.contains("audit heads"))
        .map(|line| format!("{line}\n"))
        .collect();
    let young = scratch.write("young.log", young).display().to_string();
    for user in [&[][..], &["--user", "GEN-001"]] {
        let verified = verify(&cluster, &[&["--heads", &young], user].concat()).await;
        assert_eq!(verified.status, 0, "{}", verified.stderr);
        let sentence = "are as they were written; ";
        assert!(
            verified.stdout.contains(sentence) && verified.stdout.contains("young.log has no head of them yet"),
            "{}",
            verified.stdout
        );
    }

    let (_, mac) = log.split_once(r#"\"mac\":\""#).unwrap();
    let forged = log.replace(mac.split_once('\\').unwrap().0, &"0".repeat(64));
    assert_ne!(forged, log);
    let forged = scratch.write("forged.log", forged).display().to_string();
    let refused = verify(&cluster, &["--heads", &forged]).await;
    assert_eq!(refused.status, 1, "{}", refused.stdout);
    assert!(
        refused.stderr.contains("it is not the row that was logged"),
        "{}",
        refused.stderr
    );
}

#[tokio::test]
async fn file_that_is_no_log_is_refused() {
    let scratch = Scratch::new("heads");
    let heads = scratch
        .write("worker.log", "at work\n{\"log\":\"wrapped\"}\n")
        .display()
        .to_string();
    let url = "postgres://nobody@127.0.0.1:1/nowhere";
    let args = [
        "audit",
        "verify",
        "--database-url",
        url,
        "--vault-keys",
        KEYS,
        "--heads",
        &heads,
    ];
    let refused = postern(&args).await;
    assert_eq!(refused.status, 1);
    assert!(
        refused.stderr.contains("has no line of a worker's log"),
        "{}",
        refused.stderr
    );
}

#[tokio::test]
async fn followed_tail_prints_each_row_once_those_of_before_first() {
    let platforms = Platforms::start().await;
    let cluster = cluster_with_a_history(&platforms).await;
    let mut command = Command::new(POSTERN);
    let url = cluster.schema().url();
    command.args([
        "audit",
        "tail",
        "--follow",
        "--database-url",
        &url,
        "--vault-keys",
        KEYS,
    ]);
    let tail = Launch::new("tail", &Arc::new(Scratch::new("tail")), command)
        .without_environment()
        .start();
    tail.line("GEN-001 3 account_unlinked", wait::deadline()).await;
    for user in ["GEN-002", "GEN-003"] {
        let _socket = client(&cluster, 0, user).await;
        // Looked up again with each later row, as it may have been committed late.
        tail.line(&format!("{user} 1 device_seen"), wait::deadline()).await;
    }
    let printed = tail.stdout();
    let actions: Vec<_> = printed.lines().map(|line| line.split(' ').nth(3).unwrap()).collect();
    let history = ["device_seen", "account_linked", "account_unlinked"];
    assert_eq!(actions, [&history[..], &["device_seen"; 2]].concat());
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

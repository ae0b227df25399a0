//! Callers of the internal API: the file of their tokens, its reload, and the port without callers.

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use data_encoding::HEXLOWER;
use futures_util::future::join_all;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use testkit::client::http::{KeptAlive, Request, plain};
use testkit::cluster::Cluster;
use testkit::scratch::Scratch;
use testkit::token::random_text;
use testkit::wait;
use tokio::net::TcpStream;
use tokio::time::interval;

use crate::command_line::postern_with;
use crate::stage::POSTERN;

/// Tokens file of a test.
pub(crate) struct TokensFile {
    scratch: Scratch,
    path: PathBuf,
}

impl TokensFile {
    pub(crate) fn new(entries: &Value) -> Self {
        let scratch = Scratch::new("tokens");
        let path = scratch.write("tokens.json", entries.to_string());
        Self { scratch, path }
    }

    /// Replaces the file atomically.
    fn replace(&self, content: &str) {
        let new = self.scratch.write("new.json", content);
        std::fs::rename(new, &self.path).unwrap();
    }

    /// One gateway with this file and without the single token.
    pub(crate) async fn cluster(&self, workers: usize) -> Cluster {
        Cluster::builder(POSTERN)
            .gateways(1)
            .workers(workers)
            .without("POSTERN_INTERNAL_TOKEN")
            .gateway_env("POSTERN_INTERNAL_TOKENS_FILE", self.path.display())
            .gateway_env("POSTERN_LOG", "info,gateway=debug")
            .start()
            .await
    }
}

fn hash(token: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(token))
}

pub(crate) fn entry(name: &str, scopes: &[&str], token: &str) -> Value {
    json!({ "name": name, "scopes": scopes, "sha256": hash(token) })
}

/// Caller that may list connections.
fn reader(token: &str) -> Value {
    entry("reader", &["read_connections"], token)
}

fn list(token: &str) -> Request {
    Request::get("/v1/users/GEN-001/connections").bearer(token)
}

async fn status(at: SocketAddr, token: &str) -> u16 {
    plain(at, &list(token)).await.unwrap().status
}

#[tokio::test]
async fn rotation_of_a_token_under_concurrent_requests_refuses_none() {
    let file = TokensFile::new(&json!([reader("old")]));
    let cluster = file.cluster(0).await;
    let at = cluster.gateway(0).internal_addr();
    let current = Cell::new(Some("old"));
    let served_by_new: [Cell<u32>; CALLERS] = Default::default();
    let call = async |served_by_new: &Cell<u32>| {
        let (mut pace, mut connection) = (interval(PACE), KeptAlive::connect(at).await.unwrap());
        while let Some(token) = current.get() {
            pace.tick().await;
            assert_eq!(connection.send(&list(token)).await.unwrap().status, 200, "{token}");
            served_by_new.set(served_by_new.get() + u32::from(token == "new"));
        }
    };
    let rotate = async {
        file.replace(&json!([reader("old"), reader("new")]).to_string());
        wait::until_true("the new token to be accepted", wait::deadline(), async || {
            status(at, "new").await == 200
        })
        .await;
        assert_eq!(status(at, "old").await, 200);
        current.set(Some("new"));
        wait::until_true("every caller to use the new token", wait::deadline(), async || {
            served_by_new.iter().all(|served| served.get() > 0)
        })
        .await;
        file.replace(&json!([reader("new")]).to_string());
        wait::until_true("the old token to be refused", wait::deadline(), async || {
            status(at, "old").await == 401
        })
        .await;
        current.set(None);
    };
    tokio::join!(join_all(served_by_new.iter().map(call)), rotate);
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn invalid_file_keeps_the_last_callers_and_is_reported_without_its_content() {
    let file = TokensFile::new(&json!([reader("old")]));
    let cluster = file.cluster(0).await;
    let at = cluster.gateway(0).internal_addr();
    assert_eq!((status(at, "old").await, status(at, "new").await), (200, 401));
    assert_eq!(status(at, &hash("old")).await, 401, "a stolen hash is no token");

    file.replace(&json!([reader("new"), entry("swordfish", &["everything"], "x")]).to_string());
    wait::until_true("the file to be rejected", wait::deadline(), async || {
        cluster.logs().contains("changed file rejected")
    })
    .await;
    assert_eq!((status(at, "old").await, status(at, "new").await), (200, 401));
    assert!(!cluster.logs().contains("swordfish"), "{}", cluster.logs());
    let metrics = cluster.gateway(0).metrics().await;
    let failing = r#"postern_reload_failing{variable="POSTERN_INTERNAL_TOKENS_FILE"} 1"#;
    assert!(metrics.contains(failing), "{metrics}");

    let mut kept = KeptAlive::connect(at).await.unwrap();
    assert_eq!(kept.send(&list("old")).await.unwrap().status, 200);
    file.replace("[]");
    wait::until_true("the removed token to be refused", wait::deadline(), async || {
        kept.send(&list("old")).await.unwrap().status == 401
    })
    .await;
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn name_of_the_caller_is_in_its_audit_records() {
    let [billing, support] = [random_text(), random_text()];
    let file = TokensFile::new(&json!([
        entry("billing", &["publish_events"], &billing),
        entry("support", &["end_sessions"], &support),
    ]));
    let cluster = file.cluster(1).await;
    cluster.canary(&billing);
    cluster.canary(&support);
    let at = cluster.gateway(0).internal_addr();
    let data = json!({"severity": "low", "type": "new_device", "message": "m", "requiresAction": false});
    let alert = json!({"event": "security:alert", "data": data});
    let publish = |token: &str| Request::post("/v1/users/GEN-001/events", &alert).bearer(token);
    assert_eq!(plain(at, &publish(&billing)).await.unwrap().status, 202);
    let refused = plain(at, &publish(&support)).await.unwrap();
    assert_eq!((refused.status, &refused.json()["error"]), (403, &json!("forbidden")));

    let sessions = "SELECT session_id FROM audit WHERE action = 'alert_raised'";
    assert_eq!(cluster.schema().sql(sessions).await, ["internal API: billing"]);
    let logs = cluster.gateway(0).logs();
    let line = |text: &str, caller: &str| logs.lines().any(|line| line.contains(text) && line.contains(caller));
    assert!(line("internal API request served", "billing"), "{logs}");
    assert!(line("internal API request refused", "support"), "{logs}");
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn without_callers_no_port_of_the_internal_api_is_bound() {
    let cluster = Cluster::builder(POSTERN)
        .gateways(1)
        .workers(0)
        .without("POSTERN_INTERNAL_TOKEN")
        .start()
        .await;
    assert!(cluster.gateway(0).logs().contains("internal API off"));
    TcpStream::connect(cluster.gateway(0).internal_addr())
        .await
        .unwrap_err();
    let health = cluster.gateway(0).health_addr();
    let answers = async |request: Request| {
        let answer = plain(health, &request).await.unwrap();
        (answer.status, answer.text())
    };
    assert_eq!(answers(list("any")).await, (404, "not found\n".to_owned()));
    let wrong_method = Request::new("POST", "/livez");
    assert_eq!(answers(wrong_method).await, (405, "method not allowed\n".to_owned()));
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn health_routes_are_not_on_the_port_of_the_internal_api() {
    let file = TokensFile::new(&json!([reader("t")]));
    let cluster = file.cluster(0).await;
    for path in ["/livez", "/readyz", "/metrics"] {
        let request = Request::get(path).bearer("t");
        let answer = plain(cluster.gateway(0).internal_addr(), &request).await.unwrap();
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (404, &json!("not_supported")),
            "{path}"
        );
    }
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn wrong_settings_of_the_internal_api_stop_the_start() {
    let file = TokensFile::new(&json!([entry("swordfish", &["everything"], "x")]));
    let missing = file.scratch.path().join("missing").display().to_string();
    let variables = [
        ("POSTERN_INTERNAL_TOKENS_FILE", file.path.display().to_string()),
        ("POSTERN_INTERNAL_CLIENT_CA", missing.clone()),
        ("POSTERN_INTERNAL_TOKEN", String::new()),
    ];
    let refused = postern_with(&["gateway"], &variables).await;
    assert_eq!(refused.status, 1);
    for line in [
        "POSTERN_INTERNAL_TOKENS_FILE is not a JSON list",
        "POSTERN_INTERNAL_TLS_CERT is required with POSTERN_INTERNAL_CLIENT_CA",
        "POSTERN_INTERNAL_TOKEN is empty",
    ] {
        assert!(refused.stderr.contains(line), "{line}: {}", refused.stderr);
    }
    assert!(!refused.stderr.contains("swordfish"), "{}", refused.stderr);
    let refused = postern_with(&["gateway"], &[("POSTERN_INTERNAL_TOKENS_FILE", missing.clone())]).await;
    let line = format!("POSTERN_INTERNAL_TOKENS_FILE cannot be read: {missing}");
    assert!(refused.stderr.contains(&line), "{}", refused.stderr);
}

const CALLERS: usize = 8;
/// Time between two requests of a caller.
const PACE: Duration = Duration::from_millis(20);

//! `postern users erase` beside a running cluster: what is left of the user, and that a command that was cut off is repeated.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::client::SocketIo;
use testkit::client::http::{Request, plain};
use testkit::cluster::Cluster;
use testkit::node::Output;
use testkit::process::{Launch, Process};
use testkit::scratch::Scratch;
use testkit::token::claims;
use testkit::{Redis, wait};
use tokio::time::Instant;

use crate::audit_events::audit_events;
use crate::command_line::postern;
use crate::stage::{POSTERN, Platforms, connect};

const KEYS: &str = "erased:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const USER: &str = "GEN-001";
const DEVICE: &str = "canary-phone";
const MESSAGE: &str = "canary message";

/// Cluster with a Redis of its own, and a user who has linked an account, received an alert and is connected.
struct Stage {
    redis: Redis,
    platforms: Platforms,
    cluster: Cluster,
}

impl Stage {
    async fn start() -> Self {
        let redis = Redis::start().await;
        let platforms = Platforms::start().await;
        let builder = Cluster::builder(POSTERN).worker_env("POSTERN_VAULT_KEYS", KEYS);
        let cluster = platforms.linked_to(builder.redis(&redis)).start().await;
        Self {
            redis,
            platforms,
            cluster,
        }
    }

    /// Socket of a new session of the user with a token of this moment, once one is admitted: its time counts in whole seconds.
    async fn socket(&self, session: &str) -> SocketIo {
        wait::until("a socket to be admitted", wait::deadline(), async || {
            let mut claims = claims(USER, Duration::from_secs(3_600));
            claims["sid"] = json!(session);
            let auth = json!({"token": self.cluster.token_with(&claims), "deviceId": DEVICE});
            let connected = SocketIo::to(&self.cluster.endpoint(0)).auth(auth).connect().await;
            connected.ok()
        })
        .await
    }

    /// Links the account of this name, and receives an alert.
    async fn live(&self, name: &str) -> SocketIo {
        // The ids of sessions stay.
        let caller = self.socket(&name.replace("canary", "session")).await;
        let code = connect(USER, &format!("test_code_{name}"));
        let linked = caller.emit_with_ack("account:connect", code).await;
        assert_eq!(linked["success"], true, "{linked}");
        let alert = json!({"severity": "high", "type": "suspicious_login", "message": MESSAGE, "requiresAction": true});
        let event = json!({"event": "security:alert", "data": alert});
        let publish = Request::post("/v1/users/GEN-001/events", &event).bearer(self.cluster.internal_token());
        plain(self.cluster.gateway(0).internal_addr(), &publish).await.unwrap();
        let received = wait::until("the alert", wait::deadline(), async || {
            let alert = caller.next_event("security:alert").await;
            (alert.data["message"] == MESSAGE).then_some(alert)
        });
        received.await;
        caller
    }

    fn arguments(&self) -> Vec<String> {
        let (database, redis) = (self.cluster.schema().url(), self.redis.url());
        let arguments = [
            "users",
            "erase",
            "--user",
            USER,
            "--yes",
            "--json",
            "--database-url",
            &database,
            "--vault-keys",
            KEYS,
            "--operator",
            "alice",
            "--redis-url",
            &redis,
            "--redis-prefix",
            self.cluster.redis_prefix(),
        ];
        arguments.map(str::to_owned).to_vec()
    }

    async fn erase(&self) -> Value {
        let arguments = self.arguments();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let erased = postern(&arguments).await;
        assert_eq!(erased.status, 0, "{}", erased.stderr);
        serde_json::from_str(&erased.stdout).unwrap()
    }

    /// Starts the command, to be killed.
    fn begin_erasure(&self) -> Process {
        let mut command = Command::new(POSTERN);
        command.args(self.arguments());
        let launch = Launch::new("erase", &Arc::new(Scratch::new("erase")), command);
        launch.without_environment().start()
    }

    async fn verified(&self) -> Output {
        let url = self.cluster.schema().url();
        postern(&["audit", "verify", "--database-url", &url, "--vault-keys", KEYS]).await
    }

    /// Waits until nothing that identifies the person is in any table or key. Messages on their way, and revocations, end by themselves.
    async fn is_forgotten(&self, account: &str) {
        let canaries = [DEVICE, MESSAGE, "127.0.0.0/24", account];
        let schema = self.cluster.schema();
        let deadline = Instant::now() + wait::deadline();
        loop {
            let redis = self.redis.dump(self.cluster.redis_prefix()).await;
            let dump = schema.dump().await + &redis;
            let has_canary = |line: &&str| canaries.iter().any(|canary| line.contains(canary));
            let found: Vec<_> = dump.lines().filter(has_canary).collect();
            // The ids of accounts are numbers, too short to search for.
            let tasks = schema.sql("SELECT id FROM tasks").await;
            if found.is_empty() && tasks.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "{tasks:?}, {found:#?}");
        }
    }
}

#[tokio::test]
async fn erased_user_leaves_no_trace_and_a_verifiable_log_and_may_come_back() {
    let stage = Stage::start().await;
    let socket = stage.live("canary-ada").await;
    let usernames = stage.cluster.schema().sql("SELECT username FROM accounts").await;
    assert_eq!(usernames, ["canary-ada"]);
    let issued_before = stage.cluster.token(USER);

    let erased = stage.erase().await;
    let counts = (&erased["user"], &erased["sessionsEnded"], &erased["accountsUnlinked"]);
    assert_eq!(counts, (&json!(USER), &json!(1), &json!(1)), "{erased}");
    assert_eq!(erased["clearAuditRows"], 0, "{erased}");
    let end = socket.next_event("security:session_expired").await;
    assert_eq!(end.data["reason"], "ended");
    socket.closed().await;
    SocketIo::connect(&stage.cluster.endpoint(0), &issued_before)
        .await
        .unwrap_err();
    stage.is_forgotten("canary-ada").await;
    assert!(
        stage.platforms.handle.snapshot().tokens.is_empty(),
        "the grant is revoked"
    );

    let verified = stage.verified().await;
    assert_eq!(verified.status, 0, "{}", verified.stderr);
    let events = audit_events(&stage.cluster, KEYS, &["--user", USER]).await;
    let text = |event: &Value| event["message"].as_str().unwrap().to_owned();
    let messages: Vec<_> = events.iter().map(text).collect();
    for message in ["device_seen erased", "account_linked erased", "account_unlinked erased"] {
        assert!(messages.iter().any(|found| found == message), "{messages:?}");
    }
    assert_eq!(messages.last().map(|last| last.trim()), Some("user_erased"));
    assert!(events.iter().all(|event| event.get("src_endpoint").is_none()));
    let operators = audit_events(&stage.cluster, KEYS, &["--user", "\u{a7}operators"]).await;
    assert_eq!(operators.iter().map(text).collect::<Vec<_>>(), ["user_erased GEN-001"]);

    let again = stage.erase().await;
    assert_eq!(
        (&again["sessionsEnded"], &again["accountsUnlinked"]),
        (&json!(0), &json!(0))
    );
    let back = stage.live("canary-back").await;
    let verified = stage.verified().await;
    assert_eq!(verified.status, 0, "{}", verified.stderr);
    let events = audit_events(&stage.cluster, KEYS, &["--user", USER]).await;
    let of_now = events.iter().filter(|event| event["src_endpoint"]["name"] == DEVICE);
    assert!(of_now.count() >= 2, "{events:?}");
    drop(back);
    stage.erase().await;
    stage.is_forgotten("canary-back").await;
    let verified = stage.verified().await;
    assert_eq!(verified.status, 0, "{}", verified.stderr);
    assert_eq!(stage.cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn erasure_that_is_killed_after_any_step_is_completed_by_a_repeat() {
    let stage = Stage::start().await;
    let schema = stage.cluster.schema();
    for (step, name) in [
        ("SELECT seq FROM audit WHERE subject = 'users erase'", "canary-recorded"),
        ("SELECT seq FROM audit WHERE action = 'session_ended'", "canary-ended"),
        ("SELECT seq FROM audit WHERE action = 'user_erased'", "canary-erased"),
    ] {
        let socket = stage.live(name).await;
        let before = schema.sql(step).await.len();
        let erasure = stage.begin_erasure();
        wait::until_true("the step to be committed", wait::deadline(), async || {
            schema.sql(step).await.len() > before || erasure.exit_status().is_some()
        })
        .await;
        if erasure.exit_status().is_none() {
            erasure.kill().await;
        }
        stage.erase().await;
        socket.closed().await;
        stage.is_forgotten(name).await;
        let verified = stage.verified().await;
        assert_eq!(verified.status, 0, "{step}: {}", verified.stderr);
    }
    assert_eq!(stage.cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn user_is_erased_only_with_confirmation_and_only_if_known() {
    let without = postern(&["users", "erase", "--user", USER]).await;
    assert_eq!(without.status, 2, "{}", without.stderr);
    assert!(without.stderr.contains("--yes"), "{}", without.stderr);
    let stage = Stage::start().await;
    let mut arguments = stage.arguments();
    arguments[3] = "GEN-404".to_owned();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let unknown = postern(&arguments).await;
    assert_eq!(unknown.status, 1);
    assert!(unknown.stderr.contains("user GEN-404 is unknown"), "{}", unknown.stderr);
    let rows = stage.cluster.schema().sql("SELECT action FROM audit").await;
    assert_eq!(rows, Vec::<String>::new());
}

/// A restore brings the user back, and only the log of the workers knows of the erasure.
#[tokio::test]
async fn erasure_that_a_restore_has_lost_is_named_by_the_check() {
    let mut stage = Stage::start().await;
    drop(stage.live("canary-ada").await);
    stage.erase().await;
    stage.cluster.start_worker().await;
    let logged = wait::until("the erasure to be logged", wait::deadline(), async || {
        Some(stage.cluster.worker(1).logs()).filter(|log| log.contains("erased"))
    });
    let scratch = Scratch::new("heads");
    let heads = scratch.write("worker.log", logged.await).display().to_string();
    let url = stage.cluster.schema().url();
    let check = async || {
        let args = [
            "restore",
            "check",
            "--json",
            "--database-url",
            &url,
            "--vault-keys",
            KEYS,
        ];
        let checked = postern(&[&args[..], &["--heads", &heads]].concat()).await;
        serde_json::from_str::<Value>(&checked.stdout).unwrap_or_else(|_| panic!("{}", checked.stderr))
    };
    assert_eq!(check().await["eraseAgain"], json!([]));
    stage.cluster.schema().sql("UPDATE audit_heads SET erased = NULL").await;
    assert_eq!(check().await["eraseAgain"], json!([USER]));
}

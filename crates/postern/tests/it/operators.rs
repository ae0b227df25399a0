//! Commands of operators beside a running cluster: what they show and change, and their rows of the audit log.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use simulator::{Fault, Kind, Platform, Route};
use testkit::client::SocketIo;
use testkit::cluster::Cluster;
use testkit::node::Output;
use testkit::token::claims;
use testkit::{Redis, wait};

use crate::command_line::postern;
use crate::stage::{POSTERN, Platforms, client, connect};

const KEYS: &str = "operated:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const USER: &str = "GEN-001";

/// A cluster that operators reach by its Redis and Postgres.
struct Deployment {
    platforms: Platforms,
    cluster: Cluster,
}

impl Deployment {
    async fn start() -> Self {
        let platforms = Platforms::start().await;
        let builder = Cluster::builder(POSTERN).worker_env("POSTERN_VAULT_KEYS", KEYS);
        let cluster = platforms.linked_to(builder).start().await;
        Self { platforms, cluster }
    }

    /// Runs a command that needs Postgres alone.
    async fn run(&self, command: &[&str]) -> Output {
        let url = self.cluster.schema().url();
        let parts = ["--database-url", &url, "--vault-keys", KEYS, "--operator", "alice"];
        postern(&[command, &parts].concat()).await
    }

    /// Runs a command that needs Redis too.
    async fn run_with_redis(&self, command: &[&str]) -> Output {
        let url = Redis::shared().await.url();
        let parts = ["--redis-url", &url, "--redis-prefix", self.cluster.redis_prefix()];
        self.run(&[command, &parts].concat()).await
    }

    /// Socket of a session.
    async fn socket(&self, gateway: usize, session: &str) -> SocketIo {
        let token = self.token(session);
        SocketIo::connect(&self.cluster.endpoint(gateway), &token)
            .await
            .unwrap()
    }

    fn token(&self, session: &str) -> String {
        let mut claims = claims(USER, Duration::from_secs(3_600));
        claims["sid"] = json!(session);
        self.cluster.token_with(&claims)
    }

    /// Rows of operators: chain, action, subject and actor.
    async fn audited(&self) -> Vec<String> {
        let rows = "SELECT user_id, action, subject, session_id FROM audit WHERE connection_id = 'operator' \
                    ORDER BY user_id, seq";
        self.cluster.schema().sql(rows).await
    }

    /// Ends it with a verified audit log.
    async fn finish(self) {
        let url = self.cluster.schema().url();
        let verified = postern(&["audit", "verify", "--database-url", &url, "--vault-keys", KEYS]).await;
        assert_eq!(verified.status, 0, "{}", verified.stderr);
        assert_eq!(self.cluster.finish().await, Vec::<String>::new());
    }
}

fn parsed(output: &Output) -> Value {
    assert_eq!(output.status, 0, "{}", output.stderr);
    serde_json::from_str(&output.stdout).unwrap()
}

/// Names of an object, which programs rely on.
fn names(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn operator_lists_sessions_and_ends_one_then_all() {
    let deployment = Deployment::start().await;
    let (first, second) = (deployment.socket(0, "s-1").await, deployment.socket(1, "s-2").await);
    let list = async || {
        parsed(
            &deployment
                .run_with_redis(&["sessions", "list", "--json", "--user", USER])
                .await,
        )
    };
    let sessions = wait::until("both sockets to be registered", wait::deadline(), async || {
        let sessions = list().await["sessions"].clone();
        let registered = |session: &Value| session["sockets"] == 1 && session["isInRedis"] == true;
        Some(sessions).filter(|sessions| {
            sessions
                .as_array()
                .unwrap()
                .iter()
                .filter(|one| registered(one))
                .count()
                == 2
        })
    })
    .await;
    assert_eq!(
        (&sessions[0]["sessionId"], &sessions[1]["sessionId"]),
        (&json!("s-1"), &json!("s-2"))
    );
    assert_eq!(sessions[0]["address"], "127.0.0.1");

    let end = ["sessions", "end", "--json", "--user", USER];
    let ended = deployment
        .run_with_redis(&[&end[..], &["--session", "s-1"]].concat())
        .await;
    assert_eq!(parsed(&ended), json!({"user": USER, "sessionsEnded": 1}));
    // No gateway admits its token any more, whether or not it was notified.
    SocketIo::connect(&deployment.cluster.endpoint(0), &deployment.token("s-1"))
        .await
        .unwrap_err();
    assert_eq!(
        first.next_event("security:session_expired").await.data["reason"],
        "ended"
    );
    first.closed().await;
    assert!(second.is_open());

    let issued_before = deployment.token("s-3");
    let ended = deployment.run_with_redis(&[&end[..], &["--all"]].concat()).await;
    assert_eq!(parsed(&ended), json!({"user": USER, "sessionsEnded": 1}));
    second.closed().await;
    SocketIo::connect(&deployment.cluster.endpoint(0), &issued_before)
        .await
        .unwrap_err();
    assert_eq!(list().await["sessions"], json!([]));

    let mut rows = deployment.audited().await;
    rows.dedup();
    let row = |action: &str, subject: &str| format!("{USER}\t{action}\t{subject}\toperator: alice");
    assert_eq!(
        rows,
        [
            row("operator_command", "sessions list"),
            row("operator_command", "sessions end --session s-1"),
            row("session_ended", "s-1"),
            row("operator_command", "sessions end --all"),
            row("session_ended", "s-2"),
            row("operator_command", "sessions list"),
        ]
    );
    deployment.finish().await;
}

#[tokio::test]
async fn sessions_are_ended_only_where_the_command_names_which() {
    for which in [&[][..], &["--all", "--session", "s-1"]] {
        let refused = postern(&[&["sessions", "end", "--user", USER], which].concat()).await;
        assert_eq!(refused.status, 2, "{}", refused.stderr);
    }
}

#[tokio::test]
async fn user_is_shown_without_tokens_and_an_unknown_one_is_recorded_for_operators() {
    let deployment = Deployment::start().await;
    let caller = client(&deployment.cluster, 0, USER).await;
    let linked = caller
        .emit_with_ack("account:connect", connect(USER, "test_code_ada"))
        .await;
    assert_eq!(linked["success"], true, "{linked}");
    deployment.platforms.watch_tokens(&deployment.cluster);

    let shown = deployment.run(&["users", "show", "--json", "--user", USER]).await;
    let user = parsed(&shown);
    for token in deployment.platforms.handle.snapshot().tokens {
        assert!(!shown.stdout.contains(&token.access_token));
    }
    let account = &user["accounts"][0];
    assert_eq!(
        (&user["user"], &account["accountType"], &account["status"]),
        (&json!(USER), &json!("github"), &json!("connected"))
    );
    assert_eq!(user["sessions"]["live"], 1);
    let expected = [
        "user",
        "accounts",
        "pendingLinks",
        "sessions",
        "security",
        "openAlerts",
        "seen",
        "tasks",
        "unsentEvents",
        "auditRows",
    ];
    assert_eq!(names(&user), BTreeSet::from(expected));
    let expected = ["live", "ended", "unconfirmedEnds", "allEndedAt", "allEndedExcept"];
    assert_eq!(names(&user["sessions"]), BTreeSet::from(expected));
    let expected = ["sessionTimeout", "factor", "pendingFactor"];
    assert_eq!(names(&user["security"]), BTreeSet::from(expected));
    let of_syncs = [
        "isDisconnected",
        "hasRefreshToken",
        "tokenExpiresAt",
        "nextSyncAt",
        "failures",
        "pausedUntil",
    ];
    assert!(names(account).is_superset(&BTreeSet::from(of_syncs)), "{account}");
    let text = deployment.run(&["users", "show", "--user", USER]).await;
    assert!(text.stdout.contains("second factor    none\n"), "{}", text.stdout);

    let unknown = deployment.run(&["users", "show", "--user", "GEN-404"]).await;
    assert_eq!((unknown.status, unknown.stdout.as_str()), (1, ""));
    assert!(unknown.stderr.contains("user GEN-404 is unknown"), "{}", unknown.stderr);
    assert_eq!(
        deployment.audited().await,
        [
            "GEN-001\toperator_command\tusers show\toperator: alice",
            "GEN-001\toperator_command\tusers show\toperator: alice",
            "\u{a7}operators\toperator_command\tusers show GEN-404\toperator: alice",
        ]
    );
    let users = "SELECT user_id FROM users";
    assert_eq!(
        deployment.cluster.schema().sql(users).await,
        [USER],
        "the unknown user is not created"
    );
    deployment.finish().await;
}

#[tokio::test]
async fn given_up_revocation_is_listed_and_retried() {
    let deployment = Deployment::start().await;
    let caller = client(&deployment.cluster, 0, USER).await;
    let linked = caller
        .emit_with_ack("account:connect", connect(USER, "test_code_ada"))
        .await;
    assert_eq!(linked["success"], true, "{linked}");
    let refused = Kind::Status {
        status: 503,
        headers: BTreeMap::new(),
        body: String::new(),
    };
    let handle = &deployment.platforms.handle;
    handle.fault(Fault::forever(Platform::Github, Route::Revoke, refused));
    let unlink = json!({"userId": USER, "accountType": "github"});
    let unlinked = caller.emit_with_ack("account:disconnect", unlink).await;
    assert_eq!(unlinked["success"], true, "{unlinked}");
    // Its eighth try would be hours away.
    let schema = deployment.cluster.schema();
    wait::until_true("the first try to fail", wait::deadline(), async || {
        let give_up = "WITH given_up AS (UPDATE tasks SET dead_at = now(), tries = 8 WHERE last_error IS NOT NULL RETURNING 1) \
                       SELECT count(*) FROM given_up";
        schema.sql(give_up).await == ["1"]
    })
    .await;
    handle.clear_faults();

    let list = [
        "tasks",
        "list",
        "--dead",
        "--user",
        USER,
        "--platform",
        "github",
        "--json",
    ];
    let dead = parsed(&deployment.run(&list).await);
    let task = &dead["tasks"][0];
    assert_eq!(
        (&task["state"], &task["tries"], &task["user"], &dead["truncated"]),
        (&json!("dead"), &json!(8), &json!(USER), &json!(false))
    );
    let expected = [
        "id",
        "user",
        "platform",
        "platformUserId",
        "scope",
        "state",
        "tries",
        "createdAt",
        "dueAt",
        "lastError",
        "deadAt",
    ];
    assert_eq!(names(task), BTreeSet::from(expected));
    let none = deployment
        .run(&["tasks", "retry", "--dead", "--platform", "discord"])
        .await;
    assert_eq!(none.stdout.trim(), "no task was given up", "{}", none.stderr);
    let retried = deployment
        .run(&["tasks", "retry", "--dead", "--platform", "github", "--json"])
        .await;
    let retried = parsed(&retried);
    assert_eq!(retried["retried"][0]["id"], task["id"]);
    wait::until_true("the grant to be revoked", wait::deadline(), async || {
        handle.snapshot().tokens.is_empty() && schema.sql("SELECT id FROM tasks").await.is_empty()
    })
    .await;
    let gone = deployment
        .run(&["tasks", "retry", "--id", &task["id"].to_string()])
        .await;
    assert_eq!(gone.status, 1);
    assert!(gone.stderr.contains("there is no task"), "{}", gone.stderr);

    let rows = deployment.audited().await;
    let operators = |subject: &str| format!("\u{a7}operators\toperator_command\t{subject}\toperator: alice");
    assert!(
        rows[0].starts_with("GEN-001\toperator_command\ttasks list\t"),
        "{rows:?}"
    );
    assert!(rows[1].starts_with("GEN-001\ttask_retried\t\t"), "{rows:?}");
    assert_eq!(rows[2], operators("tasks retry --dead discord"));
    assert_eq!(rows[3], operators("tasks retry --dead github"));
    deployment.finish().await;
}

#[tokio::test]
async fn running_job_is_listed_without_its_code_and_discarded() {
    let deployment = Deployment::start().await;
    let caller = client(&deployment.cluster, 0, USER).await;
    deployment.platforms.block_next_exchange();
    let answer = async {
        let payload = connect(USER, "test_code_unseen");
        caller.emit_with_ack("account:connect", payload).await
    };
    let operate = async {
        deployment.platforms.exchange_is_blocked().await;
        let list = ["jobs", "list", "--lane", "interactive", "--json"];
        let listed = deployment.run_with_redis(&list).await;
        assert!(!listed.stdout.contains("test_code_unseen"));
        let job = parsed(&listed)["jobs"][0].clone();
        assert_eq!((&job["work"], &job["user"]), (&json!("account:connect"), &json!(USER)));
        assert!(job["worker"].is_string(), "{job}");
        let expected = [
            "entry",
            "job",
            "work",
            "user",
            "session",
            "queuedAt",
            "deadline",
            "deliveries",
            "worker",
            "claimAgeMs",
        ];
        assert_eq!(names(&job), BTreeSet::from(expected));

        let discard = ["jobs", "discard", "--lane", "interactive", "--json", "--id"];
        let discard = [&discard[..], &[job["entry"].as_str().unwrap()]].concat();
        let discarded = parsed(&deployment.run_with_redis(&discard).await);
        assert_eq!(
            (&discarded["outcome"], &discarded["job"]),
            (&json!("discarded"), &job["job"])
        );
        assert_eq!(parsed(&deployment.run_with_redis(&list).await)["jobs"], json!([]));
        let again = deployment.run_with_redis(&discard).await;
        assert_eq!(again.status, 1);
        assert!(
            again.stderr.contains("the interactive lane has no job"),
            "{}",
            again.stderr
        );
        deployment.platforms.handle.release();
        job["job"].as_str().unwrap().to_owned()
    };
    let (answer, job) = tokio::join!(answer, operate);
    assert_eq!(answer["success"], true, "its worker ran it to the end: {answer}");
    assert_eq!(
        deployment.audited().await,
        [
            format!("GEN-001\tjob_discarded\taccount:connect {job}\toperator: alice"),
            "\u{a7}operators\toperator_command\tjobs list interactive\toperator: alice".to_owned(),
            "\u{a7}operators\toperator_command\tjobs list interactive\toperator: alice".to_owned(),
        ]
    );
    deployment.finish().await;
}

#[tokio::test]
async fn dead_letter_of_the_application_is_retried_and_one_of_a_client_is_not() {
    let deployment = Deployment::start().await;
    let socket = deployment.socket(0, "s-1").await;
    let job = json!({
        "v": 1,
        "id": "lost",
        "user": USER,
        "session": "internal API",
        "connection": "internal API",
        "node": "gone",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "work": "end_all_sessions",
    });
    let stream = format!("{}:{{jobs:interactive}}:dead", deployment.cluster.redis_prefix());
    for (kind, payload) in [
        ("account:connect", String::new()),
        ("end_all_sessions", job.to_string()),
    ] {
        let fields = [
            "id",
            "lost",
            "entry",
            "1-0",
            "deliveries",
            "2",
            "user",
            USER,
            "kind",
            kind,
            "job",
            &payload,
        ];
        let add = ["XADD", &stream, "*"];
        Redis::shared().await.command(&[&add[..], &fields].concat()).await;
    }
    let list = ["jobs", "list", "--dead", "--lane", "interactive", "--json"];
    let dead = parsed(&deployment.run_with_redis(&list).await)["deadLetters"].clone();
    assert_eq!(
        (&dead[0]["isRetryable"], &dead[1]["isRetryable"]),
        (&json!(false), &json!(true))
    );
    let retry = async |dead: &Value| {
        let retry = ["jobs", "retry", "--lane", "interactive", "--json", "--id"];
        deployment
            .run_with_redis(&[&retry[..], &[dead["id"].as_str().unwrap()]].concat())
            .await
    };
    let refused = retry(&dead[0]).await;
    assert_eq!(refused.status, 1);
    assert!(refused.stderr.contains("is not kept"), "{}", refused.stderr);
    let retried = parsed(&retry(&dead[1]).await);
    let expected = json!({
        "lane": "interactive", "job": "lost", "work": "sessions.end", "user": USER, "outcome": "retried",
    });
    assert_eq!(retried, expected);
    socket.closed().await;
    let left = parsed(&deployment.run_with_redis(&list).await)["deadLetters"].clone();
    assert_eq!(left, json!([dead[0]]));
    deployment.finish().await;
}

#[tokio::test]
async fn malformed_lane_or_id_is_refused() {
    for wrong in [["--lane", "fast", "--id", "1-0"], ["--lane", "webhook", "--id", "-"]] {
        let refused = postern(&[&["jobs", "discard"], &wrong[..]].concat()).await;
        assert_eq!(refused.status, 2, "{}", refused.stderr);
    }
}

#[tokio::test]
async fn expired_rows_are_deleted_at_once_and_the_command_is_recorded() {
    let deployment = Deployment::start().await;
    let schema = deployment.cluster.schema();
    let expired = "INSERT INTO webhook_deliveries (account_type, delivery_id, delivered_at) \
                   SELECT 'github', number::text, now() - interval '8 d' FROM generate_series(1, 300) AS number";
    schema.sql(expired).await;
    let pruned = deployment
        .run(&["prune", "--table", "webhook_deliveries", "--json"])
        .await;
    let rows = parsed(&pruned)["deleted"][0]["rows"].as_u64().unwrap();
    // Workers may have deleted some.
    assert!(rows <= 300, "{pruned:?}");
    assert_eq!(schema.sql("SELECT count(*) FROM webhook_deliveries").await, ["0"]);
    let all = deployment.run(&["prune"]).await;
    assert_eq!(all.status, 0, "{}", all.stderr);
    assert!(all.stdout.contains("sessions"), "{}", all.stdout);
    let unknown = deployment.run(&["prune", "--table", "accounts"]).await;
    assert_eq!(unknown.status, 2, "{}", unknown.stderr);
    assert!(unknown.stderr.contains("is one of alerts, "), "{}", unknown.stderr);
    let row = |command: &str| format!("§operators\toperator_command\t{command}\toperator: alice");
    assert_eq!(
        deployment.audited().await,
        [row("prune webhook_deliveries"), row("prune")]
    );
    deployment.finish().await;
}

//! State and changes of a user through the internal API, as a back end uses it.

use std::net::SocketAddr;
use std::time::Duration;

use data_encoding::HEXLOWER;
use futures_util::future::join_all;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use testkit::client::SocketIo;
use testkit::client::http::{Request, Response, plain};
use testkit::cluster::Cluster;
use testkit::scratch::Scratch;
use testkit::token::{claims, random_text};
use testkit::{Postgres, wait};

use crate::factor::{code, disconnect, enrol, verify};
use crate::stage::{POSTERN, Platforms, client, cluster, connect};

/// Back end with the single token, at the first gateway.
struct BackEnd {
    at: SocketAddr,
    token: String,
}

impl BackEnd {
    fn of(cluster: &Cluster) -> Self {
        Self {
            at: cluster.gateway(0).internal_addr(),
            token: cluster.internal_token().to_owned(),
        }
    }

    async fn send(&self, request: Request) -> Response {
        plain(self.at, &request.bearer(&self.token)).await.unwrap()
    }

    /// Status and body of a request about GEN-001 without a body.
    async fn ask(&self, method: &str, path: &str) -> (u16, Value) {
        let response = self
            .send(Request::new(method, &format!("/v1/users/GEN-001/{path}")))
            .await;
        (response.status, response.json())
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn change(&self, method: &str, path: &str, key: &str) -> (u16, Value) {
        let request = Request::new(method, &format!("/v1/users/GEN-001/{path}")).header("Idempotency-Key", key);
        let response = self.send(request).await;
        (response.status, response.json())
    }
}

/// Client of GEN-001 in a session of its own, just signed in.
async fn device(cluster: &Cluster, gateway: usize, session: &str) -> SocketIo {
    let mut claims = claims("GEN-001", Duration::from_secs(3600));
    claims["sid"] = json!(session);
    let endpoint = cluster.endpoint(gateway);
    SocketIo::connect(&endpoint, &cluster.token_with(&claims))
        .await
        .unwrap()
}

async fn link(client: &SocketIo) {
    let linked = client
        .emit_with_ack("account:connect", connect("GEN-001", "test_code_ada"))
        .await;
    assert_eq!(linked["success"], true, "{linked}");
}

#[tokio::test]
async fn state_of_a_user_is_read_without_a_secret() {
    let platforms = Platforms::start().await;
    let cluster = cluster(&platforms).await;
    let back_end = BackEnd::of(&cluster);
    let phone = device(&cluster, 0, "phone").await;
    let laptop = device(&cluster, 1, "laptop").await;
    link(&phone).await;
    let (secret, recovery_codes) = enrol(&phone).await;
    let mut read = String::new();
    let mut get = async |path: &str| {
        let body = back_end.get(path).await;
        read += &body.to_string();
        body
    };

    let sessions = get("sessions").await;
    let sessions = sessions["sessions"].as_array().unwrap();
    let names: Vec<_> = sessions.iter().map(|session| &session["sessionId"]).collect();
    assert_eq!(names, [&json!("phone"), &json!("laptop")]);
    assert!(
        sessions
            .iter()
            .all(|session| session["sockets"] == 1 && session["address"] == "127.0.0.1")
    );
    let devices = get("devices").await;
    assert_eq!(devices["networks"][0]["network"], "127.0.0.0/24");
    assert!(devices["devices"][0]["lastSeenAt"].is_string(), "{devices}");
    let account = get("accounts").await["accounts"][0].clone();
    assert_eq!(
        (&account["accountType"], &account["username"], &account["needsNewLink"]),
        (&json!("github"), &json!("ada"), &json!(false))
    );
    assert!(account["nextSyncAt"].is_string(), "{account}");
    let settings = get("settings").await;
    assert_eq!(
        settings,
        json!({"sessionTimeout": 30, "secondFactor":
               {"method": "totp", "isLocked": false, "wrongCodes": 0, "recoveryCodes": 10}})
    );
    let open = get("alerts?state=open").await;
    let open = open["alerts"].as_array().unwrap();
    assert!(open.iter().any(|alert| alert["type"] == "settings_changed"), "{open:?}");
    let first = get("alerts?limit=1").await;
    let rest = get(&format!(
        "alerts?limit=100&cursor={}",
        first["cursor"].as_str().unwrap()
    ))
    .await;
    let ids = |page: &Value| -> Vec<Value> {
        let alerts = page["alerts"].as_array().unwrap().iter();
        alerts.map(|alert| alert["alertId"].clone()).collect()
    };
    assert_eq!(ids(&first).len(), 1);
    assert!(!ids(&rest).is_empty() && !ids(&rest).contains(&ids(&first)[0]));
    get("audit").await;

    for token in platforms.handle.snapshot().tokens {
        assert!(!read.contains(&token.access_token));
    }
    assert!(!read.contains(&secret) && recovery_codes.iter().all(|code| !read.contains(code)));
    assert!(laptop.is_open());
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn change_reaches_every_device_and_is_audited_with_the_caller() {
    let platforms = Platforms::start().await;
    let support = random_text();
    let scratch = Scratch::new("support");
    let tokens = json!([{"name": "support", "sha256": HEXLOWER.encode(&Sha256::digest(&support)),
                         "scopes": ["end_sessions", "manage_accounts", "manage_factors", "read_users"]}]);
    let file = scratch.write("tokens.json", tokens.to_string());
    let cluster = platforms
        .linked_to(Cluster::builder(POSTERN))
        .gateway_env("POSTERN_INTERNAL_TOKENS_FILE", file.display())
        .start()
        .await;
    cluster.canary(&support);
    let back_end = BackEnd {
        token: support,
        ..BackEnd::of(&cluster)
    };
    let phone = device(&cluster, 0, "phone").await;
    let laptop = device(&cluster, 1, "laptop").await;
    link(&phone).await;
    let (secret, _) = enrol(&phone).await;

    let lock = Request::new("PUT", "/v1/users/GEN-001/second-factor/lock");
    let locked = back_end.send(lock.body("{}")).await;
    assert_eq!((locked.status, &locked.json()["isLocked"]), (200, &json!(true)));
    assert_eq!(
        disconnect(&phone).await["error"],
        "2fa_locked",
        "it gave the factor before"
    );
    let alert = wait::until("the alert", wait::deadline(), async || {
        let alert = laptop.next_event("security:alert").await.data;
        (alert["message"] == "The second factor was locked.").then_some(alert)
    })
    .await;
    assert_eq!(alert["requiresAction"], true);
    let (status, unlocked) = back_end.ask("DELETE", "second-factor/lock").await;
    assert_eq!((status, &unlocked["isLocked"]), (200, &json!(false)));
    let challenged = crate::factor::challenge(&laptop).await;
    assert_eq!(verify(&laptop, &challenged, &code(&secret, 0)).await["success"], true);

    let unlinked = back_end.ask("DELETE", "accounts/github").await;
    assert_eq!(unlinked, (200, json!({"accountType": "github"})));
    for device in [&phone, &laptop] {
        wait::until_true("the unlink", wait::deadline(), async || {
            device.next_event("account:status_changed").await.data["status"] == "disconnected"
        })
        .await;
    }
    wait::until_true("the revocation of its tokens", wait::deadline(), async || {
        platforms.handle.snapshot().tokens.is_empty()
    })
    .await;
    assert_eq!(back_end.ask("DELETE", "accounts/github").await.0, 404);
    let revoked = back_end.ask("DELETE", "accounts").await;
    assert_eq!(revoked, (200, json!({"accountsDisconnected": 0})));

    let ended = back_end.ask("DELETE", "sessions/phone").await;
    assert_eq!(ended, (200, json!({"sessionsEnded": 1})));
    assert_eq!(phone.closed().await.code, 4403);
    assert!(laptop.is_open());
    assert_eq!(back_end.ask("DELETE", "sessions/phone").await.1["sessionsEnded"], 0);

    let rows = "SELECT action FROM audit WHERE session_id = 'internal API: support' ORDER BY seq";
    let expected = [
        "factor_locked",
        "factor_unlocked",
        "account_unlinked",
        "access_revoked",
        "session_ended",
    ];
    assert_eq!(cluster.schema().sql(rows).await, expected);
    assert_eq!(back_end.ask("GET", "audit").await.0, 403, "the token lacks the scope");
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn change_of_a_killed_worker_is_done_once_and_its_key_gives_the_first_answer() {
    let platforms = Platforms::start().await;
    let mut cluster = cluster(&platforms).await;
    let back_end = BackEnd::of(&cluster);
    let phone = device(&cluster, 0, "phone").await;
    link(&phone).await;
    // The commit takes a second, so that the worker can be killed during it.
    let slow_commit = "CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS \
                       $$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$; \
                       CREATE CONSTRAINT TRIGGER linger AFTER DELETE ON accounts DEFERRABLE INITIALLY DEFERRED \
                       FOR EACH ROW EXECUTE FUNCTION linger()";
    cluster.schema().sql(slow_commit).await;
    let unlink = async {
        // Another worker answers it in time, or the outcome is unknown.
        let (status, body) = back_end.change("DELETE", "accounts/github", "once").await;
        assert!(
            status == 200 || (status, &body["error"]) == (503, &json!("unavailable")),
            "{body}"
        );
    };
    let replace_worker = async {
        wait::until_true("the commit to be under way", wait::deadline(), async || {
            let committing = "SELECT count(*) FROM pg_stat_activity WHERE query = 'COMMIT' AND wait_event = 'PgSleep'";
            cluster.schema().sql(committing).await != ["0"]
        })
        .await;
        cluster.worker(0).kill().await;
        cluster.start_worker().await;
    };
    tokio::join!(unlink, replace_worker);
    let answer = (200, json!({"accountType": "github"}));
    let repeated = || back_end.change("DELETE", "accounts/github", "once");
    wait::until_true("the first answer", wait::deadline(), async || {
        repeated().await == answer
    })
    .await;
    assert_eq!(join_all((0..8).map(|_| repeated())).await, vec![answer; 8]);
    assert_eq!(back_end.change("DELETE", "accounts/github", "other").await.0, 404);
    // The key covers the whole request: another account is another one.
    let other = back_end.change("DELETE", "accounts/discord", "once").await;
    assert_eq!((other.0, &other.1["error"]), (409, &json!("conflict")));
    let rows = "SELECT count(*) FROM audit WHERE action = 'account_unlinked'";
    assert_eq!(cluster.schema().sql(rows).await, ["1"]);
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn concurrent_unlinks_with_keys_of_their_own_unlink_once() {
    let platforms = Platforms::start().await;
    let cluster = cluster(&platforms).await;
    let back_end = BackEnd::of(&cluster);
    let phone = device(&cluster, 0, "phone").await;
    link(&phone).await;
    let keys: Vec<_> = (0..6).map(|number| number.to_string()).collect();
    let unlinks = keys.iter().map(|key| back_end.change("DELETE", "accounts/github", key));
    let mut statuses: Vec<_> = join_all(unlinks).await.into_iter().map(|(status, _)| status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 404, 404, 404, 404, 404]);
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn audit_log_is_paged_with_cursors_that_nobody_else_can_make() {
    let platforms = Platforms::start().await;
    let cluster = cluster(&platforms).await;
    let back_end = BackEnd::of(&cluster);
    let phone = device(&cluster, 0, "phone").await;
    let data = json!({"severity": "low", "type": "new_device", "message": "m", "requiresAction": false});
    let alert = json!({"event": "security:alert", "data": data});
    for _ in 0..5 {
        assert_eq!(
            back_end
                .send(Request::post("/v1/users/GEN-001/events", &alert))
                .await
                .status,
            202
        );
    }
    let raised = "audit?action=alert_raised&limit=2";
    let mut numbers = Vec::new();
    let mut path = raised.to_owned();
    loop {
        let page = back_end.get(&path).await;
        let entries = page["entries"].as_array().unwrap();
        assert!(
            entries
                .iter()
                .all(|entry| entry["action"] == "alert_raised" && entry["sessionId"] == "internal API")
        );
        numbers.extend(entries.iter().map(|entry| entry["number"].as_i64().unwrap()));
        // A row between the pages.
        assert_eq!(
            back_end
                .send(Request::post("/v1/users/GEN-001/events", &alert))
                .await
                .status,
            202
        );
        let Some(cursor) = page["cursor"].as_str() else { break };
        path = format!("{raised}&cursor={cursor}");
    }
    assert!(numbers.len() == 5 && numbers.is_sorted_by(|a, b| a > b), "{numbers:?}");
    let everything = back_end.get("audit?limit=100").await;
    let reads = everything["entries"].as_array().unwrap().iter();
    assert!(
        reads.filter(|entry| entry["action"] == "audit_read").count() >= 3,
        "{everything}"
    );
    let none = back_end.get("audit?until=2020-01-01T00:00:00.000Z").await;
    assert_eq!(none, json!({"entries": []}));

    let cursor = back_end.get(raised).await["cursor"].as_str().unwrap().to_owned();
    let mut altered = cursor.clone();
    altered.replace_range(..1, if cursor.starts_with('A') { "B" } else { "A" });
    for wrong in [
        format!("audit?action=alert_raised&cursor={altered}"),
        format!("audit?cursor={cursor}"),
        format!("audit?action=session_ended&cursor={cursor}"),
        format!("alerts?cursor={cursor}"),
        "audit?cursor=5".to_owned(),
        format!("audit?cursor={}", "A".repeat(600)),
        "audit?limit=0".to_owned(),
        "audit?limit=101".to_owned(),
        "audit?limit=-1".to_owned(),
        "audit?since=yesterday".to_owned(),
        "audit?action=everything".to_owned(),
        "alerts?state=seen".to_owned(),
        format!("sessions/{}", "s".repeat(129)),
    ] {
        let method = if wrong.starts_with("sessions/") {
            "DELETE"
        } else {
            "GET"
        };
        let (status, problem) = back_end.ask(method, &wrong).await;
        assert_eq!(
            (status, &problem["error"]),
            (400, &json!("bad_request")),
            "{wrong}: {problem}"
        );
    }
    let of_another = format!("/v1/users/GEN-002/{raised}&cursor={cursor}");
    assert_eq!(back_end.send(Request::get(&of_another)).await.status, 400);
    assert!(phone.is_open());
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn ids_of_others_and_unknown_ones_change_nothing() {
    let platforms = Platforms::start().await;
    let cluster = cluster(&platforms).await;
    let back_end = BackEnd::of(&cluster);
    let theirs = client(&cluster, 0, "GEN-002").await;
    for session in ["default", "never%20opened", "..%2F..%2FGEN-002%2Fsessions%2Fdefault"] {
        let (status, ended) = back_end.ask("DELETE", &format!("sessions/{session}")).await;
        assert_eq!((status, &ended["sessionsEnded"]), (200, &json!(0)), "{session}");
    }
    let unknown = back_end.ask("DELETE", "accounts/myspace").await;
    assert_eq!((unknown.0, &unknown.1["error"]), (404, &json!("not_supported")));
    for method in ["PUT", "DELETE"] {
        let (status, problem) = back_end.ask(method, "second-factor/lock").await;
        assert_eq!((status, &problem["error"]), (409, &json!("conflict")), "{method}");
    }
    for body in [
        "{",
        "[]",
        r#"{"until": "soon"}"#,
        r#"{"until": "2020-01-01T00:00:00Z"}"#,
    ] {
        let lock = Request::new("PUT", "/v1/users/GEN-001/second-factor/lock").body(body);
        let status = back_end.send(lock).await.status;
        assert!([400, 409].contains(&status), "{body}: {status}");
    }
    assert_eq!(back_end.get("sessions").await, json!({"sessions": []}));
    assert_eq!(back_end.get("devices").await, json!({"devices": [], "networks": []}));
    assert_eq!(back_end.get("accounts").await, json!({"accounts": []}));
    assert_eq!(back_end.get("alerts").await, json!({"alerts": []}));
    assert_eq!(back_end.get("settings").await, json!({"sessionTimeout": 30}));
    assert!(theirs.is_open());
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn requests_are_unavailable_without_postgres_and_answered_after() {
    let mut postgres = Postgres::start().await;
    let schema = postgres.schema().await;
    let cluster = Cluster::builder(POSTERN).gateways(1).schema(schema).start().await;
    let back_end = BackEnd::of(&cluster);
    postgres.stop().await;
    let asked = [
        ("GET", "settings"),
        ("GET", "audit"),
        ("DELETE", "accounts"),
        ("DELETE", "sessions/s"),
    ];
    for (method, path) in asked {
        let (status, problem) = back_end.ask(method, path).await;
        assert_eq!(
            (status, &problem["error"]),
            (503, &json!("unavailable")),
            "{path}: {problem}"
        );
    }
    postgres.start_again().await;
    for (method, path) in asked {
        wait::until_true(path, wait::deadline(), async || {
            back_end.ask(method, path).await.0 == 200
        })
        .await;
    }
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

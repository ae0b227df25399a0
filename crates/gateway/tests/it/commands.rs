//! Commands: invalid ones get an error that names the cause, valid ones get one reply in time.

use std::time::Duration;

use gateway::Settings;
use protocol::cluster::job::{JobOutcome, LeadingNotice, Work};
use protocol::code::ErrorCode;
use protocol::json::Json;
use protocol::time::Timestamp;
use serde_json::{Value, json};
use testkit::{Native, SocketIo, wait};

use crate::test_gateway::TestGateway;
use crate::worker::Worker;

fn short_deadlines(settings: &mut Settings) {
    settings.timing.interactive = Duration::from_millis(500);
    settings.timing.platform = Duration::from_millis(500);
}

fn connect(user: &str) -> Value {
    json!({ "userId": user, "accountType": "github", "oauthCode": "test_code_1", "redirectUri": "http://localhost/cb" })
}

#[tokio::test]
async fn command_for_another_user_is_forbidden_without_a_job() {
    let gateway = TestGateway::new().await;
    let worker = Worker::succeeding(&gateway);
    let native = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let socketio = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let commands = [
        ("account:connect", connect("victim"), "account:connect_response"),
        ("account:list", json!({ "userId": "victim" }), "account:list_response"),
        (
            "security:revoke_all",
            json!({ "userId": "victim", "confirmationToken": "x" }),
            "security:revoke_complete",
        ),
    ];
    for (event, data, response) in commands {
        let answer = native.request(event, data.clone()).await;
        assert_eq!(
            (answer.name.as_str(), &answer.data["error"]),
            (response, &json!("forbidden"))
        );
        let ack = socketio.emit_with_ack(event, data).await;
        assert_eq!((&ack["success"], &ack["error"]), (&json!(false), &json!("forbidden")));
    }
    native.request("account:list", json!({ "userId": "u" })).await;
    assert_eq!(worker.done(), 1, "only the user's own command");
}

#[tokio::test]
async fn refusals_are_reported_with_count_under_the_calling_user() {
    let gateway = TestGateway::with(|settings| settings.timing.refusals = Duration::from_millis(200)).await;
    let worker = Worker::succeeding(&gateway);
    let native = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    for _ in 0..3 {
        native.request("account:connect", connect("victim")).await;
    }
    let mut count = 0;
    wait::until_true("three refusals to be reported", wait::deadline(), async || {
        let jobs = worker.jobs();
        assert!(jobs.iter().all(|job| job.user.as_str() == "u"), "{jobs:?}");
        count = jobs.iter().map(|job| counted(&job.work)).sum();
        count >= 3
    })
    .await;
    assert_eq!(count, 3);
}

#[tokio::test]
async fn draining_gateway_reports_pending_refusals() {
    let gateway = TestGateway::new().await;
    let worker = Worker::succeeding(&gateway);
    let native = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    native.request("account:connect", connect("victim")).await;
    assert_eq!(worker.done(), 0, "a single refusal causes no job of its own");
    let _tasks = gateway.tasks.clone();
    gateway.drain(wait::deadline()).await;
    wait::until_true("the last report", wait::deadline(), async || worker.done() > 0).await;
    assert_eq!(counted(&worker.last().work), 1);
}

/// Returns the number of refused `account:connect` commands in a report.
fn counted(work: &Work) -> u32 {
    let Work::Refusals(refused) = work else { return 0 };
    let forbidden = refused
        .iter()
        .filter(|refused| refused.command == "account:connect" && refused.error == ErrorCode::Forbidden);
    forbidden.map(|refused| refused.count).sum()
}

#[tokio::test]
async fn invalid_payload_error_names_the_field_and_keeps_the_socket() {
    let gateway = TestGateway::new().await;
    let worker = Worker::succeeding(&gateway);
    let cases = [
        (
            "account:connect",
            json!({ "userId": "u", "accountType": "github", "redirectUri": "x" }),
            "oauthCode: this field is required",
        ),
        ("account:connect", Value::Null, "userId: this field is required"),
        (
            "account:connect",
            json!({ "userId": "u", "accountType": "github", "oauthCode": 271_828, "redirectUri": "x" }),
            "oauthCode: a string was expected",
        ),
        (
            "account:sync",
            json!({ "userId": "u", "accountType": "myspace" }),
            "accountType: one of `telegram`, `x_twitter`, `discord`, `github` was expected",
        ),
        ("account:list", json!([1]), "data: an object was expected"),
        (
            "account:list",
            json!({ "idempotencyKey": 5 }),
            "idempotencyKey: a text of 1 to 128 characters was expected",
        ),
    ];
    let native = Native::to(&gateway.endpoint)
        .msgpack()
        .bearer(&gateway.token("u"))
        .connect()
        .await
        .unwrap();
    let socketio = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    for (event, data, message) in cases {
        let answer = native.request(event, data.clone()).await.data;
        assert_eq!(
            (&answer["error"], &answer["message"]),
            (&json!("bad_request"), &json!(message))
        );
        assert!(!answer.to_string().contains("271828"), "no value is repeated");
        assert_eq!(socketio.emit_with_ack(event, data).await, answer);
    }
    assert_eq!(native.request("account:list", json!({})).await.data["success"], true);
    assert_eq!(worker.done(), 1);
}

#[tokio::test]
async fn failure_contains_the_required_fields_of_its_response() {
    let gateway = TestGateway::new().await;
    let client = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let disconnect = client
        .request("account:disconnect", json!({ "userId": "v", "accountType": "github" }))
        .await;
    assert_eq!(disconnect.data["accountType"], "github");
    let sync = client
        .request("account:sync", json!({ "userId": "v", "accountType": "github" }))
        .await;
    assert_eq!(sync.data.get("lastSynced"), Some(&Value::Null));
    let revoke = client
        .request(
            "security:revoke_all",
            json!({ "userId": "v", "confirmationToken": "x" }),
        )
        .await;
    assert_eq!(revoke.data["accountsDisconnected"], 0);
}

#[tokio::test]
async fn unknown_event_is_answered_by_ack_or_error_event() {
    let gateway = TestGateway::new().await;
    let socketio = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let ack = socketio.emit_with_ack("account:teleport", json!({})).await;
    assert_eq!(
        (&ack["success"], &ack["error"]),
        (&json!(false), &json!("unknown_event"))
    );
    assert_eq!(socketio.unread(), [], "the ack is all");

    socketio.emit("account:teleport", json!({})).await;
    let error = socketio.next_event("error").await;
    assert_eq!(
        (&error.data["event"], &error.data["error"]),
        (&json!("account:teleport"), &json!("unknown_event"))
    );

    socketio.send_text("42[1,2]").await;
    assert_eq!(socketio.next_event("error").await.data["error"], "bad_request");

    let native = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let answer = native.request("account:teleport", json!({})).await;
    assert_eq!(
        (answer.name.as_str(), &answer.data["error"]),
        ("error", &json!("unknown_event"))
    );
    native.send_text(r#"{"data":{}}"#).await;
    assert_eq!(native.next_event("error").await.data["error"], "bad_request");
}

#[tokio::test]
async fn unanswered_job_times_out_at_its_deadline() {
    let gateway = TestGateway::with(short_deadlines).await;
    let worker = Worker::answering(&gateway, |_| None);
    let native = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let socketio = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let answer = native.request("account:connect", connect("u")).await;
    assert_eq!(
        (answer.name.as_str(), &answer.data["error"]),
        ("account:connect_response", &json!("timeout"))
    );
    let sync = json!({ "userId": "u", "accountType": "github" });
    let ack = socketio.emit_with_ack("account:sync", sync).await;
    assert_eq!(ack["error"], "timeout");
    wait::until_true("both jobs to be run", wait::deadline(), async || worker.done() == 2).await;
}

#[tokio::test]
async fn reply_with_lost_announcement_is_fetched_before_the_deadline() {
    let gateway = TestGateway::with(|settings| settings.timing.interactive = Duration::from_secs(3)).await;
    gateway.bus.drop_replies();
    let _worker = Worker::succeeding(&gateway);
    let client = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let answer = client.request("account:list", json!({})).await;
    assert_eq!(answer.data, json!({ "success": true, "of": "u" }));
}

#[tokio::test]
async fn reply_missed_during_reconnect_is_fetched_immediately() {
    let gateway = TestGateway::new().await;
    gateway.bus.drop_replies();
    let worker = Worker::succeeding(&gateway);
    let client = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    client.emit("account:list", json!({})).await;
    wait::until_true("the job to be done", wait::deadline(), async || worker.done() == 1).await;
    gateway.bus.report_missed();
    let answer = client
        .next_event_within("account:list_response", Duration::from_secs(2))
        .await;
    assert_eq!(answer.data["success"], true);
}

#[tokio::test]
async fn duplicate_reply_is_delivered_once() {
    let gateway = TestGateway::new().await;
    let _worker = Worker::succeeding(&gateway);
    let client = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    for _ in 0..3 {
        client.request("account:list", json!({})).await;
        gateway.bus.report_missed();
    }
    client.request("account:list", json!({})).await;
    assert_eq!(client.unread(), []);
}

#[tokio::test]
async fn commands_are_unavailable_during_bus_outage_and_work_after_it() {
    let gateway = TestGateway::new().await;
    let _worker = Worker::succeeding(&gateway);
    let client = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    gateway.bus.cut(true);
    for (event, data) in [("account:list", json!({})), ("account:connect", connect("u"))] {
        let ack = client.emit_with_ack(event, data).await;
        assert_eq!(ack["error"], "unavailable", "{event}");
    }
    gateway.bus.cut(false);
    assert_eq!(client.emit_with_ack("account:list", json!({})).await["success"], true);
    assert!(client.is_open());
}

#[tokio::test]
async fn worker_failure_is_forwarded_unchanged() {
    let gateway = TestGateway::new().await;
    let _worker = Worker::answering(&gateway, |job| {
        let data = json!({ "success": false, "error": "not_supported", "message": "Not here.", "job": job.id });
        Some(JobOutcome {
            error: Some(ErrorCode::NotSupported),
            leading_notice: None,
            secret: false,
            data: Json::of(&data),
        })
    });
    let client = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let answer = client.request("security:sessions", json!({})).await;
    assert_eq!(
        (answer.name.as_str(), &answer.data["error"]),
        ("security:sessions_response", &json!("not_supported"))
    );
    let counted = "postern_gateway_commands_total{event=\"security:sessions\",outcome=\"not_supported\"}";
    gateway.metric_is(counted, 1.0).await;
}

#[tokio::test]
async fn leading_notice_is_delivered_before_its_reply() {
    let gateway = TestGateway::new().await;
    let _worker = Worker::answering(&gateway, |_| {
        Some(JobOutcome {
            error: Some(ErrorCode::TwoFactorRequired),
            leading_notice: Some(LeadingNotice {
                event: "security:2fa_required".to_owned(),
                data: Json::of(&json!({ "sessionId": "challenge" })),
            }),
            secret: false,
            data: Json::of(&json!({ "success": false, "error": "2fa_required" })),
        })
    });
    let client = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let other = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let ack = client.emit_with_ack("account:list", json!({})).await;
    assert_eq!(ack["error"], "2fa_required");
    let received = [client.next().await, client.next().await].map(|event| (event.name, event.offset));
    let names = ["security:2fa_required", "account:list_response"];
    assert_eq!(received, names.map(|name| (name.to_owned(), None)));
    assert_eq!(other.unread(), [], "the other socket of the session receives nothing");
}

#[tokio::test]
async fn job_contains_sign_in_time_of_the_caller() {
    let gateway = TestGateway::new().await;
    let worker = Worker::succeeding(&gateway);
    let now = testkit::token::now();
    let at = |seconds: u64| i64::try_from(seconds * 1_000).ok().map(Timestamp::from_millis);
    for (done, (claims, signed_in)) in [
        (json!({ "iat": now - 5 }), at(now - 5)),
        (json!({ "iat": now - 5, "auth_time": now - 90 }), at(now - 90)),
        (json!({}), None),
    ]
    .into_iter()
    .enumerate()
    {
        let mut claims = claims;
        (claims["sub"], claims["exp"]) = (json!("u"), json!(now + 600));
        let client = Native::connect(&gateway.endpoint, &gateway.signer.sign(&claims))
            .await
            .unwrap();
        client.request("account:list", json!({})).await;
        wait::until_true("the command", wait::deadline(), async || worker.done() > done).await;
        assert_eq!(worker.last().authenticated_at, signed_in, "{claims}");
    }
}

#[tokio::test]
async fn verification_codes_are_forwarded_without_gateway_limit() {
    let gateway = TestGateway::new().await;
    let worker = Worker::succeeding(&gateway);
    let client = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let code = json!({ "userId": "u", "sessionId": "challenge", "token": "no code" });
    for _ in 0..8 {
        let answer = client.emit_with_ack("security:verify_2fa", code.clone()).await;
        assert_eq!(answer["success"], true, "{answer}");
    }
    // A job is counted after its reply was sent.
    wait::until_true("eight codes", wait::deadline(), async || worker.done() == 8).await;
}

#[tokio::test]
async fn command_limits_are_shared_by_sockets_of_a_user() {
    let gateway = TestGateway::new().await;
    let _worker = Worker::succeeding(&gateway);
    let first = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let second = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    for _ in 0..5 {
        assert_eq!(
            first.request("account:connect", connect("u")).await.data["success"],
            true
        );
        assert_eq!(
            second.emit_with_ack("account:connect", connect("u")).await["success"],
            true
        );
    }
    let refused = second.emit_with_ack("account:connect", connect("u")).await;
    assert_eq!(refused["error"], "rate_limited");
    assert!((1..=6).contains(&refused["retryAfter"].as_u64().unwrap()), "{refused}");

    let sync = |account: &str| json!({ "userId": "u", "accountType": account });
    for _ in 0..6 {
        assert_eq!(
            first.request("account:sync", sync("github")).await.data["success"],
            true
        );
    }
    assert_eq!(
        first.request("account:sync", sync("github")).await.data["error"],
        "rate_limited"
    );
    let other = first.request("account:sync", sync("discord")).await;
    assert_eq!(other.data["success"], true, "each account has its own count");
}

#[tokio::test]
async fn pending_commands_per_socket_are_limited() {
    let gateway = TestGateway::with(|settings| settings.event_rate = None).await;
    let _worker = Worker::answering(&gateway, |_| None);
    let client = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    for _ in 0..32 {
        client.emit("account:list", json!({})).await;
    }
    let refused = client.request("account:list", json!({})).await;
    assert_eq!(refused.data["error"], "rate_limited");
    assert_eq!(refused.data["retryAfter"], 1);
}

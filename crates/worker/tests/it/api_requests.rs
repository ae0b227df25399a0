//! Requests of the application's server at the internal API.

use protocol::account::AccountType;
use protocol::api::{AlertQuery, AlertState, AuditQuery, PageRequest};
use protocol::cluster::api_request::ApiRequest;
use protocol::cluster::job::{Job, Work};
use protocol::id::SessionId;
use serde_json::{Value, json};
use simulator::Extent;

use crate::client::{Client, assert_error, assert_success};
use crate::env::{TestEnv, with_github};

/// Application's server, whose requests are about user `u`.
pub(crate) async fn application(env: &TestEnv) -> Client {
    env.client("u", "internal API: support").await
}

pub(crate) async fn request(application: &mut Client, request: ApiRequest) -> Value {
    let job = application.work(Work::ApiRequest(request));
    application.ask_for(&job).await
}

/// Job of a request with an idempotency key.
fn with_key(application: &mut Client, request: ApiRequest, key: &str) -> Job {
    Job {
        idempotency_key: Some(key.to_owned()),
        ..application.work(Work::ApiRequest(request))
    }
}

fn first_page() -> PageRequest {
    PageRequest { cursor: None, limit: 2 }
}

#[tokio::test]
async fn application_unlinks_an_account_as_its_user_does_once_for_a_key() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let mut owner = env.client("u", "s").await;
        assert_success(&owner.connect("test_code_ada").await);
        assert_eq!(owner.status().await.0, "connected");
        let mut support = application(&env).await;
        let listed = request(&mut support, ApiRequest::Accounts).await;
        let account = &listed["accounts"][0];
        assert_eq!(
            (&account["username"], &account["needsNewLink"], &account["failedSyncs"]),
            (&json!("ada"), &json!(false), &json!(0))
        );

        let unlink = ApiRequest::UnlinkAccount(AccountType::Github);
        let jobs = ["k", "k", "other"].map(|key| with_key(&mut support, unlink.clone(), key));
        let answer = support.ask_for(&jobs[0]).await;
        assert_eq!(answer, json!({"success": true, "accountType": "github"}));
        assert_eq!(owner.status().await.0, "disconnected");
        assert_eq!(github.revocations(1).await, [(Extent::Grant, Some("ada".to_owned()))]);
        assert_eq!(support.ask_for(&jobs[1]).await, answer, "the first answer to the key");
        assert_error(&support.ask_for(&jobs[2]).await, "not_connected");
        assert_eq!(request(&mut support, ApiRequest::Accounts).await["accounts"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn application_revokes_all_access_without_a_confirmation() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let mut owner = env.client("u", "s").await;
        assert_success(&owner.connect("test_code_ada").await);
        let mut support = application(&env).await;
        let jobs = ["k", "k", "other"].map(|key| with_key(&mut support, ApiRequest::RevokeAll, key));
        let answer = support.ask_for(&jobs[0]).await;
        assert_eq!(answer, json!({"success": true, "accountsDisconnected": 1}));
        while owner.alert().await["type"] != "revoke_all" {}
        github.revocations(1).await;
        assert_eq!(support.ask_for(&jobs[1]).await, answer);
        assert_eq!(support.ask_for(&jobs[2]).await["accountsDisconnected"], 0);
    })
    .await;
}

#[tokio::test]
async fn session_of_another_user_is_not_ended() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut theirs = env.client("v", "theirs").await;
    let asked = json!({"open_session": {"issued_at": env.now(), "origin": theirs.origin}});
    let open = theirs.work(serde_json::from_value(asked).unwrap());
    assert_success(&theirs.ask_for(&open).await);
    let mut support = application(&env).await;
    for session in ["theirs", "never opened"] {
        let end = ApiRequest::EndSession(SessionId::new(session).unwrap());
        assert_eq!(request(&mut support, end).await["sessionsEnded"], 0, "{session}");
    }
    let listed = theirs.work(Work::ApiRequest(ApiRequest::Sessions));
    let listed = theirs.ask_for(&listed).await;
    let session = &listed["sessions"][0];
    assert_eq!(
        (&session["sessionId"], &session["address"]),
        (&json!("theirs"), &json!("192.0.2.7"))
    );
    assert!(session.get("current").is_none(), "{session}");
    let end = theirs.work(Work::ApiRequest(ApiRequest::EndSession(
        SessionId::new("theirs").unwrap(),
    )));
    assert_eq!(theirs.ask_for(&end).await["sessionsEnded"], 1);
    let again = theirs.work(Work::ApiRequest(ApiRequest::Sessions));
    assert_eq!(theirs.ask_for(&again).await["sessions"], json!([]));
}

#[tokio::test]
async fn cursor_is_refused_for_another_user_list_or_filter_and_when_altered() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut support = application(&env).await;
    for number in 0..3 {
        let alert = json!({"raise_alert": {"userId": "u", "alertId": format!("a-{number}"), "severity": "low", "type": "new_device",
                           "message": "m", "timestamp": env.now(), "requiresAction": true}});
        let raise = support.work(serde_json::from_value(alert).unwrap());
        assert_success(&support.ask_for(&raise).await);
    }
    let alerts = |state, cursor: Option<&Value>| {
        ApiRequest::Alerts(AlertQuery {
            state,
            page: PageRequest {
                cursor: cursor.map(|cursor| cursor.as_str().unwrap().to_owned()),
                ..first_page()
            },
        })
    };
    let page = request(&mut support, alerts(None, None)).await;
    let names = |page: &Value| -> Vec<String> {
        let alerts = page["alerts"].as_array().unwrap().iter();
        alerts
            .map(|alert| alert["alertId"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&page), ["a-2", "a-1"]);
    let cursor = &page["cursor"];
    let last = request(&mut support, alerts(None, Some(cursor))).await;
    assert_eq!(names(&last), ["a-0"]);
    assert!(last.get("cursor").is_none(), "{last}");

    let mut altered = cursor.as_str().unwrap().to_owned();
    altered.replace_range(..1, if altered.starts_with('A') { "B" } else { "A" });
    let audit = ApiRequest::Audit(AuditQuery {
        since: None,
        until: None,
        action: None,
        page: PageRequest {
            cursor: Some(cursor.as_str().unwrap().to_owned()),
            ..first_page()
        },
    });
    for refused in [
        alerts(Some(AlertState::Open), Some(cursor)),
        alerts(None, Some(&json!(altered))),
        alerts(None, Some(&json!("2"))),
        audit,
    ] {
        let answer = request(&mut support, refused.clone()).await;
        assert!(
            assert_error(&answer, "bad_request").starts_with("cursor: "),
            "{refused:?}"
        );
    }
    let mut of_another = env.client("v", "internal API: support").await;
    let answer = request(&mut of_another, alerts(None, Some(cursor))).await;
    assert_error(&answer, "bad_request");
}

#[tokio::test]
async fn read_of_the_audit_log_is_recorded_with_its_caller() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut support = application(&env).await;
    let query = AuditQuery {
        since: None,
        until: None,
        action: Some("audit_read".to_owned()),
        page: first_page(),
    };
    let first = request(&mut support, ApiRequest::Audit(query.clone())).await;
    assert_eq!(first["entries"], json!([]));
    let second = request(&mut support, ApiRequest::Audit(query)).await;
    let entry = &second["entries"][0];
    assert_eq!(
        (&entry["action"], &entry["subject"], &entry["sessionId"]),
        (
            &json!("audit_read"),
            &json!("audit_read"),
            &json!("internal API: support")
        )
    );
    assert_eq!((&entry["number"], &entry["result"]), (&json!(1), &json!("ok")));
}

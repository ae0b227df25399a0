//! Hosted callback: which requests create a job, their rate limits, and what responses reveal.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bus::PendingAuthorization;
use protocol::account::{AccountStatus, AccountType, UserAccount};
use protocol::answer::Failure;
use protocol::cluster::callback::PendingLinkPage;
use protocol::cluster::job::{Job, JobOutcome, Work};
use protocol::code::ErrorCode;
use protocol::command::{Answer, ConnectAnswer};
use protocol::id::{SessionId, UserId};
use protocol::json::Json;
use protocol::secret::Secret;
use protocol::time::Timestamp;
use serde_json::json;
use testkit::client::http::{Request, Response};
use testkit::{SocketIo, wait};

use crate::test_gateway::TestGateway;
use crate::worker::Worker;

const GITHUB: &str = "/oauth/callback/github";
const TOKEN: &str = "page-token";
const COOKIE: &str = "cookie-secret";

/// Starts a worker that stores pending links and links the confirmed ones.
fn confirming_worker(gateway: &TestGateway) -> Worker {
    Worker::answering(gateway, |job| Some(outcome(job)))
}

fn outcome(job: &Job) -> JobOutcome {
    let account = UserAccount {
        account_type: AccountType::Github,
        platform_user_id: "1".to_owned(),
        username: "ada".to_owned(),
        display_name: None,
        avatar_url: None,
        status: AccountStatus::Connected,
        scopes: Vec::new(),
        connected_at: Timestamp::from_millis(0),
        last_synced: None,
        error_message: None,
    };
    let linked = JobOutcome::from(&Answer::Connect(ConnectAnswer {
        account: account.clone(),
    }));
    match &job.work {
        Work::Callback(_) => JobOutcome {
            data: Json::of(&PendingLinkPage {
                account,
                token: Secret::new(TOKEN),
                cookie: Secret::new(COOKIE),
                expires_in: 300,
            }),
            ..linked
        },
        _ => linked,
    }
}

/// Issues a state to a user's `default` session, as a worker does.
pub(crate) async fn issue(gateway: &TestGateway, user: &UserId, state: &str) {
    let state = Secret::new(state);
    let pending = PendingAuthorization {
        session: SessionId::new(SessionId::DEFAULT).unwrap(),
        account: AccountType::Github,
        encrypted: b"encrypted".to_vec(),
    };
    let minute = std::time::Duration::from_secs(60);
    for (key, value) in [
        (
            PendingAuthorization::owner_key(&state),
            user.as_str().as_bytes().to_vec(),
        ),
        (PendingAuthorization::key(user, &state), pending.write()),
    ] {
        gateway.bus.inner().put(&key, &value, minute).await.unwrap();
    }
}

pub(crate) async fn call_back(gateway: &TestGateway, state: &str) -> Response {
    let path = format!("{GITHUB}?code=c&state={state}");
    gateway.endpoint.http(&Request::get(&path)).await.unwrap()
}

/// Submits the confirmation form with this token and cookie.
async fn confirm(gateway: &TestGateway, path: &str, token: &str, cookie: Option<&str>) -> Response {
    let mut request = Request::new("POST", path)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(format!("token={token}"));
    if let Some(cookie) = cookie {
        let cookies = format!("__Host-postern-github={cookie}; __Host-postern-discord={cookie}");
        request = request.header("Cookie", &cookies);
    }
    gateway.endpoint.http(&request).await.unwrap()
}

/// Waits until this many jobs were done. A job is counted after its reply was sent.
async fn jobs(worker: &Worker, count: usize) {
    let what = format!("{count} jobs, and not {}", worker.done());
    wait::until_true(&what, wait::deadline(), async || worker.done() == count).await;
}

/// Returns everything a client can observe of a response, except the date.
fn comparable(response: &Response) -> (u16, String, String) {
    let mut headers = response.headers.clone();
    headers.remove("date");
    (response.status, format!("{headers:?}"), response.text())
}

/// Returns a cookie that names a user, as an early format did.
fn forged_cookie(user: &str) -> String {
    let kept = json!({ "user": user, "session": "default", "secret": "guessed" });
    URL_SAFE_NO_PAD.encode(kept.to_string())
}

#[tokio::test]
async fn forged_cookies_get_identical_responses_without_a_job() {
    let gateway = TestGateway::new().await;
    let worker = confirming_worker(&gateway);
    let _online = SocketIo::connect(&gateway.endpoint, &gateway.token("online"))
        .await
        .unwrap();
    let without = confirm(&gateway, GITHUB, TOKEN, None).await;
    assert_eq!(without.status, 400, "{}", without.text());
    for cookie in [
        forged_cookie("online"),
        forged_cookie("offline"),
        forged_cookie("no\nuser"),
        "guessed".to_owned(),
        "%%%".to_owned(),
        String::new(),
    ] {
        let forged = confirm(&gateway, GITHUB, TOKEN, Some(&cookie)).await;
        assert_eq!(comparable(&forged), comparable(&without), "{cookie}");
    }
    assert_eq!(worker.done(), 0);
}

#[tokio::test]
async fn confirmation_needs_matching_token_cookie_and_platform() {
    let gateway = TestGateway::new().await;
    let worker = confirming_worker(&gateway);
    let _online = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    issue(&gateway, &UserId::new("u").unwrap(), "issued").await;
    let page = call_back(&gateway, "issued").await;
    assert_eq!(page.status, 200, "{}", page.text());
    let set = page.header("set-cookie");
    assert!(
        set.starts_with(&format!("__Host-postern-github={COOKIE}; ")),
        "it names nobody: {set}"
    );

    let without = confirm(&gateway, GITHUB, TOKEN, None).await;
    for (token, cookie) in [("wrong", COOKIE), (TOKEN, "wrong"), (COOKIE, TOKEN)] {
        let refused = confirm(&gateway, GITHUB, token, Some(cookie)).await;
        assert_eq!(comparable(&refused), comparable(&without), "{token} {cookie}");
    }
    let elsewhere = confirm(&gateway, "/oauth/callback/discord", TOKEN, Some(COOKIE)).await;
    assert_eq!(elsewhere.status, 400, "{}", elsewhere.text());
    jobs(&worker, 1).await;

    let linked = confirm(&gateway, GITHUB, TOKEN, Some(COOKIE)).await;
    assert_eq!(linked.status, 200, "{}", linked.text());
    let again = confirm(&gateway, GITHUB, TOKEN, Some(COOKIE)).await;
    assert_eq!(comparable(&again), comparable(&without));
    jobs(&worker, 2).await;
}

#[tokio::test]
async fn callbacks_share_the_connect_limit_and_keep_state_when_limited() {
    let gateway = TestGateway::new().await;
    let worker = confirming_worker(&gateway);
    let client = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let _other = SocketIo::connect(&gateway.endpoint, &gateway.token("other"))
        .await
        .unwrap();
    let (user, other) = (UserId::new("u").unwrap(), UserId::new("other").unwrap());
    let connect =
        json!({ "userId": "u", "accountType": "github", "oauthCode": "c", "redirectUri": "http://localhost/cb" });
    for number in 0..5 {
        let connected = client.emit_with_ack("account:connect", connect.clone()).await;
        assert_eq!(connected["success"], true, "{connected}");
        let state = format!("state-{number}");
        issue(&gateway, &user, &state).await;
        let page = call_back(&gateway, &state).await;
        assert_eq!(page.status, 200, "{}", page.text());
    }
    issue(&gateway, &user, "beyond").await;
    let refused = call_back(&gateway, "beyond").await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=6).contains(&wait), "{wait}");
    assert!(refused.text().starts_with("<!doctype html>"), "{}", refused.text());
    let key = PendingAuthorization::key(&user, &Secret::new("beyond"));
    assert!(
        gateway.bus.inner().read(&key).await.unwrap().is_some(),
        "the state is not spent"
    );
    let connected = client.emit_with_ack("account:connect", connect).await;
    assert_eq!(connected["error"], "rate_limited", "{connected}");

    issue(&gateway, &other, "another's").await;
    assert_eq!(call_back(&gateway, "another's").await.status, 200);
    jobs(&worker, 11).await;
}

#[tokio::test]
async fn confirmations_are_limited_to_ten_per_minute() {
    let gateway = TestGateway::new().await;
    // The confirmation fails, so the pending link stays.
    let worker = Worker::answering(&gateway, |job| {
        Some(match job.work {
            Work::Callback(_) => outcome(job),
            _ => JobOutcome::from(&Failure::of(ErrorCode::Unavailable)),
        })
    });
    let _online = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    issue(&gateway, &UserId::new("u").unwrap(), "issued").await;
    assert_eq!(call_back(&gateway, "issued").await.status, 200);
    for _ in 0..10 {
        let pressed = confirm(&gateway, GITHUB, TOKEN, Some(COOKIE)).await;
        assert_eq!(pressed.status, 503, "{}", pressed.text());
    }
    let refused = confirm(&gateway, GITHUB, TOKEN, Some(COOKIE)).await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    jobs(&worker, 11).await;
}

#[tokio::test]
async fn replaced_state_is_refused_without_a_job() {
    let gateway = TestGateway::new().await;
    let worker = confirming_worker(&gateway);
    let _online = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let user = UserId::new("u").unwrap();
    for number in 0..6 {
        issue(&gateway, &user, &format!("state-{number}")).await;
    }
    let never = call_back(&gateway, "never-issued").await;
    assert_eq!(never.status, 400);
    assert_eq!(comparable(&call_back(&gateway, "state-0").await), comparable(&never));
    assert_eq!(call_back(&gateway, "state-1").await.status, 200);
    jobs(&worker, 1).await;
}

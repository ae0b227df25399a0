//! The hosted callback's door: what makes a job, how often, and what a stranger learns from an answer.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bus::{Challenges, PendingAuthorization};
use protocol::account::{AccountStatus, AccountType, UserAccount};
use protocol::answer::{self, Answer, Failure};
use protocol::cluster::callback::Parked;
use protocol::cluster::job::{Job, JobOutcome, Work};
use protocol::code::ErrorCode;
use protocol::id::{SessionId, UserId};
use protocol::json::Json;
use protocol::secret::Secret;
use protocol::time::Timestamp;
use serde_json::json;
use testkit::client::http::{Request, Response};
use testkit::{SocketIo, wait};

use crate::house::House;
use crate::worker::Worker;

const GITHUB: &str = "/oauth/callback/github";
const TOKEN: &str = "page-token";
const COOKIE: &str = "cookie-secret";

/// A worker that parks what comes back, and links what is confirmed.
fn hosting(house: &House) -> Worker {
    Worker::answering(house, |job| Some(outcome(job)))
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
    let linked = JobOutcome::from(&Answer::Connect(answer::Connect {
        account: account.clone(),
    }));
    match &job.work {
        Work::Callback(_) => JobOutcome {
            data: Json::of(&Parked {
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
async fn issue(house: &House, user: &UserId, state: &str) {
    let state = Secret::new(state);
    let begun = PendingAuthorization {
        session: SessionId::new(SessionId::DEFAULT).unwrap(),
        account: AccountType::Github,
        encrypted: b"sealed".to_vec(),
    };
    let minute = std::time::Duration::from_secs(60);
    for (key, value) in [
        (
            PendingAuthorization::owner_key(&state),
            user.as_str().as_bytes().to_vec(),
        ),
        (PendingAuthorization::key(user, &state), begun.write()),
    ] {
        house.line.put(&key, &value, minute).await.unwrap();
    }
}

async fn come_back(house: &House, state: &str) -> Response {
    let path = format!("{GITHUB}?code=c&state={state}");
    house.endpoint.http(&Request::get(&path)).await.unwrap()
}

/// Presses the button with this token and this value of the cookie of github's page.
async fn press(house: &House, path: &str, token: &str, cookie: Option<&str>) -> Response {
    let mut request = Request::new("POST", path)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(format!("token={token}"));
    if let Some(cookie) = cookie {
        let cookies = format!("__Host-postern-github={cookie}; __Host-postern-discord={cookie}");
        request = request.header("Cookie", &cookies);
    }
    house.endpoint.http(&request).await.unwrap()
}

/// Waits until so many jobs were done: each is counted once its answer is out.
async fn jobs(worker: &Worker, count: usize) {
    let what = format!("{count} jobs, and not {}", worker.done());
    wait::until_true(&what, wait::deadline(), async || worker.done() == count).await;
}

/// All that can be seen of an answer, but for the moment at which it was given.
fn seen(response: &Response) -> (u16, String, String) {
    let mut headers = response.headers.clone();
    headers.remove("date");
    (response.status, format!("{headers:?}"), response.text())
}

/// A cookie that names a user, as cookies once did.
fn naming(user: &str) -> String {
    let kept = json!({ "user": user, "session": "default", "secret": "guessed" });
    URL_SAFE_NO_PAD.encode(kept.to_string())
}

#[tokio::test]
async fn forged_cookies_of_users_online_and_offline_get_one_answer_and_make_no_job() {
    let house = House::new().await;
    let worker = hosting(&house);
    let _online = SocketIo::connect(&house.endpoint, &house.token("online"))
        .await
        .unwrap();
    let without = press(&house, GITHUB, TOKEN, None).await;
    assert_eq!(without.status, 400, "{}", without.text());
    for cookie in [
        naming("online"),
        naming("offline"),
        naming("no\nuser"),
        "guessed".to_owned(),
        "%%%".to_owned(),
        String::new(),
    ] {
        let forged = press(&house, GITHUB, TOKEN, Some(&cookie)).await;
        assert_eq!(seen(&forged), seen(&without), "{cookie}");
    }
    assert_eq!(worker.done(), 0);
}

#[tokio::test]
async fn a_button_makes_a_job_with_its_own_token_and_cookie_at_its_own_platform_alone() {
    let house = House::new().await;
    let worker = hosting(&house);
    let _online = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    issue(&house, &UserId::new("u").unwrap(), "issued").await;
    let page = come_back(&house, "issued").await;
    assert_eq!(page.status, 200, "{}", page.text());
    let set = page.header("set-cookie");
    assert!(
        set.starts_with(&format!("__Host-postern-github={COOKIE}; ")),
        "it names nobody: {set}"
    );

    let without = press(&house, GITHUB, TOKEN, None).await;
    for (token, cookie) in [("wrong", COOKIE), (TOKEN, "wrong"), (COOKIE, TOKEN)] {
        let refused = press(&house, GITHUB, token, Some(cookie)).await;
        assert_eq!(seen(&refused), seen(&without), "{token} {cookie}");
    }
    let elsewhere = press(&house, "/oauth/callback/discord", TOKEN, Some(COOKIE)).await;
    assert_eq!(elsewhere.status, 400, "{}", elsewhere.text());
    jobs(&worker, 1).await;

    let linked = press(&house, GITHUB, TOKEN, Some(COOKIE)).await;
    assert_eq!(linked.status, 200, "{}", linked.text());
    let again = press(&house, GITHUB, TOKEN, Some(COOKIE)).await;
    assert_eq!(seen(&again), seen(&without));
    jobs(&worker, 2).await;
}

#[tokio::test]
async fn returns_from_a_platform_count_as_connects_of_their_user_and_spend_no_state_beyond() {
    let house = House::new().await;
    let worker = hosting(&house);
    let client = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let _other = SocketIo::connect(&house.endpoint, &house.token("other")).await.unwrap();
    let (user, other) = (UserId::new("u").unwrap(), UserId::new("other").unwrap());
    let connect =
        json!({ "userId": "u", "accountType": "github", "oauthCode": "c", "redirectUri": "http://localhost/cb" });
    for number in 0..5 {
        let connected = client.emit_with_ack("account:connect", connect.clone()).await;
        assert_eq!(connected["success"], true, "{connected}");
        let state = format!("state-{number}");
        issue(&house, &user, &state).await;
        let page = come_back(&house, &state).await;
        assert_eq!(page.status, 200, "{}", page.text());
    }
    issue(&house, &user, "beyond").await;
    let refused = come_back(&house, "beyond").await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=6).contains(&wait), "{wait}");
    assert!(refused.text().starts_with("<!doctype html>"), "{}", refused.text());
    let key = PendingAuthorization::key(&user, &Secret::new("beyond"));
    assert!(house.line.read(&key).await.unwrap().is_some(), "the state is not spent");
    let connected = client.emit_with_ack("account:connect", connect).await;
    assert_eq!(connected["error"], "rate_limited", "{connected}");

    issue(&house, &other, "another's").await;
    assert_eq!(come_back(&house, "another's").await.status, 200);
    jobs(&worker, 11).await;
}

#[tokio::test]
async fn a_button_counts_ten_times_a_minute_for_its_user() {
    let house = House::new().await;
    // Nothing becomes of it, so that the link stays.
    let worker = Worker::answering(&house, |job| {
        Some(match job.work {
            Work::Callback(_) => outcome(job),
            _ => JobOutcome::from(&Failure::of(ErrorCode::Unavailable)),
        })
    });
    let _online = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    issue(&house, &UserId::new("u").unwrap(), "issued").await;
    assert_eq!(come_back(&house, "issued").await.status, 200);
    for _ in 0..10 {
        let pressed = press(&house, GITHUB, TOKEN, Some(COOKIE)).await;
        assert_eq!(pressed.status, 503, "{}", pressed.text());
    }
    let refused = press(&house, GITHUB, TOKEN, Some(COOKIE)).await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    jobs(&worker, 11).await;
}

#[tokio::test]
async fn a_state_that_was_replaced_makes_no_job() {
    let house = House::new().await;
    let worker = hosting(&house);
    let _online = SocketIo::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let user = UserId::new("u").unwrap();
    for number in 0..6 {
        issue(&house, &user, &format!("state-{number}")).await;
    }
    let never = come_back(&house, "never-issued").await;
    assert_eq!(never.status, 400);
    assert_eq!(seen(&come_back(&house, "state-0").await), seen(&never));
    assert_eq!(come_back(&house, "state-1").await.status, 200);
    jobs(&worker, 1).await;
}

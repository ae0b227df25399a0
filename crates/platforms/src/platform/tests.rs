//! Error chains of platforms, without repeated parts.

use std::error::Error;

use http::{Request, StatusCode};
use protocol::fault::chain;
use tokio::net::TcpListener;

use super::*;
use crate::http::{CallError, Http, Timeouts, is_logged_outage};
use crate::route::Route;
use crate::settings::InsecureUrl;
use crate::webhook::{InvalidWebhookSecret, WebhookError, WebhookVerifier};

const GITHUB: AccountType = AccountType::Github;

type Cause = Box<dyn Error + Send + Sync>;

/// Error of a real call to this address.
async fn failed_call(address: &str) -> CallError {
    let http = Http::new(Timeouts {
        connect: Duration::from_secs(2),
        total: Duration::from_millis(500),
    });
    let request = Request::get(address).body(Vec::new()).unwrap();
    http.unwrap().send(Route::new(GITHUB, "/"), request).await.unwrap_err()
}

/// Errors of calls: refused connection, closed connection, connection without an answer, and answers that are unusable.
async fn call_errors() -> Vec<CallError> {
    let closing = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
    let (closing_url, silent_url) = (url(&closing), url(&silent));
    let close = async { drop(closing.accept().await.unwrap()) };
    let (broken, ()) = tokio::join!(failed_call(&closing_url), close);
    drop(closing);
    vec![
        failed_call(&closing_url).await,
        broken,
        failed_call(&silent_url).await,
        CallError::TooLarge,
        CallError::Status(StatusCode::INTERNAL_SERVER_ERROR),
        CallError::Status(StatusCode::FOUND),
        CallError::Unreadable,
    ]
}

/// Every error that a user or an operator may see.
async fn errors() -> Vec<Cause> {
    let mut errors: Vec<Cause> = vec![
        ExchangeError::Refused(GITHUB, "bad_verification_code".to_owned()).into(),
        RefreshError::Refused(GITHUB).into(),
        ApiError::Refused(GITHUB).into(),
        InsecureUrl("token").into(),
        WebhookError::InvalidSignature.into(),
        WebhookError::Unreadable.into(),
        invalid_secret(AccountType::Discord, "no key").into(),
        invalid_secret(AccountType::Discord, &"0".repeat(64)).into(),
        invalid_secret(AccountType::Github, "").into(),
    ];
    let (account, wait, pause) = (GITHUB, Duration::from_secs(7), PauseScope::App);
    errors.push(ExchangeError::Throttled { account, wait, pause }.into());
    errors.push(RefreshError::Throttled { account, wait, pause }.into());
    errors.push(ApiError::Throttled { account, wait, pause }.into());
    errors.push(RevokeError::Throttled { account, wait, pause }.into());
    let of_call: [fn(Cause) -> Cause; 6] = [
        |cause| ExchangeError::NotSent(GITHUB, cause).into(),
        |cause| ExchangeError::Unknown(GITHUB, cause).into(),
        |cause| RefreshError::NotSent(GITHUB, cause).into(),
        |cause| RefreshError::Unknown(GITHUB, cause).into(),
        |cause| ApiError::Unavailable(GITHUB, cause).into(),
        |cause| RevokeError::Unavailable(GITHUB, cause).into(),
    ];
    for error in of_call {
        errors.extend(call_errors().await.into_iter().map(|cause| error(cause.into())));
    }
    errors
}

fn invalid_secret(platform: AccountType, secret: &str) -> InvalidWebhookSecret {
    WebhookVerifier::new(platform, &Secret::new(secret)).unwrap_err()
}

#[tokio::test]
async fn error_chains_repeat_no_part() {
    for error in errors().await {
        let mut chain = vec![error.to_string()];
        let mut cause = error.source();
        while let Some(error) = cause {
            chain.push(error.to_string());
            cause = error.source();
        }
        for (index, part) in chain.iter().enumerate() {
            let repeated = chain
                .iter()
                .skip(index + 1)
                .any(|later| part.contains(later) || later.contains(part));
            assert!(!repeated, "{part:?} is repeated in {chain:?}");
        }
    }
}

fn unavailable(error: CallError) -> ApiError {
    ApiError::Unavailable(GITHUB, error.into())
}

#[test]
fn only_failures_of_the_platform_itself_are_outages() {
    let status = |code| CallError::Status(StatusCode::from_u16(code).unwrap());
    for outage in [CallError::TimedOut(Duration::from_secs(4)), status(500), status(503)] {
        assert!(is_logged_outage(&unavailable(outage)));
    }
    let unbuilt = Request::get("no url").body(()).unwrap_err();
    for other in [
        CallError::NotSent(unbuilt.into()),
        CallError::TooLarge,
        CallError::Unreadable,
        status(404),
    ] {
        let error = unavailable(other);
        assert!(!is_logged_outage(&error), "{}", chain(&error));
    }
    assert!(!is_logged_outage(&ApiError::Refused(GITHUB)));
}

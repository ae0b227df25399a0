//! Spans of calls, and that platforms receive nothing of them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::http::{HeaderMap, Request, Response, StatusCode};
use lifecycle::SystemClock;
use opentelemetry::trace::{SpanKind, Status};
use platforms::{ApiError, BotInbox, BotSettings, Github, Http, Platform, RevocationScope, TelegramBot, Tokens};
use protocol::secret::Secret;
use simulator::{Kind, Route};
use telemetry::trace::TARGET;
use testkit::spans::{Spans, attribute};
use tracing::Instrument;

use crate::world::{IMPATIENT, request, settings, world};

/// Runs `work` in a span, as a worker runs a job.
async fn in_trace<T>(work: impl Future<Output = T>) -> T {
    work.instrument(tracing::info_span!(target: TARGET, "job")).await
}

#[tokio::test]
async fn call_is_a_client_span_by_its_route_with_the_status() {
    world(async |world| {
        let tokens = world.tokens("ada").await;
        let (spans, _guard) = Spans::record(TARGET);
        in_trace(world.github.profile(&tokens)).await.unwrap();
        let (job, call) = (spans.named("job"), spans.named("GET /user"));
        assert_eq!(
            (call.span_kind.clone(), call.status.clone()),
            (SpanKind::Client, Status::Unset)
        );
        assert_eq!(call.parent_span_id, job.span_context.span_id());
        let (_scheme, authority) = world.simulator.url().split_once("://").unwrap();
        for (key, value) in [
            ("http.request.method", "GET"),
            ("http.response.status_code", "200"),
            ("url.template", "/user"),
            ("server.address", "127.0.0.1"),
            ("server.port", authority.split_once(':').unwrap().1),
            ("platform", "github"),
            ("error.type", ""),
        ] {
            assert_eq!(attribute(&call, key), value, "{key}: {call:#?}");
        }
    })
    .await;
}

#[tokio::test]
async fn failed_calls_have_the_status_or_the_class_of_the_failure() {
    world(async |world| {
        let github = Github::new(settings(world.simulator.url()), Http::new(IMPATIENT).unwrap()).unwrap();
        let unavailable = Kind::Status {
            status: 503,
            headers: [].into(),
            body: "canary of the body".to_owned(),
        };
        for (kind, error_type, status) in [
            (unavailable, "503", "503"),
            (Kind::Hang, "timeout", ""),
            (Kind::DropResponse, "broken", ""),
        ] {
            world.fault(Route::Profile, kind);
            let (spans, _guard) = Spans::record(TARGET);
            let failed = in_trace(github.profile(&tokens("canary-of-the-token"))).await;
            assert!(matches!(failed, Err(ApiError::Unavailable(..))), "{failed:?}");
            let call = spans.named("GET /user");
            assert!(matches!(call.status, Status::Error { .. }), "{call:#?}");
            assert_eq!(attribute(&call, "error.type"), error_type);
            assert_eq!(attribute(&call, "http.response.status_code"), status);
            assert!(!format!("{:?}", spans.all()).contains("canary"), "{:#?}", spans.all());
        }
    })
    .await;
}

#[tokio::test]
async fn call_outside_of_a_trace_has_no_span() {
    world(async |world| {
        let tokens = world.tokens("ada").await;
        let (spans, _guard) = Spans::record(TARGET);
        world.github.profile(&tokens).await.unwrap();
        assert!(spans.all().is_empty(), "{:#?}", spans.all());
    })
    .await;
}

/// Telegram's API has the token of the bot in the path, GitHub's revocation the application's id.
#[tokio::test]
async fn paths_with_tokens_and_ids_are_in_no_span() {
    let http = answering(Arc::default());
    let bot = BotSettings {
        token: Secret::new("7:canary-of-the-bot"),
        api_url: "https://telegram.example".parse().unwrap(),
    };
    let bot = TelegramBot::new(bot, http.clone(), Arc::new(SystemClock)).unwrap();
    let mut settings = settings("https://github.example");
    settings.client_id = "canary-of-the-application".to_owned();
    let github = Github::new(settings, http).unwrap();
    let (spans, _guard) = Spans::record(TARGET);
    in_trace(async {
        drop(bot.read(None).await);
        let token = Secret::new("canary-of-the-token");
        drop(github.revoke(&token, RevocationScope::Grant).await);
    })
    .await;
    spans.named("POST /bot{token}/getUpdates");
    spans.named("DELETE /applications/{client_id}/grant");
    assert!(!format!("{:?}", spans.all()).contains("canary"), "{:#?}", spans.all());
}

#[tokio::test]
async fn platforms_receive_no_trace_context() {
    let received = Arc::default();
    let github = Github::new(settings("https://github.example"), answering(Arc::clone(&received))).unwrap();
    let (spans, _guard) = Spans::record(TARGET);
    in_trace(async {
        drop(github.exchange(&request("any")).await);
        drop(github.sync(&tokens("gho_1"), None).await);
        drop(github.revoke(&Secret::new("gho_1"), RevocationScope::Token).await);
    })
    .await;
    let received = received.lock().unwrap();
    assert_eq!(received.len(), 3);
    assert_eq!(spans.all().len(), 4, "{:#?}", spans.all());
    for headers in received.iter() {
        for name in ["traceparent", "tracestate", "baggage", "b3"] {
            assert!(!headers.contains_key(name), "{headers:?}");
        }
    }
}

/// Client whose requests are recorded and answered with 404.
fn answering(received: Arc<Mutex<Vec<HeaderMap>>>) -> Http {
    Http::answering(move |request: &Request<Vec<u8>>| {
        received.lock().unwrap().push(request.headers().clone());
        let mut answer = Response::new(Vec::new());
        *answer.status_mut() = StatusCode::NOT_FOUND;
        answer
    })
}

fn tokens(access: &str) -> Tokens {
    Tokens {
        access: Secret::new(access),
        refresh: None,
        expires_in: Some(Duration::from_secs(60)),
    }
}

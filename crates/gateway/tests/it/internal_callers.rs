//! Internal API: callers with scopes, and the refusals of the router.

use axum::Router;
use axum::body::{Body, to_bytes};
use data_encoding::HEXLOWER;
use gateway::{InternalApiSettings, InternalCallers};
use http::Request;
use lifecycle::Reloadable;
use protocol::api::Scope;
use protocol::api::table::ROUTES;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use testkit::log::Log;
use testkit::wait;
use tower::ServiceExt;

use crate::test_gateway::{TestGateway, internal_api};
use crate::worker::Worker;

/// Method, path and scope of some routes.
const SERVED: [(&str, &str, &str); 3] = [
    ("POST", "/v1/users/GEN-001/events", "publish_events"),
    ("GET", "/v1/users/GEN-001/connections", "read_connections"),
    ("DELETE", "/v1/users/GEN-001/sessions", "end_sessions"),
];

fn alert() -> String {
    let data = json!({ "severity": "high", "type": "suspicious_login", "message": "m", "requiresAction": false });
    json!({ "event": "security:alert", "data": data }).to_string()
}

/// Entry of a tokens file.
fn entry(name: &str, scopes: &[&str], token: &str) -> Value {
    let sha256 = HEXLOWER.encode(&Sha256::digest(token));
    json!({ "name": name, "scopes": scopes, "sha256": sha256 })
}

fn callers(entries: &Value) -> InternalCallers {
    let file = entries.to_string();
    InternalCallers::default().with_tokens_file(file.as_bytes()).unwrap()
}

async fn gateway(callers: &Reloadable<InternalCallers>) -> TestGateway {
    let callers = callers.clone();
    TestGateway::with(|settings| settings.internal_api = Some(InternalApiSettings { callers, tls: None })).await
}

/// Sends a request; returns status, body and `Allow` of the response.
async fn send(api: &Router, (method, path): (&str, &str), token: &str, body: impl Into<Body>) -> (u16, Value, String) {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("Authorization", format!("Bearer {token}"));
    let response = api.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
    let allow = response.headers().get("allow");
    let allow = allow.map_or("", |value| value.to_str().unwrap()).to_owned();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default(), allow)
}

#[tokio::test]
async fn caller_is_served_on_the_routes_of_its_scopes_only() {
    let tokens = SERVED.map(|(_, _, scope)| entry("caller", &[scope], scope));
    let gateway = gateway(&Reloadable::new(callers(&json!(tokens)))).await;
    let _worker = Worker::succeeding(&gateway);
    for (method, path, scope) in SERVED {
        for token in SERVED.map(|(_, _, scope)| scope) {
            let (status, answer, _) = send(&gateway.internal, (method, path), token, alert()).await;
            if token == scope {
                assert_ne!(status, 401, "{method} by {token}: {answer}");
                assert_ne!(status, 403, "{method} by {token}: {answer}");
                continue;
            }
            let sentence = format!("The token does not have the scope {scope}.");
            assert_eq!(
                (status, &answer["error"], &answer["message"]),
                (403, &json!("forbidden"), &json!(sentence)),
                "{method} by {token}"
            );
        }
    }
    let refused = gateway.metric(r#"postern_gateway_internal_refusals_total{reason="scope"}"#);
    assert!((refused - 6.0).abs() < 0.5, "{refused}");
}

#[tokio::test]
async fn no_route_is_served_without_a_token_of_its_scope() {
    let others = |scope: Scope| {
        Scope::ALL
            .into_iter()
            .filter(move |other| *other != scope)
            .map(Scope::as_str)
    };
    let entries = Scope::ALL.map(|scope| {
        let others: Vec<_> = others(scope).collect();
        entry(scope.as_str(), &others, scope.as_str())
    });
    let gateway = gateway(&Reloadable::new(callers(&json!(entries)))).await;
    for route in ROUTES {
        let path = route.path.replace(['{', '}'], "");
        let request = (route.method, path.as_str());
        let (status, answer, _) = send(&gateway.internal, request, "unknown", "{}").await;
        assert_eq!(
            (status, &answer["error"]),
            (401, &json!("unauthenticated")),
            "{request:?}"
        );
        let all_but_its_own = route.scope.as_str();
        let (status, answer, _) = send(&gateway.internal, request, all_but_its_own, "{}").await;
        assert_eq!((status, &answer["error"]), (403, &json!("forbidden")), "{request:?}");
    }
}

#[tokio::test]
async fn unknown_query_parameter_is_refused_on_each_route() {
    let gateway = TestGateway::with(|settings| settings.internal_api = Some(internal_api("t"))).await;
    for route in ROUTES {
        let path = format!("{}?unknown=hunter2", route.path.replace(['{', '}'], ""));
        let (status, answer, _) = send(&gateway.internal, (route.method, &path), "t", "{}").await;
        let sentence = "query: this path does not have such a parameter";
        assert_eq!((status, &answer["message"]), (400, &json!(sentence)), "{path}");
    }
}

#[tokio::test]
async fn query_parameter_that_is_given_twice_is_refused() {
    let gateway = TestGateway::with(|settings| settings.internal_api = Some(internal_api("t"))).await;
    for route in ROUTES {
        for name in route.query.iter().map(|parameter| parameter.name) {
            let path = route.path.replace(['{', '}'], "");
            let path = format!("{path}?{name}=1&{name}=1");
            let (status, answer, _) = send(&gateway.internal, (route.method, &path), "t", "{}").await;
            let sentence = format!("{name}: this parameter was expected once");
            assert_eq!((status, &answer["message"]), (400, &json!(sentence)), "{path}");
        }
    }
}

#[tokio::test]
async fn request_with_two_idempotency_keys_is_refused() {
    let gateway = TestGateway::with(|settings| settings.internal_api = Some(internal_api("t"))).await;
    let request = Request::delete("/v1/users/GEN-001/sessions").header("Authorization", "Bearer t");
    let request = request.header("Idempotency-Key", "a").header("Idempotency-Key", "b");
    let request = request.body(Body::empty()).unwrap();
    let response = gateway.internal.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 400);
}

#[tokio::test]
async fn flood_of_unknown_tokens_hides_no_refusal_of_another_kind_in_the_log() {
    let gateway = gateway(&Reloadable::new(callers(&json!([entry(
        "support",
        &["publish_events"],
        "t"
    )]))))
    .await;
    let (log, _guard) = Log::capture();
    let list = ("GET", "/v1/users/GEN-001/connections");
    for number in 0..500 {
        let token = format!("guess-{number}");
        assert_eq!(send(&gateway.internal, list, &token, Body::empty()).await.0, 401);
    }
    assert_eq!(send(&gateway.internal, list, "t", Body::empty()).await.0, 403);
    let lines = log.lines("internal API request refused");
    let of = |reason: &str| lines.iter().filter(|line| line.contains(reason)).count();
    assert!(of("token_unknown") < 100, "{lines:#?}");
    assert_eq!(of("reason=\"scope\""), 1, "{lines:#?}");
    assert!(log.lines("guess-").is_empty(), "no line has a token");
}

#[tokio::test]
async fn name_of_the_caller_is_the_session_of_its_jobs() {
    let gateway = gateway(&Reloadable::new(callers(&json!([entry(
        "support",
        &["end_sessions"],
        "t"
    )]))))
    .await;
    let worker = Worker::succeeding(&gateway);
    let end = send(
        &gateway.internal,
        ("DELETE", "/v1/users/GEN-001/sessions"),
        "t",
        Body::empty(),
    );
    let taken = wait::until_true("the job to be taken", wait::deadline(), async || worker.done() == 1);
    tokio::join!(end, taken);
    assert_eq!(worker.last().session.as_str(), "internal API: support");
}

#[tokio::test]
async fn replaced_callers_count_from_the_next_request_on() {
    let scopes = ["read_connections"];
    let [old, new] = [entry("a", &scopes, "old"), entry("a", &scopes, "new")];
    let shared = Reloadable::new(callers(&json!([old])));
    let gateway = gateway(&shared).await;
    let statuses = async || {
        let list = ("GET", "/v1/users/GEN-001/connections");
        let old = send(&gateway.internal, list, "old", Body::empty()).await.0;
        (old, send(&gateway.internal, list, "new", Body::empty()).await.0)
    };
    assert_eq!(statuses().await, (200, 401));
    shared.set(callers(&json!([old, new])));
    assert_eq!(statuses().await, (200, 200));
    shared.set(callers(&json!([new])));
    assert_eq!(statuses().await, (401, 200));
}

#[tokio::test]
async fn refusals_of_the_router_have_the_documented_body() {
    let gateway = TestGateway::with(|settings| settings.internal_api = Some(internal_api("t"))).await;
    for path in [
        "/",
        "/metrics",
        "/v1/users/GEN-001",
        "/v1/users/GEN-001/events/",
        "/v2/users/GEN-001/events",
    ] {
        let (status, answer, _) = send(&gateway.internal, ("GET", path), "t", Body::empty()).await;
        let expected = json!({
            "type": "urn:postern:problem:not_supported", "title": "This is not supported here.", "status": 404,
            "detail": "There is nothing here.", "error": "not_supported", "message": "There is nothing here.",
        });
        assert_eq!((status, answer), (404, expected));
    }
    for (method, path, allow) in [
        ("GET", "/v1/users/GEN-001/events", "POST"),
        ("POST", "/v1/users/GEN-001/connections", "GET,HEAD"),
        ("PUT", "/v1/users/GEN-001/sessions", "DELETE,GET,HEAD"),
    ] {
        let (status, answer, allowed) = send(&gateway.internal, (method, path), "t", Body::empty()).await;
        assert_eq!(
            (status, answer["error"].as_str(), allowed.as_str()),
            (405, Some("not_supported"), allow)
        );
        assert!(answer["message"].is_string());
    }
    let publish = ("POST", "/v1/users/GEN-001/events");
    let (status, answer, _) = send(&gateway.internal, publish, "t", "x".repeat(64 * 1024 + 1)).await;
    assert_eq!((status, &answer["error"]), (413, &json!("bad_request")));
    let unreadable = ("GET", "/v1/users/%ff/connections");
    let (status, answer, _) = send(&gateway.internal, unreadable, "t", Body::empty()).await;
    assert_eq!((status, &answer["error"]), (400, &json!("bad_request")));
}

//! Metrics of a gateway: every counter exists before its first event, and no client and no message of another node adds a series.

use std::collections::BTreeSet;

use bus::Events;
use protocol::account::AccountType;
use protocol::cluster::envelope::{Audience, Envelope};
use protocol::event::DeliveryClass;
use protocol::id::{EventId, UserId};
use protocol::json::Json;
use serde_json::json;
use testkit::Native;
use testkit::client::frame::Frame;
use testkit::client::http::Request;

use crate::publish::{TOKEN, gateway, post};
use crate::test_gateway::TestGateway;
use crate::worker::Worker;

const PAGE: &str = include_str!("../../../../docs/operations/metrics.md");

/// Names of the gateway's counters in the documentation. Those of an issuer's keys exist only with an issuer.
fn documented_counters() -> BTreeSet<&'static str> {
    let words = PAGE.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let counters = words.filter(|word| word.starts_with("postern_gateway_") && word.ends_with("_total"));
    counters.filter(|word| !word.contains("_jwks_")).collect()
}

/// Lines of a scrape without their values.
fn series(scrape: &str) -> BTreeSet<String> {
    let lines = scrape.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(series, _)| series.to_owned())
        .collect()
}

#[tokio::test]
async fn fresh_gateway_has_every_documented_counter_at_zero() {
    let scrape = TestGateway::new().await.scrape();
    let counters = documented_counters();
    assert!(counters.len() >= 15, "{counters:?}");
    for counter in counters {
        let of_counter = |line: &&str| line.split(['{', ' ']).next() == Some(counter);
        let lines: Vec<&str> = scrape.lines().filter(of_counter).collect();
        assert!(!lines.is_empty(), "{counter} is not in\n{scrape}");
        assert!(lines.iter().all(|line| line.ends_with(" 0")), "{lines:#?}");
    }
}

#[tokio::test]
async fn fresh_gateway_has_the_rare_series_of_its_alerts() {
    let scrape = TestGateway::new().await.scrape();
    for zero in [
        r#"postern_gateway_commands_total{event="account:connect",outcome="timeout"}"#,
        r#"postern_gateway_commands_total{event="security:revoke_all",outcome="internal"}"#,
        r#"postern_gateway_commands_total{event="none",outcome="unknown_event"}"#,
        r#"postern_gateway_refusals_total{reason="open_connections"}"#,
        r#"postern_gateway_refusals_total{reason="token_signature"}"#,
        r#"postern_gateway_token_refusals_total{entrance="refresh",kind="signature"}"#,
        r#"postern_gateway_closes_total{code="4429",reason="flood"}"#,
        r#"postern_gateway_closes_total{code="0",reason="lost"}"#,
        r#"postern_gateway_deliveries_total{event="security:alert"}"#,
        r#"postern_gateway_resumes_total{outcome="unavailable"}"#,
        r#"postern_gateway_published_total{event="security:alert"}"#,
        r#"postern_gateway_internal_refusals_total{reason="token_unknown"}"#,
        r#"postern_gateway_callbacks_total{outcome="oauth_failed",platform="github"}"#,
        r#"postern_gateway_webhooks_total{outcome="unauthenticated",platform="discord"}"#,
        r#"postern_gateway_certificate_failures_total{listener="internal_client_ca"}"#,
        r#"postern_gateway_sockets{dialect="socketio_msgpack"}"#,
        "postern_gateway_panics_total",
    ] {
        let zero = format!("{zero} 0");
        assert!(scrape.lines().any(|line| line == zero), "{zero} is not in\n{scrape}");
    }
}

#[tokio::test]
async fn delivery_is_timed_for_each_socket() {
    let gateway = TestGateway::new().await;
    let mut sockets = Vec::new();
    for _ in 0..3 {
        sockets.push(Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap());
    }
    gateway.publish("u", AccountType::Github).await;
    for socket in &sockets {
        socket.next_event("account:status_changed").await;
    }
    gateway
        .metric_is("postern_gateway_delivery_latency_seconds_count", 3.0)
        .await;
    gateway
        .metric_is(
            r#"postern_gateway_deliveries_total{event="account:status_changed"}"#,
            3.0,
        )
        .await;
    gateway
        .metric_is("postern_gateway_connect_duration_seconds_count", 3.0)
        .await;
}

#[tokio::test]
async fn flood_of_hostile_values_adds_no_series() {
    let gateway = gateway().await;
    let _worker = Worker::succeeding(&gateway);
    attack(&gateway, 0).await;
    let before = series(&gateway.scrape());
    for number in 1..30 {
        attack(&gateway, number).await;
    }
    let scrape = gateway.scrape();
    let added: Vec<String> = series(&scrape).difference(&before).cloned().collect();
    assert!(added.is_empty(), "{added:#?}");
    for text in ["evil", "otel_metric_overflow"] {
        assert!(!scrape.contains(text), "{text} is in\n{scrape}");
    }
}

/// Sends each value that an attacker chooses, in a variant of its own.
async fn attack(gateway: &TestGateway, number: u16) {
    let evil = format!("evil{number}");
    as_client(gateway, &evil).await;
    close(gateway, &evil, 3_000 + number).await;
    as_http_client(gateway, &evil).await;
    as_application(gateway, &evil).await;
    as_node(gateway, &evil).await;
}

async fn as_client(gateway: &TestGateway, evil: &str) {
    assert!(Native::connect(&gateway.endpoint, evil).await.is_err());
    let resume = json!({ "token": gateway.token(evil), "resume": { "resumeToken": evil, "offset": evil } });
    let socket = Native::to(&gateway.endpoint).auth(resume).connect().await.unwrap();
    assert_eq!(socket.request(evil, json!({})).await.data["error"], "unknown_event");
    let connect = json!({ "userId": evil, "accountType": evil, "oauthCode": evil, "redirectUri": evil });
    assert_eq!(
        socket.request("account:connect", connect).await.data["error"],
        "bad_request"
    );
    let refresh = socket.request("auth:refresh", json!({ "token": evil })).await;
    assert_eq!(refresh.data["error"], "unauthenticated");
}

/// Closes a socket with a code of the client's choice.
async fn close(gateway: &TestGateway, evil: &str, code: u16) {
    let mut wire = gateway.wire(evil).await;
    wire.send_frame(&Frame::close(code, evil)).await.unwrap();
    while wire.next_frame().await.is_some() {}
}

async fn as_http_client(gateway: &TestGateway, evil: &str) {
    let upgrade = |path: &str| Request::upgrade(path).header("Sec-WebSocket-Protocol", evil);
    for request in [
        Request::get(&format!("/{evil}?{evil}={evil}")),
        Request::new(evil, "/ws"),
        upgrade("/ws"),
        upgrade("/ws").header("Origin", &format!("https://{evil}.example")),
        upgrade(&format!("/ws?token={evil}")),
        upgrade(&format!("/socket.io/?EIO={evil}&transport={evil}")),
        Request::get(&format!("/oauth/callback/{evil}?code={evil}&state={evil}")),
        Request::get(&format!("/oauth/callback/github?code={evil}&state={evil}")),
        Request::post(&format!("/webhooks/{evil}"), &json!({})),
        Request::post("/webhooks/github", &json!({ evil: evil })).header("X-GitHub-Event", evil),
    ] {
        // A malformed request may be answered by a reset.
        drop(gateway.endpoint.http(&request).await);
    }
}

async fn as_application(gateway: &TestGateway, evil: &str) {
    let path = format!("/v1/users/{evil}/events");
    let body = json!({ "event": evil, "data": { "userId": evil } }).to_string();
    for token in [None, Some(evil), Some(TOKEN)] {
        let (status, _, _) = post(gateway, &path, token, body.clone()).await;
        assert!(status == 401 || status == 400, "{status}");
    }
}

/// Publishes an event that this release does not know.
async fn as_node(gateway: &TestGateway, evil: &str) {
    let socket = Native::connect(&gateway.endpoint, &gateway.token(evil)).await.unwrap();
    let envelope = Envelope {
        v: Envelope::VERSION,
        id: EventId::new(evil).unwrap(),
        audience: Audience::User,
        class: DeliveryClass::State,
        event: evil.to_owned(),
        data: Json::of(&json!({})),
        traceparent: None,
        published_at: None,
    };
    gateway
        .bus
        .publish(&UserId::new(evil).unwrap(), &envelope)
        .await
        .unwrap();
    socket.next_event(evil).await;
}

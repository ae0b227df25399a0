//! Trace contexts that clients and callers send, and the spans of their requests.

use std::time::Duration;

use axum::body::Body;
use gateway::ClientContext;
use http::Request;
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status};
use protocol::account::AccountType;
use protocol::trace::TraceParent;
use serde_json::{Value, json};
use telemetry::trace::{DeliverySampling, TARGET};
use testkit::spans::{SpanData, Spans, attribute};
use testkit::{Native, SocketIo, wait};
use tower::ServiceExt;

use crate::publish;
use crate::test_gateway::TestGateway;
use crate::worker::Worker;

/// Context of a trace that belongs to someone else.
const SENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn sent() -> TraceParent {
    SENT.parse().unwrap()
}

fn list(traceparent: &Value) -> Value {
    json!({ "userId": "u", "traceparent": traceparent })
}

/// Values that are no context, up to what a message holds.
fn invalid() -> Vec<Value> {
    let long = SENT.to_owned() + &"0".repeat(60_000);
    let parts = "-".repeat(60_000);
    let upper = SENT.to_uppercase();
    let newer = SENT.replacen("00", "01", 1);
    let zero = format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32));
    let texts = ["", "x", &long, &parts, &upper, &newer, &zero].map(Value::from);
    let others = [Value::Null, json!(1), json!([SENT]), json!({ "traceparent": SENT })];
    texts.into_iter().chain(others).collect()
}

fn context(span: &SpanContext) -> Option<TraceParent> {
    let trace = u128::from_be_bytes(span.trace_id().to_bytes());
    TraceParent::of_span(trace, u64::from_be_bytes(span.span_id().to_bytes()), span.is_sampled())
}

/// Waits for the end of a span.
async fn ended(spans: &Spans, name: &str) -> SpanData {
    let what = format!("the span {name:?} to end");
    wait::until_true(&what, wait::deadline(), async || {
        spans.all().iter().any(|span| span.name == name)
    })
    .await;
    spans.named(name)
}

#[tokio::test]
async fn traceparent_of_a_client_is_neither_an_error_nor_the_trace_of_its_job() {
    let gateway = TestGateway::new().await;
    let worker = Worker::succeeding(&gateway);
    let native = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let socketio = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    for value in [json!(SENT)].into_iter().chain(invalid()) {
        let answer = native.request("account:list", list(&value)).await;
        assert_eq!(answer.data["success"], true, "{}", answer.data);
        let ack = socketio.emit_with_ack("account:list", list(&value)).await;
        assert_eq!(ack["success"], true, "{ack}");
    }
    let jobs = worker.jobs();
    assert_eq!(jobs.len(), 2 * (1 + invalid().len()));
    assert!(jobs.iter().all(|job| job.traceparent.trace() != sent().trace()));
    assert!(jobs.iter().all(|job| !job.traceparent.is_sampled()));
}

#[tokio::test]
async fn traceparent_does_not_admit_a_command_for_another_user() {
    for client_context in [ClientContext::Link, ClientContext::Parent] {
        let gateway = TestGateway::with(|settings| settings.traces.client_context = client_context).await;
        let worker = Worker::succeeding(&gateway);
        let native = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
        let command = json!({ "userId": "victim", "traceparent": SENT });
        let answer = native.request("account:list", command).await;
        assert_eq!(answer.data["error"], "forbidden", "{client_context:?}");
        assert_eq!(worker.done(), 0, "{client_context:?}");
    }
}

#[tokio::test]
async fn job_continues_the_trace_of_a_client_whose_context_is_the_parent() {
    let gateway = TestGateway::with(|settings| settings.traces.client_context = ClientContext::Parent).await;
    let worker = Worker::succeeding(&gateway);
    let native = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    native.request("account:list", list(&json!(SENT))).await;
    assert_eq!(worker.last().traceparent.trace(), sent().trace());
    for value in invalid() {
        native.request("account:list", list(&value)).await;
        assert_ne!(worker.last().traceparent.trace(), sent().trace(), "{value}");
    }
}

#[tokio::test]
async fn command_is_one_trace_from_receipt_to_answer_without_anything_of_its_payload() {
    let (spans, _recording) = Spans::record(TARGET);
    let gateway = TestGateway::new().await;
    let worker = Worker::succeeding(&gateway);
    let token = gateway.token("canary-user");
    let native = Native::connect(&gateway.endpoint, &token).await.unwrap();
    let command = json!({
        "userId": "canary-user", "accountType": "github", "oauthCode": "canary-code", "idempotencyKey": "canary-key",
        "redirectUri": "http://localhost/canary-path",
    });
    native.request("account:connect", command).await;

    let root = ended(&spans, "account:connect").await;
    assert_eq!(
        (&root.span_kind, root.parent_span_id),
        (&SpanKind::Server, SpanId::INVALID)
    );
    let job = worker.last();
    for (name, kind) in [
        ("admit", SpanKind::Internal),
        ("send interactive", SpanKind::Producer),
        ("answer", SpanKind::Internal),
    ] {
        let all = spans.all();
        let child = all
            .iter()
            .find(|span| span.name == name && span.span_context.trace_id() == root.span_context.trace_id());
        let child = child.unwrap_or_else(|| panic!("no {name} among {all:#?}"));
        assert_eq!(child.parent_span_id, root.span_context.span_id(), "{name}");
        assert_eq!(child.span_kind, kind, "{name}");
        if kind == SpanKind::Producer {
            assert_eq!(context(&child.span_context), Some(job.traceparent));
            assert_eq!(attribute(child, "messaging.destination.name"), "interactive");
        }
    }
    let exported = format!("{:?}", spans.all());
    for secret in [
        "canary",
        token.as_str(),
        job.id.as_str(),
        job.connection.as_str(),
        "127.0.0.1",
    ] {
        assert!(!exported.contains(secret), "{secret} in {exported}");
    }
}

#[tokio::test]
async fn refusal_is_an_error_type_and_only_a_fault_of_ours_fails_the_span() {
    let (spans, _recording) = Spans::record(TARGET);
    let gateway = TestGateway::with(|settings| settings.timing.interactive = Duration::from_millis(300)).await;
    let worker = Worker::answering(&gateway, |_job| None);
    let native = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    native.request("account:list", json!({ "userId": "victim" })).await;
    let refused = ended(&spans, "account:list").await;
    assert_eq!(attribute(&refused, "error.type"), "forbidden");
    assert_eq!(refused.status, Status::Unset);

    native.request("security:get_settings", json!({})).await;
    let unanswered = ended(&spans, "security:get_settings").await;
    assert_eq!(attribute(&unanswered, "error.type"), "timeout");
    assert!(matches!(unanswered.status, Status::Error { .. }), "{unanswered:?}");
    assert_eq!(worker.done(), 1);
}

#[tokio::test]
async fn context_of_a_client_is_linked_without_its_sampling_decision() {
    let (spans, _recording) = Spans::record(TARGET);
    let gateway = TestGateway::new().await;
    let _worker = Worker::succeeding(&gateway);
    let native = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    native.request("account:list", list(&json!(SENT))).await;
    let root = ended(&spans, "account:list").await;
    assert_eq!(root.parent_span_id, SpanId::INVALID);
    let links: Vec<_> = root.links.iter().map(|link| context(&link.span_context)).collect();
    assert_eq!(links, [Some(sent().unsampled())]);
    assert_ne!(root.span_context.trace_id().to_string(), sent().trace_id());
}

#[tokio::test]
async fn context_of_a_client_that_is_the_parent_decides_on_sampling() {
    let (spans, _recording) = Spans::record(TARGET);
    let gateway = TestGateway::with(|settings| settings.traces.client_context = ClientContext::Parent).await;
    let _worker = Worker::succeeding(&gateway);
    let native = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let unsampled = sent().unsampled().to_string();
    native
        .request("security:get_settings", json!({ "traceparent": unsampled }))
        .await;
    native.request("account:list", list(&json!(SENT))).await;
    let root = ended(&spans, "account:list").await;
    assert_eq!(root.span_context.trace_id().to_string(), sent().trace_id());
    assert_eq!(u64::from_be_bytes(root.parent_span_id.to_bytes()), sent().span());
    let recorded = spans.all();
    assert!(recorded.iter().all(|span| span.name != "security:get_settings"));
}

#[tokio::test]
async fn delivery_is_a_root_that_is_linked_to_its_publication() {
    let (spans, _recording) = Spans::record(TARGET);
    for (deliveries, expected) in [(DeliverySampling::new(1.0), 1), (DeliverySampling::NONE, 0)] {
        let gateway = TestGateway::with(|settings| settings.traces.deliveries = deliveries).await;
        let native = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
        let before = spans.all().len();
        gateway.publish("u", AccountType::Github).await;
        native.next_event("account:status_changed").await;
        let recorded = spans.all().split_off(before);
        let publication = recorded.iter().find(|span| span.name == "send events").unwrap();
        assert_eq!(publication.span_kind, SpanKind::Producer);
        let delivered: Vec<_> = recorded
            .iter()
            .filter(|span| span.name == "deliver account:status_changed")
            .collect();
        assert_eq!(delivered.len(), expected, "{recorded:#?}");
        for delivery in delivered {
            assert_eq!(delivery.parent_span_id, SpanId::INVALID);
            assert_ne!(delivery.span_context.trace_id(), publication.span_context.trace_id());
            let links: Vec<_> = delivery.links.iter().map(|link| context(&link.span_context)).collect();
            assert_eq!(links, [context(&publication.span_context)]);
        }
    }
}

/// Sends a request to the internal API with these values of `traceparent`; returns the status.
async fn list_connections(gateway: &TestGateway, token: &str, contexts: &[&str]) -> u16 {
    let mut request = Request::get("/v1/users/GEN-001/connections").header("Authorization", format!("Bearer {token}"));
    for context in contexts {
        request = request.header("traceparent", *context);
    }
    let request = request.body(Body::empty()).unwrap();
    let response = gateway.internal.clone().oneshot(request).await.unwrap();
    response.status().as_u16()
}

const LIST: &str = "GET /v1/users/{id}/connections";

#[tokio::test]
async fn accepted_call_of_the_internal_api_continues_the_trace_of_its_caller() {
    let (spans, _recording) = Spans::record(TARGET);
    let gateway = publish::gateway().await;
    assert_eq!(list_connections(&gateway, publish::TOKEN, &[SENT]).await, 200);
    let span = spans.named(LIST);
    assert_eq!(span.span_kind, SpanKind::Server);
    assert_eq!(span.span_context.trace_id().to_string(), sent().trace_id());
    assert_eq!(u64::from_be_bytes(span.parent_span_id.to_bytes()), sent().span());
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/v1/users/{id}/connections"),
        ("url.scheme", "http"),
    ] {
        assert_eq!(attribute(&span, key), value, "{key}");
    }
    let status = KeyValue::new("http.response.status_code", 200_i64);
    assert!(span.attributes.contains(&status), "{span:?}");
    let exported = format!("{:?}", spans.all());
    assert!(
        !exported.contains("GEN-001") && !exported.contains(publish::TOKEN),
        "{exported}"
    );
}

#[tokio::test]
async fn refused_token_of_the_internal_api_causes_no_span_whatever_its_context() {
    let (spans, _recording) = Spans::record(TARGET);
    let gateway = publish::gateway().await;
    assert_eq!(list_connections(&gateway, "a guess", &[SENT]).await, 401);
    assert!(spans.all().iter().all(|span| span.name != LIST));
}

#[tokio::test]
async fn repeated_or_invalid_contexts_of_the_internal_api_count_as_none() {
    let (spans, _recording) = Spans::record(TARGET);
    let gateway = publish::gateway().await;
    for contexts in [&[SENT, SENT][..], &["00-0-0-0"], &[""]] {
        assert_eq!(list_connections(&gateway, publish::TOKEN, contexts).await, 200);
    }
    let calls: Vec<_> = spans.all().into_iter().filter(|span| span.name == LIST).collect();
    assert_eq!(calls.len(), 3);
    assert!(calls.iter().all(|span| span.parent_span_id == SpanId::INVALID));
}

#[tokio::test]
async fn context_of_a_webhook_is_linked_without_its_sampling_decision() {
    let (spans, _recording) = Spans::record(TARGET);
    let gateway = TestGateway::new().await;
    gateway.bus.withdraw_workers(true);
    let request = testkit::client::http::Request::new("POST", "/webhooks/github").header("traceparent", SENT);
    let response = gateway.endpoint.http(&request.body("{}")).await.unwrap();
    assert_eq!(response.status, 503);
    let span = ended(&spans, "POST /webhooks/{platform}").await;
    assert_eq!(span.parent_span_id, SpanId::INVALID);
    let links: Vec<_> = span.links.iter().map(|link| context(&link.span_context)).collect();
    assert_eq!(links, [Some(sent().unsampled())]);
    assert_eq!(attribute(&span, "error.type"), "503");
    assert!(matches!(span.status, Status::Error { .. }), "{span:?}");
}

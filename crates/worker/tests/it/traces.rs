//! Spans of a worker: each job in the trace that queued it, with what it causes, and no span of a trace that is not sampled.

use std::sync::atomic::Ordering;
use std::time::Duration;

use opentelemetry::trace::{SpanId, SpanKind, Status, TraceId};
use protocol::cluster::job::Job;
use protocol::command::CommandKind;
use protocol::trace::TraceParent;
use serde_json::json;
use telemetry::trace::TARGET;
use testkit::spans::{SpanData, Spans, attribute};
use testkit::wait;

use crate::client::{Client, DEADLINE, assert_error, assert_success, connect};
use crate::env::TestEnv;
use crate::scripted_platform::ScriptedPlatform;

const TRACE: u128 = 7;
const SUBMISSION: u64 = 11;

/// Job that a gateway has queued in a sampled trace.
fn traced(job: Job) -> Job {
    Job {
        traceparent: TraceParent::of_span(TRACE, SUBMISSION, true).unwrap(),
        ..job
    }
}

fn connecting(client: &mut Client, code: &str) -> Job {
    traced(client.job(CommandKind::Connect, connect(code)))
}

/// Waits for the end of a span with this name.
async fn ended(spans: &Spans, name: &str) -> SpanData {
    let find = async || spans.all().into_iter().find(|span| span.name == name);
    wait::until(name, DEADLINE, find).await
}

fn assert_child(child: &SpanData, parent: &SpanData) {
    let spans = format!("{child:#?} of {parent:#?}");
    assert_eq!(child.span_context.trace_id(), TraceId::from(TRACE), "{spans}");
    assert_eq!(child.parent_span_id, parent.span_context.span_id(), "{spans}");
}

#[tokio::test(start_paused = true)]
async fn job_with_what_it_causes_is_in_the_trace_that_queued_it() {
    let (spans, _guard) = Spans::record(TARGET);
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    let job = connecting(&mut client, "any");
    assert_success(&client.ask_for(&job).await);
    assert_eq!(client.status().await.0, "connected");

    let process = ended(&spans, "process interactive").await;
    assert_eq!(process.span_context.trace_id(), TraceId::from(TRACE));
    assert_eq!(process.parent_span_id, SpanId::from(SUBMISSION));
    assert_eq!(
        (process.span_kind.clone(), process.status.clone()),
        (SpanKind::Consumer, Status::Unset)
    );
    for (key, value) in [
        ("messaging.destination.name", "interactive"),
        ("command", "account:connect"),
        ("outcome", "ok"),
    ] {
        assert_eq!(attribute(&process, key), value, "{process:#?}");
    }
    let (exchange, relay) = (
        ended(&spans, "exchange code").await,
        ended(&spans, "relay outbox").await,
    );
    assert_child(&exchange, &process);
    assert_child(&relay, &process);
    // The change of status, and an alert.
    assert_eq!(attribute(&relay, "events"), "2");
    assert_child(&ended(&spans, "send events").await, &relay);
}

/// The exchange goes on when its job has ended, and must not keep the span of the job from its export.
#[tokio::test(start_paused = true)]
async fn job_is_exported_before_the_task_that_it_leaves_behind() {
    let (spans, _guard) = Spans::record(TARGET);
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    let job = connecting(&mut client, ScriptedPlatform::HANGS);
    assert_error(&client.ask_for(&job).await, "oauth_failed");
    let process = ended(&spans, "process interactive").await;
    let exchange = ended(&spans, "exchange code").await;
    assert_child(&exchange, &process);
    assert!(process.end_time <= exchange.end_time);
    let names: Vec<_> = spans.all().into_iter().map(|span| span.name).collect();
    let at = |name: &str| names.iter().position(|found| found == name).unwrap();
    assert!(at("process interactive") < at("exchange code"), "{names:?}");
}

/// The sweep has a trace of its own.
#[tokio::test(start_paused = true)]
async fn event_that_the_sweep_publishes_is_in_the_trace_that_queued_it() {
    let (spans, _guard) = Spans::record(TARGET);
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    env.bus.refuses_events.store(true, Ordering::SeqCst);
    let job = connecting(&mut client, "any");
    assert_success(&client.ask_for(&job).await);
    let process = ended(&spans, "process interactive").await;
    env.bus.refuses_events.store(false, Ordering::SeqCst);
    env.clock.advance(Duration::from_secs(2));
    assert_eq!(client.status().await.0, "connected");
    assert_child(&ended(&spans, "send events").await, &process);
    let relays = spans.all().into_iter().filter(|span| span.name == "relay outbox");
    let other = relays.filter(|relay| relay.span_context.trace_id() != TraceId::from(TRACE));
    assert!(other.count() > 0, "{:#?}", spans.all());
}

#[tokio::test(start_paused = true)]
async fn trace_that_is_not_sampled_has_no_span_of_the_worker() {
    let (spans, _guard) = Spans::record(TARGET);
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    let job = Job {
        traceparent: TraceParent::begin(TRACE, SUBMISSION),
        ..client.job(CommandKind::Connect, connect("any"))
    };
    assert_success(&client.ask_for(&job).await);
    assert_eq!(client.status().await.0, "connected");
    tokio::time::sleep(Duration::from_secs(60)).await;
    let of_trace = |span: &SpanData| span.span_context.trace_id() == TraceId::from(TRACE);
    assert!(!spans.all().iter().any(of_trace), "{:#?}", spans.all());
}

#[tokio::test(start_paused = true)]
async fn refusal_of_a_caller_is_an_answer_and_an_outage_a_failed_span() {
    let (spans, _guard) = Spans::record(TARGET);
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    let job = traced(client.job(CommandKind::Disconnect, json!({"accountType": "github"})));
    assert_error(&client.ask_for(&job).await, "not_connected");
    let refused = ended(&spans, "process interactive").await;
    assert_eq!(refused.status, Status::Unset);
    assert_eq!(attribute(&refused, "outcome"), "not_connected");

    let (spans, _guard) = Spans::record(TARGET);
    env.store.is_unavailable.store(true, Ordering::SeqCst);
    let job = connecting(&mut client, "any");
    assert_error(&client.ask_for(&job).await, "unavailable");
    let failed = ended(&spans, "process interactive").await;
    assert_eq!(failed.status, Status::error("unavailable"));
    assert_eq!(attribute(&failed, "error.type"), "unavailable");
}

#[tokio::test(start_paused = true)]
async fn scheduled_sync_is_a_trace_of_its_own_and_an_idle_worker_has_none() {
    let env = TestEnv::scripted();
    let (spans, _guard) = Spans::record(TARGET);
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(spans.all().is_empty(), "{:#?}", spans.all());

    assert_success(&client.connect("any").await);
    env.clock.advance(Duration::from_hours(2));
    let sync = ended(&spans, "sync").await;
    assert_eq!(sync.parent_span_id, SpanId::INVALID);
    assert_eq!(attribute(&sync, "platform"), "github");
}

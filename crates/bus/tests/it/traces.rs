//! Spans of publications and of operations on Redis.

use bus::{Bus, ChannelMessage};
use opentelemetry::trace::{SpanContext, SpanKind, Status};
use protocol::cluster::envelope::Envelope;
use protocol::trace::TraceParent;
use telemetry::trace::TARGET;
use testkit::Redis;
use testkit::spans::{SpanData, Spans, attribute};
use tracing::{Instrument, info_span};

use crate::nodes::{TestSubscriptions, connect, in_memory, on_shared_redis};
use crate::sample::{event, user};

fn context(span: &SpanContext) -> Option<TraceParent> {
    let trace = u128::from_be_bytes(span.trace_id().to_bytes());
    let span_id = u64::from_be_bytes(span.span_id().to_bytes());
    TraceParent::of_span(trace, span_id, span.is_sampled())
}

/// Publishes an event that was queued in this trace, in the span of another one; returns the context that its receivers get.
async fn publish(bus: &dyn Bus, queued: TraceParent) -> Option<TraceParent> {
    let mut subscriptions = TestSubscriptions::open(bus).await;
    let user = user("u");
    subscriptions.handle.subscribe(&user).await.unwrap();
    let queued = Envelope {
        traceparent: Some(queued),
        ..event(1)
    };
    let relay = info_span!(target: TARGET, "relay");
    bus.publish(&user, &queued).instrument(relay).await.unwrap();
    match subscriptions.next().await {
        ChannelMessage::Event { envelope, .. } => envelope.traceparent,
        other => panic!("{other:?}"),
    }
}

fn publications(spans: &Spans) -> Vec<SpanData> {
    let spans = spans.all().into_iter();
    spans.filter(|span| span.name == "send events").collect()
}

#[tokio::test]
async fn event_is_published_in_the_trace_that_queued_it_with_the_context_of_the_publication() {
    let (spans, _recording) = Spans::record(TARGET);
    for (bus, system) in [(in_memory(), "memory"), (on_shared_redis().await, "redis")] {
        let queued = TraceParent::of_span(7, 8, true).unwrap();
        let received = publish(&*bus, queued).await;
        let publication = publications(&spans).pop().unwrap();
        assert_eq!(received, context(&publication.span_context), "{system}");
        assert_eq!(received.map(|received| received.trace()), Some(7), "{system}");
        assert_eq!(publication.parent_span_id.to_bytes(), 8_u64.to_be_bytes(), "{system}");
        assert_eq!(publication.span_kind, SpanKind::Producer, "{system}");
        assert_eq!(attribute(&publication, "messaging.system"), system);
    }
}

#[tokio::test]
async fn event_of_a_publication_that_is_not_sampled_has_no_context() {
    let (spans, _recording) = Spans::record(TARGET);
    for bus in [in_memory(), on_shared_redis().await] {
        let queued = TraceParent::of_span(7, 8, false).unwrap();
        assert_eq!(publish(&*bus, queued).await, None);
    }
    assert_eq!(publications(&spans).len(), 0);
}

#[tokio::test]
async fn operation_on_redis_is_a_span_without_its_keys_and_only_within_a_trace() {
    let (spans, _recording) = Spans::record(TARGET);
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "canary-prefix").await;
    let users = [user("canary-user")];
    bus.offsets(&users).await.unwrap();
    assert_eq!(spans.all().len(), 0, "{:#?}", spans.all());

    let request = info_span!(target: TARGET, "request");
    bus.offsets(&users).instrument(request).await.unwrap();
    let operation = spans.named("read_offset");
    assert_eq!(operation.parent_span_id, spans.named("request").span_context.span_id());
    assert_eq!(operation.span_kind, SpanKind::Client);
    assert_eq!(attribute(&operation, "db.system.name"), "redis");
    assert_eq!(attribute(&operation, "db.operation.name"), "read_offset");
    let exported = format!("{:?}", spans.all());
    assert!(!exported.contains("canary"), "{exported}");
}

#[tokio::test]
async fn failed_operation_on_redis_fails_its_span_without_the_reply_of_the_server() {
    let (spans, _recording) = Spans::record(TARGET);
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    redis.command(&["SET", "pn:{u}:pos", "canary-value"]).await;
    let request = info_span!(target: TARGET, "request");
    let failed = bus.offsets(&[user("u")]).instrument(request).await;
    assert!(failed.is_err());
    let operation = spans.named("read_offset");
    assert!(matches!(operation.status, Status::Error { .. }), "{operation:?}");
    assert_eq!(attribute(&operation, "error.type"), "error_reply");
    let exported = format!("{:?}", spans.all());
    assert!(
        !exported.contains("canary") && !exported.contains("WRONGTYPE"),
        "{exported}"
    );
}

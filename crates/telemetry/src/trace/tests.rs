//! Spans as an exporter receives them.

use std::sync::{Arc, Mutex};

use opentelemetry::trace::{SpanId, SpanKind, Status, TraceId};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanData, SpanExporter};
use protocol::trace::TraceParent;
use tracing::{Instrument, Subscriber};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry;

use super::layer::{layer, no_traces, only_traces};
use super::{LinkedRoots, TARGET, continue_from, current, failed, is_enabled, is_sampled, link};

/// Exporter that keeps the spans.
#[derive(Debug, Clone, Default)]
struct Recorder(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Recorder {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

/// Subscriber that exports to the recorder, beside a layer that records the spans of the log.
fn exporting(recorder: &Recorder, sampler: Sampler) -> impl Subscriber + Send + Sync + use<> {
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(recorder.clone())
        .with_sampler(LinkedRoots(sampler))
        .build();
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
    registry()
        .with(layer(&provider).with_filter(only_traces()))
        .with(log.with_filter(no_traces()))
}

fn exported(sampler: Sampler, work: impl FnOnce()) -> Vec<SpanData> {
    let recorder = Recorder::default();
    tracing::subscriber::with_default(exporting(&recorder, sampler), work);
    recorder.0.lock().unwrap().clone()
}

fn named<'a>(spans: &'a [SpanData], name: &str) -> &'a SpanData {
    spans.iter().find(|span| span.name == name).unwrap()
}

fn attribute(span: &SpanData, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == key);
    found.map(|attribute| attribute.value.to_string())
}

const REMOTE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn remote(is_sampled: bool) -> TraceParent {
    let text = REMOTE.strip_suffix("01").unwrap().to_owned();
    (text + if is_sampled { "01" } else { "00" }).parse().unwrap()
}

#[test]
fn span_is_exported_with_its_name_its_kind_and_nothing_of_the_code() {
    let spans = exported(Sampler::AlwaysOn, || {
        let span = tracing::info_span!(target: TARGET, "postern.call", otel.name = "GET /x", otel.kind = "client", db.system = "redis");
        span.in_scope(|| {});
    });
    let span = named(&spans, "GET /x");
    assert_eq!(span.span_kind, SpanKind::Client);
    assert_eq!(attribute(span, "db.system").as_deref(), Some("redis"));
    assert_eq!(span.attributes.len(), 1, "{:?}", span.attributes);
}

#[test]
fn spans_of_the_log_between_two_spans_leave_them_parent_and_child() {
    let spans = exported(Sampler::AlwaysOn, || {
        let _outer = tracing::info_span!(target: TARGET, "outer").entered();
        let _log = tracing::info_span!("job").entered();
        let _inner = tracing::info_span!(target: TARGET, "inner").entered();
    });
    let (outer, inner) = (named(&spans, "outer"), named(&spans, "inner"));
    assert_eq!(spans.len(), 2);
    assert_eq!(inner.parent_span_id, outer.span_context.span_id());
    assert_eq!(inner.span_context.trace_id(), outer.span_context.trace_id());
}

#[test]
fn current_context_is_that_of_the_innermost_span() {
    let mut contexts = Vec::new();
    let spans = exported(Sampler::AlwaysOn, || {
        contexts.push(current());
        let _outer = tracing::info_span!(target: TARGET, "outer").entered();
        contexts.push(current());
        let _log = tracing::info_span!("job").entered();
        tracing::info_span!(target: TARGET, "inner").in_scope(|| contexts.push(current()));
        contexts.push(current());
    });
    let of = |name| super::sent(&named(&spans, name).span_context);
    assert_eq!(contexts, [None, of("outer"), of("inner"), of("outer")]);
    assert!(contexts.into_iter().flatten().all(|context| context.is_sampled()));
}

#[test]
fn only_the_inside_of_an_exported_span_is_sampled() {
    for (sampler, expected) in [(Sampler::AlwaysOn, true), (Sampler::AlwaysOff, false)] {
        let mut sampled = Vec::new();
        exported(sampler, || {
            sampled.push(is_sampled());
            let _span = tracing::info_span!(target: TARGET, "outer").entered();
            sampled.push(is_sampled());
        });
        assert_eq!(sampled, [false, expected]);
    }
}

#[test]
fn span_continues_the_trace_of_another_process() {
    let mut context = None;
    let spans = exported(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)), || {
        let span = tracing::info_span!(target: TARGET, "claim");
        continue_from(&span, Some(&remote(true)));
        span.in_scope(|| context = current());
    });
    let span = named(&spans, "claim");
    assert_eq!(span.parent_span_id, SpanId::from(0x00f0_67aa_0ba9_02b7));
    assert!(span.parent_span_is_remote);
    assert_eq!(context, super::sent(&span.span_context));
    assert_eq!(context.unwrap().trace_id(), remote(true).trace_id());
}

#[test]
fn decision_of_another_process_against_sampling_is_honoured_and_passed_on() {
    let mut context = None;
    let spans = exported(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)), || {
        let span = tracing::info_span!(target: TARGET, "claim");
        continue_from(&span, Some(&remote(false)));
        let _entered = span.entered();
        tracing::info_span!(target: TARGET, "inner").in_scope(|| context = current());
    });
    assert!(spans.is_empty(), "{spans:?}");
    let context = context.unwrap();
    assert_eq!(context.trace_id(), remote(false).trace_id());
    assert!(!context.is_sampled());
}

#[test]
fn span_without_a_context_to_continue_keeps_its_parent() {
    let spans = exported(Sampler::AlwaysOn, || {
        let _outer = tracing::info_span!(target: TARGET, "outer").entered();
        let inner = tracing::info_span!(target: TARGET, "inner");
        continue_from(&inner, None);
        inner.in_scope(|| {});
    });
    assert_eq!(
        named(&spans, "inner").parent_span_id,
        named(&spans, "outer").span_context.span_id()
    );
}

#[test]
fn root_is_linked_to_a_sampled_span_and_then_sampled_whatever_the_sampler_says() {
    let sampler = || Sampler::ParentBased(Box::new(Sampler::AlwaysOff));
    let deliver = |cause: TraceParent| {
        move || {
            let span = tracing::info_span!(target: TARGET, parent: None, "deliver");
            link(&span, &cause);
            span.in_scope(|| {});
        }
    };
    let spans = exported(sampler(), deliver(remote(true)));
    let span = named(&spans, "deliver");
    assert_eq!(span.parent_span_id, SpanId::INVALID);
    assert_ne!(span.span_context.trace_id(), TraceId::from(remote(true).trace()));
    let linked: Vec<_> = span.links.iter().map(|link| super::sent(&link.span_context)).collect();
    assert_eq!(linked, [Some(remote(true))]);
    assert!(exported(sampler(), deliver(remote(false))).is_empty());
}

#[test]
fn failed_span_has_status_type_and_exception() {
    let spans = exported(Sampler::AlwaysOn, || {
        let span = tracing::info_span!(target: TARGET, "call");
        failed(&span, "timeout", &"no answer within 5 s");
        span.in_scope(|| {});
        let span = tracing::info_span!(target: TARGET, "entered").entered();
        failed(&span, "refused", &"401");
    });
    for (name, error_type, message) in [
        ("call", "timeout", "no answer within 5 s"),
        ("entered", "refused", "401"),
    ] {
        let span = named(&spans, name);
        assert_eq!(span.status, Status::error(error_type));
        assert_eq!(attribute(span, "error.type").as_deref(), Some(error_type));
        let event = span.events.iter().find(|event| event.name == "exception").unwrap();
        let texts: Vec<_> = event
            .attributes
            .iter()
            .map(|attribute| attribute.value.to_string())
            .collect();
        assert_eq!(texts, [error_type, message]);
    }
}

#[test]
fn nothing_is_recorded_without_an_exporter() {
    let subscriber = registry()
        .with(no_traces())
        .with(tracing_subscriber::fmt::layer().with_writer(std::io::sink));
    tracing::subscriber::with_default(subscriber, || {
        assert!(!is_enabled());
        let span = tracing::info_span!(target: TARGET, "call");
        assert!(span.is_disabled());
        continue_from(&span, Some(&remote(true)));
        link(&span, &remote(true));
        failed(&span, "timeout", &"no answer");
        span.in_scope(|| assert_eq!(current(), None));
    });
    let recorder = Recorder::default();
    tracing::subscriber::with_default(exporting(&recorder, Sampler::AlwaysOff), || assert!(is_enabled()));
}

#[tokio::test]
async fn context_stays_with_a_future_at_its_awaits_and_is_in_no_other() {
    let recorder = Recorder::default();
    let _default = tracing::subscriber::set_default(exporting(&recorder, Sampler::AlwaysOn));
    let call = async || {
        let before = current();
        tokio::task::yield_now().await;
        assert_eq!(current(), before);
        before.unwrap().trace_id()
    };
    let one = call().instrument(tracing::info_span!(target: TARGET, "one"));
    let other = call().instrument(tracing::info_span!(target: TARGET, "other"));
    let (one, other) = tokio::join!(one, other);
    assert_ne!(one, other);
    assert_eq!(current(), None);
}

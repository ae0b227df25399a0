//! Spans for export of the current thread, recorded.

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanExporter};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};

pub use opentelemetry_sdk::trace::SpanData;

use crate::fail::fail;
use crate::subscriber::{SubscriberGuard, set_default};

/// Recorded spans, while the guard lives.
#[derive(Debug, Clone, Default)]
pub struct Spans(Arc<Mutex<Vec<SpanData>>>);

impl Spans {
    /// Records the spans with this target, on the current thread, until the guard is dropped.
    pub fn record(target: &'static str) -> (Self, SubscriberGuard) {
        let spans = Self::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(Exporter(spans.clone()))
            .build();
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("test"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false);
        let layer = layer.with_filter(filter_fn(move |metadata| metadata.target() == target));
        (spans, set_default(tracing_subscriber::registry().with(layer)))
    }

    /// Ended spans, in the sequence of their ends.
    pub fn all(&self) -> Vec<SpanData> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first ended span with this name; fails the test without one.
    pub fn named(&self, name: &str) -> SpanData {
        let spans = self.all();
        match spans.iter().find(|span| span.name == name) {
            Some(span) => span.clone(),
            None => fail(&format!("find the span {name:?}"), format_args!("{spans:#?}")),
        }
    }
}

/// Value of an attribute as text; empty without the attribute.
pub fn attribute(span: &SpanData, key: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == key);
    found.map(|attribute| attribute.value.to_string()).unwrap_or_default()
}

#[derive(Debug)]
struct Exporter(Spans);

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let mut spans = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        spans.extend(batch);
        Ok(())
    }
}

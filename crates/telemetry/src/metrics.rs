//! The meter of one node, and its figures as Prometheus reads them.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_prometheus::PrometheusExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{Aggregation, Instrument, InstrumentKind, SdkMeterProvider, Stream};
use prometheus::{Registry, TextEncoder};

/// The figures of one node. Clones share them.
///
/// A metric has in the code the very name under which it is scraped: nothing is added for its unit or kind. So a
/// counter is named `postern_..._total` and a duration `postern_..._seconds`, and a search finds it.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    provider: SdkMeterProvider,
}

impl Metrics {
    /// No figures yet. `node` names this node in `target_info`, as OpenTelemetry's `service.instance.id`.
    #[must_use]
    pub fn new(node: &str) -> Self {
        let registry = Registry::new();
        let resource = Resource::builder_empty()
            .with_service_name("postern")
            .with_attribute(KeyValue::new("service.instance.id", node.to_owned()))
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkMeterProvider::builder()
            .with_resource(resource)
            .with_reader(exporter(registry.clone()))
            .with_view(buckets_of_seconds)
            .build();
        Self { registry, provider }
    }

    /// What a crate builds its instruments from.
    #[must_use]
    pub fn meter(&self) -> Meter {
        self.provider.meter("postern")
    }

    /// The figures as they are now, in the Prometheus text format ([`CONTENT_TYPE`]).
    ///
    /// # Errors
    /// When a metric cannot be written as text, which the exporter's own checks prevent.
    pub fn render(&self) -> Result<String, RenderError> {
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }
}

/// The media type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The figures could not be written as text.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct RenderError(#[from] prometheus::Error);

#[expect(
    clippy::expect_used,
    reason = "the registry is new, so the exporter cannot be in it already"
)]
fn exporter(registry: Registry) -> PrometheusExporter {
    opentelemetry_prometheus::exporter()
        .with_registry(registry)
        .without_units()
        .without_counter_suffixes()
        .scope_info_enabled(false)
        .build()
        .expect("a new registry takes the exporter")
}

/// A histogram in seconds gets buckets from 1 ms to 30 s, the longest deadline of a command. The default ones are
/// meant for milliseconds: every duration of ours would fall into the first.
fn buckets_of_seconds(instrument: &Instrument) -> Option<Stream> {
    if instrument.kind() != InstrumentKind::Histogram || instrument.unit() != "s" {
        return None;
    }
    let boundaries = vec![
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    ];
    Stream::builder()
        .with_aggregation(Aggregation::ExplicitBucketHistogram {
            boundaries,
            record_min_max: false,
        })
        .build()
        .ok()
}

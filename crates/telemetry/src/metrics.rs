//! Meter of one node, and its metrics in the Prometheus text format.

use lifecycle::{Dependencies, DependencyState};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_prometheus::PrometheusExporter;
use opentelemetry_sdk::metrics::{Aggregation, Instrument, InstrumentKind, SdkMeterProvider, Stream};
use prometheus::{Registry, TextEncoder};

use crate::export::{Exports, ServiceIdentity};

/// Metrics of one node. Clones share them.
///
/// An instrument has a name and a unit by OpenTelemetry's conventions; in the Prometheus text, dots become underscores, the unit is
/// appended, and `_total` to a counter: `postern.gateway.command.duration` with the unit `s` is
/// `postern_gateway_command_duration_seconds`, `postern.gateway.connects` is `postern_gateway_connects_total`.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    provider: SdkMeterProvider,
}

impl Metrics {
    /// Creates an empty registry of a node that exports nothing. `node` names it in `target_info`, as OpenTelemetry's
    /// `service.instance.id`.
    #[must_use]
    pub fn new(node: &str) -> Self {
        Self::with_exports(&Exports::none(ServiceIdentity::new("postern", node)), node)
    }

    /// Creates the registry of a node, whose metrics are exported too where `exports` has an exporter of metrics. It begins with the
    /// metrics of the exporters.
    #[must_use]
    pub fn of_node(exports: &Exports, node: &str) -> Self {
        let metrics = Self::with_exports(exports, node);
        exports.observe(&metrics.meter());
        metrics
    }

    fn with_exports(exports: &Exports, node: &str) -> Self {
        let registry = Registry::new();
        let provider = SdkMeterProvider::builder()
            .with_resource(exports.service().of_node(node).resource())
            .with_reader(exporter(registry.clone()))
            .with_view(buckets_of_seconds);
        let provider = match exports.readers() {
            Some(readers) => readers.build(provider),
            None => provider.build(),
        };
        Self { registry, provider }
    }

    /// Meter from which a crate builds its instruments.
    #[must_use]
    pub fn meter(&self) -> Meter {
        self.provider.meter("postern")
    }

    /// Observes `postern_dependency_up` at each collection: 1 for a monitored dependency that is up, else 0. Each has a value from its
    /// creation on. One that is called on demand has none: its state is as old as its last call.
    pub fn watch(&self, dependencies: Dependencies) {
        self.meter()
            .u64_observable_gauge("postern.dependency.up")
            .with_description("1 if the dependency answers this node, else 0")
            .with_callback(move |gauge| {
                for status in dependencies.statuses().iter().filter(|status| status.is_monitored) {
                    let up = u64::from(status.state == DependencyState::Up);
                    gauge.observe(up, &[KeyValue::new("dependency", status.name)]);
                }
            })
            .build();
    }

    /// Renders the current values in the Prometheus text format ([`CONTENT_TYPE`]).
    ///
    /// # Errors
    /// A metric cannot be written as text, which the exporter's own checks prevent.
    pub fn render(&self) -> Result<String, RenderError> {
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }
}

/// Media type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Failure to write the metrics as text.
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
        .scope_info_enabled(false)
        .build()
        .expect("a new registry takes the exporter")
}

/// Buckets of a histogram in seconds: from 0.1 ms, a command of Redis, to 30 s, the longest deadline of a command. The default
/// buckets are meant for milliseconds: every duration in seconds would fall into the first one.
fn buckets_of_seconds(instrument: &Instrument) -> Option<Stream> {
    if instrument.kind() != InstrumentKind::Histogram || instrument.unit() != "s" {
        return None;
    }
    let boundaries = vec![
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    ];
    Stream::builder()
        .with_aggregation(Aggregation::ExplicitBucketHistogram {
            boundaries,
            record_min_max: false,
        })
        .build()
        .ok()
}

//! Readers of the meters of all nodes of a process, and the task that exports what they collect.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use lifecycle::OutageReporter;
use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{
    InstrumentKind, ManualReader, MeterProviderBuilder, Pipeline, SdkMeterProvider, Temporality,
};
use tokio::time::{MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use super::counts::{ExportCounts, ExportOutcome, Signal};
use super::settings::MetricsSettings;

/// Readers of a process. Clones share them.
///
/// They keep the providers of all nodes alive: the last values of a node are exported after its end.
#[derive(Debug, Clone)]
pub(crate) struct MetricReaders {
    temporality: Temporality,
    readers: Arc<Mutex<Vec<(SharedReader, SdkMeterProvider)>>>,
}

impl MetricReaders {
    pub(super) fn new(temporality: Temporality) -> Self {
        Self {
            temporality,
            readers: Arc::default(),
        }
    }

    /// Builds the provider of one node, with a reader of its own.
    pub(crate) fn build(&self, provider: MeterProviderBuilder) -> SdkMeterProvider {
        let reader = ManualReader::builder().with_temporality(self.temporality).build();
        let reader = SharedReader(Arc::new(reader));
        let provider = provider.with_reader(reader.clone()).build();
        self.lock().push((reader, provider.clone()));
        provider
    }

    /// Exports in each interval until the token is cancelled, and then once more.
    pub(super) async fn run(
        self,
        exporter: MetricExporter,
        settings: MetricsSettings,
        counts: Arc<ExportCounts>,
        soft: CancellationToken,
    ) {
        let outage = OutageReporter::new(Signal::Metrics.operation());
        let start = tokio::time::Instant::now() + settings.interval;
        let mut ticks = interval_at(start, settings.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_last = soft.run_until_cancelled(ticks.tick()).await.is_none();
            let readers = self.lock().clone();
            for (reader, _provider) in readers {
                let outcome = export(&reader, &exporter, settings.timeout, &outage).await;
                counts.exported(Signal::Metrics, 1, outcome);
            }
            if is_last {
                return;
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(SharedReader, SdkMeterProvider)>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn export(
    reader: &SharedReader,
    exporter: &MetricExporter,
    limit: Duration,
    outage: &OutageReporter,
) -> ExportOutcome {
    let mut collected = ResourceMetrics::default();
    let exported = async {
        reader.collect(&mut collected)?;
        exporter.export(&collected).await
    };
    match timeout(limit, exported).await {
        Ok(Ok(())) => {
            outage.succeeded();
            ExportOutcome::Ok
        }
        Ok(Err(error)) => {
            outage.failed(error);
            ExportOutcome::Failed
        }
        Err(_elapsed) => {
            outage.failed(format_args!("no response within {limit:?}"));
            ExportOutcome::Timeout
        }
    }
}

/// Reader that its meter and the exporting task share.
#[derive(Debug, Clone)]
struct SharedReader(Arc<ManualReader>);

impl MetricReader for SharedReader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, collected: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(collected)
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, limit: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(limit)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

//! Export of traces, metrics and logs by OTLP to a collector.
//!
//! [`pipelines`] creates the [`Exports`] of a process, to which its spans, log records and metrics go from then on, and the
//! [`Exporters`], which send them once they are started as tasks. Between both are bounded queues: what finds a full queue is
//! dropped and counted, so a collector that is slow, away or broken costs nothing but what it does not get. An export that fails
//! beyond the retries of its protocol, or that takes longer than its timeout, drops its batch and counts it.

mod batch;
mod counts;
mod error;
mod http_client;
mod otlp;
mod readers;
mod service;
mod settings;
mod tls;

use std::sync::Arc;

use lifecycle::Tasks;
use opentelemetry::InstrumentationScope;
use opentelemetry::metrics::Meter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLoggerProvider};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanData};
use tokio::sync::mpsc;

pub use opentelemetry_sdk::metrics::Temporality;
pub use opentelemetry_sdk::trace::SpanLimits;

pub use self::error::ExporterError;
pub use self::service::ServiceIdentity;
pub use self::settings::{
    BatchSettings, ExportSettings, LogsSettings, MetricsSettings, OtlpProtocol, OtlpSettings, TraceSampling,
    TracesSettings,
};
pub use self::tls::{OtlpTls, OtlpTlsError};

use self::batch::{Batcher, Queue};
use self::counts::{ExportCounts, Signal};
use self::readers::MetricReaders;
use crate::trace::{LinkedRoots, UserPseudonyms};

/// Log record with the scope of its logger.
type Record = (SdkLogRecord, InstrumentationScope);

/// Destination of the spans, log records and metrics of a process. Clones share it. Without settings it drops them at their sources.
#[derive(Debug, Clone)]
pub struct Exports {
    service: ServiceIdentity,
    counts: Arc<ExportCounts>,
    traces: Option<SdkTracerProvider>,
    users: Option<UserPseudonyms>,
    logs: Option<SdkLoggerProvider>,
    readers: Option<MetricReaders>,
}

/// Exporters of a process that have not been started.
#[derive(Debug)]
#[must_use = "nothing is exported before they are started"]
pub struct Exporters {
    resource: Resource,
    counts: Arc<ExportCounts>,
    traces: Option<(OtlpSettings, BatchSettings, mpsc::Receiver<SpanData>)>,
    logs: Option<(OtlpSettings, BatchSettings, mpsc::Receiver<Record>)>,
    metrics: Option<(MetricsSettings, MetricReaders)>,
}

/// Creates the exports of a process, and their exporters. It neither connects nor needs a runtime.
pub fn pipelines(settings: ExportSettings, service: ServiceIdentity) -> (Exports, Exporters) {
    let counts = Arc::new(ExportCounts::default());
    let resource = service.resource();
    let users = settings
        .traces
        .as_ref()
        .and_then(|traces| traces.dangerous_users.clone());
    let (traces, to_traces) = settings
        .traces
        .map(|traces| trace_pipeline(traces, &resource, &counts))
        .unzip();
    let (logs, to_logs) = settings.logs.map(|logs| log_pipeline(logs, &resource, &counts)).unzip();
    let readers = settings
        .metrics
        .as_ref()
        .map(|metrics| MetricReaders::new(metrics.temporality));
    let exporters = Exporters {
        resource,
        counts: Arc::clone(&counts),
        traces: to_traces,
        logs: to_logs,
        metrics: settings.metrics.zip(readers.clone()),
    };
    let exports = Exports {
        service,
        counts,
        traces,
        users,
        logs,
        readers,
    };
    (exports, exporters)
}

type Pipeline<Provider, Item> = (Provider, (OtlpSettings, BatchSettings, mpsc::Receiver<Item>));

fn trace_pipeline(
    settings: TracesSettings,
    resource: &Resource,
    counts: &Arc<ExportCounts>,
) -> Pipeline<SdkTracerProvider, SpanData> {
    let TracesSettings {
        otlp,
        batch,
        sampling,
        limits,
        dangerous_users: _,
    } = settings;
    let (queue, receiver) = Queue::new(Signal::Traces, batch.max_queue_size, counts);
    let provider = SdkTracerProvider::builder()
        .with_resource(resource.clone())
        .with_sampler(LinkedRoots(Sampler::from(sampling)))
        .with_span_limits(limits)
        .with_span_processor(queue)
        .build();
    (provider, (otlp, batch, receiver))
}

fn log_pipeline(
    LogsSettings { otlp, batch }: LogsSettings,
    resource: &Resource,
    counts: &Arc<ExportCounts>,
) -> Pipeline<SdkLoggerProvider, Record> {
    let (queue, receiver) = Queue::new(Signal::Logs, batch.max_queue_size, counts);
    let provider = SdkLoggerProvider::builder()
        .with_resource(resource.clone())
        .with_log_processor(queue)
        .build();
    (provider, (otlp, batch, receiver))
}

impl Exports {
    /// Exports of a process that exports nothing.
    #[must_use]
    pub fn none(service: ServiceIdentity) -> Self {
        pipelines(ExportSettings::default(), service).0
    }

    /// Identity of the process.
    #[must_use]
    pub fn service(&self) -> &ServiceIdentity {
        &self.service
    }

    /// Observes the counts of the process, in each of its nodes.
    pub(crate) fn observe(&self, meter: &Meter) {
        counts::observe(&self.counts, meter);
    }

    pub(crate) fn traces(&self) -> Option<&SdkTracerProvider> {
        self.traces.as_ref()
    }

    /// Returns true if spans have pseudonyms of users.
    #[must_use]
    pub fn has_users(&self) -> bool {
        self.users.is_some()
    }

    pub(crate) fn users(&self) -> Option<&UserPseudonyms> {
        self.users.as_ref()
    }

    pub(crate) fn logs(&self) -> Option<&SdkLoggerProvider> {
        self.logs.as_ref()
    }

    pub(crate) fn readers(&self) -> Option<&MetricReaders> {
        self.readers.as_ref()
    }
}

impl Exporters {
    /// Starts the exporters as tasks, which export what is left when these are drained.
    ///
    /// # Errors
    /// Settings that an exporter does not accept.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(self, tasks: &Tasks) -> Result<(), ExporterError> {
        let Self {
            resource,
            counts,
            traces,
            logs,
            metrics,
        } = self;
        if let Some((settings, batch, queue)) = traces {
            let exporter = otlp::spans(&settings, &resource)?;
            let batcher = Batcher::new(Signal::Traces, batch, queue, &counts);
            tasks.each("trace export", batcher.run(exporter, tasks.soft()));
        }
        if let Some((settings, batch, queue)) = logs {
            let exporter = otlp::records(&settings, &resource)?;
            let batcher = Batcher::new(Signal::Logs, batch, queue, &counts);
            tasks.each("log export", batcher.run(exporter, tasks.soft()));
        }
        if let Some((settings, readers)) = metrics {
            let exporter = otlp::metrics(&settings)?;
            tasks.each("metric export", readers.run(exporter, settings, counts, tasks.soft()));
        }
        Ok(())
    }
}

/// Exports with all signals, whose exporters are gone.
#[cfg(test)]
pub(crate) fn to_nowhere(service: ServiceIdentity) -> Exports {
    pipelines(tests::settings(), service).0
}

#[cfg(test)]
mod tests;

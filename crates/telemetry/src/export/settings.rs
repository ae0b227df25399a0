//! Settings of the export.

use std::time::Duration;

use http::{HeaderMap, Uri};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::trace::{Sampler, SpanLimits};

use super::tls::OtlpTls;
use crate::trace::UserPseudonyms;

/// Exported signals of a process: those with settings.
#[derive(Debug, Clone, Default)]
pub struct ExportSettings {
    /// Traces.
    pub traces: Option<TracesSettings>,
    /// Metrics.
    pub metrics: Option<MetricsSettings>,
    /// Logs.
    pub logs: Option<LogsSettings>,
}

/// Export of traces.
#[derive(Debug, Clone)]
pub struct TracesSettings {
    /// Collector.
    pub otlp: OtlpSettings,
    /// Queue and batches of spans.
    pub batch: BatchSettings,
    /// Sampled traces.
    pub sampling: TraceSampling,
    /// Bounds of a span.
    pub limits: SpanLimits,
    /// Pseudonyms of users in spans; off by default.
    pub dangerous_users: Option<UserPseudonyms>,
}

/// Export of logs.
#[derive(Debug, Clone)]
pub struct LogsSettings {
    /// Collector.
    pub otlp: OtlpSettings,
    /// Queue and batches of log records.
    pub batch: BatchSettings,
}

/// Export of metrics.
#[derive(Debug, Clone)]
pub struct MetricsSettings {
    /// Collector.
    pub otlp: OtlpSettings,
    /// Time between the beginnings of two exports.
    pub interval: Duration,
    /// Time limit of an export with its retries.
    pub timeout: Duration,
    /// Beginning of what counters and histograms count: the start of the process, or the last export.
    pub temporality: Temporality,
}

/// Collector of one signal.
#[derive(Debug, Clone)]
pub struct OtlpSettings {
    /// Endpoint: `http` or `https`; of HTTP with the path of the signal.
    pub endpoint: Uri,
    /// Protocol.
    pub protocol: OtlpProtocol,
    /// Headers of each request, such as credentials.
    pub headers: HeaderMap,
    /// Time limit of a request with its retries.
    pub timeout: Duration,
    /// Compression by gzip.
    pub gzip: bool,
    /// TLS of an `https` endpoint.
    pub tls: Option<OtlpTls>,
}

/// Protocol of a collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// gRPC.
    Grpc,
    /// Protobuf over HTTP/1.1.
    Http,
}

/// Queue and batches of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSettings {
    /// Longest time that an item waits for its batch.
    pub delay: Duration,
    /// Time limit of the export of a batch, with its retries.
    pub timeout: Duration,
    /// Bound of the queue; at least 1.
    pub max_queue_size: usize,
    /// Bound of a batch; at least 1.
    pub max_batch_size: usize,
}

/// Sampled traces.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TraceSampling {
    /// Share of the traces that begin here: 0 to 1. The decision follows from the trace id.
    pub ratio: f64,
    /// True if the decision of a span's parent counts. If not, the ratio does for every span.
    pub honours_parent: bool,
}

impl From<TraceSampling> for Sampler {
    fn from(TraceSampling { ratio, honours_parent }: TraceSampling) -> Self {
        let root = Self::TraceIdRatioBased(ratio);
        if honours_parent {
            Self::ParentBased(Box::new(root))
        } else {
            root
        }
    }
}

//! Received telemetry, as the types of the protocol with the resource of each item.

use std::collections::BTreeMap;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint, metric};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;

/// Received telemetry, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Received {
    /// Heads of all requests, also of those that were refused.
    pub requests: Vec<OtlpRequest>,
    /// Spans.
    pub spans: Vec<ReceivedSpan>,
    /// Metrics, one for each export.
    pub metrics: Vec<ReceivedMetric>,
    /// Log records.
    pub logs: Vec<ReceivedLog>,
}

/// Head of a request.
#[derive(Debug, Clone)]
pub struct OtlpRequest {
    /// Path: `/v1/traces` of HTTP, `/opentelemetry.proto.collector.trace.v1.TraceService/Export` of gRPC.
    pub path: String,
    /// Headers by their names, in lower case.
    pub headers: BTreeMap<String, String>,
}

/// Span with its resource.
#[derive(Debug, Clone)]
pub struct ReceivedSpan {
    /// Attributes of the resource.
    pub resource: Arc<BTreeMap<String, String>>,
    /// The span.
    pub span: Span,
}

/// Metric with its resource.
#[derive(Debug, Clone)]
pub struct ReceivedMetric {
    /// Attributes of the resource.
    pub resource: Arc<BTreeMap<String, String>>,
    /// The metric.
    pub metric: Metric,
}

/// Log record with its resource.
#[derive(Debug, Clone)]
pub struct ReceivedLog {
    /// Attributes of the resource.
    pub resource: Arc<BTreeMap<String, String>>,
    /// The record.
    pub record: LogRecord,
}

impl Received {
    /// All items as text, one in each line, for a search for what must not be in it.
    pub fn text(&self) -> String {
        let spans = self.spans.iter().map(|span| format!("{span:?}\n"));
        let metrics = self.metrics.iter().map(|metric| format!("{metric:?}\n"));
        let logs = self.logs.iter().map(|log| format!("{log:?}\n"));
        spans.chain(metrics).chain(logs).collect()
    }

    pub(super) fn add_spans(&mut self, request: ExportTraceServiceRequest) {
        for group in request.resource_spans {
            let resource = resource(group.resource);
            let spans = group.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.spans.extend(spans.map(|span| ReceivedSpan {
                resource: Arc::clone(&resource),
                span,
            }));
        }
    }

    pub(super) fn add_metrics(&mut self, request: ExportMetricsServiceRequest) {
        for group in request.resource_metrics {
            let resource = resource(group.resource);
            let metrics = group.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
            self.metrics.extend(metrics.map(|metric| ReceivedMetric {
                resource: Arc::clone(&resource),
                metric,
            }));
        }
    }

    pub(super) fn add_logs(&mut self, request: ExportLogsServiceRequest) {
        for group in request.resource_logs {
            let resource = resource(group.resource);
            let records = group.scope_logs.into_iter().flat_map(|scope| scope.log_records);
            self.logs.extend(records.map(|record| ReceivedLog {
                resource: Arc::clone(&resource),
                record,
            }));
        }
    }
}

impl ReceivedSpan {
    /// Attributes of the span.
    pub fn attributes(&self) -> BTreeMap<String, String> {
        attributes(&self.span.attributes)
    }

    /// Trace id, as hexadecimal digits.
    pub fn trace_id(&self) -> String {
        hexadecimal(&self.span.trace_id)
    }

    /// Id of the span, as hexadecimal digits.
    pub fn span_id(&self) -> String {
        hexadecimal(&self.span.span_id)
    }

    /// Id of its parent, as hexadecimal digits; empty for a root.
    pub fn parent_id(&self) -> String {
        hexadecimal(&self.span.parent_span_id)
    }

    /// Trace id and span id of each link, as hexadecimal digits.
    pub fn links(&self) -> Vec<(String, String)> {
        let links = self.span.links.iter();
        links
            .map(|link| (hexadecimal(&link.trace_id), hexadecimal(&link.span_id)))
            .collect()
    }
}

impl ReceivedMetric {
    /// Data points with their attributes: the value of a counter or gauge, the count of a histogram.
    pub fn points(&self) -> Vec<(BTreeMap<String, String>, f64)> {
        match &self.metric.data {
            Some(metric::Data::Gauge(gauge)) => gauge.data_points.iter().map(number).collect(),
            Some(metric::Data::Sum(sum)) => sum.data_points.iter().map(number).collect(),
            Some(metric::Data::Histogram(histogram)) => {
                let points = histogram.data_points.iter();
                points
                    .map(|point| (attributes(&point.attributes), point.count as f64))
                    .collect()
            }
            _ => Vec::new(),
        }
    }
}

impl ReceivedLog {
    /// Attributes of the record.
    pub fn attributes(&self) -> BTreeMap<String, String> {
        attributes(&self.record.attributes)
    }

    /// Message of the record.
    pub fn message(&self) -> String {
        self.record.body.as_ref().map(text_of).unwrap_or_default()
    }

    /// Trace id, as hexadecimal digits; empty outside of a trace.
    pub fn trace_id(&self) -> String {
        hexadecimal(&self.record.trace_id)
    }
}

/// Attributes with their values as text.
pub fn attributes(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |attribute: &KeyValue| attribute.value.as_ref().map(text_of).unwrap_or_default();
    attributes
        .iter()
        .map(|attribute| (attribute.key.clone(), text(attribute)))
        .collect()
}

/// Value as text: a string as it is, a number in decimal digits, anything else as Rust's debug format of it.
pub fn text_of(value: &AnyValue) -> String {
    match &value.value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => value.to_string(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}

/// Bytes as hexadecimal digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn resource(resource: Option<Resource>) -> Arc<BTreeMap<String, String>> {
    Arc::new(attributes(&resource.unwrap_or_default().attributes))
}

fn number(point: &NumberDataPoint) -> (BTreeMap<String, String>, f64) {
    let value = match point.value {
        Some(Number::AsDouble(value)) => value,
        Some(Number::AsInt(value)) => value as f64,
        None => f64::NAN,
    };
    (attributes(&point.attributes), value)
}

//! Export of telemetry: OpenTelemetry's standard variables, all of them checked here. Nothing is exported unless they say so.

mod batch;
mod otlp;
mod pairs;
mod sampler;
mod values;

use clap::Args;
use telemetry::export::{BatchSettings, ExportSettings, LogsSettings, MetricsSettings, SpanLimits, TracesSettings};
use telemetry::trace::UserPseudonyms;

use self::batch::BatchVariables;
use self::otlp::{OtlpArgs, Signal};
use self::values::{boolean, check_propagators, limit, milliseconds, or_default, temporality};
use super::{Problems, SecretArg, heading};

/// Settings of the export of telemetry.
#[derive(Debug, Clone, Args)]
pub struct TelemetryArgs {
    /// `true`: export nothing, whatever else is set.
    #[arg(long = "otel-sdk-disabled", env = "OTEL_SDK_DISABLED", default_value = "false", help_heading = heading::TELEMETRY)]
    sdk_disabled: String,
    /// Name of the service; default: `postern-gateway`, `postern-worker`, `postern-dev`.
    #[arg(long = "otel-service-name", env = "OTEL_SERVICE_NAME", help_heading = heading::TELEMETRY)]
    service_name: Option<String>,
    /// Attributes of all telemetry: `k8s.pod.name=postern-0,deployment.environment.name=test`.
    #[arg(long = "otel-resource-attributes", env = "OTEL_RESOURCE_ATTRIBUTES", help_heading = heading::TELEMETRY)]
    resource_attributes: Option<String>,
    /// Export of traces: `otlp` or `none`; default: `otlp` if an endpoint is set.
    #[arg(long = "otel-traces-exporter", env = "OTEL_TRACES_EXPORTER", help_heading = heading::TELEMETRY)]
    traces_exporter: Option<String>,
    /// Export of metrics, beside `/metrics`: `otlp` or `none`; default: `otlp` if an endpoint is set.
    #[arg(long = "otel-metrics-exporter", env = "OTEL_METRICS_EXPORTER", help_heading = heading::TELEMETRY)]
    metrics_exporter: Option<String>,
    /// Export of logs, beside standard error: `otlp` or `none`; default: `otlp` if an endpoint is set.
    #[arg(long = "otel-logs-exporter", env = "OTEL_LOGS_EXPORTER", help_heading = heading::TELEMETRY)]
    logs_exporter: Option<String>,
    /// Formats of trace contexts between processes; only `tracecontext` is used.
    #[arg(long = "otel-propagators", env = "OTEL_PROPAGATORS", default_value = PROPAGATORS, help_heading = heading::TELEMETRY)]
    propagators: String,
    /// Sampled traces: `always_on`, `always_off`, `traceidratio`, or `parentbased_` and one of these.
    #[arg(long = "otel-traces-sampler", env = "OTEL_TRACES_SAMPLER", default_value = SAMPLER, help_heading = heading::TELEMETRY)]
    traces_sampler: String,
    /// Share of the traces for `traceidratio`: 0 to 1; default: 1.
    #[arg(long = "otel-traces-sampler-arg", env = "OTEL_TRACES_SAMPLER_ARG", help_heading = heading::TELEMETRY)]
    traces_sampler_arg: Option<String>,
    /// Key, of at least 32 random bytes, of pseudonyms of users in spans: they show which spans belong to one user.
    #[arg(long, env = "POSTERN_DANGEROUS_TRACE_USERS", help_heading = heading::TELEMETRY)]
    dangerous_trace_users: Option<SecretArg>,
    /// Collectors.
    #[command(flatten)]
    otlp: OtlpArgs,
    /// Longest time that a span waits for its batch, in milliseconds.
    #[arg(long = "otel-bsp-schedule-delay", env = "OTEL_BSP_SCHEDULE_DELAY", default_value = SPAN_DELAY, help_heading = heading::TELEMETRY)]
    bsp_schedule_delay: String,
    /// Time limit for the export of a batch of spans, in milliseconds.
    #[arg(long = "otel-bsp-export-timeout", env = "OTEL_BSP_EXPORT_TIMEOUT", default_value = TIMEOUT, help_heading = heading::TELEMETRY)]
    bsp_export_timeout: String,
    /// Bound of the queue of spans; further ones are dropped and counted.
    #[arg(long = "otel-bsp-max-queue-size", env = "OTEL_BSP_MAX_QUEUE_SIZE", default_value = QUEUE, help_heading = heading::TELEMETRY)]
    bsp_max_queue_size: String,
    /// Bound of a batch of spans.
    #[arg(long = "otel-bsp-max-export-batch-size", env = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", default_value = BATCH, help_heading = heading::TELEMETRY)]
    bsp_max_export_batch_size: String,
    /// Longest time that a log record waits for its batch, in milliseconds.
    #[arg(long = "otel-blrp-schedule-delay", env = "OTEL_BLRP_SCHEDULE_DELAY", default_value = RECORD_DELAY, help_heading = heading::TELEMETRY)]
    blrp_schedule_delay: String,
    /// Time limit for the export of a batch of log records, in milliseconds.
    #[arg(long = "otel-blrp-export-timeout", env = "OTEL_BLRP_EXPORT_TIMEOUT", default_value = TIMEOUT, help_heading = heading::TELEMETRY)]
    blrp_export_timeout: String,
    /// Bound of the queue of log records; further ones are dropped and counted.
    #[arg(long = "otel-blrp-max-queue-size", env = "OTEL_BLRP_MAX_QUEUE_SIZE", default_value = QUEUE, help_heading = heading::TELEMETRY)]
    blrp_max_queue_size: String,
    /// Bound of a batch of log records.
    #[arg(long = "otel-blrp-max-export-batch-size", env = "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", default_value = BATCH, help_heading = heading::TELEMETRY)]
    blrp_max_export_batch_size: String,
    /// Time between exports of metrics, in milliseconds.
    #[arg(long = "otel-metric-export-interval", env = "OTEL_METRIC_EXPORT_INTERVAL", default_value = INTERVAL, help_heading = heading::TELEMETRY)]
    metric_export_interval: String,
    /// Time limit for an export of metrics, in milliseconds.
    #[arg(long = "otel-metric-export-timeout", env = "OTEL_METRIC_EXPORT_TIMEOUT", default_value = TIMEOUT, help_heading = heading::TELEMETRY)]
    metric_export_timeout: String,
    /// Counters and histograms since the start of the node (`cumulative`), or since the last export (`delta`, `lowmemory`).
    #[arg(long = "otel-exporter-otlp-metrics-temporality-preference", env = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", default_value = "cumulative", help_heading = heading::TELEMETRY)]
    temporality: String,
    /// Bound of the attributes of a span.
    #[arg(long = "otel-span-attribute-count-limit", env = "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", default_value = LIMIT, help_heading = heading::TELEMETRY)]
    span_attribute_count_limit: String,
    /// Bound of the events of a span.
    #[arg(long = "otel-span-event-count-limit", env = "OTEL_SPAN_EVENT_COUNT_LIMIT", default_value = LIMIT, help_heading = heading::TELEMETRY)]
    span_event_count_limit: String,
    /// Bound of the links of a span.
    #[arg(long = "otel-span-link-count-limit", env = "OTEL_SPAN_LINK_COUNT_LIMIT", default_value = LIMIT, help_heading = heading::TELEMETRY)]
    span_link_count_limit: String,
    /// Bound of the attributes of an event of a span.
    #[arg(long = "otel-event-attribute-count-limit", env = "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", default_value = LIMIT, help_heading = heading::TELEMETRY)]
    event_attribute_count_limit: String,
    /// Bound of the attributes of a link of a span.
    #[arg(long = "otel-link-attribute-count-limit", env = "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", default_value = LIMIT, help_heading = heading::TELEMETRY)]
    link_attribute_count_limit: String,
}

/// Checked settings of the export of telemetry.
#[derive(Debug, Clone, Default)]
pub struct TelemetrySettings {
    /// Exported signals.
    pub export: ExportSettings,
    /// Attributes of all telemetry; the last value of a key counts.
    pub attributes: Vec<(String, String)>,
}

impl TelemetryArgs {
    /// Checks all values, also those of signals that are not exported.
    pub(crate) fn check(&self, problems: &mut Problems) -> Option<TelemetrySettings> {
        let is_disabled = problems.take("OTEL_SDK_DISABLED", boolean(&self.sdk_disabled));
        let attributes = self.attributes(problems);
        let propagators = check_propagators(or_default(&self.propagators, PROPAGATORS));
        let propagators = problems.take("OTEL_PROPAGATORS", propagators);
        let traces = self.traces(problems);
        let metrics = self.metrics(problems);
        let logs = self.logs(problems);
        let export = ExportSettings {
            traces: traces?,
            metrics: metrics?,
            logs: logs?,
        };
        propagators?;
        Some(TelemetrySettings {
            export: if is_disabled? {
                ExportSettings::default()
            } else {
                export
            },
            attributes: attributes?,
        })
    }

    fn attributes(&self, problems: &mut Problems) -> Option<Vec<(String, String)>> {
        let text = self.resource_attributes.as_deref().unwrap_or_default();
        let mut attributes = problems.take("OTEL_RESOURCE_ATTRIBUTES", pairs::parse(text))?;
        let name = self.service_name.as_deref().map(super::secret::without_line_break);
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            attributes.push(("service.name".to_owned(), name.to_owned()));
        }
        Some(attributes)
    }

    /// The outer `None` if a value is wrong, the inner one if the signal is not exported.
    fn traces(&self, problems: &mut Problems) -> Option<Option<TracesSettings>> {
        let sampling = sampler::parse(
            or_default(&self.traces_sampler, SAMPLER),
            self.traces_sampler_arg.as_deref(),
            problems,
        );
        let batch = self.spans(problems);
        let limits = self.limits(problems);
        let users = self.users(problems);
        let is_exported = self.is_exported(Signal::Traces, self.traces_exporter.as_deref(), problems)?;
        let otlp = self.otlp.check(Signal::Traces, is_exported, problems)?;
        let (batch, sampling, limits, dangerous_users) = (batch?, sampling?, limits?, users?);
        Some(otlp.map(|otlp| TracesSettings {
            otlp,
            batch,
            sampling,
            limits,
            dangerous_users,
        }))
    }

    fn users(&self, problems: &mut Problems) -> Option<Option<UserPseudonyms>> {
        let Some(given) = &self.dangerous_trace_users else {
            return Some(None);
        };
        let key = problems.secret("POSTERN_DANGEROUS_TRACE_USERS", given)?;
        problems
            .take("POSTERN_DANGEROUS_TRACE_USERS", UserPseudonyms::new(key))
            .map(Some)
    }

    fn metrics(&self, problems: &mut Problems) -> Option<Option<MetricsSettings>> {
        let interval = milliseconds(
            "OTEL_METRIC_EXPORT_INTERVAL",
            or_default(&self.metric_export_interval, INTERVAL),
            problems,
        );
        let timeout = milliseconds(
            "OTEL_METRIC_EXPORT_TIMEOUT",
            or_default(&self.metric_export_timeout, TIMEOUT),
            problems,
        );
        let temporality = temporality(&self.temporality);
        let temporality = problems.take("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", temporality);
        let is_exported = self.is_exported(Signal::Metrics, self.metrics_exporter.as_deref(), problems)?;
        let otlp = self.otlp.check(Signal::Metrics, is_exported, problems)?;
        let (interval, timeout, temporality) = (interval?, timeout?, temporality?);
        Some(otlp.map(|otlp| MetricsSettings {
            otlp,
            interval,
            timeout,
            temporality,
        }))
    }

    fn logs(&self, problems: &mut Problems) -> Option<Option<LogsSettings>> {
        let batch = self.records(problems);
        let is_exported = self.is_exported(Signal::Logs, self.logs_exporter.as_deref(), problems)?;
        let otlp = self.otlp.check(Signal::Logs, is_exported, problems)?;
        let batch = batch?;
        Some(otlp.map(|otlp| LogsSettings { otlp, batch }))
    }

    /// Returns true if a signal is exported: its exporter says so, or is not set and there is an endpoint for it.
    fn is_exported(&self, signal: Signal, exporter: Option<&str>, problems: &mut Problems) -> Option<bool> {
        match exporter.unwrap_or_default().trim() {
            "" => Some(self.otlp.has_endpoint(signal)),
            "otlp" => Some(true),
            "none" => Some(false),
            _ => {
                problems.report(signal.exporter(), "is `otlp` or `none`");
                None
            }
        }
    }

    fn spans(&self, problems: &mut Problems) -> Option<BatchSettings> {
        let variables = BatchVariables {
            delay: (
                "OTEL_BSP_SCHEDULE_DELAY",
                or_default(&self.bsp_schedule_delay, SPAN_DELAY),
            ),
            timeout: ("OTEL_BSP_EXPORT_TIMEOUT", or_default(&self.bsp_export_timeout, TIMEOUT)),
            max_queue_size: ("OTEL_BSP_MAX_QUEUE_SIZE", or_default(&self.bsp_max_queue_size, QUEUE)),
            max_batch_size: (
                "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
                or_default(&self.bsp_max_export_batch_size, BATCH),
            ),
        };
        variables.settings(problems)
    }

    fn records(&self, problems: &mut Problems) -> Option<BatchSettings> {
        let variables = BatchVariables {
            delay: (
                "OTEL_BLRP_SCHEDULE_DELAY",
                or_default(&self.blrp_schedule_delay, RECORD_DELAY),
            ),
            timeout: (
                "OTEL_BLRP_EXPORT_TIMEOUT",
                or_default(&self.blrp_export_timeout, TIMEOUT),
            ),
            max_queue_size: ("OTEL_BLRP_MAX_QUEUE_SIZE", or_default(&self.blrp_max_queue_size, QUEUE)),
            max_batch_size: (
                "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
                or_default(&self.blrp_max_export_batch_size, BATCH),
            ),
        };
        variables.settings(problems)
    }

    fn limits(&self, problems: &mut Problems) -> Option<SpanLimits> {
        let attributes = limit(
            "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
            or_default(&self.span_attribute_count_limit, LIMIT),
            problems,
        );
        let events = limit(
            "OTEL_SPAN_EVENT_COUNT_LIMIT",
            or_default(&self.span_event_count_limit, LIMIT),
            problems,
        );
        let links = limit(
            "OTEL_SPAN_LINK_COUNT_LIMIT",
            or_default(&self.span_link_count_limit, LIMIT),
            problems,
        );
        let of_event = limit(
            "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
            or_default(&self.event_attribute_count_limit, LIMIT),
            problems,
        );
        let of_link = limit(
            "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
            or_default(&self.link_attribute_count_limit, LIMIT),
            problems,
        );
        Some(SpanLimits {
            max_attributes_per_span: attributes?,
            max_events_per_span: events?,
            max_links_per_span: links?,
            max_attributes_per_event: of_event?,
            max_attributes_per_link: of_link?,
        })
    }
}

const SAMPLER: &str = "parentbased_always_on";
const PROPAGATORS: &str = "tracecontext,baggage";
const SPAN_DELAY: &str = "5000";
const RECORD_DELAY: &str = "1000";
const TIMEOUT: &str = "30000";
const QUEUE: &str = "2048";
const BATCH: &str = "512";
const INTERVAL: &str = "60000";
const LIMIT: &str = "128";

#[cfg(test)]
mod tests;

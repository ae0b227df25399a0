//! Trace of the current span in each line of the log.

use std::fmt;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Format of lines with `trace_id` and `span_id` at their ends, within a span for export.
#[derive(Debug)]
pub(super) struct WithTrace<F> {
    format: F,
    is_json: bool,
}

impl<F> WithTrace<F> {
    /// Adds the trace to lines of text.
    pub(super) fn text(format: F) -> Self {
        Self { format, is_json: false }
    }

    /// Adds the trace to JSON objects.
    pub(super) fn json(format: F) -> Self {
        Self { format, is_json: true }
    }

    /// Line with the trace, before the end of the object.
    fn traced(&self, line: &str, trace: &SpanContext) -> Option<String> {
        let (trace, span) = (trace.trace_id(), trace.span_id());
        if self.is_json {
            let object = line.trim_end().strip_suffix('}')?;
            Some(format!("{object},\"trace_id\":\"{trace}\",\"span_id\":\"{span}\"}}\n"))
        } else {
            Some(format!("{} trace_id={trace} span_id={span}\n", line.trim_end()))
        }
    }
}

impl<F, S, N> FormatEvent<S, N> for WithTrace<F>
where
    F: FormatEvent<S, N>,
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let trace = Context::map_current(|context| context.span().span_context().clone());
        if !trace.is_valid() {
            return self.format.format_event(context, writer, event);
        }
        let mut line = String::new();
        self.format.format_event(context, Writer::new(&mut line), event)?;
        writer.write_str(self.traced(&line, &trace).as_deref().unwrap_or(&line))
    }
}

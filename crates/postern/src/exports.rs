//! Export of the telemetry of this process.

use std::future::Future;
use std::time::Duration;

use lifecycle::{OsEntropy, Tasks};
use telemetry::export::{ExporterError, Exporters, Exports, ServiceIdentity, pipelines};
use telemetry::logs::node_span;
use tracing::Span;

use crate::cli::Command;
use crate::config::{Problems, TelemetrySettings};
use crate::node::NodeIdentity;

/// Creates the exports of a command, and their exporters. A command without nodes exports nothing, and one with a wrong setting
/// nothing either, as its start is refused.
pub(crate) fn of_command(command: &Command) -> (Exports, Exporters) {
    let (role, settings) = match command.nodes() {
        Some((role, args)) => (role, args.check(&mut Problems::default()).unwrap_or_default()),
        None => ("command", TelemetrySettings::default()),
    };
    let service = ServiceIdentity::new(format!("postern-{role}"), NodeIdentity::draw(&OsEntropy));
    pipelines(settings.export, service.with_attributes(settings.attributes))
}

/// Completes the work of a process while its exporters run, and exports what is left. A collector that does not respond delays the
/// end of the process by [`FLUSH_WITHIN`].
///
/// # Errors
/// Settings that an exporter does not accept.
pub(crate) async fn exporting<T>(
    role: Option<&'static str>,
    exports: &Exports,
    exporters: Exporters,
    work: impl Future<Output = T>,
) -> Result<T, ExporterError> {
    let span = role.map_or_else(Span::none, |role| node_span(role, exports.service().instance()));
    if exports.has_users() {
        span.in_scope(|| tracing::warn!("spans have pseudonyms of users (POSTERN_DANGEROUS_TRACE_USERS)"));
    }
    let tasks = span.in_scope(Tasks::new);
    exporters.start(&tasks)?;
    let result = work.await;
    let report = tasks.drain(FLUSH_WITHIN).await;
    if !report.is_clean() {
        span.in_scope(|| tracing::warn!(drain = %report, "telemetry not exported completely"));
    }
    Ok(result)
}

/// Time limit for the last exports.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

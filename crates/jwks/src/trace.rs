//! Span of a fetch of a key set, by the semantic conventions of OpenTelemetry for HTTP clients.

use telemetry::trace;
use tracing::Span;
use tracing::field::Empty;
use url::Url;

/// Span of a fetch that a token waits for; disabled outside of a sampled trace, as for the fetches by schedule.
pub(crate) fn fetch_span(url: &Url) -> Span {
    if !trace::is_sampled() {
        return Span::none();
    }
    tracing::info_span!(
        target: trace::TARGET,
        "key set",
        otel.name = "GET",
        otel.kind = "client",
        http.request.method = "GET",
        http.response.status_code = Empty,
        server.address = url.host_str(),
        server.port = url.port_or_known_default().map(i64::from),
    )
}

/// Records the status of the answer in the span of the fetch, which is the current one.
pub(crate) fn record_status(status: u16) {
    Span::current().record("http.response.status_code", i64::from(status));
}

//! Span of a call to a platform, by the semantic conventions of OpenTelemetry for HTTP clients.
//!
//! The span has the template of the path in place of the URL: paths and queries carry ids and tokens. Platforms receive no
//! `traceparent`: they export nothing to us, and a shared trace id would show several platforms that their accounts have one owner.

use http::{Request, StatusCode};
use telemetry::trace;
use tracing::Span;
use tracing::field::Empty;

use crate::route::Route;

/// Span of a call; disabled outside of a sampled trace.
pub(crate) fn call_span<B>(route: Route, request: &Request<B>) -> Span {
    if !trace::is_sampled() {
        return Span::none();
    }
    let (method, uri) = (request.method().as_str(), request.uri());
    tracing::info_span!(
        target: trace::TARGET,
        "platform call",
        otel.name = %format_args!("{method} {}", route.template),
        otel.kind = "client",
        otel.status_code = Empty,
        http.request.method = method,
        http.response.status_code = Empty,
        url.template = route.template,
        server.address = uri.host(),
        server.port = uri.port_u16().or(default_port(uri.scheme_str())).map(i64::from),
        platform = route.platform.as_str(),
        "error.type" = Empty,
    )
}

/// Records the status of an answer. A client counts 4xx as failures too.
pub(crate) fn record_status(span: &Span, status: StatusCode) {
    span.record("http.response.status_code", i64::from(status.as_u16()));
    if status.is_client_error() || status.is_server_error() {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", status.as_str());
    }
}

fn default_port(scheme: Option<&str>) -> Option<u16> {
    match scheme {
        Some("https") => Some(443),
        Some("http") => Some(80),
        _ => None,
    }
}

//! Spans for export of a gateway, by the semantic conventions of OpenTelemetry: commands and their steps, HTTP requests, jobs and
//! deliveries.

use axum::response::Response;
use http::{HeaderMap, StatusCode};
use protocol::answer::Failure;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::job::Lane;
use protocol::code::{ErrorCode, FaultClass};
use protocol::command::{CommandKind, traceparent};
use protocol::trace::TraceParent;
use serde_json::Value;
use telemetry::trace::{self, DeliverySampling, TARGET};
use tracing::field::Empty;
use tracing::{Instrument, Span, info_span};

use crate::settings::ClientContext;

impl ClientContext {
    /// Span of a client's command, from the received message to its answer, and the context that the command continues.
    ///
    /// A linked context has lost its sampling decision. Its client chooses that and the trace id, and by either of them could have
    /// all of its commands recorded, or add spans to the trace of someone else.
    pub(crate) fn command(self, kind: CommandKind, data: &Value) -> (Span, Option<TraceParent>) {
        let event = kind.event();
        let span = info_span!(
            target: TARGET,
            "command",
            otel.name = event,
            otel.kind = "server",
            command = event,
            "error.type" = Empty,
        );
        let received = traceparent(data);
        match self {
            Self::Parent => {
                trace::continue_from(&span, received.as_ref());
                (span, received)
            }
            Self::Link => {
                link(&span, received);
                (span, None)
            }
        }
    }
}

/// Runs a step of a command in its span, which records a failure.
pub(crate) async fn step<T>(span: Span, step: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let done = step.instrument(span.clone()).await;
    if let Err(failure) = &done {
        record_error(&span, failure.error);
    }
    done
}

/// Span of the admission of a command: session and limits.
pub(crate) fn admission() -> Span {
    info_span!(target: TARGET, "admit", "error.type" = Empty)
}

/// Span of the answer to a client, from the reply of a worker to the queue of the socket.
pub(crate) fn answer() -> Span {
    info_span!(target: TARGET, "answer")
}

/// Span of the submission of a job to the workers.
pub(crate) fn submission(lane: Lane, command: &'static str) -> Span {
    info_span!(
        target: TARGET,
        "send",
        otel.name = %format_args!("send {}", lane.as_str()),
        otel.kind = "producer",
        "messaging.system" = "redis",
        "messaging.operation.name" = "send",
        "messaging.operation.type" = "send",
        "messaging.destination.name" = lane.as_str(),
        command,
        "error.type" = Empty,
    )
}

/// Span of the delivery of a received event to the sockets of this gateway: a root that is linked to the publication. None where that is not
/// sampled, or this delivery is not.
pub(crate) fn delivery(sampling: DeliverySampling, envelope: &Envelope) -> Option<Span> {
    let publication = envelope.traceparent.as_ref()?;
    if !sampling.takes(publication) {
        return None;
    }
    let event = envelope.event.as_str();
    let span = info_span!(
        target: TARGET,
        parent: None,
        "deliver",
        otel.name = %format_args!("deliver {event}"),
        otel.kind = "consumer",
        "messaging.system" = "redis",
        "messaging.operation.name" = "deliver",
        "messaging.operation.type" = "process",
        "messaging.destination.name" = "events",
        event,
    );
    trace::link(&span, publication);
    Some(span)
}

/// Records the code of a failure. Only a fault of Postern or of a dependency makes the span a failed one.
pub(crate) fn record_error(span: &Span, error: ErrorCode) {
    match error.fault_class() {
        FaultClass::Caller => {
            span.record("error.type", error.as_str());
        }
        FaultClass::Dependency | FaultClass::Internal => trace::failed(span, error.as_str(), &error.sentence()),
    }
}

/// Method and path template of an HTTP request. A path itself may name a user.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HttpRoute {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
}

impl HttpRoute {
    /// Runs the handler of a caller that has proved who it is: its context is the parent of the span, with its sampling decision.
    pub(crate) async fn serve_trusted(
        self,
        scheme: &'static str,
        caller: Option<TraceParent>,
        response: impl Future<Output = Response>,
    ) -> Response {
        let span = self.span(scheme);
        trace::continue_from(&span, caller.as_ref());
        respond(span, response).await
    }

    /// Runs the handler of a caller that may be anyone: its context is only linked, as that of a client.
    pub(crate) async fn serve_public(self, headers: &HeaderMap, response: impl Future<Output = Response>) -> Response {
        let span = self.span("https");
        link(&span, received(headers));
        respond(span, response).await
    }

    fn span(self, scheme: &'static str) -> Span {
        let Self { method, path } = self;
        info_span!(
            target: TARGET,
            "request",
            otel.name = %format_args!("{method} {path}"),
            otel.kind = "server",
            "http.request.method" = method,
            "http.route" = path,
            "url.scheme" = scheme,
            "http.response.status_code" = Empty,
            "error.type" = Empty,
        )
    }
}

/// Context in the header `traceparent` of a request, if it has exactly one that is valid.
pub(crate) fn received(headers: &HeaderMap) -> Option<TraceParent> {
    let mut values = headers.get_all("traceparent").iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    value.to_str().ok()?.parse().ok()
}

async fn respond(span: Span, response: impl Future<Output = Response>) -> Response {
    let response = response.instrument(span.clone()).await;
    let status = response.status();
    // An unsigned number would be exported as text.
    span.record("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        trace::failed(&span, error_type(status), &status);
    }
    response
}

/// Name of a status in `error.type`: of those that a gateway responds with.
fn error_type(status: StatusCode) -> &'static str {
    match status {
        StatusCode::SERVICE_UNAVAILABLE => "503",
        StatusCode::GATEWAY_TIMEOUT => "504",
        StatusCode::BAD_GATEWAY => "502",
        _ => "500",
    }
}

/// Links a span to the context of a party that is not trusted, without its sampling decision.
fn link(span: &Span, received: Option<TraceParent>) {
    if let Some(received) = received {
        trace::link(span, &received.unsampled());
    }
}

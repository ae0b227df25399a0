//! Health routes of a node: `/livez`, `/readyz`, `/metrics` and `/healthz/dependencies`.

use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use lifecycle::{Dependencies, Part, Readiness};
use protocol::http_routes::{DEPENDENCIES, LIVEZ, METRICS, READYZ};
use serde_json::Value;

use crate::dependencies;
use crate::metrics::{CONTENT_TYPE, Metrics};

/// Routes that need no token.
///
/// - `GET /livez`: 200 `ok` while the process responds. It checks nothing else, so that an outage of Redis or Postgres does not
///   make an orchestrator restart every node.
/// - `GET /readyz`: 200 if the node may receive work, else 503; one line for each of its parts. It is about this node alone: a
///   dependency is a part only until it was reached once. `?exclude=draining` leaves the drain out: the node accepts work until its
///   listener closes, and an orchestrator that stops it knows of the drain.
/// - `GET /healthz/dependencies`: the state of the dependencies as JSON, for operators. Always 200: as a probe it would take every
///   node out of service at once.
/// - `GET /metrics`: the Prometheus text format.
///
/// Everything else is 404 or 405 as plain text.
pub fn router(readiness: Readiness, dependencies: Dependencies, metrics: Metrics) -> Router {
    Router::new()
        .route(LIVEZ, get(async || "ok\n"))
        .route(READYZ, get(readyz).with_state(readiness))
        .route(DEPENDENCIES, get(report).with_state(dependencies))
        .route(METRICS, get(render).with_state(metrics))
        .fallback(async || (StatusCode::NOT_FOUND, "not found\n"))
        .method_not_allowed_fallback(async || (StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n"))
}

async fn readyz(State(readiness): State<Readiness>, RawQuery(query): RawQuery) -> (StatusCode, String) {
    let parts = readiness.parts();
    let is_draining = readiness.is_draining() && query.as_deref() != Some("exclude=draining");
    let status = if parts.iter().all(|part| part.is_ready) && !is_draining {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let mut lines: String = parts.iter().map(line).collect();
    if is_draining {
        lines += "draining\n";
    }
    (status, lines)
}

fn line(part: &Part) -> String {
    let state = match (part.is_ready, part.is_step_of_the_start) {
        (true, true) => "ok (at start)",
        (true, false) => "ok",
        (false, _) => "not ready",
    };
    format!("{} {state}\n", part.name)
}

async fn report(State(dependencies): State<Dependencies>) -> Json<Value> {
    Json(dependencies::report(&dependencies))
}

async fn render(State(metrics): State<Metrics>) -> Response {
    match metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics not rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

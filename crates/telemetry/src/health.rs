//! Health routes of the internal listener: `/livez`, `/readyz` and `/metrics`.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use lifecycle::Readiness;

use crate::metrics::{CONTENT_TYPE, Metrics};

/// Routes of the internal listener that need no token.
///
/// - `GET /livez`: 200 `ok` while the process responds. It checks nothing else, so that an outage of Redis or Postgres does not
///   make an orchestrator restart every node.
/// - `GET /readyz`: 200 `ready`, or 503 with the names of what the node waits for: it must receive no new work.
/// - `GET /metrics`: the Prometheus text format.
pub fn router(readiness: Readiness, metrics: Metrics) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz).with_state(readiness))
        .route("/metrics", get(render).with_state(metrics))
}

async fn readyz(State(readiness): State<Readiness>) -> (StatusCode, String) {
    if readiness.is_ready() {
        return (StatusCode::OK, "ready\n".to_owned());
    }
    let waiting_for = readiness.waiting_for().join(", ");
    (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for: {waiting_for}\n"))
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

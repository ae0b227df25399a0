//! Drain of the internal API: its callers are asked to close their connections, then refused, and no request is cut.

use axum::response::{IntoResponse, Response};
use http::header::{CONNECTION, HeaderValue};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::ApiError;

/// Drain state of the internal API and its requests in flight. Clones share one state.
#[derive(Debug, Clone, Default)]
pub(crate) struct ApiDrain {
    closing: CancellationToken,
    refusing: CancellationToken,
    in_flight: TaskTracker,
}

impl ApiDrain {
    /// Adds `Connection: close` to every response from now on: a caller that keeps connections opens its next one to another gateway.
    pub(crate) fn close_connections(&self) {
        self.closing.cancel();
    }

    /// Refuses new requests, and resolves when those in flight are answered.
    pub(crate) async fn refuse(&self) {
        self.refusing.cancel();
        self.in_flight.close();
        self.in_flight.wait().await;
    }

    /// Serves or refuses a request, as the drain requires.
    pub(super) async fn apply(&self, response: impl Future<Output = Response>) -> Response {
        let _in_flight = self.in_flight.token();
        let mut response = if self.refusing.is_cancelled() {
            ApiError::Stopping.into_response()
        } else {
            response.await
        };
        if self.closing.is_cancelled() {
            let headers = response.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

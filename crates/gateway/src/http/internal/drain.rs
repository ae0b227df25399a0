//! Drain of the internal API: its callers are asked to close their connections, then refused, and no request is cut.

use axum::response::Response;
use http::StatusCode;
use http::header::{CONNECTION, HeaderValue, RETRY_AFTER};
use protocol::answer::Failure;
use protocol::code::ErrorCode;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::http::response::failure_response;

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
            refusal()
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

/// Response to a request that another gateway can serve at once.
fn refusal() -> Response {
    let failure = Failure::with_message(
        ErrorCode::Unavailable,
        "This gateway is stopping and has done nothing; repeat the request.",
    );
    let mut response = failure_response(StatusCode::SERVICE_UNAVAILABLE, &failure);
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

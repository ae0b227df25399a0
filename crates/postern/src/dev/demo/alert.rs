//! `POST /demo/api/alert`: an alert of the application's server, which goes the way of all of them: through the internal API.

use std::time::Duration;

use axum::response::Response;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use protocol::json::Json;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::timeout;

use super::Demo;
use super::refusal::Refusal;
use crate::event_request::{PublishedEvent, event_request};
use crate::http1;

/// Body of the request. Absent members have plausible values; the internal API checks all of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AlertRequest {
    user_id: String,
    severity: Option<Value>,
    #[serde(rename = "type")]
    kind: Option<Value>,
    message: Option<Value>,
    requires_action: Option<Value>,
    metadata: Option<Value>,
}

/// Payload of `security:alert`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AlertData {
    severity: Value,
    #[serde(rename = "type")]
    kind: Value,
    message: Value,
    requires_action: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Value>,
}

impl From<AlertRequest> for AlertData {
    fn from(request: AlertRequest) -> Self {
        Self {
            severity: request.severity.unwrap_or_else(|| "high".into()),
            kind: request.kind.unwrap_or_else(|| "suspicious_login".into()),
            message: request
                .message
                .unwrap_or_else(|| "Login from new device detected".into()),
            requires_action: request.requires_action.unwrap_or_else(|| true.into()),
            metadata: request.metadata,
        }
    }
}

impl Demo {
    /// Publishes an alert at a gateway that runs. The response is that of the internal API.
    pub(super) async fn publish_alert(&self, request: AlertRequest) -> Result<Response, Refusal> {
        let user = Self::user(&request.user_id)?;
        let (data, server) = (Json::of(&AlertData::from(request)), self.internal_api()?);
        let event = PublishedEvent {
            event: "security:alert",
            data: &data,
            idempotency_key: None,
        };
        let bearer = HeaderValue::try_from(format!("Bearer {}", self.internal_token.expose()));
        let bearer = bearer.map_err(|_not_a_header| Refusal::unavailable())?;
        let request = event_request(&server, user.as_str(), bearer, &event);
        let request = request.map_err(|_invalid| Refusal::unavailable())?;
        let sent = timeout(PUBLISH_WITHIN, Box::pin(http1::send(&server, request))).await;
        match sent.unwrap_or_else(|late| Err(late.into())) {
            Ok((status, body)) => Ok(relayed(status, body)),
            Err(error) => {
                tracing::warn!(%error, "demo alert not published");
                Err(Refusal::unavailable())
            }
        }
    }

    /// Address of the internal API of a gateway that runs.
    fn internal_api(&self) -> Result<String, Refusal> {
        let cluster = self.cluster.borrow();
        let running = cluster.gateways.iter().find(|gateway| gateway.is_running);
        running
            .map(|gateway| gateway.internal.to_string())
            .ok_or_else(Refusal::unavailable)
    }
}

/// Response of the internal API, for the page.
fn relayed(status: StatusCode, body: String) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Below the deadline of a route, above the time in which a worker commits an alert.
const PUBLISH_WITHIN: Duration = Duration::from_secs(10);

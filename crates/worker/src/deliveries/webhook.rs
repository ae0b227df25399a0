//! Webhook deliveries: verified, parsed, and delivered to the users who have linked their addressees.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lifecycle::Clock;
use platforms::{Request, WebhookError, WebhookResponse, WebhookVerifier};
use protocol::account::AccountType;
use protocol::answer::Failure;
use protocol::cluster::job::JobOutcome;
use protocol::cluster::webhook::{Webhook, WebhookAnswer, WebhookContent};
use protocol::code::ErrorCode;
use protocol::fault::Fault;
use protocol::json::Json;
use protocol::secret::Secret;
use serde_json::json;
use store::{DeliveryOutcome, StoreError};

use super::addressed::Addressees;
use crate::call::Refusal;

/// Webhooks of this worker.
pub(crate) struct Webhooks {
    pub(crate) hooks: Vec<Arc<WebhookVerifier>>,
    pub(crate) addressees: Addressees,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Webhooks {
    /// Processes a delivery, or answers a challenge. The platform receives success only after the updates are committed.
    pub(crate) async fn receive(&self, webhook: &Webhook) -> Result<JobOutcome, WebhookRefusal> {
        let hook = self.hooks.iter().find(|hook| hook.platform() == webhook.account);
        let hook = hook.ok_or(WebhookRefusal::NotOffered(webhook.account))?;
        let answer = match &webhook.content {
            WebhookContent::Delivery { headers, body } => self.deliver(hook, headers, body).await?,
            WebhookContent::Challenge(token) => challenged(hook, token)?,
        };
        Ok(JobOutcome {
            error: None,
            leading_notice: None,
            secret: false,
            data: Json::of(&answer),
        })
    }

    async fn deliver(
        &self,
        hook: &WebhookVerifier,
        headers: &BTreeMap<String, Secret>,
        body: &Secret,
    ) -> Result<WebhookAnswer, WebhookRefusal> {
        let refused = |error| WebhookRefusal::Refused(hook.platform(), error);
        let body = STANDARD.decode(body.expose());
        let body = body.map_err(|_no_base64| refused(WebhookError::Unreadable))?;
        let request = Request {
            header: &|name| headers.get(name).map(|value| value.expose().to_owned()),
            body: &body,
        };
        let delivery = hook.read(&request, self.clock.now()).map_err(refused)?;
        let platform = hook.platform();
        let delivered = self.addressees.deliver(
            platform,
            Some(&delivery.id),
            &delivery.notifications,
            &delivery.deauthorized,
        );
        match delivered.await? {
            DeliveryOutcome::Delivered(users) => {
                tracing::debug!(%platform, users = users.len(), "webhook delivery stored");
            }
            DeliveryOutcome::Repeated => tracing::debug!(%platform, "webhook delivery repeated, ignoring"),
        }
        Ok(response(delivery.response))
    }
}

fn challenged(hook: &WebhookVerifier, token: &Secret) -> Result<WebhookAnswer, WebhookRefusal> {
    let response_token = hook.answer_challenge(token.expose());
    let response_token = response_token.map_err(|error| WebhookRefusal::Refused(hook.platform(), error))?;
    Ok(WebhookAnswer {
        status: 200,
        body: Some(Json::of(&json!({ "response_token": response_token }))),
    })
}

fn response(response: WebhookResponse) -> WebhookAnswer {
    let (status, body) = match response {
        WebhookResponse::Ok => (200, None),
        WebhookResponse::NoContent => (204, None),
        WebhookResponse::Pong => (200, Some(Json::of(&json!({"type": 1})))),
    };
    WebhookAnswer { status, body }
}

/// Error of a webhook delivery.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebhookRefusal {
    #[error("no webhook is configured for {0}")]
    NotOffered(AccountType),
    #[error("verify the webhook delivery of {0}")]
    Refused(AccountType, #[source] WebhookError),
    #[error("store the webhook delivery")]
    Store(#[from] StoreError),
}

impl Fault for WebhookRefusal {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotOffered(_) => ErrorCode::NotSupported,
            Self::Refused(_, WebhookError::InvalidSignature) => ErrorCode::Unauthenticated,
            Self::Refused(_, WebhookError::Unreadable) => ErrorCode::BadRequest,
            Self::Store(error) => error.code(),
        }
    }
}

impl Refusal for WebhookRefusal {
    fn failure(&self) -> Failure {
        match self {
            Self::Refused(_, WebhookError::InvalidSignature) => {
                Failure::with_message(self.code(), "The platform's signature is missing or invalid.")
            }
            _ => Failure::of(self.code()),
        }
    }
}

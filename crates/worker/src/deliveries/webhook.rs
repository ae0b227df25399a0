//! What platforms send of their own accord: proved, read, and delivered to whoever has linked whom it is addressed to.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lifecycle::Clock;
use platforms::{Request, WebhookError, WebhookResponse, WebhookVerifier};
use protocol::account::AccountType;
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

/// The webhooks of this worker.
pub(crate) struct Webhooks {
    pub(crate) hooks: Vec<Arc<WebhookVerifier>>,
    pub(crate) addressees: Addressees,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Webhooks {
    /// Takes what came to a webhook, or answers its challenge. The platform hears a yes only after the news are committed.
    pub(crate) async fn receive(&self, webhook: &Webhook) -> Result<JobOutcome, RefusedWebhook> {
        let hook = self.hooks.iter().find(|hook| hook.platform() == webhook.account);
        let hook = hook.ok_or(RefusedWebhook::NotOffered(webhook.account))?;
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
    ) -> Result<WebhookAnswer, RefusedWebhook> {
        let refused = |error| RefusedWebhook::Refused(hook.platform(), error);
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
            DeliveryOutcome::Delivered(users) => tracing::debug!(%platform, users = users.len(), "a delivery is taken"),
            DeliveryOutcome::Repeated => tracing::debug!(%platform, "a delivery came again"),
        }
        Ok(response(delivery.response))
    }
}

fn challenged(hook: &WebhookVerifier, token: &Secret) -> Result<WebhookAnswer, RefusedWebhook> {
    let response_token = hook.answer_challenge(token.expose());
    let response_token = response_token.map_err(|error| RefusedWebhook::Refused(hook.platform(), error))?;
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

/// Why a delivery was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RefusedWebhook {
    #[error("{0} has no webhook here")]
    NotOffered(AccountType),
    #[error("{0}'s webhook")]
    Refused(AccountType, #[source] WebhookError),
    #[error("deliver what a platform has sent")]
    Store(#[from] StoreError),
}

impl Fault for RefusedWebhook {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotOffered(_) => ErrorCode::NotSupported,
            Self::Refused(_, WebhookError::InvalidSignature) => ErrorCode::Unauthenticated,
            Self::Refused(_, WebhookError::Unreadable) => ErrorCode::BadRequest,
            Self::Store(error) => error.code(),
        }
    }
}

impl Refusal for RefusedWebhook {}

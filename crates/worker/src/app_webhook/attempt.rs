//! One attempt to send a webhook.

use std::sync::Arc;

use lifecycle::{Clock, Entropy, OutageReporter};
use protocol::app_webhook::AppWebhookBody;
use protocol::fault::chain;
use store::{AppWebhook, AppWebhooks, NextTry, StoreError};

use super::client::{AppWebhookClient, AppWebhookSendError};
use super::pace::Pace;
use super::retry_delay::next_try;
use crate::metrics::{AppWebhookLabel, Metrics};

/// Sends webhooks, and stores what became of each.
pub(super) struct Attempts {
    pub(super) webhooks: Arc<dyn AppWebhooks>,
    pub(super) client: AppWebhookClient,
    pub(super) pace: Pace,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) outage: OutageReporter,
    pub(super) metrics: Metrics,
}

impl Attempts {
    /// Sends a leased webhook. True if another may follow at once: the receiver is there.
    pub(super) async fn send(&self, webhook: AppWebhook) -> bool {
        let sent = self.post(&webhook).await;
        let is_there = !matches!(&sent, Err(error) if error.is_outage());
        self.adjust(&sent);
        match self.store(&webhook, sent).await {
            Ok((true, outcome)) => self.metrics.app_webhook(outcome),
            Ok((false, _)) => self.metrics.app_webhook(AppWebhookLabel::Lost),
            // The lease expires, and the webhook is sent again under the same id.
            Err(error) => tracing::warn!(
                error = chain(&error),
                "application webhook outcome not stored, sending again after its lease"
            ),
        }
        is_there
    }

    async fn post(&self, webhook: &AppWebhook) -> Result<(), AppWebhookSendError> {
        let body = AppWebhookBody::new(&webhook.kind, &webhook.data, webhook.created_at);
        let body = protocol::json::Json::of(&body).into_text();
        self.client
            .send(webhook.event.as_str(), body, self.clock.now().into())
            .await
    }

    fn adjust(&self, sent: &Result<(), AppWebhookSendError>) {
        match sent {
            Ok(()) => {
                self.pace.faster();
                self.outage.succeeded();
            }
            Err(error) => {
                if error.is_outage() {
                    self.pace.slower(error.retry_after());
                }
                self.outage.failed(chain(error));
            }
        }
    }

    async fn store(
        &self,
        webhook: &AppWebhook,
        sent: Result<(), AppWebhookSendError>,
    ) -> Result<(bool, AppWebhookLabel), StoreError> {
        let Err(error) = sent else {
            let ours = self.webhooks.finish_app_webhook(&webhook.id).await?;
            return Ok((ours, AppWebhookLabel::Sent));
        };
        let next = if error.is_final() {
            NextTry::Never
        } else {
            next_try(webhook.tries, error.retry_after(), &*self.entropy)
        };
        let why = chain(&error);
        let ours = self.webhooks.retry_app_webhook(&webhook.id, next, &why).await?;
        let (user, event, kind) = (&webhook.user, &webhook.event, &webhook.kind);
        match next {
            NextTry::After(delay) => {
                let seconds = delay.as_secs();
                tracing::debug!(%user, %event, kind, seconds, error = why, "application webhook not accepted, retrying");
                Ok((ours, AppWebhookLabel::Retried))
            }
            NextTry::Never => {
                if ours {
                    tracing::error!(%user, %event, kind, error = why, "application webhook given up, kept for an operator");
                }
                Ok((ours, AppWebhookLabel::Dead))
            }
        }
    }
}

//! `postern webhooks test`.

use std::fmt;

use lifecycle::{Clock, Entropy, OsEntropy, SystemClock};
use protocol::app_webhook::{AppWebhookBody, TEST};
use protocol::json::Json;
use serde::Serialize;
use serde_json::Map;
use worker::AppWebhookClient;

use crate::cli::WebhooksTestArgs;
use crate::config::Problems;
use crate::operator::{OperatorError, Outcome, connect, receipt};
use crate::report::print_report;

/// Sends one webhook, and reports whether the receiver has accepted it.
///
/// # Errors
/// [`OperatorError`].
pub(super) async fn send_test(args: &WebhooksTestArgs, mut problems: Problems) -> Outcome {
    let receiver = args.sender.check(&args.operator.app_webhook_events, &mut problems);
    let settings = args.operator.settings(problems)?;
    let client = AppWebhookClient::new(receiver.ok_or(OperatorError::NoReceiver)?)?;
    let store = connect(&settings).await?;
    let recorded = receipt(&settings);
    store.record_operator_command(None, "webhooks test", &recorded).await?;
    let entropy: &dyn Entropy = &OsEntropy;
    let (event_id, now) = (format!("test-{}", entropy.token()), SystemClock.now().into());
    let data = Json::of(&Map::new());
    let body = Json::of(&AppWebhookBody::new(TEST, &data, now)).into_text();
    client.send(&event_id, body, now).await?;
    Ok(print_report(&AcceptedWebhook { event_id }, args.output)?)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AcceptedWebhook {
    event_id: String,
}

impl fmt::Display for AcceptedWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the receiver accepted {}", self.event_id)
    }
}

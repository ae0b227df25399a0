//! `postern webhooks`.

mod send_test;

use std::fmt;

use protocol::id::UserId;
use serde::Serialize;
use store::{AppWebhookChange, AppWebhookChangeOutcome, AppWebhookFilter, AppWebhookOverview, PgStore};

use super::{OperatorError, Outcome, connect, receipt, user};
use crate::cli::{OperatorSettings, WebhooksChangeArgs, WebhooksCommand, WebhooksListArgs};
use crate::config::Problems;
use crate::report::{print_report, write_table};

/// Runs the command.
///
/// # Errors
/// [`OperatorError`].
pub(crate) async fn webhooks(command: &WebhooksCommand, problems: Problems) -> Outcome {
    match command {
        WebhooksCommand::List(args) => list(args, problems).await,
        WebhooksCommand::Retry(args) => change(args, AppWebhookChange::Retry, problems).await,
        WebhooksCommand::Discard(args) => change(args, AppWebhookChange::Discard, problems).await,
        WebhooksCommand::Test(args) => send_test::send_test(args, problems).await,
    }
}

async fn list(args: &WebhooksListArgs, problems: Problems) -> Outcome {
    let user: Option<UserId> = args.user.as_deref().map(user).transpose()?;
    let settings = args.operator.settings(problems)?;
    let store = connect(&settings).await?;
    let filter = AppWebhookFilter {
        user,
        dead: args.dead,
        after: 0,
        // One more, to tell whether the list is complete.
        limit: args.limit + 1,
    };
    let mut webhooks = store
        .list_app_webhooks(&filter, "webhooks list", &receipt(&settings))
        .await?;
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let truncated = webhooks.len() > limit;
    webhooks.truncate(limit);
    Ok(print_report(&WebhookList { webhooks, truncated }, args.output)?)
}

async fn change(args: &WebhooksChangeArgs, change: AppWebhookChange, problems: Problems) -> Outcome {
    let user: Option<UserId> = args.user.as_deref().map(user).transpose()?;
    let settings = args.operator.settings(problems)?;
    let store = connect(&settings).await?;
    let changed = match args.which.id {
        Some(id) => vec![change_one(&store, &settings, (id, change)).await?],
        None => change_dead(&store, &settings, (user, change)).await?,
    };
    Ok(match change {
        AppWebhookChange::Retry => print_report(&RetriedWebhooks { retried: changed }, args.output)?,
        AppWebhookChange::Discard => print_report(&DiscardedWebhooks { discarded: changed }, args.output)?,
    })
}

async fn change_one(
    store: &PgStore,
    settings: &OperatorSettings,
    (id, change): (i64, AppWebhookChange),
) -> Result<AppWebhookOverview, OperatorError> {
    match store.change_app_webhook(id, change, &receipt(settings)).await? {
        AppWebhookChangeOutcome::Changed(webhook) => Ok(webhook),
        AppWebhookChangeOutcome::Leased => Err(OperatorError::LeasedWebhook(id)),
        AppWebhookChangeOutcome::Unknown => Err(OperatorError::UnknownWebhook(id)),
    }
}

/// Changes the webhooks that were given up before the command, each in a transaction of its own.
async fn change_dead(
    store: &PgStore,
    settings: &OperatorSettings,
    (user, change): (Option<UserId>, AppWebhookChange),
) -> Result<Vec<AppWebhookOverview>, OperatorError> {
    let mut filter = AppWebhookFilter {
        user,
        dead: true,
        after: 0,
        limit: PAGE,
    };
    let command = match change {
        AppWebhookChange::Retry => "webhooks retry --dead",
        AppWebhookChange::Discard => "webhooks discard --dead",
    };
    let mut changed = Vec::new();
    loop {
        let page = store.list_app_webhooks(&filter, command, &receipt(settings)).await?;
        let Some(last) = page.last() else {
            return Ok(changed);
        };
        filter.after = last.id;
        for webhook in page {
            // Another operator may have been faster.
            let outcome = store.change_app_webhook(webhook.id, change, &receipt(settings)).await?;
            if let AppWebhookChangeOutcome::Changed(webhook) = outcome {
                changed.push(webhook);
            }
        }
    }
}

/// Webhooks per query.
const PAGE: u32 = 100;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WebhookList {
    webhooks: Vec<AppWebhookOverview>,
    /// True if there are more webhooks than the bound of the list.
    truncated: bool,
}

impl fmt::Display for WebhookList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_webhooks(f, &self.webhooks)?;
        if self.truncated {
            f.write_str("\nmore webhooks follow: --limit")?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RetriedWebhooks {
    retried: Vec<AppWebhookOverview>,
}

impl fmt::Display for RetriedWebhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_changed(f, &self.retried)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DiscardedWebhooks {
    discarded: Vec<AppWebhookOverview>,
}

impl fmt::Display for DiscardedWebhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_changed(f, &self.discarded)
    }
}

fn write_changed(f: &mut fmt::Formatter<'_>, webhooks: &[AppWebhookOverview]) -> fmt::Result {
    if webhooks.is_empty() {
        return f.write_str("no webhook was given up");
    }
    write_webhooks(f, webhooks)
}

fn write_webhooks(f: &mut fmt::Formatter<'_>, webhooks: &[AppWebhookOverview]) -> fmt::Result {
    let rows = webhooks.iter().map(|webhook| {
        [
            webhook.id.to_string(),
            webhook.user.to_string(),
            webhook.kind.clone(),
            webhook.event_id.to_string(),
            webhook.state.as_str().to_owned(),
            webhook.tries.to_string(),
            webhook.created_at.to_string(),
            webhook.due_at.to_string(),
            webhook.last_error.clone().unwrap_or_default(),
        ]
    });
    let header = [
        "id",
        "user",
        "type",
        "event",
        "state",
        "tries",
        "created",
        "due",
        "last error",
    ];
    write_table(f, Some(header), rows)
}

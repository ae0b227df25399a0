//! `postern webhooks`.

use clap::{Args, Subcommand};

use super::{OperatorArgs, OutputArgs};
use crate::config::AppWebhookSenderArgs;

/// `postern webhooks`.
#[derive(Debug, Subcommand)]
pub enum WebhooksCommand {
    /// List the webhooks that the application has not accepted: that wait, are sent, or were given up.
    List(WebhooksListArgs),
    /// Have webhooks sent again at once, with all their tries.
    Retry(WebhooksChangeArgs),
    /// Remove webhooks: the application will not receive them.
    Discard(WebhooksChangeArgs),
    /// Send a webhook of the type `webhook.test`, once, from here.
    Test(WebhooksTestArgs),
}

/// `postern webhooks list`.
#[derive(Debug, Args)]
pub struct WebhooksListArgs {
    /// Only webhooks that were given up.
    #[arg(long)]
    pub dead: bool,
    /// Only webhooks of this user.
    #[arg(long)]
    pub user: Option<String>,
    /// Bound of the list.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// Operator, and the access to the store.
    #[command(flatten)]
    pub operator: OperatorArgs,
    /// Form of the result.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `postern webhooks retry` and `discard`.
#[derive(Debug, Args)]
pub struct WebhooksChangeArgs {
    /// Webhooks to change.
    #[command(flatten)]
    pub which: WebhooksToChange,
    /// User of the webhooks that were given up.
    #[arg(long, requires = "dead")]
    pub user: Option<String>,
    /// Operator, and the access to the store.
    #[command(flatten)]
    pub operator: OperatorArgs,
    /// Form of the result.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Webhooks to change: one, or all that were given up.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct WebhooksToChange {
    /// One webhook that no worker has leased.
    #[arg(long)]
    pub id: Option<i64>,
    /// All webhooks that were given up.
    #[arg(long)]
    pub dead: bool,
}

/// `postern webhooks test`.
#[derive(Debug, Args)]
pub struct WebhooksTestArgs {
    /// Receiver and secrets.
    #[command(flatten)]
    pub sender: AppWebhookSenderArgs,
    /// Operator, and the access to the store.
    #[command(flatten)]
    pub operator: OperatorArgs,
    /// Form of the result.
    #[command(flatten)]
    pub output: OutputArgs,
}

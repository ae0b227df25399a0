//! `postern publish`.

use clap::Args;

use super::{DirArgs, InternalClientArgs};

/// `postern publish`.
#[derive(Debug, Args)]
pub struct PublishArgs {
    /// User who receives it.
    #[arg(long)]
    pub user: String,
    /// Event: `security:alert`, `notification:incoming` or `account:status_changed`.
    #[arg(long)]
    pub event: String,
    /// Payload, JSON.
    #[arg(long)]
    pub data: String,
    /// Idempotency key: a repeated key publishes nothing new.
    #[arg(long)]
    pub idempotency_key: Option<String>,
    /// Internal API, and the access to it.
    #[command(flatten)]
    pub api: InternalClientArgs,
    /// Directory of `postern dev` with its token and addresses.
    #[command(flatten)]
    pub dir: DirArgs,
}

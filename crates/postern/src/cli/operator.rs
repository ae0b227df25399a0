//! Operator who runs a command, and the command's access to the store and its audit log.

use clap::Args;
use nix::unistd::{Uid, User};
use store::vault::VaultKeys;
use store::{Operator, PgSettings};

use crate::config::{AppWebhookEventArgs, ConfigError, DatabaseArgs, OwnerArgs, Problems, VaultKeysArgs};

/// Operator, and what a command needs to record itself in the audit log.
#[derive(Debug, Args)]
pub struct OperatorArgs {
    /// Name of the operator in the audit log: 1 to 64 alphanumeric characters, `.`, `_` or `-`; default: the user of the process.
    #[arg(long, env = OPERATOR)]
    pub operator: Option<String>,
    /// Postgres settings.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Vault keys, which sign the audit log.
    #[command(flatten)]
    pub vault: VaultKeysArgs,
    /// Events that are queued for the application, as workers queue them.
    #[command(flatten)]
    pub app_webhook_events: AppWebhookEventArgs,
}

/// Checked settings of an operator's command.
#[derive(Debug)]
pub(crate) struct OperatorSettings {
    pub(crate) operator: Operator,
    pub(crate) database: PgSettings,
    pub(crate) keys: VaultKeys,
}

impl OperatorArgs {
    /// Checks the settings, in addition to problems that are known already.
    ///
    /// # Errors
    /// All invalid values.
    pub(crate) fn settings(&self, mut problems: Problems) -> Result<OperatorSettings, ConfigError> {
        let settings = self.check(&mut problems);
        problems.finish(settings)
    }

    /// Checks the section.
    pub(crate) fn check(&self, problems: &mut Problems) -> Option<OperatorSettings> {
        let database = self.database.check(problems);
        self.check_with(database, problems)
    }

    /// Checks the section, for a command that runs as the owner of the schema.
    pub(crate) fn check_as_owner(&self, owner: &OwnerArgs, problems: &mut Problems) -> Option<OperatorSettings> {
        let database = self.database.check_as_owner(owner, problems);
        self.check_with(database, problems)
    }

    fn check_with(&self, database: Option<PgSettings>, problems: &mut Problems) -> Option<OperatorSettings> {
        let operator = match &self.operator {
            Some(name) => problems.take(OPERATOR, name.parse()),
            None => Some(process_user()),
        };
        let keys = self.vault.check(problems);
        let app_webhooks = self.app_webhook_events.check(problems);
        Some(OperatorSettings {
            operator: operator?,
            database: database?.queueing_app_webhooks(&app_webhooks?),
            keys: keys?,
        })
    }
}

/// User of the process: by name, or as `uid-<number>` where it has none, as in most containers.
fn process_user() -> Operator {
    let uid = Uid::effective();
    let user = User::from_uid(uid).ok().flatten();
    let named = user.and_then(|user| user.name.parse().ok());
    named.unwrap_or_else(|| Operator::of_uid(uid.as_raw()))
}

const OPERATOR: &str = "POSTERN_OPERATOR";

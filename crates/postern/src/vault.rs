//! `postern vault rotate_keys`: everything sealed anew with the first key, and what may be retired then.

use std::process::ExitCode;
use std::sync::Arc;

use lifecycle::OsEntropy;
use store::vault::Vault;
use store::{KeyRotation, PgStore, SetupError, StoreError, UndecryptableText};
use telemetry::metrics::Metrics;

use crate::config::{ConfigError, RotateArgs};

/// Why nothing, or not everything, was sealed anew.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Wrong settings; all of them.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Postgres.
    #[error("connect to Postgres")]
    Connect(#[from] SetupError),
    /// Postgres, later. What was sealed anew stays so.
    #[error("seal anew; what was done stays, run it again")]
    Store(#[from] StoreError),
}

/// Seals anew. Gives the report, and success when no old key is needed any more.
///
/// # Errors
/// [`VaultError`].
pub(crate) async fn rotate_keys(args: &RotateArgs) -> Result<(String, ExitCode), VaultError> {
    let (database, keys) = args.settings()?;
    let audit = keys.audit_keys();
    let vault = Vault::new(keys, Arc::new(OsEntropy));
    let store = PgStore::connect(&database, audit, &Metrics::new("vault").meter()).await?;
    let rotation = store::rotate_keys(&store, &vault).await?;
    let done = rotation.complete && rotation.undecryptable_count == 0;
    let code = if done { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    Ok((report(&rotation, &vault), code))
}

fn report(rotation: &KeyRotation, vault: &Vault) -> String {
    let mut lines: Vec<String> = rotation
        .reencrypted
        .iter()
        .map(|(column, count)| format!("{}: {count} sealed anew", column.as_str()))
        .collect();
    lines.extend(rotation.undecryptable.iter().map(undecryptable));
    if rotation.undecryptable_count > rotation.undecryptable.len() as u64 {
        lines.push(format!("{} texts do not open in all", rotation.undecryptable_count));
    }
    lines.push(retirement(rotation, vault));
    lines.join("\n")
}

fn undecryptable(text: &UndecryptableText) -> String {
    let column = text.column.as_str();
    // An account is named by its user and platform, a task by its number.
    let row = match text.number {
        0 => String::new(),
        number => format!(", row {number}"),
    };
    let key = text
        .key_id
        .as_ref()
        .map_or_else(String::new, |key| format!(", sealed with {key}"));
    format!(
        "{column} of user {}, {}{row}{key}: {}",
        text.user, text.scope, text.error
    )
}

/// Answers, and the HMACs of codes that were sent, are not made anew: the last that an old key has made is gone an hour later.
fn retirement(rotation: &KeyRotation, vault: &Vault) -> String {
    if !rotation.complete {
        return "may be retired: nothing. Some worker seals with another key than the first: restart the workers with \
                this list of keys, then run this again"
            .to_owned();
    }
    let is_free = |key: &&str| !rotation.keys_in_use.contains(*key);
    let free: Vec<&str> = vault.older_keys().filter(is_free).collect();
    let sealing = vault.encryption_key();
    if free.is_empty() {
        return format!("may be retired: nothing; {sealing} seals");
    }
    format!(
        "may be retired an hour after the last worker was restarted with {sealing} in front: {}",
        free.join(", ")
    )
}

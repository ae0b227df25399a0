//! `postern vault rotate`: key rotation, which re-encrypts all values with the first key and lists the keys that may be retired.

use std::process::ExitCode;
use std::sync::Arc;

use lifecycle::OsEntropy;
use store::vault::Vault;
use store::{KeyRotation, PgStore, SetupError, StoreError, UndecryptableText};
use telemetry::metrics::Metrics;

use crate::config::{ConfigError, Problems, RotateArgs};

/// Failed or incomplete key rotation.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Invalid settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Connecting to Postgres failed.
    #[error("connect to Postgres")]
    Connect(#[from] SetupError),
    /// A query failed. Re-encrypted values stay so.
    #[error("re-encrypt the values; the finished ones stay, run it again")]
    Store(#[from] StoreError),
}

/// Rotates the keys. Returns the report, and success if no old key is in use any more.
///
/// # Errors
/// [`VaultError`].
pub(crate) async fn rotate_keys(args: &RotateArgs, problems: Problems) -> Result<(String, ExitCode), VaultError> {
    let (database, keys) = args.settings(problems)?;
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
        .map(|(column, count)| format!("{}: {count} re-encrypted", column.as_str()))
        .collect();
    lines.extend(rotation.undecryptable.iter().map(undecryptable));
    if rotation.undecryptable_count > rotation.undecryptable.len() as u64 {
        lines.push(format!(
            "{} values in total do not decrypt",
            rotation.undecryptable_count
        ));
    }
    lines.push(retirement(rotation, vault));
    lines.join("\n")
}

fn undecryptable(text: &UndecryptableText) -> String {
    let column = text.column.as_str();
    // An account is identified by its user and platform, a task by its number.
    let row = match text.number {
        0 => String::new(),
        number => format!(", row {number}"),
    };
    let key = text
        .key_id
        .as_ref()
        .map_or_else(String::new, |key| format!(", encrypted with {key}"));
    format!(
        "{column} of user {}, {}{row}{key}: {}",
        text.user, text.scope, text.error
    )
}

/// Lists the keys that may be retired. Answers, and the HMACs of sent codes, are not re-encrypted: the last ones of an old key
/// expire within an hour.
fn retirement(rotation: &KeyRotation, vault: &Vault) -> String {
    if !rotation.complete {
        return "may be retired: nothing. A worker encrypts with another key than the first: restart the workers with \
                this list of keys, then run this again"
            .to_owned();
    }
    let is_free = |key: &String| !rotation.keys_in_use.contains(key);
    let free: Vec<String> = vault.older_keys().into_iter().filter(is_free).collect();
    let encryption_key = vault.encryption_key();
    if free.is_empty() {
        return format!("may be retired: nothing; {encryption_key} encrypts");
    }
    format!(
        "may be retired an hour after the last worker was restarted with {encryption_key} in front: {}",
        free.join(", ")
    )
}

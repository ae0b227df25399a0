//! Key rotation (`postern vault rotate`): re-encrypts every text with the first key while workers run.

use std::collections::{BTreeMap, BTreeSet};

use crate::StoreError;
use crate::encrypted_columns::{EncryptedColumn, EncryptedColumns, EncryptedText, ReencryptedText};
use crate::vault::{Binding, Vault, VaultError};

/// Report of a key rotation.
#[derive(Debug, Default)]
pub struct KeyRotation {
    /// Number of re-encrypted texts by column.
    pub reencrypted: BTreeMap<EncryptedColumn, u64>,
    /// Texts that cannot be decrypted; the first hundred.
    pub undecryptable: Vec<UndecryptableText>,
    /// Number of texts that cannot be decrypted.
    pub undecryptable_count: u64,
    /// Keys other than the first under which texts remain.
    pub keys_in_use: BTreeSet<String>,
    /// True if the last pass found nothing to do. If false, some worker still encrypts with another key.
    pub complete: bool,
}

/// Text that cannot be decrypted. This reveals nothing of its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndecryptableText {
    /// Column.
    pub column: EncryptedColumn,
    /// Row number.
    pub number: i64,
    /// Owner of the text.
    pub user: String,
    /// Scope of the binding.
    pub scope: String,
    /// Key that encrypted it, if the text names one.
    pub key_id: Option<String>,
    /// Error of the decryption.
    pub error: VaultError,
}

/// Re-encrypts all texts that another key than the first has encrypted. A repeat changes nothing more.
///
/// # Errors
/// [`StoreError`]; completed work stays, and the next rotation continues from there.
pub async fn rotate_keys(store: &dyn EncryptedColumns, vault: &Vault) -> Result<KeyRotation, StoreError> {
    let mut rotation = KeyRotation::default();
    for _ in 0..MAX_PASSES {
        let found = rotation.run_pass(store, vault).await?;
        if found == 0 {
            rotation.complete = true;
            break;
        }
    }
    Ok(rotation)
}

impl KeyRotation {
    /// Runs one pass over all columns and returns the number of texts that another key encrypted and that were decrypted.
    async fn run_pass(&mut self, store: &dyn EncryptedColumns, vault: &Vault) -> Result<u64, StoreError> {
        self.undecryptable.clear();
        self.undecryptable_count = 0;
        self.keys_in_use.clear();
        let mut found = 0;
        for column in EncryptedColumn::ALL {
            let mut last = None;
            loop {
                let texts = store
                    .texts_under_other_keys(column, &vault.encryption_key(), last.as_ref(), BATCH)
                    .await?;
                let is_last = texts.len() < BATCH;
                last = texts.last().cloned();
                let again: Vec<ReencryptedText> = texts
                    .into_iter()
                    .filter_map(|text| self.reencrypt(column, text, vault))
                    .collect();
                found += again.len() as u64;
                *self.reencrypted.entry(column).or_default() += store.replace_texts(column, &again).await?;
                if is_last {
                    break;
                }
            }
        }
        Ok(found)
    }

    fn reencrypt(
        &mut self,
        column: EncryptedColumn,
        previous: EncryptedText,
        vault: &Vault,
    ) -> Option<ReencryptedText> {
        let binding = Binding {
            user: &previous.user,
            scope: &previous.scope,
            column: &previous.bound,
        };
        let reencrypted = match column {
            EncryptedColumn::UserKey => vault.reencrypt_user_key(previous.user.as_str(), &previous.encrypted),
            _ => vault
                .decrypt(&binding, &previous.encrypted)
                .map(|text| vault.encrypt(&binding, &text)),
        };
        match reencrypted {
            Ok(encrypted) => Some(ReencryptedText { previous, encrypted }),
            Err(error) => {
                self.record_undecryptable(column, &previous, error);
                None
            }
        }
    }

    fn record_undecryptable(&mut self, column: EncryptedColumn, text: &EncryptedText, error: VaultError) {
        let key_id = text.encrypted.key_id().map(str::to_owned);
        self.keys_in_use.extend(key_id.clone());
        self.undecryptable_count += 1;
        if self.undecryptable.len() < MAX_NAMED {
            self.undecryptable.push(UndecryptableText {
                column,
                number: text.number,
                user: text.user.to_string(),
                scope: text.scope.clone(),
                key_id,
                error,
            });
        }
    }
}

/// Texts that are read, and replaced, by one statement.
const BATCH: usize = 200;

/// Most passes: a pass finds only what was written during the one before, unless a worker still encrypts with another key.
const MAX_PASSES: usize = 8;

const MAX_NAMED: usize = 100;

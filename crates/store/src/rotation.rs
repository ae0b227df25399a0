//! `postern vault rotate_keys`: every sealed text is opened and sealed anew with the first key, while workers go on.

use std::collections::{BTreeMap, BTreeSet};

use crate::StoreError;
use crate::sealings::{EncryptedColumn, EncryptedColumns, EncryptedText, ReencryptedText};
use crate::vault::{Binding, Vault, VaultError};

/// What became of a rotation.
#[derive(Debug, Default)]
pub struct KeyRotation {
    /// How many texts were sealed anew, by where they stand.
    pub reencrypted: BTreeMap<EncryptedColumn, u64>,
    /// Texts that do not open, the first hundred of them.
    pub undecryptable: Vec<UndecryptableText>,
    /// How many do not open in all.
    pub undecryptable_count: u64,
    /// Keys other than the first that texts are still sealed with.
    pub keys_in_use: BTreeSet<String>,
    /// Whether the last look found nothing more to do. If not, some worker still seals with another key.
    pub complete: bool,
}

/// A text that does not open. Nothing here tells of its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndecryptableText {
    /// Where it stands.
    pub column: EncryptedColumn,
    /// Its row.
    pub number: i64,
    /// Whose it is.
    pub user: String,
    /// What it is about.
    pub scope: String,
    /// The key that sealed it, where it says so.
    pub key_id: Option<String>,
    /// Why it does not open.
    pub why: VaultError,
}

/// Seals anew whatever another key than the first has sealed. Again does nothing more.
///
/// # Errors
/// [`StoreError`]; what was done stays, and the next rotation goes on from there.
pub async fn rotate_keys(store: &dyn EncryptedColumns, vault: &Vault) -> Result<KeyRotation, StoreError> {
    let mut rotation = KeyRotation::default();
    for _ in 0..MOST_LOOKS {
        let found = rotation.look(store, vault).await?;
        if found == 0 {
            rotation.complete = true;
            break;
        }
    }
    Ok(rotation)
}

impl KeyRotation {
    /// Looks at every column once; says how many texts there were that another key had sealed and that open.
    async fn look(&mut self, store: &dyn EncryptedColumns, vault: &Vault) -> Result<u64, StoreError> {
        self.undecryptable.clear();
        self.undecryptable_count = 0;
        self.keys_in_use.clear();
        let mut found = 0;
        for column in EncryptedColumn::ALL {
            let mut last = None;
            loop {
                let texts = store
                    .texts_under_other_keys(column, vault.encryption_key(), last.as_ref(), BATCH)
                    .await?;
                let is_last = texts.len() < BATCH;
                last = texts.last().cloned();
                let again: Vec<ReencryptedText> = texts
                    .into_iter()
                    .filter_map(|text| self.sealed_anew(column, text, vault))
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

    fn sealed_anew(&mut self, column: EncryptedColumn, was: EncryptedText, vault: &Vault) -> Option<ReencryptedText> {
        let binding = Binding {
            user: &was.user,
            scope: &was.scope,
            column: &was.bound,
        };
        match vault.decrypt(&binding, &was.encrypted) {
            Ok(text) => {
                let encrypted = vault.encrypt(&binding, &text);
                Some(ReencryptedText { was, encrypted })
            }
            Err(why) => {
                self.note(column, &was, why);
                None
            }
        }
    }

    fn note(&mut self, column: EncryptedColumn, text: &EncryptedText, why: VaultError) {
        let key_id = text.encrypted.key_id().map(str::to_owned);
        self.keys_in_use.extend(key_id.clone());
        self.undecryptable_count += 1;
        if self.undecryptable.len() < MOST_NAMED {
            self.undecryptable.push(UndecryptableText {
                column,
                number: text.number,
                user: text.user.to_string(),
                scope: text.scope.clone(),
                key_id,
                why,
            });
        }
    }
}

/// Texts that are read, and replaced by one statement.
const BATCH: usize = 200;

/// A look finds only what was written during the one before it, unless someone seals with another key all the time.
const MOST_LOOKS: usize = 8;

const MOST_NAMED: usize = 100;

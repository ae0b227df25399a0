//! `postern vault rotate`: every sealed text is opened and sealed anew with the first key, while workers go on.

use std::collections::{BTreeMap, BTreeSet};

use crate::StoreError;
use crate::sealings::{Resealed, SealedColumn, SealedText, Sealings};
use crate::vault::{Binding, Vault, VaultError};

/// What became of a rotation.
#[derive(Debug, Default)]
pub struct Rotation {
    /// How many texts were sealed anew, by where they stand.
    pub resealed: BTreeMap<SealedColumn, u64>,
    /// Texts that do not open, the first hundred of them.
    pub unopened: Vec<Unopened>,
    /// How many do not open in all.
    pub unopened_count: u64,
    /// Keys other than the first that texts are still sealed with.
    pub still_used: BTreeSet<String>,
    /// Whether the last look found nothing more to do. If not, some worker still seals with another key.
    pub complete: bool,
}

/// A text that does not open. Nothing here tells of its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unopened {
    /// Where it stands.
    pub column: SealedColumn,
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
pub async fn rotate(store: &dyn Sealings, vault: &Vault) -> Result<Rotation, StoreError> {
    let mut rotation = Rotation::default();
    for _ in 0..MOST_LOOKS {
        let found = rotation.look(store, vault).await?;
        if found == 0 {
            rotation.complete = true;
            break;
        }
    }
    Ok(rotation)
}

impl Rotation {
    /// Looks at every column once; says how many texts there were that another key had sealed and that open.
    async fn look(&mut self, store: &dyn Sealings, vault: &Vault) -> Result<u64, StoreError> {
        self.unopened.clear();
        self.unopened_count = 0;
        self.still_used.clear();
        let mut found = 0;
        for column in SealedColumn::ALL {
            let mut last = None;
            loop {
                let texts = store
                    .sealed_otherwise(column, vault.sealing_key(), last.as_ref(), BATCH)
                    .await?;
                let is_last = texts.len() < BATCH;
                last = texts.last().cloned();
                let again: Vec<Resealed> = texts
                    .into_iter()
                    .filter_map(|text| self.sealed_anew(column, text, vault))
                    .collect();
                found += again.len() as u64;
                *self.resealed.entry(column).or_default() += store.reseal(column, &again).await?;
                if is_last {
                    break;
                }
            }
        }
        Ok(found)
    }

    fn sealed_anew(&mut self, column: SealedColumn, was: SealedText, vault: &Vault) -> Option<Resealed> {
        let binding = Binding {
            user: &was.user,
            scope: &was.scope,
            column: &was.bound,
        };
        match vault.open(&binding, &was.sealed) {
            Ok(text) => {
                let sealed = vault.seal(&binding, &text);
                Some(Resealed { was, sealed })
            }
            Err(why) => {
                self.note(column, &was, why);
                None
            }
        }
    }

    fn note(&mut self, column: SealedColumn, text: &SealedText, why: VaultError) {
        let key_id = text.sealed.key_id().map(str::to_owned);
        self.still_used.extend(key_id.clone());
        self.unopened_count += 1;
        if self.unopened.len() < MOST_NAMED {
            self.unopened.push(Unopened {
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

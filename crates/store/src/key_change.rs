//! Check of vault keys that are to replace those of a running worker.

use crate::StoreError;
use crate::encrypted_columns::{EncryptedColumn, EncryptedColumns};
use crate::vault::VaultKeys;

/// Reason to keep the keys in use.
#[derive(Debug, thiserror::Error)]
pub enum KeyChangeError {
    /// A key has another value under the same id.
    #[error("key {0} has another value than before: a new key needs a new id")]
    Altered(String),
    /// A missing key has encrypted a text that is still stored.
    #[error("key {key} is missing, and {} is encrypted with it: run `postern vault rotate` before it is removed", .column.as_str())]
    InUse {
        /// Id of the key.
        key: String,
        /// Column with such a text.
        column: EncryptedColumn,
    },
    /// The store cannot be asked.
    #[error("look up whether a missing key is in use")]
    Store(#[from] StoreError),
}

/// Checks that `next` may replace `current`: no key has another value, and no stored text needs a key that is missing. Rows of the
/// audit log may: a worker only signs them.
///
/// # Errors
/// [`KeyChangeError`].
pub async fn check_key_change(
    store: &dyn EncryptedColumns,
    current: &VaultKeys,
    next: &VaultKeys,
) -> Result<(), KeyChangeError> {
    if let Some(key) = current.altered_in(next) {
        return Err(KeyChangeError::Altered(key));
    }
    for key in current.missing_in(next) {
        for column in EncryptedColumn::ALL {
            if store.has_texts_under(column, &key).await? {
                return Err(KeyChangeError::InUse { key, column });
            }
        }
    }
    Ok(())
}

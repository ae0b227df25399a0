//! Encrypted texts of all tables, for key rotation.

use async_trait::async_trait;
use protocol::security::FactorMethod;

use super::MemoryStore;
use super::state::State;
use crate::StoreError;
use crate::encrypted_columns::{EncryptedColumn, EncryptedColumns, EncryptedText, ReencryptedText};
use crate::security::SecurityRecord;
use crate::tokens::{EncryptedTokens, TokenColumn};
use crate::vault::Ciphertext;

#[async_trait]
impl EncryptedColumns for MemoryStore {
    async fn texts_under_other_keys(
        &self,
        column: EncryptedColumn,
        key_id: &str,
        after: Option<&EncryptedText>,
        max: usize,
    ) -> Result<Vec<EncryptedText>, StoreError> {
        let texts = texts(&self.state(), column);
        let behind = |text: &EncryptedText| after.is_none_or(|after| sort_key(text) > sort_key(after));
        let under_other_key = |text: &EncryptedText| text.encrypted.key_id() != Some(key_id);
        Ok(texts
            .into_iter()
            .filter(|text| behind(text) && under_other_key(text))
            .take(max)
            .collect())
    }

    async fn has_texts_under(&self, column: EncryptedColumn, key_id: &str) -> Result<bool, StoreError> {
        let texts = texts(&self.state(), column);
        Ok(texts.iter().any(|text| text.encrypted.key_id() == Some(key_id)))
    }

    async fn replace_texts(&self, column: EncryptedColumn, texts: &[ReencryptedText]) -> Result<u64, StoreError> {
        let mut state = self.state();
        let mut replaced = 0;
        for text in texts {
            let current =
                current_text(&mut state, column, &text.previous).filter(|current| **current == text.previous.encrypted);
            if let Some(current) = current {
                *current = text.encrypted.clone();
                replaced += 1;
            }
        }
        Ok(replaced)
    }
}

/// Texts of a column, ordered by [`sort_key`].
fn texts(state: &State, column: EncryptedColumn) -> Vec<EncryptedText> {
    let account = |bound| {
        let texts = state.accounts.iter().filter_map(move |((user, platform), linked)| {
            Some(EncryptedText {
                number: 0,
                user: user.clone(),
                scope: (*platform).to_owned(),
                bound: TokenColumn::as_str(bound).to_owned(),
                encrypted: of_tokens(linked.tokens.as_ref()?, bound)?.clone(),
            })
        });
        texts.collect()
    };
    let pending_link = |bound| {
        let texts = state.pending_links.iter().filter_map(move |(number, row)| {
            Some(EncryptedText {
                number: *number,
                user: row.link.user.clone(),
                scope: row.link.account.account_type.to_string(),
                bound: TokenColumn::as_str(bound).to_owned(),
                encrypted: of_tokens(row.link.tokens.as_ref()?, bound)?.clone(),
            })
        });
        texts.collect()
    };
    let task = |bound| {
        let texts = state.tasks.iter().filter_map(move |(number, task)| {
            Some(EncryptedText {
                number: *number,
                user: task.user.clone(),
                scope: task.revocation.account.to_string(),
                bound: TokenColumn::as_str(bound).to_owned(),
                encrypted: of_tokens(&task.revocation.tokens, bound)?.clone(),
            })
        });
        texts.collect()
    };
    match column {
        EncryptedColumn::PendingLinkAccess => pending_link(TokenColumn::Access),
        EncryptedColumn::PendingLinkRefresh => pending_link(TokenColumn::Refresh),
        EncryptedColumn::AccountAccess => account(TokenColumn::Access),
        EncryptedColumn::AccountRefresh => account(TokenColumn::Refresh),
        EncryptedColumn::TaskAccess => task(TokenColumn::Access),
        EncryptedColumn::TaskRefresh => task(TokenColumn::Refresh),
        EncryptedColumn::PendingFactor | EncryptedColumn::Factor | EncryptedColumn::RecoveryKey => {
            let texts = state.security.iter().filter_map(|(user, record)| {
                let (method, encrypted) = of_factor(record, column)?;
                Some(EncryptedText {
                    number: 0,
                    user: user.clone(),
                    scope: "factor".to_owned(),
                    bound: match (column, method) {
                        (EncryptedColumn::RecoveryKey, _) => "recovery",
                        (_, FactorMethod::Totp) => "secret",
                        (_, FactorMethod::Sms | FactorMethod::Email) => "address",
                    }
                    .to_owned(),
                    encrypted: encrypted.clone(),
                })
            });
            let mut texts: Vec<_> = texts.collect();
            texts.sort_by(|one, other| sort_key(one).cmp(&sort_key(other)));
            texts
        }
        EncryptedColumn::UserKey => {
            let texts = state.user_keys.iter().map(|(user, encrypted)| EncryptedText {
                number: 0,
                user: user.clone(),
                scope: "audit".to_owned(),
                bound: "user key".to_owned(),
                encrypted: encrypted.clone(),
            });
            texts.collect()
        }
    }
}

fn of_tokens(tokens: &EncryptedTokens, column: TokenColumn) -> Option<&Ciphertext> {
    match column {
        TokenColumn::Access => Some(&tokens.access),
        TokenColumn::Refresh => tokens.refresh.as_ref(),
    }
}

/// Text of this column and the method of its factor.
fn of_factor(record: &SecurityRecord, column: EncryptedColumn) -> Option<(FactorMethod, &Ciphertext)> {
    if column == EncryptedColumn::PendingFactor {
        let pending = record.pending.as_ref()?;
        return Some((pending.method, &pending.secret));
    }
    let factor = record.factor.as_ref()?;
    let encrypted = match column {
        EncryptedColumn::RecoveryKey => factor.recovery_key.as_ref()?,
        _ => &factor.secret,
    };
    Some((factor.method, encrypted))
}

fn sort_key(text: &EncryptedText) -> (i64, &str, &str) {
    (text.number, text.user.as_str(), &text.scope)
}

/// Current text in the row of this one.
fn current_text<'a>(state: &'a mut State, column: EncryptedColumn, text: &EncryptedText) -> Option<&'a mut Ciphertext> {
    if column == EncryptedColumn::UserKey {
        return state.user_keys.get_mut(&text.user);
    }
    if matches!(
        column,
        EncryptedColumn::PendingFactor | EncryptedColumn::Factor | EncryptedColumn::RecoveryKey
    ) {
        let record = state.security.get_mut(&text.user)?;
        return match column {
            EncryptedColumn::PendingFactor => record.pending.as_mut().map(|pending| &mut pending.secret),
            EncryptedColumn::RecoveryKey => record.factor.as_mut()?.recovery_key.as_mut(),
            _ => record.factor.as_mut().map(|factor| &mut factor.secret),
        };
    }
    let tokens = match column {
        EncryptedColumn::TaskAccess | EncryptedColumn::TaskRefresh => {
            &mut state.tasks.get_mut(&text.number)?.revocation.tokens
        }
        EncryptedColumn::PendingLinkAccess | EncryptedColumn::PendingLinkRefresh => {
            state.pending_links.get_mut(&text.number)?.link.tokens.as_mut()?
        }
        _ => {
            let mut accounts = state.accounts.iter_mut();
            let (_, linked) = accounts.find(|((user, platform), _)| *user == text.user && *platform == text.scope)?;
            linked.tokens.as_mut()?
        }
    };
    match column {
        EncryptedColumn::AccountRefresh | EncryptedColumn::PendingLinkRefresh | EncryptedColumn::TaskRefresh => {
            tokens.refresh.as_mut()
        }
        _ => Some(&mut tokens.access),
    }
}

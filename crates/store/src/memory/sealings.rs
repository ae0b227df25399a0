//! The sealed texts as such.

use async_trait::async_trait;
use protocol::security::FactorMethod;

use super::MemoryStore;
use super::state::State;
use crate::StoreError;
use crate::accounts::SealedTokens;
use crate::queue::TokenColumn;
use crate::sealings::{Resealed, SealedColumn, SealedText, Sealings};
use crate::security::SecurityRecord;
use crate::vault::Sealed;

#[async_trait]
impl Sealings for MemoryStore {
    async fn sealed_otherwise(
        &self,
        column: SealedColumn,
        key_id: &str,
        after: Option<&SealedText>,
        max: usize,
    ) -> Result<Vec<SealedText>, StoreError> {
        let texts = texts(&self.state(), column);
        let behind = |text: &SealedText| after.is_none_or(|after| place(text) > place(after));
        let otherwise = |text: &SealedText| text.sealed.key_id() != Some(key_id);
        Ok(texts
            .into_iter()
            .filter(|text| behind(text) && otherwise(text))
            .take(max)
            .collect())
    }

    async fn reseal(&self, column: SealedColumn, texts: &[Resealed]) -> Result<u64, StoreError> {
        let mut state = self.state();
        let mut put = 0;
        for text in texts {
            let stands = standing(&mut state, column, &text.was).filter(|stands| **stands == text.was.sealed);
            if let Some(stands) = stands {
                *stands = text.sealed.clone();
                put += 1;
            }
        }
        Ok(put)
    }
}

/// In the order of [`place`].
fn texts(state: &State, column: SealedColumn) -> Vec<SealedText> {
    let account = |bound| {
        let texts = state.accounts.iter().filter_map(move |((user, platform), linked)| {
            Some(SealedText {
                number: 0,
                user: user.clone(),
                scope: (*platform).to_owned(),
                bound: TokenColumn::as_str(bound).to_owned(),
                sealed: of_tokens(linked.tokens.as_ref()?, bound)?.clone(),
            })
        });
        texts.collect()
    };
    let parked = |bound| {
        let texts = state.parked.iter().filter_map(move |(number, row)| {
            Some(SealedText {
                number: *number,
                user: row.link.user.clone(),
                scope: row.link.account.account_type.to_string(),
                bound: TokenColumn::as_str(bound).to_owned(),
                sealed: of_tokens(row.link.tokens.as_ref()?, bound)?.clone(),
            })
        });
        texts.collect()
    };
    let task = |bound| {
        let texts = state.tasks.iter().filter_map(move |(number, task)| {
            Some(SealedText {
                number: *number,
                user: task.user.clone(),
                scope: task.revocation.account.to_string(),
                bound: TokenColumn::as_str(bound).to_owned(),
                sealed: of_tokens(&task.revocation.tokens, bound)?.clone(),
            })
        });
        texts.collect()
    };
    match column {
        SealedColumn::ParkedAccess => parked(TokenColumn::Access),
        SealedColumn::ParkedRefresh => parked(TokenColumn::Refresh),
        SealedColumn::AccountAccess => account(TokenColumn::Access),
        SealedColumn::AccountRefresh => account(TokenColumn::Refresh),
        SealedColumn::TaskAccess => task(TokenColumn::Access),
        SealedColumn::TaskRefresh => task(TokenColumn::Refresh),
        SealedColumn::PendingFactor | SealedColumn::Factor | SealedColumn::RecoveryKey => {
            let texts = state.security.iter().filter_map(|(user, record)| {
                let (method, sealed) = of_factor(record, column)?;
                Some(SealedText {
                    number: 0,
                    user: user.clone(),
                    scope: "factor".to_owned(),
                    bound: match (column, method) {
                        (SealedColumn::RecoveryKey, _) => "recovery",
                        (_, FactorMethod::Totp) => "secret",
                        (_, FactorMethod::Sms | FactorMethod::Email) => "address",
                    }
                    .to_owned(),
                    sealed: sealed.clone(),
                })
            });
            let mut texts: Vec<_> = texts.collect();
            texts.sort_by(|one, other| place(one).cmp(&place(other)));
            texts
        }
    }
}

fn of_tokens(tokens: &SealedTokens, column: TokenColumn) -> Option<&Sealed> {
    match column {
        TokenColumn::Access => Some(&tokens.access),
        TokenColumn::Refresh => tokens.refresh.as_ref(),
    }
}

/// The text of this column, and how the factor is given that it is of.
fn of_factor(record: &SecurityRecord, column: SealedColumn) -> Option<(FactorMethod, &Sealed)> {
    if column == SealedColumn::PendingFactor {
        let pending = record.pending.as_ref()?;
        return Some((pending.method, &pending.secret));
    }
    let factor = record.factor.as_ref()?;
    let sealed = match column {
        SealedColumn::RecoveryKey => factor.recovery_key.as_ref()?,
        _ => &factor.secret,
    };
    Some((factor.method, sealed))
}

fn place(text: &SealedText) -> (i64, &str, &str) {
    (text.number, text.user.as_str(), &text.scope)
}

/// The text that stands in this one's row now.
fn standing<'a>(state: &'a mut State, column: SealedColumn, text: &SealedText) -> Option<&'a mut Sealed> {
    if matches!(
        column,
        SealedColumn::PendingFactor | SealedColumn::Factor | SealedColumn::RecoveryKey
    ) {
        let record = state.security.get_mut(&text.user)?;
        return match column {
            SealedColumn::PendingFactor => record.pending.as_mut().map(|pending| &mut pending.secret),
            SealedColumn::RecoveryKey => record.factor.as_mut()?.recovery_key.as_mut(),
            _ => record.factor.as_mut().map(|factor| &mut factor.secret),
        };
    }
    let tokens = match column {
        SealedColumn::TaskAccess | SealedColumn::TaskRefresh => {
            &mut state.tasks.get_mut(&text.number)?.revocation.tokens
        }
        SealedColumn::ParkedAccess | SealedColumn::ParkedRefresh => {
            state.parked.get_mut(&text.number)?.link.tokens.as_mut()?
        }
        _ => {
            let mut accounts = state.accounts.iter_mut();
            let (_, linked) = accounts.find(|((user, platform), _)| *user == text.user && *platform == text.scope)?;
            linked.tokens.as_mut()?
        }
    };
    match column {
        SealedColumn::AccountRefresh | SealedColumn::ParkedRefresh | SealedColumn::TaskRefresh => {
            tokens.refresh.as_mut()
        }
        _ => Some(&mut tokens.access),
    }
}

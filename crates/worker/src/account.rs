//! Account commands: start an authorization, link, unlink, sync, list.
//!
//! A connect has three steps, each of which may fail: [`authorization`] (finds the one that this session started), [`exchange`] (the
//! code becomes tokens, once; their revocation is queued with them, [`provisional_revocation`]) and [`link`] (the tokens become an
//! account). A connect that returns to the hosted [`callback`] is a pending link before the last step, until its user confirms it
//! ([`confirm`]) or it expires ([`pending_link_expiry`]). A file per command has its flow and its error.

mod authorize;
mod callback;
mod confirm;
mod connect;
mod connect_error;
mod disconnect;
#[cfg(test)]
mod error_chains;
mod list;
mod states;
mod sync;

mod authorization;
mod exchange;
mod link;
mod pending_link_expiry;
mod permits;
mod provisional_revocation;

use std::sync::Arc;

use bus::Events;
use lifecycle::{Clock, Entropy, Tasks};
use platforms::Tokens;
use protocol::account::AccountType;
use protocol::id::UserId;
use protocol::time::Timestamp;
use store::vault::{Vault, VaultError};
use store::{Accounts, EncryptedTokens, Pauses, PendingLinks, TaskQueue};

use crate::metrics::Metrics;
use crate::platform::{Offered, decrypt_tokens, encrypt_tokens};
use crate::settings::{ConnectState, RedirectPolicy};
use crate::sync::Syncer;

pub(crate) use authorization::Authorizations;
pub(crate) use pending_link_expiry::expire_pending_links;
pub(crate) use permits::AccountPermits;

/// Executes the account commands; each is a method in the file of its name.
pub(crate) struct AccountService {
    pub(crate) accounts: Arc<dyn Accounts>,
    pub(crate) pending_links: Arc<dyn PendingLinks>,
    pub(crate) pauses: Arc<dyn Pauses>,
    /// Queue of revocations.
    pub(crate) revocations: Arc<dyn TaskQueue>,
    pub(crate) events: Arc<dyn Events>,
    pub(crate) authorizations: Authorizations,
    pub(crate) vault: Arc<Vault>,
    pub(crate) offered: Offered,
    pub(crate) permits: AccountPermits,
    pub(crate) syncer: Syncer,
    pub(crate) redirects: RedirectPolicy,
    pub(crate) connect_state: ConnectState,
    pub(crate) repeatable_codes: Option<String>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) tasks: Tasks,
    pub(crate) metrics: Metrics,
}

impl AccountService {
    fn now(&self) -> Timestamp {
        self.clock.now().into()
    }

    fn encrypt_tokens(&self, user: &UserId, account: AccountType, tokens: &Tokens) -> EncryptedTokens {
        encrypt_tokens(&self.vault, self.now(), user, account, tokens)
    }

    fn decrypt_tokens(
        &self,
        user: &UserId,
        account: AccountType,
        sealed: &EncryptedTokens,
    ) -> Result<Tokens, VaultError> {
        decrypt_tokens(&self.vault, self.now(), user, account, sealed)
    }
}

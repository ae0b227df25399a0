//! Confirmation of a pending link by its user: the account is then linked like any other.

use platforms::{Grant, Profile};
use protocol::account::UserAccount;
use protocol::cluster::callback::ConfirmLink;
use protocol::cluster::job::JobOutcome;
use store::PendingLink;

use super::AccountService;
use super::callback::pending_link_id;
use super::connect_error::ConnectError;
use super::link::{GrantedAccount, LinkStart, StartedBy};
use crate::call::Call;

impl AccountService {
    /// Links the pending account. A wrong token or cookie consumes nothing.
    pub(crate) async fn confirm(&self, call: &Call, payload: &ConfirmLink) -> Result<JobOutcome, ConnectError> {
        let id = pending_link_id(call, payload.account, &payload.token, &payload.cookie);
        let pending_link = self.pending_links.pending_link(&call.user, &id).await?;
        let pending_link = pending_link.ok_or(ConnectError::NotPending)?;
        let start = LinkStart {
            by: StartedBy::Session,
            access_epoch: pending_link.access_epoch,
            pending_link: Some(id),
        };
        let linked = self.link_pending(call, start, pending_link).await;
        if let Err(error) = &linked {
            self.notify_session(call, error).await;
        }
        linked
    }

    async fn link_pending(
        &self,
        call: &Call,
        start: LinkStart,
        pending_link: PendingLink,
    ) -> Result<JobOutcome, ConnectError> {
        let account = pending_link.account.account_type;
        let linked = self.accounts.credentials(&call.user, account).await?;
        let tokens = pending_link.tokens.as_ref();
        let tokens = tokens.map(|tokens| self.decrypt_tokens(&call.user, account, tokens));
        let UserAccount {
            platform_user_id,
            username,
            display_name,
            avatar_url,
            scopes,
            ..
        } = pending_link.account;
        let granted = GrantedAccount {
            account,
            grant: Grant {
                tokens: tokens.transpose()?,
                scopes,
                owner: None,
            },
            profile: Profile {
                platform_user_id,
                username,
                display_name,
                avatar_url,
            },
        };
        self.link(call, start, linked.map(|linked| linked.account), granted)
            .await
    }
}

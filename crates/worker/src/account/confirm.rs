//! A user says yes to a parked link: from here on it is linked like any other.

use platforms::{Grant, Profile};
use protocol::account::UserAccount;
use protocol::cluster::callback::ConfirmLink;
use protocol::cluster::job::Outcome;
use store::ParkedLink;

use super::AccountService;
use super::callback::parked_id;
use super::connect::ConnectError;
use super::link::{Beginning, BegunBy, Granted};
use crate::call::Call;

impl AccountService {
    /// A token or cookie that is not the right one uses nothing up.
    pub(crate) async fn confirm(&self, call: &Call, asked: &ConfirmLink) -> Result<Outcome, ConnectError> {
        let id = parked_id(call, asked.account, &asked.token, &asked.cookie);
        let parked = self.store.parked_link(&call.user, &id).await?;
        let parked = parked.ok_or(ConnectError::NotParked)?;
        let begun = Beginning {
            by: BegunBy::Us,
            access_epoch: parked.access_epoch,
            parked: Some(id),
        };
        let linked = self.link_parked(call, begun, parked).await;
        if let Err(error) = &linked {
            self.tell_session(call, error).await;
        }
        linked
    }

    async fn link_parked(&self, call: &Call, begun: Beginning, parked: ParkedLink) -> Result<Outcome, ConnectError> {
        let account = parked.account.account_type;
        let linked = self.store.credentials(&call.user, account).await?;
        let tokens = parked.tokens.as_ref();
        let tokens = tokens.map(|tokens| self.open_tokens(&call.user, account, tokens));
        let UserAccount {
            platform_user_id,
            username,
            display_name,
            avatar_url,
            scopes,
            ..
        } = parked.account;
        let granted = Granted {
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
        self.link(call, begun, linked.map(|linked| linked.account), granted)
            .await
    }
}

//! Linked accounts. This file has the reads; each change is a transaction in a file of its own.

mod exchange;
mod link;
mod refuse;
mod revoke_all;
pub(super) mod states;
mod unlink;

use async_trait::async_trait;
use protocol::account::{AccountType, UserAccount};
use protocol::id::UserId;
use tokio_postgres::Row;

pub(super) use self::revoke_all::unlink_everything;

use self::exchange::BeginExchange;
use self::link::{LinkAccount, RevokeUnused};
use self::refuse::RefuseLink;
use self::revoke_all::RevokeEverything;
use self::unlink::UnlinkAccount;
use super::error::Failure;
use super::parameter::Parameter;
use super::transaction::Transaction;
use super::{PgStore, row};
use crate::StoreError;
use crate::accounts::{
    Accounts, Credentials, Exchange, ExchangeStart, Link, LinkOutcome, RefusedLink, RevokeAll, RevokeAllOutcome,
    Unlink, UnlinkOutcome, WriteOutcome,
};
use crate::answers::Receipt;
use crate::operator::AccountOverview;
use crate::step::Step;

#[async_trait]
impl Accounts for PgStore {
    async fn accounts(&self, user: &UserId) -> Result<Vec<UserAccount>, StoreError> {
        let step = Step::ListAccounts;
        let list = "SELECT account_type, platform_user_id, username, display_name, avatar_url, status, scopes, \
                    connected_at, last_synced, error_message \
                    FROM accounts WHERE user_id = $1 ORDER BY account_type COLLATE \"C\"";
        let rows = self.pool.query(step, list, &[&user.as_str()]).await?;
        let accounts = rows.iter().map(row::account).collect::<Result<_, _>>();
        accounts.map_err(|failure| self.pool.report(step, failure))
    }

    async fn account_states(&self, user: &UserId) -> Result<Vec<AccountOverview>, StoreError> {
        let step = Step::ReadAccountStates;
        let rows = self.pool.query(step, states::READ, &[&user.as_str()]).await?;
        states::read(&rows).map_err(|failure| self.pool.report(step, failure))
    }

    async fn credentials(&self, user: &UserId, account: AccountType) -> Result<Option<Credentials>, StoreError> {
        let step = Step::LookUpAccount;
        let read = "SELECT account_type, platform_user_id, username, display_name, avatar_url, status, scopes, \
                    connected_at, last_synced, error_message, access_token, refresh_token, token_expires_at, generation, \
                    cursor \
                    FROM accounts WHERE user_id = $1 AND account_type = $2";
        let values: [&dyn Parameter; 2] = [&user.as_str(), &account.as_str()];
        let rows = self.pool.query(step, read, &values).await?;
        let credentials = rows.first().map(row::credentials).transpose();
        credentials.map_err(|failure| self.pool.report(step, failure))
    }

    async fn access_epoch(&self, user: &UserId) -> Result<i64, StoreError> {
        let step = Step::LookUpAccessEpoch;
        let read = "SELECT access_epoch FROM users WHERE user_id = $1";
        let rows = self.pool.query(step, read, &[&user.as_str()]).await?;
        let epoch = rows.first().map_or(Ok(0), |row| row.try_get(0));
        epoch.map_err(|error| self.pool.report(step, error.into()))
    }

    async fn begin_exchange(&self, exchange: &Exchange) -> Result<ExchangeStart, StoreError> {
        self.pool.transact(Step::BeginExchange, &BeginExchange(exchange)).await
    }

    async fn link_account(&self, link: &Link, receipt: &Receipt) -> Result<LinkOutcome, StoreError> {
        let audit = &self.audit;
        let linked = self
            .pool
            .transact(Step::StoreLink, &LinkAccount { link, receipt, audit })
            .await;
        if let (Err(StoreError::TooLate(_)), None) = (&linked, link.pending_link) {
            // The platform granted the link, and nobody else has its tokens.
            self.pool
                .transact(Step::RevokeUnusedGrant, &RevokeUnused { link, receipt, audit })
                .await?;
        }
        linked
    }

    async fn refuse_link(&self, refused: &RefusedLink, receipt: &Receipt) -> Result<WriteOutcome, StoreError> {
        let work = RefuseLink {
            refused,
            receipt,
            audit: &self.audit,
        };
        self.pool.transact(Step::StoreFailedLink, &work).await
    }

    async fn unlink_account(&self, unlink: &Unlink, receipt: &Receipt) -> Result<UnlinkOutcome, StoreError> {
        let work = UnlinkAccount {
            unlink,
            receipt,
            audit: &self.audit,
        };
        self.pool.transact(Step::UnlinkAccount, &work).await
    }

    async fn revoke_all(&self, all: &RevokeAll<'_>) -> Result<RevokeAllOutcome, StoreError> {
        self.pool
            .transact(
                Step::CommitRevocationOfAllAccess,
                &RevokeEverything {
                    all,
                    audit: &self.audit,
                },
            )
            .await
    }
}

/// Row of the linked account of a platform: `platform_user_id`, `status` and tokens.
async fn linked(tx: &Transaction<'_>, user: &UserId, account: AccountType) -> Result<Option<Row>, Failure> {
    let find = "SELECT platform_user_id, status, access_token, refresh_token, token_expires_at \
             FROM accounts WHERE user_id = $1 AND account_type = $2";
    Ok(tx.query_opt(find, &[&user.as_str(), &account.as_str()]).await?)
}

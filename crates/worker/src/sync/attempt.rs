//! One sync: valid tokens, and the page that the platform returns for them.

use std::time::Duration;

use platforms::{ApiError, Profile, SyncPage};
use protocol::account::{AccountStatus, StatusChanged, UserAccount};
use protocol::cluster::envelope::Envelope;
use protocol::cluster::job::JobOutcome;
use protocol::event::Event;
use protocol::security::AlertType;
use store::{Credentials, LeasedSync, SyncLease};
use tokio::time::{Instant, timeout_at};

use super::{SyncFailure, Syncer};
use crate::call::Call;
use crate::platform::decrypt_tokens;

impl Syncer {
    pub(super) async fn attempt(&self, taken: LeasedSync, call: Option<&Call>) -> Result<JobOutcome, SyncFailure> {
        let mut taken = taken;
        let until = call.map_or_else(|| Instant::now() + PAGE_TIMEOUT, Call::platform_deadline);
        if let Some(call) = call {
            let syncing = self.syncing(call, &taken.lease);
            self.syncs.begin_sync(&taken.lease, &call.session, &syncing).await?;
            self.relay.user(&call.user).await;
        }
        match self.page(&taken.lease, &mut taken.found, until).await {
            Ok(page) => self.synced(taken, page, call).await,
            Err(final_failure @ (SyncFailure::Disconnected(_) | SyncFailure::Superseded | SyncFailure::Store(_))) => {
                Err(final_failure)
            }
            Err(failure) => self.sync_failed(taken, failure, call).await,
        }
    }

    fn syncing(&self, call: &Call, lease: &SyncLease) -> Envelope {
        let change = StatusChanged::plain(&lease.user, lease.account, AccountStatus::Syncing, self.now());
        call.envelope("syncing", &Event::StatusChanged(change))
    }

    /// Page of updates. Tokens close to their expiry are refreshed first; refused tokens are refreshed once.
    async fn page(&self, lease: &SyncLease, found: &mut Credentials, until: Instant) -> Result<SyncPage, SyncFailure> {
        let platform = self.offered.get(lease.account)?;
        let mut is_fresh = false;
        if self.is_refresh_due(platform, found) {
            *found = self.refresh(lease, found).await?;
            is_fresh = true;
        }
        loop {
            let Some(tokens) = &found.tokens else {
                return Ok(as_known(&found.account));
            };
            let may_refresh = !is_fresh && tokens.refresh.is_some();
            let tokens = decrypt_tokens(&self.vault, self.now(), &lease.user, lease.account, tokens)?;
            let response = timeout_at(until, platform.sync(&tokens, found.cursor.as_ref())).await;
            match response.unwrap_or_else(|elapsed| Err(ApiError::Unavailable(lease.account, elapsed.into()))) {
                Ok(page) => return Ok(page),
                Err(ApiError::Refused(_)) if may_refresh => {
                    *found = self.refresh(lease, found).await?;
                    is_fresh = true;
                }
                Err(ApiError::Refused(_)) => {
                    // If the account has other tokens by now, the lease is lost too.
                    let now = self.mark_disconnected(lease, found, AlertType::TokenExpired).await?;
                    return Err(now.map_or(SyncFailure::Disconnected(lease.account), |_other| {
                        SyncFailure::Superseded
                    }));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Random duration between two bounds.
    pub(super) fn between(&self, least: Duration, most: Duration) -> Duration {
        let chance = f64::from(u32::from_le_bytes(self.entropy.bytes())) / f64::from(u32::MAX);
        least + most.saturating_sub(least).mul_f64(chance)
    }
}

/// Page of an account without tokens: the platform is not called, so the profile of the link still holds.
fn as_known(account: &UserAccount) -> SyncPage {
    SyncPage {
        profile: Profile {
            platform_user_id: account.platform_user_id.clone(),
            username: account.username.clone(),
            display_name: account.display_name.clone(),
            avatar_url: account.avatar_url.clone(),
        },
        scopes: None,
        notifications: Vec::new(),
        cursor: None,
        more: false,
        next_sync: None,
    }
}

/// Limit of a platform call where no client waits.
const PAGE_TIMEOUT: Duration = Duration::from_secs(30);

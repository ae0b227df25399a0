//! Outcome of a sync: the account's row, and the events for its user's devices.
//!
//! A sync that a client requests always publishes its outcome. A scheduled sync publishes only a change of the account's status; an
//! unavailable platform changes it after three failures.

use std::time::Duration;

use platforms::{ApiError, SyncPage};
use protocol::account::{AccountStatus, StatusChanged, StatusMetadata, UserAccount};
use protocol::cluster::envelope::Envelope;
use protocol::cluster::job::JobOutcome;
use protocol::command::{Answer, SyncAnswer, SyncData};
use protocol::event::Event;
use protocol::fault::chain;
use serde_json::json;
use store::{FinishedSync, LeasedSync, Pause, PauseScope, StoreError, SyncLease, SyncOutcome};

use super::{SyncFailure, Syncer};
use crate::call::{Call, digest, event_id};
use crate::metrics::SyncLabel;
use crate::platform::{named, notification, rate_limit};

impl Syncer {
    pub(super) async fn synced(
        &self,
        taken: LeasedSync,
        page: SyncPage,
        call: Option<&Call>,
    ) -> Result<JobOutcome, SyncFailure> {
        let LeasedSync { lease, found, .. } = taken;
        let now = self.now();
        let previous = found.account.status;
        let account = UserAccount {
            status: AccountStatus::Connected,
            last_synced: Some(now),
            error_message: None,
            scopes: page.scopes.unwrap_or_else(|| found.account.scopes.clone()),
            ..named(found.account, page.profile)
        };
        let outcome = JobOutcome::from(&Answer::Sync(SyncAnswer {
            last_synced: now,
            data: SyncData {
                profile: profile_of(&account),
                notifications: page.notifications.len() as u64,
                more: page.more,
            },
        }));
        let notifications = page.notifications.into_iter();
        let notifications = notifications.map(|it| notification(&lease.user, lease.account, it));
        let status_event = self.status_event(&lease, previous, &account, call);
        let interval = self.offered.get(lease.account)?.sync_schedule().sync_every;
        let interval = interval.max(page.next_sync.unwrap_or(Duration::ZERO));
        let sync = FinishedSync {
            events: notifications.chain(status_event).collect(),
            account,
            cursor: page.cursor,
            failures: 0,
            next_sync: self.between(interval, interval.mul_f64(1.1)),
            pause: None,
            lease,
        };
        let receipt = call.map(|call| call.receipt(&outcome));
        let written = self.syncs.finish_sync(&sync, receipt.as_ref()).await?;
        self.metrics.sync(sync.lease.account, SyncLabel::Ok);
        match (written, call) {
            (SyncOutcome::Stored, _) => Ok(outcome),
            (SyncOutcome::Repeated(answer), Some(call)) => Ok(call.recall(&answer)?),
            (SyncOutcome::SessionEnded, _) => Err(StoreError::SessionEnded("store the sync").into()),
            (SyncOutcome::Superseded | SyncOutcome::Repeated(_), _) => Err(SyncFailure::Superseded),
        }
    }

    /// Stores a failed sync. A rate limit leaves the account unchanged; any other failure becomes its status.
    pub(super) async fn sync_failed(
        &self,
        taken: LeasedSync,
        cause: SyncFailure,
        call: Option<&Call>,
    ) -> Result<JobOutcome, SyncFailure> {
        let LeasedSync {
            lease, found, failures, ..
        } = taken;
        let previous = found.account.status;
        let pause = self.pause(&lease, &cause);
        let is_pause = pause.is_some() || matches!(cause, SyncFailure::Paused(_));
        let failures = if is_pause { failures } else { failures.saturating_add(1) };
        let failure = cause.failure(found.account.last_synced);
        let account = if is_pause || (call.is_none() && failures < ERROR_AFTER_FAILURES) {
            found.account
        } else {
            UserAccount {
                status: AccountStatus::Error,
                error_message: Some(failure.message.clone()),
                ..found.account
            }
        };
        let interval = self.offered.get(lease.account)?.sync_schedule().sync_every;
        let longest = interval
            .saturating_mul(2_u32.saturating_pow(failures))
            .min(MAX_INTERVAL.max(interval));
        let sync = FinishedSync {
            events: self
                .status_event(&lease, previous, &account, call)
                .into_iter()
                .collect(),
            account,
            cursor: None,
            failures,
            next_sync: self.between(longest / 2, longest),
            pause,
            lease,
        };
        let label = if is_pause { SyncLabel::Paused } else { SyncLabel::Failed };
        self.metrics.sync(sync.lease.account, label);
        let receipt = call.map(|call| call.receipt(&JobOutcome::from(&call.complete(failure))));
        match (self.syncs.finish_sync(&sync, receipt.as_ref()).await, call) {
            (Ok(SyncOutcome::Repeated(answer)), Some(call)) => Ok(call.recall(&answer)?),
            (Ok(_), _) => Err(cause),
            (Err(unwritten), _) => {
                // The client still receives the platform's failure: nothing stored depends on it.
                tracing::warn!(error = chain(&unwritten), "failed sync not recorded");
                Err(cause)
            }
        }
    }

    fn pause(&self, lease: &SyncLease, cause: &SyncFailure) -> Option<Pause> {
        let (wait, scope) = match cause {
            SyncFailure::Platform(ApiError::Throttled { wait, pause, .. }) => (*wait, *pause),
            SyncFailure::RefreshThrottled(wait, pause) => (*wait, *pause),
            _ => return None,
        };
        rate_limit::record(&self.metrics, lease.account, (wait, scope));
        let scope = match scope {
            platforms::PauseScope::Account => PauseScope::Account,
            platforms::PauseScope::App => PauseScope::Platform,
        };
        Some(Pause { wait, scope })
    }

    /// Event for all devices about the account's status after a sync.
    fn status_event(
        &self,
        lease: &SyncLease,
        previous: AccountStatus,
        account: &UserAccount,
        call: Option<&Call>,
    ) -> Option<Envelope> {
        if call.is_none() && previous == account.status {
            return None;
        }
        let change = Event::StatusChanged(StatusChanged {
            metadata: Some(StatusMetadata {
                error_message: account.error_message.clone(),
                last_synced: account.last_synced,
            }),
            ..StatusChanged::plain(&lease.user, lease.account, account.status, self.now())
        });
        Some(match call {
            Some(call) => call.envelope("synced", &change),
            None => {
                let fence = lease.fence.to_be_bytes();
                let subject = [b"turn".as_slice(), &fence, lease.user.as_str().as_bytes()];
                Envelope::of(event_id(&digest(subject)), &change)
            }
        })
    }
}

/// Profile within the answer. Its texts are cut, so the answer stays far below 32 KiB.
fn profile_of(account: &UserAccount) -> serde_json::Value {
    json!({
        "platformUserId": account.platform_user_id,
        "username": account.username,
        "displayName": account.display_name,
        "avatarUrl": account.avatar_url,
    })
}

/// Consecutive failures of scheduled syncs after which the account's status becomes `error`.
const ERROR_AFTER_FAILURES: u32 = 3;

/// Maximum interval after failures, unless the platform's own interval is longer.
const MAX_INTERVAL: Duration = Duration::from_hours(1);

//! Link: tokens and profile become an account.

use std::time::Duration;

use lifecycle::Backoff;
use platforms::{Grant, Profile};
use protocol::account::{AccountStatus, AccountType, StatusChanged, UserAccount};
use protocol::cluster::job::JobOutcome;
use protocol::command::{Answer, CommandKind, ConnectAnswer};
use protocol::event::Event;
use protocol::security::{AlertType, Severity};
use store::{Link, LinkOutcome, PendingLinkId, StoreError};
use tokio::time::Instant;

use super::AccountService;
use super::connect_error::ConnectError;
use crate::call::{Call, NewAlert};
use crate::inserted_text::inserted;
use crate::platform::named;

/// Grant of a platform, and the profile of its owner.
pub(super) struct GrantedAccount {
    pub(super) account: AccountType,
    pub(super) grant: Grant,
    pub(super) profile: Profile,
}

/// Start of a link.
#[derive(Debug, Clone, Copy)]
pub(super) struct LinkStart {
    /// Party that started it.
    pub(super) by: StartedBy,
    /// Access epoch of the user at the start.
    pub(super) access_epoch: i64,
    /// Pending link that it was until now. Its command was answered long ago, so the session is notified.
    pub(super) pending_link: Option<PendingLinkId>,
}

/// Party that sent the user to the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StartedBy {
    /// Session of the caller, with `account:authorize`.
    Session,
    /// The application: only it knows that the user wanted this.
    Application,
}

impl AccountService {
    /// Stores the link. `linked` is the account linked so far: the same account keeps the times of its first link and last sync.
    pub(super) async fn link(
        &self,
        call: &Call,
        start: LinkStart,
        linked: Option<UserAccount>,
        granted: GrantedAccount,
    ) -> Result<JobOutcome, ConnectError> {
        let GrantedAccount {
            account,
            grant,
            profile,
        } = granted;
        let same = linked.filter(|linked| linked.platform_user_id == profile.platform_user_id);
        let fresh = self.fresh(account, grant.scopes, profile);
        let linked = UserAccount {
            connected_at: same.as_ref().map_or(fresh.connected_at, |same| same.connected_at),
            last_synced: same.and_then(|same| same.last_synced),
            ..fresh
        };
        let tokens = grant.tokens.as_ref();
        let tokens = tokens.map(|tokens| self.encrypt_tokens(&call.user, account, tokens));
        let change = StatusChanged::plain(&call.user, account, AccountStatus::Connected, self.now());
        let outcome = JobOutcome::from(&Answer::Connect(ConnectAnswer {
            account: linked.clone(),
        }));
        let mut events = vec![
            call.envelope("connected", &Event::StatusChanged(change)),
            link_alert(start.by, &linked).raised_by(call, self.now()),
        ];
        if start.pending_link.is_some() {
            events.push(call.answer_to_session(CommandKind::Connect, &outcome));
        }
        let link = Link {
            user: call.user.clone(),
            revocation: tokens
                .clone()
                .map(|tokens| tokens.revocation(account, linked.platform_user_id.clone())),
            account: linked,
            access_epoch: start.access_epoch,
            pending_link: start.pending_link,
            events,
            tokens,
        };
        let receipt = call.receipt(&outcome);
        let linked = self.retry_store(call, || self.accounts.link_account(&link, &receipt));
        match linked.await? {
            LinkOutcome::Linked => Ok(outcome),
            LinkOutcome::AlreadyConnected => Err(ConnectError::AlreadyConnected),
            LinkOutcome::EpochMoved => Err(ConnectError::EpochMoved),
            LinkOutcome::SessionEnded => Err(ConnectError::SessionEnded),
            LinkOutcome::NotPending => Err(ConnectError::NotPending),
            LinkOutcome::Repeated(answer) => Ok(call.recall(&answer)?),
        }
    }

    /// Account as its platform reports it now.
    pub(super) fn fresh(&self, account: AccountType, scopes: Vec<String>, profile: Profile) -> UserAccount {
        let account = UserAccount {
            account_type: account,
            platform_user_id: profile.platform_user_id.clone(),
            username: String::new(),
            display_name: None,
            avatar_url: None,
            status: AccountStatus::Connected,
            scopes,
            connected_at: self.now(),
            last_synced: None,
            error_message: None,
        };
        named(account, profile)
    }

    /// Retries a store operation while the store is unavailable and time is left: the code is consumed and cannot be sent again.
    pub(super) async fn retry_store<T, F>(&self, call: &Call, store: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        loop {
            let failed = match store().await {
                Err(failed @ (StoreError::Unavailable { .. } | StoreError::Unknown { .. })) => failed,
                ended => return ended,
            };
            let wait = backoff.next(&*self.entropy);
            if Instant::now() + wait >= call.platform_deadline() {
                return Err(failed);
            }
            tokio::time::sleep(wait).await;
        }
    }
}

/// Alert about a link for all devices. A link that the application started may be another person's account, linked by an attacker.
fn link_alert(by: StartedBy, linked: &UserAccount) -> NewAlert {
    let (severity, advice) = match by {
        StartedBy::Session => (Severity::Medium, ""),
        StartedBy::Application => (Severity::High, " If this is not your account, disconnect it."),
    };
    NewAlert {
        kind: AlertType::AccountLinked,
        severity,
        message: format!(
            "The {} account {} was linked.{advice}",
            linked.account_type,
            inserted(&linked.username)
        ),
        requires_action: by == StartedBy::Application,
    }
}

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

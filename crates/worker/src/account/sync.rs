//! `account:sync`: what is new on the platform, told to all devices and counted for the one that asks.

use platforms::{ApiError, Profile, SyncPage};
use protocol::account::{AccountStatus, StatusChanged, StatusMetadata, UserAccount};
use protocol::answer::{self, Answer, Failure, SyncData};
use protocol::cluster::envelope::Envelope;
use protocol::cluster::job::Outcome;
use protocol::code::ErrorCode;
use protocol::command::ForAccount;
use protocol::event::Event;
use protocol::fault::{Fault, chain};
use protocol::time::Timestamp;
use serde_json::json;
use store::vault::VaultError;
use store::{Credentials, FinishedSync, StoreError, SyncWritten};

use super::AccountService;
use super::exchange::in_time;
use super::link::named;
use super::news::notification;
use super::offered::NotOffered;
use crate::jobs::{Call, RecallError, Refusal, whole_seconds};

impl AccountService {
    pub(crate) async fn sync(&self, call: &Call, asked: &ForAccount) -> Result<Outcome, SyncError> {
        self.offered.get(asked.account_type)?;
        let found = self.store.credentials(&call.user, asked.account_type).await?;
        let found = found.ok_or(SyncError::NotConnected)?;
        let last_synced = found.account.last_synced;
        self.sync_account(call, found)
            .await
            .map_err(|cause| SyncError::Failed { cause, last_synced })
    }

    async fn sync_account(&self, call: &Call, found: Credentials) -> Result<Outcome, SyncFailure> {
        let account = found.account.account_type;
        let platform = self.offered.get(account)?;
        let tokens = found.tokens.as_ref();
        let tokens = tokens
            .map(|tokens| self.open_tokens(&call.user, account, tokens))
            .transpose()?;

        let change = self.changed(&call.user, account, AccountStatus::Syncing);
        let syncing = call.envelope("syncing", &Event::StatusChanged(change));
        self.store.begin_sync(&call.user, account, &syncing).await?;
        self.relay.user(&call.user).await;

        let page = match &tokens {
            Some(tokens) => in_time(call, account, platform.sync(tokens, found.cursor.as_ref())).await,
            None => Ok(as_known(&found.account)),
        };
        match page {
            Ok(page) => self.synced(call, found, page).await,
            Err(error) => self.not_synced(call, found, error).await,
        }
    }

    async fn synced(&self, call: &Call, found: Credentials, page: SyncPage) -> Result<Outcome, SyncFailure> {
        let now = self.now();
        let account = UserAccount {
            status: AccountStatus::Connected,
            last_synced: Some(now),
            error_message: None,
            scopes: page.scopes.unwrap_or_else(|| found.account.scopes.clone()),
            ..named(found.account, page.profile)
        };
        let outcome = Outcome::from(&Answer::Sync(answer::Sync {
            last_synced: now,
            data: SyncData {
                profile: profile_of(&account),
                notifications: page.news.len() as u64,
                more: page.more,
            },
        }));
        let news = page.news.into_iter();
        let news = news.map(|news| notification(&call.user, account.account_type, news));
        let sync = FinishedSync {
            user: call.user.clone(),
            events: news.chain([self.ended(call, &account)]).collect(),
            account,
            generation: found.generation,
            cursor: page.cursor,
        };
        match self.store.finish_sync(&sync, &call.receipt(&outcome)).await? {
            SyncWritten::Stored => Ok(outcome),
            SyncWritten::Overtaken => Err(SyncFailure::Overtaken),
            SyncWritten::Repeated(answer) => Ok(call.recall(&answer)?),
        }
    }

    /// A platform that asks to wait leaves the account as it was; any other failure is the account's state from now on.
    async fn not_synced(&self, call: &Call, found: Credentials, error: ApiError) -> Result<Outcome, SyncFailure> {
        let throttled = matches!(error, ApiError::Throttled { .. });
        let cause = SyncFailure::Platform(error);
        let failure = call.complete(cause.failure(found.account.last_synced));
        let account = if throttled {
            found.account
        } else {
            UserAccount {
                status: AccountStatus::Error,
                error_message: Some(failure.message.clone()),
                ..found.account
            }
        };
        let sync = FinishedSync {
            user: call.user.clone(),
            events: vec![self.ended(call, &account)],
            account,
            generation: found.generation,
            cursor: None,
        };
        let receipt = call.receipt(&Outcome::from(&failure));
        match self.store.finish_sync(&sync, &receipt).await {
            Ok(SyncWritten::Stored | SyncWritten::Overtaken) => Err(cause),
            Ok(SyncWritten::Repeated(answer)) => Ok(call.recall(&answer)?),
            Err(unwritten) => {
                // The client still learns what the platform said: nothing that is stored depends on it.
                tracing::warn!(error = chain(&unwritten), "a failed sync is not recorded");
                Err(cause)
            }
        }
    }

    /// The state in which a sync leaves the account.
    fn ended(&self, call: &Call, account: &UserAccount) -> Envelope {
        let change = StatusChanged {
            metadata: Some(StatusMetadata {
                error_message: account.error_message.clone(),
                last_synced: account.last_synced,
            }),
            ..self.changed(&call.user, account.account_type, account.status)
        };
        call.envelope("synced", &Event::StatusChanged(change))
    }
}

/// What is new of an account without tokens: the platform is not called for it, so what it said at the link still holds.
fn as_known(account: &UserAccount) -> SyncPage {
    SyncPage {
        profile: Profile {
            platform_user_id: account.platform_user_id.clone(),
            username: account.username.clone(),
            display_name: account.display_name.clone(),
            avatar_url: account.avatar_url.clone(),
        },
        scopes: None,
        news: Vec::new(),
        cursor: None,
        more: false,
        next_sync: None,
    }
}

/// The profile within the answer. Its texts are cut, so the answer stays far below its 32 KiB.
fn profile_of(account: &UserAccount) -> serde_json::Value {
    json!({
        "platformUserId": account.platform_user_id,
        "username": account.username,
        "displayName": account.display_name,
        "avatarUrl": account.avatar_url,
    })
}

/// Why there was no sync.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SyncError {
    #[error(transparent)]
    NotOffered(#[from] NotOffered),
    #[error("no such account is connected")]
    NotConnected,
    #[error("read the account")]
    Store(#[from] StoreError),
    #[error("sync the account")]
    Failed {
        #[source]
        cause: SyncFailure,
        /// Before this one.
        last_synced: Option<Timestamp>,
    },
}

impl Fault for SyncError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotOffered(error) => error.code(),
            Self::NotConnected => ErrorCode::NotConnected,
            Self::Store(error) => error.code(),
            Self::Failed { cause, .. } => cause.code(),
        }
    }
}

impl Refusal for SyncError {
    fn failure(&self) -> Failure {
        match self {
            Self::Failed { cause, last_synced } => cause.failure(*last_synced),
            _ => Failure::of(self.code()),
        }
    }
}

/// Why the sync of an account that is there failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SyncFailure {
    #[error(transparent)]
    NotOffered(#[from] NotOffered),
    #[error("open the tokens")]
    Sealed(#[from] VaultError),
    #[error(transparent)]
    Platform(ApiError),
    #[error("the account was unlinked or linked anew meanwhile")]
    Overtaken,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Recall(#[from] RecallError),
}

impl Fault for SyncFailure {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotOffered(error) => error.code(),
            Self::Sealed(error) => error.code(),
            Self::Platform(error) => error.code(),
            Self::Overtaken => ErrorCode::Conflict,
            Self::Store(error) => error.code(),
            Self::Recall(error) => error.code(),
        }
    }
}

impl SyncFailure {
    fn failure(&self, last_synced: Option<Timestamp>) -> Failure {
        let failure = match self {
            Self::Platform(ApiError::Refused(_)) => Failure::saying(
                self.code(),
                "The platform no longer accepts this link; connect the account again.",
            ),
            Self::Platform(ApiError::Throttled { wait, .. }) => Failure {
                retry_after: Some(whole_seconds(*wait)),
                ..Failure::of(self.code())
            },
            _ => Failure::of(self.code()),
        };
        Failure {
            last_synced: Some(last_synced),
            ..failure
        }
    }
}

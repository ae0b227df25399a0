//! Platform whose behaviour is scripted by the code, where the simulator cannot serve: it panics, or hangs in paused time.

use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use platforms::{
    ApiError, AuthorizeRequest, ExchangeError, ExchangeRequest, Grant, Platform, Profile, RevocationPlan,
    RevocationScope, RevokeError, RevokeOutcome, SyncPage, SyncSchedule, Tokens,
};
use protocol::account::AccountType;
use protocol::secret::Secret;
use serde_json::Value;
use url::Url;

/// Platform that the authorization code instructs.
#[derive(Debug)]
pub(crate) struct ScriptedPlatform {
    account: AccountType,
    /// Number of revoked tokens.
    pub(crate) revoked: AtomicU64,
}

impl ScriptedPlatform {
    /// Platform in the place of GitHub.
    pub(crate) fn github() -> Self {
        Self::of(AccountType::Github)
    }

    pub(crate) fn of(account: AccountType) -> Self {
        Self {
            account,
            revoked: AtomicU64::new(0),
        }
    }

    /// Code that makes the exchange panic.
    pub(crate) const PANICS: &str = "panics";
    /// Code whose tokens make the profile request panic.
    pub(crate) const PANICS_AT_PROFILE: &str = "panics later";
    /// Code whose exchange hangs.
    pub(crate) const HANGS: &str = "hangs";

    /// The `nth` code whose exchange hangs.
    pub(crate) fn hangs(nth: usize) -> String {
        format!("{} {nth}", Self::HANGS)
    }

    /// Code for which the platform names the owner and issues no tokens.
    pub(crate) const OWNER_ONLY: &str = "owner only";

    /// The `nth` code whose exchange takes this number of milliseconds.
    pub(crate) fn takes(millis: u64, nth: impl Display) -> String {
        format!("{TAKES}{millis} {nth}")
    }
}

const TAKES: &str = "takes ";

#[async_trait]
impl Platform for ScriptedPlatform {
    fn account_type(&self) -> AccountType {
        self.account
    }

    fn sync_schedule(&self) -> SyncSchedule {
        SyncSchedule {
            sync_every: Duration::from_secs(60),
            refresh_margin: Duration::ZERO,
        }
    }

    fn authorize(&self, _request: &AuthorizeRequest) -> Url {
        "https://platform.example/authorize".parse().unwrap()
    }

    async fn exchange(&self, request: &ExchangeRequest) -> Result<Grant, ExchangeError> {
        if let Some(millis) = request.code.expose().strip_prefix(TAKES) {
            let millis = millis.split(' ').next().unwrap().parse().unwrap();
            let elapsed = tokio::time::timeout(Duration::from_millis(millis), std::future::pending::<()>());
            elapsed.await.unwrap_err();
        }
        match request.code.expose() {
            Self::PANICS => panic!("fault of the test"),
            code if code.starts_with(Self::HANGS) => std::future::pending().await,
            Self::OWNER_ONLY => Ok(Grant {
                tokens: None,
                scopes: Vec::new(),
                owner: Some(ada()),
            }),
            code => Ok(Grant {
                tokens: Some(Tokens {
                    access: Secret::new(if code == Self::PANICS_AT_PROFILE {
                        code
                    } else {
                        "access"
                    }),
                    refresh: None,
                    expires_in: None,
                }),
                scopes: Vec::new(),
                owner: None,
            }),
        }
    }

    async fn profile(&self, tokens: &Tokens) -> Result<Profile, ApiError> {
        assert_ne!(tokens.access.expose(), Self::PANICS_AT_PROFILE, "fault of the test");
        Ok(ada())
    }

    /// Hangs in the place of GitHub, and returns an empty page elsewhere.
    async fn sync(&self, _tokens: &Tokens, _cursor: Option<&Value>) -> Result<SyncPage, ApiError> {
        if self.account == AccountType::Github {
            return std::future::pending().await;
        }
        Ok(SyncPage {
            profile: ada(),
            scopes: None,
            notifications: Vec::new(),
            cursor: None,
            more: false,
            next_sync: None,
        })
    }

    fn revocation(&self, _scope: RevocationScope) -> RevocationPlan {
        RevocationPlan::EachToken
    }

    async fn revoke(&self, _token: &Secret, _scope: RevocationScope) -> Result<RevokeOutcome, RevokeError> {
        self.revoked.fetch_add(1, Ordering::SeqCst);
        Ok(RevokeOutcome::Ended)
    }
}

fn ada() -> Profile {
    Profile {
        platform_user_id: "1".to_owned(),
        username: "ada".to_owned(),
        display_name: None,
        avatar_url: None,
    }
}

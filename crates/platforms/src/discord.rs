//! Discord, as an application with user tokens: profile and validity of the link. No user token may read messages or
//! notifications there; the application's bot reads the messages of its guilds.

mod bot;

use std::time::Duration;

use async_trait::async_trait;
use oauth2::AuthType;
use protocol::account::AccountType;
use protocol::secret::Secret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::api;
use crate::client::PlatformClient;
use crate::http::Http;
use crate::oauth::Dialect;
use crate::platform::{
    ApiError, AuthorizeRequest, ExchangeError, ExchangeRequest, Grant, Platform, Profile, RefreshError, RevocationPlan,
    RevocationScope, RevokeError, RevokeOutcome, SyncPage, SyncSchedule, Tokens,
};
use crate::route::below;
use crate::settings::{InsecureUrl, Settings};
use crate::untrusted::Id;

pub use bot::DiscordBot;

/// Client of discord.com, or of a server with the same API.
#[derive(Debug)]
pub struct Discord {
    client: PlatformClient,
}

/// Discord's OAuth dialect.
const DIALECT: Dialect = Dialect {
    account: AccountType::Discord,
    token_path: "/oauth2/token",
    scopes: &["identify"],
    scope_separator: ' ',
    credentials: AuthType::RequestBody,
    errors: &[],
    errors_are_ok: false,
    refusals: &[],
    unknown_token: None,
    user_agent: Some(USER_AGENT),
};

/// User agent in the format that Discord documents; calls with another one may be blocked.
const USER_AGENT: &str = concat!("DiscordBot (postern, ", env!("CARGO_PKG_VERSION"), ")");

/// Access tokens expire after 7 days. A sync brings no notifications, it only checks that the link is still valid.
pub(crate) const PACE: SyncSchedule = SyncSchedule {
    sync_every: Duration::from_secs(60 * 60),
    refresh_margin: Duration::from_secs(24 * 60 * 60),
};

impl Discord {
    /// Authorize page of discord.com.
    pub const AUTHORIZE_URL: &str = "https://discord.com/oauth2/authorize";
    /// Token endpoint of discord.com.
    pub const TOKEN_URL: &str = "https://discord.com/api/oauth2/token";
    /// API of discord.com.
    pub const API_URL: &str = "https://discord.com/api/v10";

    /// Client for these URLs. Without a `revoke_url`, revocations go to `revoke` below the token URL, as on discord.com.
    ///
    /// # Errors
    /// [`InsecureUrl`].
    pub fn new(settings: Settings, http: Http) -> Result<Self, InsecureUrl> {
        let client = PlatformClient::new(&DIALECT, settings, http)?;
        Ok(Self { client })
    }

    fn default_revoke_url(&self) -> Url {
        below(&self.client.settings.token_url, ["revoke"])
    }

    async fn get<T: DeserializeOwned>(&self, path: &'static str, token: &Secret) -> Result<T, ApiError> {
        let url = DIALECT.route(path).below(&self.client.settings.api_url);
        api::read(DIALECT.account, &self.client.get((path, &url), token).await?)
    }
}

#[async_trait]
impl Platform for Discord {
    fn account_type(&self) -> AccountType {
        self.client.account_type()
    }

    fn sync_schedule(&self) -> SyncSchedule {
        PACE
    }

    fn authorize(&self, request: &AuthorizeRequest) -> Url {
        self.client.authorization_url(request)
    }

    async fn exchange(&self, request: &ExchangeRequest) -> Result<Grant, ExchangeError> {
        Ok(self.client.exchange(request).await?.grant)
    }

    async fn refresh(&self, refresh: &Secret) -> Result<Grant, RefreshError> {
        self.client.refresh(refresh).await
    }

    async fn profile(&self, tokens: &Tokens) -> Result<Profile, ApiError> {
        let user: User = self.get("/users/@me", &tokens.access).await?;
        Ok(user.into())
    }

    async fn sync(&self, tokens: &Tokens, _cursor: Option<&Value>) -> Result<SyncPage, ApiError> {
        let Authorization { mut scopes, user } = self.get("/oauth2/@me", &tokens.access).await?;
        scopes.sort();
        Ok(SyncPage {
            profile: user.into(),
            scopes: Some(scopes),
            notifications: Vec::new(),
            cursor: None,
            more: false,
            next_sync: None,
        })
    }

    /// Discord ends the whole grant of a user with any of its tokens. So a single token is never revoked: that would end another
    /// user's link too. Of a grant each token is revoked, because Discord does not report an unknown one.
    fn revocation(&self, scope: RevocationScope) -> RevocationPlan {
        match scope {
            RevocationScope::Grant => RevocationPlan::EachToken,
            RevocationScope::Token => RevocationPlan::Nothing,
        }
    }

    async fn revoke(&self, token: &Secret, _scope: RevocationScope) -> Result<RevokeOutcome, RevokeError> {
        let route = ("/oauth2/token/revoke", self.default_revoke_url());
        self.client.revoke(route, token).await
    }
}

/// Scopes and owner of a token.
#[derive(Deserialize)]
struct Authorization {
    scopes: Vec<String>,
    user: User,
}

#[derive(Deserialize)]
struct User {
    id: Id,
    username: String,
    global_name: Option<String>,
    avatar: Option<String>,
}

impl From<User> for Profile {
    fn from(user: User) -> Self {
        let picture = |hash| format!("https://cdn.discordapp.com/avatars/{}/{hash}.png", user.id);
        Self {
            avatar_url: user.avatar.map(picture),
            platform_user_id: user.id.into(),
            username: user.username,
            display_name: user.global_name,
        }
    }
}

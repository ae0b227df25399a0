//! X, as a confidential client: posts that mention the user, and direct messages.

mod cursor;
mod page;
mod timelines;

use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use oauth2::AuthType;
use protocol::account::AccountType;
use protocol::secret::Secret;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use self::cursor::Cursor;
use self::timelines::Timelines;
use crate::api;
use crate::client::PlatformClient;
use crate::cursor::stored;
use crate::http::Http;
use crate::oauth::Dialect;
use crate::platform::{
    ApiError, AuthorizeRequest, ExchangeError, ExchangeRequest, Grant, Platform, Profile, RefreshError, RevocationPlan,
    RevocationScope, RevokeError, RevokeOutcome, SyncPage, SyncSchedule, Tokens,
};
use crate::route::below;
use crate::settings::{InsecureUrl, Settings};
use crate::untrusted::Id;

/// Client of x.com, or of a server with the same API.
#[derive(Debug)]
pub struct XTwitter {
    client: PlatformClient,
}

/// X's OAuth dialect. Every error of its token endpoint is `invalid_request`, a spent token included.
const DIALECT: Dialect = Dialect {
    account: AccountType::XTwitter,
    token_path: "/oauth2/token",
    scopes: &["tweet.read", "users.read", "dm.read", "offline.access"],
    scope_separator: ' ',
    credentials: AuthType::BasicAuth,
    errors: &[],
    errors_are_ok: false,
    refusals: &["invalid_request"],
    unknown_token: Some(StatusCode::BAD_REQUEST),
    user_agent: None,
};

/// Access tokens expire after two hours. Reads are billed, and direct messages may be read 15 times in 15 minutes.
pub(crate) const PACE: SyncSchedule = SyncSchedule {
    sync_every: Duration::from_secs(5 * 60),
    refresh_margin: Duration::from_secs(10 * 60),
};

impl XTwitter {
    /// Authorize page of x.com.
    pub const AUTHORIZE_URL: &str = "https://x.com/i/oauth2/authorize";
    /// Token endpoint of x.com.
    pub const TOKEN_URL: &str = "https://api.x.com/2/oauth2/token";
    /// API of x.com.
    pub const API_URL: &str = "https://api.x.com/2";

    /// Client for these URLs. Without a `revoke_url` it is `oauth2/revoke` of the API, as on x.com.
    ///
    /// # Errors
    /// [`InsecureUrl`].
    pub fn new(settings: Settings, http: Http) -> Result<Self, InsecureUrl> {
        let client = PlatformClient::new(&DIALECT, settings, http)?;
        Ok(Self { client })
    }

    fn default_revoke_url(&self) -> Url {
        below(&self.client.settings.api_url, ["oauth2", "revoke"])
    }
}

#[async_trait]
impl Platform for XTwitter {
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
        #[derive(Deserialize)]
        struct Me {
            data: User,
        }
        let template = "/users/me";
        let mut url = DIALECT.route(template).below(&self.client.settings.api_url);
        url.query_pairs_mut().append_pair("user.fields", "profile_image_url");
        let answer = self.client.get((template, &url), &tokens.access).await?;
        let Me { data } = api::read(DIALECT.account, &answer)?;
        Ok(data.into())
    }

    async fn sync(&self, tokens: &Tokens, cursor: Option<&Value>) -> Result<SyncPage, ApiError> {
        let profile = self.profile(tokens).await?;
        let cursor: Cursor = stored(cursor).unwrap_or_default();
        let timelines = Timelines {
            http: &self.client.http,
            api: &self.client.settings.api_url,
            token: &tokens.access,
            user: &profile.platform_user_id,
        };
        let mentions = timelines.mentions(&cursor).await?;
        let messages = timelines.messages().await?;
        let read = cursor.read(mentions, messages);
        Ok(SyncPage {
            profile,
            scopes: None,
            notifications: read.notifications,
            more: read.cursor.has_more(),
            cursor: Some(json!(read.cursor)),
            next_sync: None,
        })
    }

    /// X ends only the token in the request.
    fn revocation(&self, _scope: RevocationScope) -> RevocationPlan {
        RevocationPlan::EachToken
    }

    async fn revoke(&self, token: &Secret, _scope: RevocationScope) -> Result<RevokeOutcome, RevokeError> {
        let route = ("/oauth2/revoke", self.default_revoke_url());
        self.client.revoke(route, token).await
    }
}

#[derive(Deserialize)]
struct User {
    id: Id,
    name: Option<String>,
    username: String,
    profile_image_url: Option<String>,
}

impl From<User> for Profile {
    fn from(user: User) -> Self {
        Self {
            platform_user_id: user.id.into(),
            username: user.username,
            display_name: user.name,
            avatar_url: user.profile_image_url,
        }
    }
}

//! X, as a confidential client: posts that mention the user, and direct messages.

mod cursor;
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
use crate::api::{self, Credential};
use crate::cursor::stored;
use crate::http::{Http, below};
use crate::oauth::{self, Dialect};
use crate::platform::{
    ApiError, AuthorizeRequest, ExchangeError, ExchangeRequest, Grant, Platform, Profile, RefreshError, RevocationPlan,
    RevocationScope, RevokeError, RevokeOutcome, SyncPage, SyncSchedule, Tokens,
};
use crate::settings::{InsecureUrl, Settings};
use crate::untrusted::Id;

/// Client of x.com, or of a server with the same API.
#[derive(Debug)]
pub struct XTwitter {
    settings: Settings,
    http: Http,
}

/// X's OAuth dialect. Every error of its token endpoint is `invalid_request`, a spent token included.
const DIALECT: Dialect = Dialect {
    account: AccountType::XTwitter,
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
const PACE: SyncSchedule = SyncSchedule {
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
        settings.check()?;
        Ok(Self { settings, http })
    }

    fn revoke_url(&self) -> Url {
        match &self.settings.revoke_url {
            Some(url) => url.clone(),
            None => below(&self.settings.api_url, &["oauth2", "revoke"]),
        }
    }
}

#[async_trait]
impl Platform for XTwitter {
    fn account_type(&self) -> AccountType {
        DIALECT.account
    }

    fn sync_schedule(&self) -> SyncSchedule {
        PACE
    }

    fn authorize(&self, request: &AuthorizeRequest) -> Url {
        oauth::authorization_url(&DIALECT, &self.settings, request)
    }

    async fn exchange(&self, request: &ExchangeRequest) -> Result<Grant, ExchangeError> {
        let issued = oauth::exchange(&DIALECT, &self.settings, &self.http, request).await?;
        Ok(issued.grant)
    }

    async fn refresh(&self, refresh: &Secret) -> Result<Grant, RefreshError> {
        oauth::refresh(&DIALECT, &self.settings, &self.http, refresh).await
    }

    async fn profile(&self, tokens: &Tokens) -> Result<Profile, ApiError> {
        #[derive(Deserialize)]
        struct Me {
            data: User,
        }
        let mut url = below(&self.settings.api_url, &["users", "me"]);
        url.query_pairs_mut().append_pair("user.fields", "profile_image_url");
        let answer = api::get(&DIALECT, &self.http, &url, Credential::Bearer(&tokens.access)).await?;
        let Me { data } = api::read(DIALECT.account, &answer)?;
        Ok(data.into())
    }

    async fn sync(&self, tokens: &Tokens, cursor: Option<&Value>) -> Result<SyncPage, ApiError> {
        let profile = self.profile(tokens).await?;
        let cursor: Cursor = stored(cursor).unwrap_or_default();
        let timelines = Timelines {
            http: &self.http,
            api: &self.settings.api_url,
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
        oauth::revoke(&DIALECT, &self.settings, &self.http, (&self.revoke_url(), token)).await
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

//! GitHub, as an OAuth App: its tokens never expire by time and there is no refresh token. Tokens of a GitHub App expire and are
//! refreshed, but cannot read notifications.

mod api;
mod cursor;
mod notifications;

use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use oauth2::AuthType;
use protocol::account::AccountType;
use protocol::secret::Secret;
use serde_json::{Value, json};
use url::Url;

use crate::client::PlatformClient;
use crate::cursor::stored;
use crate::http::{Http, basic};
use crate::oauth::Dialect;
use crate::platform::{
    ApiError, AuthorizeRequest, ExchangeError, ExchangeRequest, Grant, Platform, Profile, RefreshError, RevocationPlan,
    RevocationScope, RevokeError, RevokeOutcome, SyncPage, SyncSchedule, Tokens,
};
use crate::settings::{InsecureUrl, Settings};

use api::Api;
use cursor::Cursor;

/// Client of github.com, or of a server with the same API.
#[derive(Debug)]
pub struct Github {
    client: PlatformClient,
}

/// GitHub's OAuth dialect.
const DIALECT: Dialect = Dialect {
    account: AccountType::Github,
    token_path: "/login/oauth/access_token",
    // The narrowest scopes for a profile and for notifications. Without scopes GitHub would grant those that it granted before.
    scopes: &["read:user", "notifications"],
    scope_separator: ',',
    credentials: AuthType::RequestBody,
    errors: &[
        "application_suspended",
        "bad_verification_code",
        "incorrect_client_credentials",
        "redirect_uri_mismatch",
        "unverified_user_email",
    ],
    errors_are_ok: true,
    refusals: &["bad_refresh_token"],
    unknown_token: None,
    user_agent: None,
};

/// Interval that GitHub's notifications usually ask for. Tokens that expire do so after 8 hours.
pub(crate) const PACE: SyncSchedule = SyncSchedule {
    sync_every: Duration::from_secs(60),
    refresh_margin: Duration::from_secs(10 * 60),
};

impl Github {
    /// Authorize page of github.com.
    pub const AUTHORIZE_URL: &str = "https://github.com/login/oauth/authorize";
    /// Token endpoint of github.com.
    pub const TOKEN_URL: &str = "https://github.com/login/oauth/access_token";
    /// API of github.com.
    pub const API_URL: &str = "https://api.github.com";

    /// Client for these URLs. `revoke_url` ends in `grant` or `token`; GitHub has both endpoints side by side, and each
    /// revocation uses the one for its scope.
    ///
    /// # Errors
    /// [`InsecureUrl`].
    pub fn new(settings: Settings, http: Http) -> Result<Self, InsecureUrl> {
        let client = PlatformClient::new(&DIALECT, settings, http)?;
        Ok(Self { client })
    }

    fn api(&self) -> Api<'_> {
        Api {
            http: &self.client.http,
            url: &self.client.settings.api_url,
        }
    }

    /// Endpoint that revokes this scope.
    fn revoke_url(&self, scope: RevocationScope) -> Url {
        let name = match scope {
            RevocationScope::Grant => "grant",
            RevocationScope::Token => "token",
        };
        let mut url = match &self.client.settings.revoke_url {
            Some(url) => url.clone(),
            None => self
                .api()
                .path(&["applications", &self.client.settings.client_id, name]),
        };
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop().push(name);
        }
        url
    }
}

#[async_trait]
impl Platform for Github {
    fn account_type(&self) -> AccountType {
        self.client.account_type()
    }

    fn sync_schedule(&self) -> SyncSchedule {
        PACE
    }

    fn authorize(&self, request: &AuthorizeRequest) -> Url {
        self.client.authorization_url(request)
    }

    /// Folder of the authorize page, on github.com and on a GitHub Enterprise Server alike.
    fn issuer(&self) -> Option<String> {
        let page = self.client.settings.authorize_url.as_str();
        page.strip_suffix("/authorize").map(str::to_owned)
    }

    async fn exchange(&self, request: &ExchangeRequest) -> Result<Grant, ExchangeError> {
        Ok(self.client.exchange(request).await?.grant)
    }

    async fn refresh(&self, refresh: &Secret) -> Result<Grant, RefreshError> {
        self.client.refresh(refresh).await
    }

    async fn profile(&self, tokens: &Tokens) -> Result<Profile, ApiError> {
        let (profile, _) = self.api().user(&tokens.access).await?;
        Ok(profile)
    }

    async fn sync(&self, tokens: &Tokens, cursor: Option<&Value>) -> Result<SyncPage, ApiError> {
        let (profile, scopes) = self.api().user(&tokens.access).await?;
        let page = SyncPage {
            profile,
            scopes,
            notifications: Vec::new(),
            cursor: None,
            more: false,
            next_sync: None,
        };
        if page
            .scopes
            .as_deref()
            .is_some_and(|scopes| !may_read_notifications(scopes))
        {
            return Ok(page);
        }
        let cursor: Cursor = stored(cursor).unwrap_or_default();
        let inbox_page = self.api().notifications(&tokens.access, &cursor).await?;
        let page = SyncPage {
            next_sync: inbox_page.next_poll,
            ..page
        };
        let Some(inbox_page) = inbox_page.page else {
            return Ok(page);
        };
        let read = cursor.read(inbox_page);
        Ok(SyncPage {
            notifications: notifications::notifications(read.fresh),
            cursor: Some(json!(read.cursor)),
            more: read.more,
            ..page
        })
    }

    /// GitHub takes a valid access token, and answers 422 to anything else.
    fn revocation(&self, _scope: RevocationScope) -> RevocationPlan {
        RevocationPlan::ValidAccessToken
    }

    async fn revoke(&self, token: &Secret, scope: RevocationScope) -> Result<RevokeOutcome, RevokeError> {
        let body = json!({ "access_token": token.expose() });
        let request = api::request(Method::DELETE, &self.revoke_url(scope))
            .header(
                "authorization",
                basic(&self.client.settings.client_id, &self.client.settings.client_secret),
            )
            .header("content-type", "application/json")
            .body(body.to_string().into_bytes());
        let template = match scope {
            RevocationScope::Grant => "/applications/{client_id}/grant",
            RevocationScope::Token => "/applications/{client_id}/token",
        };
        api::revoke(&self.client.http, template, request).await
    }
}

/// Reports whether the scopes allow reading notifications: users may revoke scopes one by one in GitHub's settings.
fn may_read_notifications(scopes: &[String]) -> bool {
    scopes.iter().any(|scope| scope == "notifications" || scope == "repo")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Timeouts;

    fn github(revoke_url: Option<&str>) -> Github {
        let settings = Settings {
            client_id: "the-app".into(),
            client_secret: Secret::new("s"),
            authorize_url: Url::parse(Github::AUTHORIZE_URL).unwrap(),
            token_url: Url::parse(Github::TOKEN_URL).unwrap(),
            api_url: Url::parse(Github::API_URL).unwrap(),
            revoke_url: revoke_url.map(|url| Url::parse(url).unwrap()),
        };
        Github::new(settings, Http::new(Timeouts::default()).unwrap()).unwrap()
    }

    #[test]
    fn revocation_uses_the_endpoint_of_its_scope() {
        let derived = github(None);
        assert_eq!(
            derived.revoke_url(RevocationScope::Grant).as_str(),
            "https://api.github.com/applications/the-app/grant"
        );
        assert_eq!(
            derived.revoke_url(RevocationScope::Token).as_str(),
            "https://api.github.com/applications/the-app/token"
        );
        let given = github(Some("https://ghe.example/api/v3/applications/x/grant"));
        assert_eq!(
            given.revoke_url(RevocationScope::Token).as_str(),
            "https://ghe.example/api/v3/applications/x/token"
        );
    }

    #[test]
    fn issuer_is_the_folder_of_the_authorize_page() {
        let issuer = github(None).issuer();
        assert_eq!(issuer.as_deref(), Some("https://github.com/login/oauth"));
    }

    #[test]
    fn url_without_tls_is_refused_by_name() {
        let mut settings = github(None).client.settings;
        settings.api_url = Url::parse("http://api.github.com").unwrap();
        let refused = Github::new(settings, Http::new(Timeouts::default()).unwrap()).unwrap_err();
        assert_eq!(refused, InsecureUrl("api"));
    }
}

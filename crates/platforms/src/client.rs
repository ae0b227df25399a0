//! Client of one platform: its OAuth flow and its API, by its dialect.

use http::Response;
use protocol::account::AccountType;
use protocol::secret::Secret;
use url::Url;

use crate::api::{self, Credential};
use crate::http::Http;
use crate::oauth::{self, Dialect, IssuedTokens};
use crate::platform::{
    ApiError, AuthorizeRequest, ExchangeError, ExchangeRequest, Grant, RefreshError, RevokeError, RevokeOutcome,
};
use crate::settings::{InsecureUrl, Settings};

/// Part that the implementations of [`Platform`](crate::Platform) share.
#[derive(Debug)]
pub(crate) struct PlatformClient {
    dialect: &'static Dialect,
    pub(crate) settings: Settings,
    pub(crate) http: Http,
}

impl PlatformClient {
    /// Client for these URLs.
    ///
    /// # Errors
    /// [`InsecureUrl`].
    pub(crate) fn new(dialect: &'static Dialect, settings: Settings, http: Http) -> Result<Self, InsecureUrl> {
        settings.check()?;
        http.list(dialect.account);
        Ok(Self {
            dialect,
            settings,
            http,
        })
    }

    pub(crate) fn account_type(&self) -> AccountType {
        self.dialect.account
    }

    /// Authorize page with this request.
    pub(crate) fn authorization_url(&self, request: &AuthorizeRequest) -> Url {
        oauth::authorization_url(self.dialect, &self.settings, request)
    }

    /// Exchanges the code, once.
    pub(crate) async fn exchange(&self, request: &ExchangeRequest) -> Result<IssuedTokens, ExchangeError> {
        oauth::exchange(self.dialect, &self.settings, &self.http, request).await
    }

    /// Exchanges a refresh token, once.
    pub(crate) async fn refresh(&self, refresh: &Secret) -> Result<Grant, RefreshError> {
        oauth::refresh(self.dialect, &self.settings, &self.http, refresh).await
    }

    /// Revokes a token at the configured `revoke_url`, or else at this one. `template` is the path of the route.
    pub(crate) async fn revoke(
        &self,
        (template, default_url): (&'static str, Url),
        token: &Secret,
    ) -> Result<RevokeOutcome, RevokeError> {
        let url = self.settings.revoke_url.as_ref().unwrap_or(&default_url);
        oauth::revoke(self.dialect, &self.settings, &self.http, ((template, url), token)).await
    }

    /// Calls a route of the API with a user's access token.
    pub(crate) async fn get(
        &self,
        (template, url): (&'static str, &Url),
        token: &Secret,
    ) -> Result<Response<Vec<u8>>, ApiError> {
        api::get(self.dialect, &self.http, (template, url), Credential::Bearer(token)).await
    }
}

//! Telegram: identifies a user by OpenID Connect or by the legacy Login Widget, and issues no token worth storing.

mod bot;
mod id_token;
mod widget;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jwks::{FetchError, OnDemandKeys};
use lifecycle::Clock;
use oauth2::AuthType;
use protocol::account::AccountType;
use protocol::secret::Secret;
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::Url;

use crate::client::PlatformClient;
use crate::http::Http;
use crate::oauth::Dialect;
use crate::platform::{
    ApiError, AuthorizeRequest, ExchangeError, ExchangeRequest, Grant, Platform, Profile, RevocationPlan,
    RevocationScope, RevokeError, RevokeOutcome, SyncPage, SyncSchedule, Tokens,
};
use crate::route::Route;
use crate::settings::{InsecureUrl, Settings, is_private};

pub use bot::TelegramBot;
use id_token::{ExpectedClaims, IdTokenError};
use widget::Widget;

/// Client of oauth.telegram.org, or of a server with the same API.
pub struct Telegram {
    client: PlatformClient,
    issuer: String,
    bot_token: Option<Secret>,
    keys: OnDemandKeys,
    clock: Arc<dyn Clock>,
}

/// URLs of Telegram and the application's credentials there.
#[derive(Debug, Clone)]
pub struct TelegramSettings {
    /// OAuth client. The client id is the bot's id; the client secret is separate from the bot's token.
    pub oauth: Settings,
    /// Issuer: `iss` of the ID tokens, byte for byte.
    pub issuer: String,
    /// URL of the signing keys.
    pub jwks_url: Url,
    /// Bot token, which signs the payload of the Login Widget; without it no such payload is accepted.
    pub bot_token: Option<Secret>,
}

impl TelegramSettings {
    /// Checks that each URL may be trusted and that secrets may be sent there.
    ///
    /// # Errors
    /// [`InsecureUrl`] for the first one that fails.
    pub fn check(&self) -> Result<(), InsecureUrl> {
        self.oauth.check()?;
        if is_private(&self.jwks_url) {
            Ok(())
        } else {
            Err(InsecureUrl("jwks"))
        }
    }
}

/// Telegram's OAuth dialect.
const DIALECT: Dialect = Dialect {
    account: AccountType::Telegram,
    token_path: "/token",
    scopes: &["openid", "profile"],
    scope_separator: ' ',
    credentials: AuthType::BasicAuth,
    errors: &[],
    errors_are_ok: false,
    refusals: &[],
    unknown_token: None,
    user_agent: None,
};

const JWKS: Route = Route::new(AccountType::Telegram, "/.well-known/jwks.json");

/// A sync of an account without tokens makes no call.
pub(crate) const PACE: SyncSchedule = SyncSchedule {
    sync_every: Duration::from_hours(24),
    refresh_margin: Duration::ZERO,
};

impl Telegram {
    /// Authorize page of Telegram.
    pub const AUTHORIZE_URL: &str = "https://oauth.telegram.org/auth";
    /// Token endpoint of Telegram.
    pub const TOKEN_URL: &str = "https://oauth.telegram.org/token";
    /// Signing keys of Telegram.
    pub const JWKS_URL: &str = "https://oauth.telegram.org/.well-known/jwks.json";
    /// Issuer of Telegram.
    pub const ISSUER: &str = "https://oauth.telegram.org";
    /// Bot API of Telegram.
    pub const API_URL: &str = "https://api.telegram.org";

    /// Client for these URLs.
    ///
    /// # Errors
    /// [`InsecureUrl`].
    pub fn new(settings: TelegramSettings, http: Http, clock: Arc<dyn Clock>) -> Result<Self, InsecureUrl> {
        settings.check()?;
        Ok(Self {
            keys: OnDemandKeys::new(http.jwks_client(JWKS, settings.jwks_url)),
            client: PlatformClient::new(&DIALECT, settings.oauth, http)?,
            issuer: settings.issuer,
            bot_token: settings.bot_token,
            clock,
        })
    }

    fn verify_widget(&self, widget: &Widget) -> Result<Grant, ExchangeError> {
        let refused = |why: &str| ExchangeError::Refused(DIALECT.account, why.to_owned());
        let Some(bot_token) = &self.bot_token else {
            return Err(refused("widget_not_configured"));
        };
        let verified = widget.verify(bot_token, self.clock.now());
        let owner = verified.map_err(|rejected| refused(&rejected.to_string()))?;
        Ok(tokenless(owner, Vec::new()))
    }

    async fn owner(&self, id_token: &Secret, nonce: Option<&str>) -> Result<Profile, OwnerError> {
        let (kid, algorithm) = id_token::key_of(id_token)?;
        let key = self.keys.find(kid.as_deref(), algorithm).await?;
        let expected = ExpectedClaims {
            issuer: &self.issuer,
            client_id: &self.client.settings.client_id,
            nonce,
            now: self.clock.now(),
        };
        Ok(id_token::verify(id_token, &key.ok_or(IdTokenError::Key)?, &expected)?)
    }
}

#[async_trait]
impl Platform for Telegram {
    fn account_type(&self) -> AccountType {
        self.client.account_type()
    }

    fn sync_schedule(&self) -> SyncSchedule {
        PACE
    }

    fn authorize(&self, request: &AuthorizeRequest) -> Url {
        let mut url = self.client.authorization_url(request);
        url.query_pairs_mut().append_pair("nonce", &nonce(&request.verifier));
        url
    }

    fn code_id<'a>(&self, code: &'a Secret) -> Cow<'a, str> {
        match Widget::read(code) {
            Some(widget) => Cow::Owned(widget.name()),
            None => Cow::Borrowed(code.expose()),
        }
    }

    async fn exchange(&self, request: &ExchangeRequest) -> Result<Grant, ExchangeError> {
        if let Some(widget) = Widget::read(&request.code) {
            return self.verify_widget(&widget);
        }
        let issued = self.client.exchange(request).await?;
        let unknown = |failed: OwnerError| ExchangeError::Unknown(DIALECT.account, failed.into());
        let id_token = issued.id_token.ok_or(unknown(IdTokenError::Malformed.into()))?;
        let nonce = request.verifier.as_ref().map(nonce);
        let owner = self.owner(&id_token, nonce.as_deref()).await.map_err(unknown)?;
        Ok(tokenless(owner, issued.grant.scopes))
    }

    /// No token is ever stored, so none is accepted.
    async fn profile(&self, _tokens: &Tokens) -> Result<Profile, ApiError> {
        Err(ApiError::Refused(DIALECT.account))
    }

    /// Refuses every token, like [`Telegram::profile`].
    async fn sync(&self, _tokens: &Tokens, _cursor: Option<&Value>) -> Result<SyncPage, ApiError> {
        Err(ApiError::Refused(DIALECT.account))
    }

    /// Telegram has nothing to revoke and no endpoint for it.
    fn revocation(&self, _scope: RevocationScope) -> RevocationPlan {
        RevocationPlan::Nothing
    }

    /// Telegram issues no token that could be revoked.
    async fn revoke(&self, _token: &Secret, _scope: RevocationScope) -> Result<RevokeOutcome, RevokeError> {
        Ok(RevokeOutcome::UnknownToken)
    }
}

/// Grant without tokens: there is no userinfo endpoint, so the access token is dropped.
fn tokenless(owner: Profile, scopes: Vec<String>) -> Grant {
    Grant {
        tokens: None,
        scopes,
        owner: Some(owner),
    }
}

/// Nonce that the exchange can derive again: a hash of the verifier, which does not reveal it.
fn nonce(verifier: &Secret) -> String {
    let digest = Sha256::new_with_prefix("telegram nonce ").chain_update(verifier.expose());
    URL_SAFE_NO_PAD.encode(digest.finalize())
}

/// Cause of a code whose user could not be identified.
#[derive(Debug, thiserror::Error)]
enum OwnerError {
    #[error(transparent)]
    IdTokenError(#[from] IdTokenError),
    #[error("fetch the signing keys")]
    Keys(#[from] FetchError),
}

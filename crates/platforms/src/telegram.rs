//! Telegram: it says who a user is, by OpenID Connect or by the legacy Login Widget, and issues nothing worth keeping.

mod bot;
mod id_token;
mod keys;
mod widget;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lifecycle::Clock;
use oauth2::AuthType;
use protocol::account::AccountType;
use protocol::secret::Secret;
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::Url;

use crate::http::{CallError, Http};
use crate::oauth::{self, Dialect};
use crate::platform::{
    ApiError, AuthorizeRequest, ExchangeError, ExchangeRequest, Grant, Platform, Profile, RevocationPlan,
    RevocationScope, RevokeError, RevokeOutcome, SyncPage, SyncSchedule, Tokens,
};
use crate::settings::{InsecureUrl, Settings, is_private};

pub use bot::TelegramBot;
use id_token::{Expected, Unbelieved};
use keys::Keys;
use widget::Widget;

/// oauth.telegram.org, or a server that speaks like it.
pub struct Telegram {
    settings: TelegramSettings,
    keys: Keys,
    http: Http,
    clock: Arc<dyn Clock>,
}

/// Where Telegram is, and who the application is there.
#[derive(Debug, Clone)]
pub struct TelegramSettings {
    /// The client id is the bot's id. Its secret is one of its own, not the bot's token.
    pub oauth: Settings,
    /// Who signs: `iss`, byte for byte.
    pub issuer: String,
    /// Where the signing keys are published.
    pub jwks_url: Url,
    /// The bot's token, which signs what the Login Widget hands over; without it no such payload is taken.
    pub bot_token: Option<Secret>,
}

impl TelegramSettings {
    /// Whether each URL may be believed, and secrets may travel over it.
    ///
    /// # Errors
    /// [`InsecureUrl`], the first one.
    pub fn check(&self) -> Result<(), InsecureUrl> {
        self.oauth.check()?;
        if is_private(&self.jwks_url) {
            Ok(())
        } else {
            Err(InsecureUrl("jwks"))
        }
    }
}

/// How Telegram does OAuth.
const DIALECT: Dialect = Dialect {
    account: AccountType::Telegram,
    scopes: &["openid", "profile"],
    scope_separator: ' ',
    credentials: AuthType::BasicAuth,
    errors: &[],
    errors_are_ok: false,
    refusals: &[],
    unknown_token: None,
    user_agent: None,
};

/// There is nothing to look at: a sync of an account without tokens calls nobody.
const PACE: SyncSchedule = SyncSchedule {
    sync_every: Duration::from_hours(24),
    refresh_margin: Duration::ZERO,
};

impl Telegram {
    /// Where users let the application in.
    pub const AUTHORIZE_URL: &str = "https://oauth.telegram.org/auth";
    /// Where codes become tokens.
    pub const TOKEN_URL: &str = "https://oauth.telegram.org/token";
    /// Where the signing keys are published.
    pub const JWKS_URL: &str = "https://oauth.telegram.org/.well-known/jwks.json";
    /// Who signs.
    pub const ISSUER: &str = "https://oauth.telegram.org";
    /// Where the Bot API is.
    pub const API_URL: &str = "https://api.telegram.org";

    /// Telegram at these URLs.
    ///
    /// # Errors
    /// [`InsecureUrl`].
    pub fn new(settings: TelegramSettings, http: Http, clock: Arc<dyn Clock>) -> Result<Self, InsecureUrl> {
        settings.check()?;
        Ok(Self {
            keys: Keys::new(settings.jwks_url.clone()),
            settings,
            http,
            clock,
        })
    }

    fn prove(&self, widget: &Widget) -> Result<Grant, ExchangeError> {
        let refused = |why: &str| ExchangeError::Refused(DIALECT.account, why.to_owned());
        let Some(bot_token) = &self.settings.bot_token else {
            return Err(refused("widget_not_configured"));
        };
        let proved = widget.prove(bot_token, self.clock.now());
        let owner = proved.map_err(|unproved| refused(&unproved.to_string()))?;
        Ok(tokenless(owner, Vec::new()))
    }

    async fn owner(&self, id_token: &Secret, nonce: Option<&str>) -> Result<Profile, Failed> {
        let (kid, algorithm) = id_token::key_of(id_token)?;
        let key = self.keys.find(&self.http, kid.as_deref(), algorithm).await?;
        let expected = Expected {
            issuer: &self.settings.issuer,
            client_id: &self.settings.oauth.client_id,
            nonce,
            now: self.clock.now(),
        };
        Ok(id_token::believe(id_token, &key.ok_or(Unbelieved::Key)?, &expected)?)
    }
}

#[async_trait]
impl Platform for Telegram {
    fn account_type(&self) -> AccountType {
        DIALECT.account
    }

    fn sync_schedule(&self) -> SyncSchedule {
        PACE
    }

    fn authorize(&self, request: &AuthorizeRequest) -> Url {
        let mut url = oauth::authorization_url(&DIALECT, &self.settings.oauth, request);
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
            return self.prove(&widget);
        }
        let issued = oauth::exchange(&DIALECT, &self.settings.oauth, &self.http, request).await?;
        let unknown = |failed: Failed| ExchangeError::Unknown(DIALECT.account, failed.into());
        let id_token = issued.id_token.ok_or(unknown(Unbelieved::Malformed.into()))?;
        let nonce = request.verifier.as_ref().map(nonce);
        let owner = self.owner(&id_token, nonce.as_deref()).await.map_err(unknown)?;
        Ok(tokenless(owner, issued.grant.scopes))
    }

    /// No token was ever kept, so none is accepted.
    async fn profile(&self, _tokens: &Tokens) -> Result<Profile, ApiError> {
        Err(ApiError::Refused(DIALECT.account))
    }

    /// As [`Telegram::profile`].
    async fn sync(&self, _tokens: &Tokens, _cursor: Option<&Value>) -> Result<SyncPage, ApiError> {
        Err(ApiError::Refused(DIALECT.account))
    }

    /// There is nothing to give back, and nowhere to.
    fn revocation(&self, _scope: RevocationScope) -> RevocationPlan {
        RevocationPlan::Nothing
    }

    /// No token of telegram's is known to anybody.
    async fn revoke(&self, _token: &Secret, _scope: RevocationScope) -> Result<RevokeOutcome, RevokeError> {
        Ok(RevokeOutcome::UnknownToken)
    }
}

/// The access token opens nothing (there is no userinfo endpoint), so it is dropped.
fn tokenless(owner: Profile, scopes: Vec<String>) -> Grant {
    Grant {
        tokens: None,
        scopes,
        owner: Some(owner),
    }
}

/// A nonce that the exchange finds again: it follows from the verifier, and tells nothing of it.
fn nonce(verifier: &Secret) -> String {
    let digest = Sha256::new_with_prefix("telegram nonce ").chain_update(verifier.expose());
    URL_SAFE_NO_PAD.encode(digest.finalize())
}

/// Why nobody knows whom a code was about.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Unbelieved(#[from] Unbelieved),
    #[error("fetch the signing keys")]
    Keys(#[from] CallError),
}

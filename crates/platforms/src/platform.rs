//! Operations that every platform implements, and their errors.

use std::borrow::Cow;
use std::time::Duration;

use async_trait::async_trait;
use protocol::account::AccountType;
use protocol::code::ErrorCode;
use protocol::fault::Fault;
use protocol::notification::NotificationType;
use protocol::secret::Secret;
use protocol::time::Timestamp;
use serde_json::Value;
use url::Url;

/// Client of one platform, configured with the application's credentials there.
#[async_trait]
pub trait Platform: Send + Sync {
    /// Platform.
    fn account_type(&self) -> AccountType;

    /// Schedule of syncs and token refreshes.
    fn sync_schedule(&self) -> SyncSchedule;

    /// Authorize page to which the user is sent.
    fn authorize(&self, request: &AuthorizeRequest) -> Url;

    /// Issuer in the authorization response (RFC 9207), if this platform sends one. A response with another issuer is not from
    /// this platform.
    fn issuer(&self) -> Option<String> {
        None
    }

    /// Identity of a code: of two codes with the same one, only one may be exchanged. It is the code itself, unless a code can be
    /// written in several ways.
    fn code_id<'a>(&self, code: &'a Secret) -> Cow<'a, str> {
        Cow::Borrowed(code.expose())
    }

    /// Exchanges a code for tokens. Sent at most once: after an error other than `NotSent` the code is spent.
    ///
    /// # Errors
    /// [`ExchangeError`].
    async fn exchange(&self, request: &ExchangeRequest) -> Result<Grant, ExchangeError>;

    /// Exchanges a refresh token for new tokens. If the platform rotates refresh tokens, the old one is spent; else the grant may
    /// come without one and the old one stays valid (RFC 6749 section 6). Never called without a refresh token, so a platform
    /// that issues none keeps the default.
    ///
    /// # Errors
    /// [`RefreshError`].
    async fn refresh(&self, _refresh: &Secret) -> Result<Grant, RefreshError> {
        Err(RefreshError::Refused(self.account_type()))
    }

    /// Profile of the owner of the tokens.
    ///
    /// # Errors
    /// [`ApiError`].
    async fn profile(&self, tokens: &Tokens) -> Result<Profile, ApiError>;

    /// Notifications after `cursor`: one page, oldest first.
    ///
    /// # Errors
    /// [`ApiError`].
    async fn sync(&self, tokens: &Tokens, cursor: Option<&Value>) -> Result<SyncPage, ApiError>;

    /// Calls that revoke this scope of a link.
    fn revocation(&self, scope: RevocationScope) -> RevocationPlan;

    /// Revokes one token, according to the plan.
    ///
    /// # Errors
    /// [`RevokeError`].
    async fn revoke(&self, token: &Secret, scope: RevocationScope) -> Result<RevokeOutcome, RevokeError>;
}

/// Schedule of a platform's accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncSchedule {
    /// Time between two scheduled syncs of an account.
    pub sync_every: Duration,
    /// Time before its expiry at which an access token is refreshed; well below its lifetime, because each refresh can fail.
    pub refresh_margin: Duration,
}

/// Parameters of an authorization URL.
#[derive(Debug, Clone)]
pub struct AuthorizeRequest {
    /// Redirect URI, byte for byte.
    pub redirect_uri: String,
    /// State: at most 43 URL-safe characters, the limit of Telegram.
    pub state: Secret,
    /// PKCE verifier (RFC 7636); the URL carries its S256 challenge.
    pub verifier: Secret,
}

/// Parameters of a code exchange.
#[derive(Debug, Clone)]
pub struct ExchangeRequest {
    /// Authorization code.
    pub code: Secret,
    /// Redirect URI that the code was issued for, byte for byte.
    pub redirect_uri: String,
    /// PKCE verifier, if the authorization had a challenge.
    pub verifier: Option<Secret>,
}

/// Tokens and scopes that a platform issued.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Tokens; none if the platform only identifies the user and has no API for user tokens.
    pub tokens: Option<Tokens>,
    /// Granted scopes, as the platform reports them, split and sorted.
    pub scopes: Vec<String>,
    /// Profile of the user, if the exchange is the only source of it; always present if there are no tokens.
    pub owner: Option<Profile>,
}

/// Tokens of one link.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// Access token.
    pub access: Secret,
    /// Refresh token, if the platform issues one.
    pub refresh: Option<Secret>,
    /// Remaining lifetime of the access token, if the platform reports it.
    pub expires_in: Option<Duration>,
}

/// Profile of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Stable id.
    pub platform_user_id: String,
    /// Username.
    pub username: String,
    /// Display name.
    pub display_name: Option<String>,
    /// URL of the picture.
    pub avatar_url: Option<String>,
}

/// Page of a sync.
#[derive(Debug, Clone)]
pub struct SyncPage {
    /// Current profile.
    pub profile: Profile,
    /// Scopes that the platform reports as granted; none: unknown.
    pub scopes: Option<Vec<String>>,
    /// Notifications, oldest first.
    pub notifications: Vec<PlatformNotification>,
    /// Cursor of the next sync; none: unchanged.
    pub cursor: Option<Value>,
    /// True if the platform has another page.
    pub more: bool,
    /// Minimum time before the next sync, if the platform reports one.
    pub next_sync: Option<Duration>,
}

/// Event on the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformNotification {
    /// Id, stable for the same event.
    pub id: String,
    /// Kind of the event.
    pub kind: NotificationType,
    /// Text.
    pub content: String,
    /// Name of the author.
    pub sender: String,
    /// Time of the event.
    pub at: Timestamp,
}

/// Notification for the users who have linked this account of the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressedNotification {
    /// User, as in [`Profile::platform_user_id`].
    pub platform_user_id: String,
    /// Notification; its id is the same as in a sync.
    pub notification: PlatformNotification,
}

/// Scope of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationScope {
    /// Whole grant of the user to the application.
    Grant,
    /// One token.
    Token,
}

/// Calls that end a grant, or one link's part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationPlan {
    /// No call.
    Nothing,
    /// One call with a valid access token: an expired one is refreshed first.
    ValidAccessToken,
    /// One call for each token that may be valid, the refresh token first.
    EachToken,
}

/// Answer of a platform to a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokeOutcome {
    /// The token has ended. A platform that follows RFC 7009 section 2.2 does not report whether it had ended before.
    Ended,
    /// The platform does not know the token: it may have ended with its grant, or the grant is still valid without it.
    UnknownToken,
}

/// Cause of a failed code exchange. No variant contains a code, a token or an answer's body.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The request did not leave this machine: the code is still valid.
    #[error("{0} could not be reached")]
    NotSent(AccountType, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// The platform refused the code.
    #[error("{0} refused the authorization code: {1}")]
    Refused(AccountType, String),
    /// The request was sent and no usable answer came: the platform may have issued tokens. Never send the code again; start
    /// over.
    #[error("{0} did not answer the exchange properly")]
    Unknown(AccountType, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// The platform throttled the call before it read the code.
    #[error("{account} asks to wait {wait:?}")]
    Throttled {
        /// Platform.
        account: AccountType,
        /// Time to wait.
        wait: Duration,
        /// Scope of the pause.
        pause: PauseScope,
    },
}

impl Fault for ExchangeError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotSent(..) => ErrorCode::PlatformUnavailable,
            Self::Refused(..) | Self::Unknown(..) => ErrorCode::OauthFailed,
            Self::Throttled { .. } => ErrorCode::PlatformRateLimited,
        }
    }
}

/// Cause of a failed refresh. No variant contains a token or an answer's body.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The request did not leave this machine, or the platform rejected the application first: the token is still valid.
    #[error("{0} could not be reached")]
    NotSent(AccountType, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// The platform refused the token: another party has used it, or the user revoked the grant.
    #[error("{0} refused the refresh token")]
    Refused(AccountType),
    /// The request was sent and no usable answer came: the platform may have issued new tokens and spent this one.
    #[error("{0} did not answer the refresh properly")]
    Unknown(AccountType, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// The platform throttled the call before it read the token.
    #[error("{account} asks to wait {wait:?}")]
    Throttled {
        /// Platform.
        account: AccountType,
        /// Time to wait.
        wait: Duration,
        /// Scope of the pause.
        pause: PauseScope,
    },
}

/// Scope of a platform's "too many requests".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PauseScope {
    /// Calls for this account.
    Account,
    /// All calls of the application.
    App,
}

/// Cause of a failed call for a linked account.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The platform no longer accepts the token: the user has to link the account again.
    #[error("{0} no longer accepts the token")]
    Refused(AccountType),
    /// The platform throttled the call.
    #[error("{account} asks to wait {wait:?}")]
    Throttled {
        /// Platform.
        account: AccountType,
        /// Time to wait.
        wait: Duration,
        /// Scope of the pause.
        pause: PauseScope,
    },
    /// No usable answer.
    #[error("{0} did not answer properly")]
    Unavailable(AccountType, #[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Fault for ApiError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(_) => ErrorCode::OauthFailed,
            Self::Throttled { .. } => ErrorCode::PlatformRateLimited,
            Self::Unavailable(..) => ErrorCode::PlatformUnavailable,
        }
    }
}

/// Cause of a failed revocation. A retry is harmless.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// The platform throttled the call.
    #[error("{account} asks to wait {wait:?}")]
    Throttled {
        /// Platform.
        account: AccountType,
        /// Time to wait.
        wait: Duration,
        /// Scope of the pause.
        pause: PauseScope,
    },
    /// No usable answer.
    #[error("{0} did not answer the revocation properly")]
    Unavailable(AccountType, #[source] Box<dyn std::error::Error + Send + Sync>),
}

#[cfg(test)]
mod tests;

//! What every platform can do, and how it can fail.

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

/// One platform, configured with the application's credentials there.
#[async_trait]
pub trait Platform: Send + Sync {
    /// Which one.
    fn account_type(&self) -> AccountType;

    /// How often its accounts are worth a look.
    fn sync_schedule(&self) -> SyncSchedule;

    /// Where to send the user.
    fn authorize(&self, request: &AuthorizeRequest) -> Url;

    /// Who says to send a user back (RFC 9207), where this platform says so. An answer that names anybody else is not this one's.
    fn issuer(&self) -> Option<String> {
        None
    }

    /// What two codes have in common of which only one may be exchanged; the code itself, where it has one spelling.
    fn code_id<'a>(&self, code: &'a Secret) -> Cow<'a, str> {
        Cow::Borrowed(code.expose())
    }

    /// Exchanges a code for tokens. Sent at most once: after an error that is not `NotSent` the code is spent.
    ///
    /// # Errors
    /// [`ExchangeError`].
    async fn exchange(&self, request: &ExchangeRequest) -> Result<Grant, ExchangeError>;

    /// Exchanges a refresh token for new tokens; where it rotates, the old one is spent, else the grant may come without one and
    /// the old one goes on (RFC 6749 section 6). Never called without a refresh token, so a
    /// platform that issues none has nothing to say here.
    ///
    /// # Errors
    /// [`RefreshError`].
    async fn refresh(&self, _refresh: &Secret) -> Result<Grant, RefreshError> {
        Err(RefreshError::Refused(self.account_type()))
    }

    /// Who the tokens belong to.
    ///
    /// # Errors
    /// [`ApiError`].
    async fn profile(&self, tokens: &Tokens) -> Result<Profile, ApiError>;

    /// What is new since `cursor`; one page, in the platform's own order turned oldest first.
    ///
    /// # Errors
    /// [`ApiError`].
    async fn sync(&self, tokens: &Tokens, cursor: Option<&Value>) -> Result<SyncPage, ApiError>;

    /// Which of a link's tokens end so much of its grant.
    fn revocation(&self, scope: RevocationScope) -> RevocationPlan;

    /// Gives one token back, as the plan says.
    ///
    /// # Errors
    /// [`RevokeError`].
    async fn revoke(&self, token: &Secret, scope: RevocationScope) -> Result<RevokeOutcome, RevokeError>;
}

/// How often a platform's accounts are worth a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncSchedule {
    /// From one sync of an account to the next, where nobody asks for one.
    pub sync_every: Duration,
    /// How long before its end an access token is replaced; well below its life, for each replacement can go wrong.
    pub refresh_margin: Duration,
}

/// What an authorization URL is built from.
#[derive(Debug, Clone)]
pub struct AuthorizeRequest {
    /// Byte for byte.
    pub redirect_uri: String,
    /// At most 43 URL-safe characters: telegram limits it.
    pub state: Secret,
    /// The PKCE verifier (RFC 7636); the URL carries its S256 challenge.
    pub verifier: Secret,
}

/// What a code is exchanged with.
#[derive(Debug, Clone)]
pub struct ExchangeRequest {
    /// The code.
    pub code: Secret,
    /// The one that the code was issued for, byte for byte.
    pub redirect_uri: String,
    /// The PKCE verifier, where the authorization had a challenge.
    pub verifier: Option<Secret>,
}

/// What a platform issued.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The tokens; none where the platform only says who the user is, and is never called for them.
    pub tokens: Option<Tokens>,
    /// What was granted, as the platform says it, split and sorted.
    pub scopes: Vec<String>,
    /// Who granted it, where the platform says so here and nowhere else; always so where there are no tokens.
    pub owner: Option<Profile>,
}

/// Tokens of one link.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// The access token.
    pub access: Secret,
    /// The refresh token, where the platform has them.
    pub refresh: Option<Secret>,
    /// How long the access token lasts from now, where the platform says so.
    pub expires_in: Option<Duration>,
}

/// Who an account is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The stable id.
    pub platform_user_id: String,
    /// The name it is addressed by.
    pub username: String,
    /// The name shown to people.
    pub display_name: Option<String>,
    /// A picture.
    pub avatar_url: Option<String>,
}

/// One page of what is new.
#[derive(Debug, Clone)]
pub struct SyncPage {
    /// The profile as it is now.
    pub profile: Profile,
    /// What the platform says it granted, where an answer tells; none: unknown.
    pub scopes: Option<Vec<String>>,
    /// News, oldest first.
    pub notifications: Vec<PlatformNotification>,
    /// Hand this in next time; none: keep the old one.
    pub cursor: Option<Value>,
    /// Whether the platform has more than one page took.
    pub more: bool,
    /// How long the platform wants to be left alone before the next one, where it says so.
    pub next_sync: Option<Duration>,
}

/// One thing that happened on the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformNotification {
    /// The platform's own name for it; the same thing has the same one.
    pub id: String,
    /// What kind.
    pub kind: NotificationType,
    /// What was said.
    pub content: String,
    /// Who said it.
    pub sender: String,
    /// When.
    pub at: Timestamp,
}

/// News for whoever has linked this user of the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressedNotification {
    /// Which user, as in [`Profile::platform_user_id`].
    pub platform_user_id: String,
    /// The same thing has the same id here as in a sync.
    pub notifications: PlatformNotification,
}

/// How much a revocation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationScope {
    /// All that the user granted to the application.
    Grant,
    /// This token alone.
    Token,
}

/// What is called to end a grant, or one link's part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationPlan {
    /// Nothing.
    Nothing,
    /// One call, with the access token. It must be good, so one that has expired is replaced first.
    ValidAccessToken,
    /// A call for each token that may be good, the refresh token first.
    EachToken,
}

/// How a platform answered a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokeOutcome {
    /// The token is dead. A platform that answers as RFC 7009 section 2.2 says does not tell whether it was before.
    Ended,
    /// It does not know the token: that may have died with its grant, or the grant lives on without it.
    UnknownToken,
}

/// Why a code was not exchanged. No variant holds a code, a token or an answer's body.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// Nothing left this machine: the code is still good.
    #[error("{0} could not be reached")]
    NotSent(AccountType, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// The platform refused it.
    #[error("{0} refused the authorization code: {1}")]
    Refused(AccountType, String),
    /// It was sent and no usable answer came: the platform may have issued tokens. Start again; never send it twice.
    #[error("{0} did not answer the exchange properly")]
    Unknown(AccountType, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// The platform asks to wait; it did not look at the code.
    #[error("{account} asks to wait {wait:?}")]
    Throttled {
        /// Which platform.
        account: AccountType,
        /// How long.
        wait: Duration,
        /// Who is to wait.
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

/// Why a refresh token brought no new tokens. No variant holds a token or an answer's body.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// Nothing left this machine, or the platform turned the application away before it looked: the token is still good.
    #[error("{0} could not be reached")]
    NotSent(AccountType, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// The platform does not take it: spent by someone else, or the user took the grant back.
    #[error("{0} refused the refresh token")]
    Refused(AccountType),
    /// It was sent and no usable answer came: the platform may have issued new tokens and spent this one.
    #[error("{0} did not answer the refresh properly")]
    Unknown(AccountType, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// The platform asks to wait; it did not look at the token.
    #[error("{account} asks to wait {wait:?}")]
    Throttled {
        /// Which platform.
        account: AccountType,
        /// How long.
        wait: Duration,
        /// Who is to wait.
        pause: PauseScope,
    },
}

/// Whom a platform's "too many requests" is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PauseScope {
    /// Calls for this account.
    Account,
    /// All calls of the application.
    App,
}

/// Why a call for a linked account failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The platform no longer accepts the token: the link needs its user.
    #[error("{0} no longer accepts the token")]
    Refused(AccountType),
    /// The platform asks to wait.
    #[error("{account} asks to wait {wait:?}")]
    Throttled {
        /// Which platform.
        account: AccountType,
        /// How long.
        wait: Duration,
        /// Who is to wait.
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

/// Why a grant was not given back. Trying again is harmless.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// The platform asks to wait.
    #[error("{account} asks to wait {wait:?}")]
    Throttled {
        /// Which platform.
        account: AccountType,
        /// How long.
        wait: Duration,
        /// Who is to wait.
        pause: PauseScope,
    },
    /// No usable answer.
    #[error("{0} did not answer the revocation properly")]
    Unavailable(AccountType, #[source] Box<dyn std::error::Error + Send + Sync>),
}

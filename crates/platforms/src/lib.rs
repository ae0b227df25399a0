//! Clients of the external platforms: one [`Platform`] per platform, with its deviations from the standards as data where
//! possible.
//!
//! Owns: authorization URLs, code exchange, profiles, sync, webhooks, bots' inboxes, revocation, and the meaning of each
//! platform's failures.
//!
//! Must not know: Redis, SQL, sockets. Tokens are passed in and out as secrets; nothing here stores one.
//!
//! In reading order: [`platform`] defines the operations of a platform and their errors, [`inbox`] those of its bot, [`webhook`]
//! verifies and reads its deliveries; [`settings`] configures one; [`github`], [`discord`], [`x_twitter`] and [`telegram`]
//! implement them; [`oauth`], [`api`], [`http`], [`client`], [`route`], [`cursor`] and [`rate_limit`] are shared, [`metrics`] measures
//! their calls, and [`outage`] reports those that fail. Every answer of a platform is decoded by [`untrusted`].

mod api;
mod client;
mod cursor;
mod discord;
mod github;
mod http;
mod inbox;
mod loopback;
mod metrics;
mod oauth;
mod outage;
mod platform;
mod rate_limit;
mod recipients;
mod route;
mod schedules;
mod settings;
mod telegram;
mod trace;
mod untrusted;
mod webhook;
mod x_twitter;

pub use discord::{Discord, DiscordBot};
pub use github::Github;
pub use http::{BuildError, Http, Timeouts, is_logged_outage};
pub use inbox::{BotInbox, BotSettings, InboxPage};
pub use jwks::system_tls;
pub use loopback::is_loopback;
pub use platform::{
    AddressedNotification, ApiError, AuthorizeRequest, ExchangeError, ExchangeRequest, Grant, PauseScope, Platform,
    PlatformNotification, Profile, RefreshError, RevocationPlan, RevocationScope, RevokeError, RevokeOutcome, SyncPage,
    SyncSchedule, Tokens,
};
pub use rate_limit::retry_after;
pub use schedules::sync_schedule;
pub use settings::{InsecureUrl, Settings};
pub use telegram::{Telegram, TelegramBot, TelegramSettings};
pub use webhook::{InvalidWebhookSecret, Request, WebhookDelivery, WebhookError, WebhookResponse, WebhookVerifier};
pub use x_twitter::XTwitter;

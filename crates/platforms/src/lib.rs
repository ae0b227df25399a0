//! The world outside: one [`Platform`] per platform, its quirks as data where they are data.
//!
//! Owns: authorization URLs, code exchange, profiles, sync, webhooks, bots' inboxes, revocation, and what each platform's failures
//! mean.
//!
//! Must not know: Redis, SQL, sockets. Tokens come and go as secrets; nothing here keeps one.
//!
//! In reading order: [`platform`] says what every platform can do and how it can fail, [`inbox`] what its bot can, [`webhook`] what
//! it delivers; [`settings`] says where one is; [`github`], [`discord`], [`x_twitter`] and [`telegram`] are four; [`oauth`], [`api`],
//! [`http`], [`cursor`] and [`throttle`] are what they share. Whatever comes from a platform passes [`foreign`].

mod addressed;
mod api;
mod cursor;
mod discord;
mod foreign;
mod github;
mod http;
mod inbox;
mod oauth;
mod platform;
mod private;
mod settings;
mod telegram;
mod throttle;
mod tls;
mod webhook;
mod x_twitter;

pub use discord::{Discord, DiscordBot};
pub use github::Github;
pub use http::{BuildError, Http, Timeouts};
pub use inbox::{BotInbox, BotSettings, InboxPage};
pub use platform::{
    AddressedNotification, ApiError, AuthorizeRequest, ExchangeError, ExchangeRequest, Grant, PauseScope, Platform,
    PlatformNotification, Profile, RefreshError, RevocationPlan, RevocationScope, RevokeError, RevokeOutcome, SyncPage,
    SyncSchedule, Tokens,
};
pub use private::is_loopback;
pub use settings::{InsecureUrl, Settings};
pub use telegram::{Telegram, TelegramBot, TelegramSettings};
pub use tls::system_tls;
pub use webhook::{InvalidWebhookSecret, Request, WebhookDelivery, WebhookError, WebhookResponse, WebhookVerifier};
pub use x_twitter::XTwitter;

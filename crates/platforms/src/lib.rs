//! The world outside: one [`Platform`] per platform, its quirks as data where they are data.
//!
//! Owns: authorization URLs, code exchange, profiles, sync, revocation, and what each platform's failures mean.
//!
//! Must not know: Redis, SQL, sockets. Tokens come and go as secrets; nothing here keeps one.

mod platform;

pub use platform::{
    ApiError, AuthorizeRequest, ExchangeError, ExchangeRequest, Grant, News, Platform, Profile, RevokeError, Scope,
    SyncPage, Tokens,
};

//! Simulator of the platforms: one HTTP server that behaves as the platforms' documentation says, errors included, and fails on
//! request in the ways that networks fail.
//!
//! Owns: simulated accounts, their authorization codes and tokens, a module per platform, and the controls: faults, blocked
//! requests, counters. Must not know anything else of Postern: it implements the platforms' documentation, so a client is not
//! tested against its own assumptions.
//!
//! Each platform has its own path (`/github/...`), so its URLs are the real ones with another base. All state is in memory;
//! client secret and tokens are valid here only.
//!
//! In reading order: [`server`] binds and serves, behind the guard of [`loopback`]; [`middleware`] is the middleware before every
//! platform; a platform ([`github`], [`discord`], [`x_twitter`], [`telegram`]) has an endpoint of [`authorize`], whose page is
//! [`consent`], and works on the [`world`], which contains [`account`], [`grant`], [`fault`], [`blocked`], [`ledger`],
//! [`inboxes`] and [`response_format`]; [`handle`] and [`control`] are the same controls for Rust and for HTTP, which [`index`]
//! shows. Pages are made by [`html`].

mod account;
mod authorize;
mod avatar;
mod blocked;
mod chat;
mod clock;
mod consent;
mod consent_token;
mod control;
mod discord;
mod fault;
mod github;
mod grant;
mod handle;
mod html;
mod inboxes;
mod index;
mod ledger;
mod loopback;
mod middleware;
mod oauth;
mod platform;
mod rate_limit;
mod response_format;
mod server;
mod telegram;
mod world;
mod x_twitter;

pub use account::DEFAULT_LOGIN;
pub use blocked::BlockedRequest;
pub use chat::{BOT_TOKEN, NewMessage};
pub use fault::{Fault, Kind, Limit, Times};
pub use grant::{CLIENT_ID, CLIENT_SECRET, LiveGrant, Rotation, Token};
pub use handle::{Handle, Snapshot};
pub use inboxes::github::{Issued, NewNotification};
pub use inboxes::x_twitter::{NewPost, PostKind};
pub use ledger::{Extent, Ledger, Refresh, Revocation};
pub use platform::{Platform, Route};
pub use response_format::{NumberFormat, ResponseFormat, TextFormat};
pub use server::{BindError, Simulator};

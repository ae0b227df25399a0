//! The platforms, pretended: one HTTP server that behaves as the platforms' own documents say, errors included, and
//! fails in the ways a network does when it is asked to.
//!
//! It owns pretend accounts, their authorization codes and tokens, a file per platform that speaks that platform's
//! dialect, and the controls: faults, held requests, counters. It must not know anything else of Postern: what it
//! checks is what the platforms document, so a client that satisfies it has not been measured against itself.
//!
//! Each platform lives under its own path (`/github/...`), so its URLs are the real ones with another base. Everything
//! here is in memory and pretended: its client secret and its tokens open nothing.
//!
//! In reading order: [`server`] binds and serves; [`front`] is what every request passes before its platform; a
//! platform ([`github`], [`discord`], [`x_twitter`], [`telegram`]) does its work on the [`world`], which holds [`account`],
//! [`grant`], [`fault`], [`blocked`], [`ledger`] and [`spelling`]; [`handle`] and [`control`] are the same controls for Rust and for HTTP.

mod account;
mod authorize;
mod blocked;
mod chat;
mod clock;
mod control;
mod discord;
mod fault;
mod front;
mod github;
mod grant;
mod handle;
mod ledger;
mod oauth;
mod platform;
mod server;
mod spelling;
mod telegram;
mod world;
mod x_twitter;

pub use account::DEFAULT_LOGIN;
pub use blocked::BlockedRequest;
pub use chat::{BOT_TOKEN, NewMessage};
pub use fault::{Fault, Kind, Limit, Times};
pub use github::inbox::{Issued, NewNotification};
pub use grant::{CLIENT_ID, CLIENT_SECRET, LiveGrant, Rotation, Token};
pub use handle::{Handle, Snapshot};
pub use ledger::{Extent, Ledger, Refresh, Revocation};
pub use platform::{Platform, Route};
pub use server::{BindError, Simulator};
pub use spelling::{NumberFormat, ResponseFormat, TextFormat};
pub use x_twitter::inbox::{NewPost, PostKind};

//! The door: TLS, HTTP and WebSocket towards clients, the bus towards the other nodes, and between them one task per socket.
//!
//! Owns: the listener, the handshake (upgrade, token), connections, commands on their way to a worker and back, the hub that
//! brings each event to its user's sockets, sessions and their ends, alerts that come again, the pages of the OAuth callback, the
//! internal publish API, and draining.
//!
//! Must not know: SQL, platforms, any stored secret. What needs one of these is a job for a worker.
//!
//! Read [`Gateway`] first: settings, build, spawn, drain. Then `listener`, `http` and `handshake`, the way in; `connection`, the
//! life of a socket, and `deflate`, its compression; `command` and `hub`, what it is for.

mod gateway;
mod settings;

mod listener;

mod http;

mod handshake;

mod connection;

mod deflate;

mod command;
mod hub;
mod presence;
mod session;

mod newcomers;

mod form;
pub mod fuzz;
mod metrics;
mod name;
mod rate;

pub use gateway::{BuildError, Gateway, Running};
pub use jwks::{InvalidJwksUrl, InvalidKey, JwksError, JwksSettings, JwksUrl, TokenKey};
pub use listener::certificate::CertificateError;
pub use settings::{
    Heartbeat, InvalidOrigin, InvalidRate, Origins, Rate, Settings, Timing, TlsSettings, TokenKeys, TokenLimits,
    TokenSettings,
};

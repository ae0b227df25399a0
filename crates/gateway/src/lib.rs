//! Client connections: TLS, HTTP and WebSocket towards clients, the bus towards the other nodes, one task per socket between them.
//!
//! Owns: the listener, the handshake (upgrade, token), connections, commands on their way to a worker and back, the hub that delivers
//! each event to its user's sockets, session expiry, repeated alerts, the pages of the OAuth callback, the internal publish API, and
//! draining.
//!
//! Must not know: SQL, platforms, any stored secret. Work that needs one of these is a job for a worker.
//!
//! Read [`Gateway`] first: settings, build, spawn, drain. Then `listener`, `http` and `handshake`, the way to a WebSocket; `socket`,
//! its parts that all others use, and `socket_limit`, their number; `connection`, its life, and `deflate`, its compression; `session`,
//! `hub` and `command`, its services.

mod gateway;
mod settings;

mod listener;

mod http;

mod handshake;

mod connection;

mod join_checks;

mod command;

mod hub;
mod presence;
mod session;

mod socket;
mod socket_limit;
mod workers;

pub mod bench;
mod bus_outage;
mod bus_roles;
mod close_reason;
mod deflate;
pub mod fuzz;
mod ids;
mod label;
mod metrics;
mod rate;
mod token_error;
mod trace;

pub use self::http::internal::InternalApi;
pub use bus_roles::BusRoles;
#[cfg(feature = "autobahn")]
pub use connection::serve_echo;
pub use gateway::{BuildError, Gateway, GatewayDrainReport, PreparedGateway, Running, Runtime, Subscriptions};
pub use jwks::{
    FixedKeys, InvalidFixedKeys, InvalidJwksUrl, InvalidKey, JwksError, JwksSettings, JwksUrl, TokenKey, signing_secret,
};
pub use listener::certificate::CertificateError;
pub use listener::internal_tls::{ClientCaError, InternalTls, InternalTlsError};
pub use settings::{
    ClientContext, Heartbeat, InternalApiSettings, InternalCallers, InternalTlsSettings, InvalidClientContext,
    InvalidOrigin, InvalidProxy, InvalidProxyProtocol, InvalidRate, InvalidTlsGroups, InvalidTokensFile,
    NoTrustedProxies, Origins, Proxies, ProxyProtocol, Rate, Settings, Timing, TlsGroups, TlsSettings, TokenKeys,
    TokenLimits, TokenSettings, TraceSettings, TrustedProxies,
};

//! Reasons for which a node cannot start.

use std::io;

use super::http_listener::ListenError;
use super::memory_limit::TooLittleMemory;

/// Failure to start a node.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Connecting to Redis failed.
    #[error(transparent)]
    Bus(#[from] bus::ConnectError),
    /// Connecting to Postgres failed.
    #[error("connect to Postgres")]
    Store(#[from] store::SetupError),
    /// The HTTP client for the platforms could not be built.
    #[error(transparent)]
    Http(#[from] platforms::BuildError),
    /// The sender of emails could not be built.
    #[error(transparent)]
    Email(#[from] worker::EmailError),
    /// The sender of text messages could not be built.
    #[error(transparent)]
    Sms(#[from] worker::SmsError),
    /// The sender of webhooks to the application could not be built.
    #[error(transparent)]
    AppWebhooks(#[from] worker::AppWebhookClientError),
    /// A platform has an insecure URL.
    #[error("set up a platform")]
    Platform(#[from] platforms::InsecureUrl),
    /// The memory limit suffices for no socket.
    #[error("bound the sockets")]
    Memory(#[from] TooLittleMemory),
    /// The gateway could not be built.
    #[error("build the gateway")]
    Gateway(#[from] gateway::BuildError),
    /// An HTTP listener could not be bound.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Signal handlers could not be installed.
    #[error("install signal handlers")]
    Signal(#[source] io::Error),
}

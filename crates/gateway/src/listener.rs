//! The way in, up to a TLS stream: who may connect how often, and with which certificate we answer.

pub(crate) mod certificate;
pub(crate) mod tcp;
pub(crate) mod tls;

use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream of a client, TLS below. Boxed, so that moving it is cheap and nothing above is generic over it.
pub(crate) type Stream = Box<dyn Io>;

/// What a byte stream can do.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

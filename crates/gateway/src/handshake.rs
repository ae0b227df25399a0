//! Opening handshake of a socket: upgrade request, dialect, origin check, token verification.

pub(crate) mod authenticator;
pub(crate) mod origin;
pub(crate) mod refusal;
pub(crate) mod request;
pub(crate) mod token;
pub(crate) mod upgrade;

mod engineio;
mod websocket;

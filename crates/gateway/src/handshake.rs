//! From a request to a proven caller: may this become a WebSocket, which dialect will it speak, and whose token is it.

pub(crate) mod authenticator;
pub(crate) mod jwks;
pub(crate) mod origin;
pub(crate) mod refusal;
pub(crate) mod token;
pub(crate) mod upgrade;

mod engineio;
mod websocket;

//! Keys that verify tokens, and the key sets that issuers publish (JWKS, RFC 7517).
//!
//! Owns: the HTTP client that fetches a key set, with bounds on time and size; the selection of usable keys; their refresh, by a
//! task of the node ([`Jwks`]) or when a token needs a key ([`OnDemandKeys`]).
//!
//! Must not know: the claims of a token, nor who presents it.
//!
//! In reading order: [`TokenKey`] verifies one algorithm, [`FixedKeys`] are configured, [`KeySet`] is what an issuer publishes, [`JwksClient`] fetches it,
//! [`Jwks`] and [`JwksRefresher`] keep it up to date in the background, [`OnDemandKeys`] without a task.

mod client;
mod fetch_state;
mod fixed_keys;
mod key_set;
mod metrics;
mod on_demand;
mod published;
mod refresher;
mod settings;
mod tls;
mod token_key;
mod trace;
mod url;

pub use client::{FetchError, JwksClient, JwksError};
pub use fixed_keys::{FixedKeys, InvalidFixedKeys, signing_secret};
pub use key_set::{KeyNotFound, KeySet, NoKeySet};
pub use on_demand::OnDemandKeys;
pub use published::Jwks;
pub use refresher::JwksRefresher;
pub use settings::JwksSettings;
pub use tls::system_tls;
pub use token_key::{InvalidKey, TokenKey};
pub use url::{InvalidJwksUrl, JwksUrl};

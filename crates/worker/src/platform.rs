//! Platforms as all features see them: which are offered, how much is asked of each at once, what a rate limit pauses, and the
//! account data that comes from them.

pub(crate) mod rate_limit;

mod notification;
mod offered;
mod permits;
mod profile;
mod text;
mod tokens;

pub(crate) use notification::notification;
pub(crate) use offered::{NotOffered, Offered};
pub(crate) use permits::{PlatformBusy, PlatformPermits};
pub(crate) use profile::named;
pub(crate) use tokens::{decrypt_tokens, encrypt_tokens, token_binding};

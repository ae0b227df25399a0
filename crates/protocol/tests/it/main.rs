//! Wire contract, tested by peers that read and write with `serde_json` and `rmpv` alone.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![expect(clippy::panic, reason = "a helper that fails is a test that fails")]

mod cluster;
mod docs;
mod enumerations;
mod examples;
mod formats;
mod frames;
mod hostile;
mod lenient;
mod msgpack;
mod native;
mod peer;
mod reference;
#[cfg(feature = "schema")]
mod schemas;
mod strategy;
mod survival;

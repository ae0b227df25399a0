//! What the bus promises: one contract for both implementations, and what Redis and the client library do to the careless.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod connect;
mod contract;
mod expiries;
mod footprint;
mod nodes;
mod refusals;
mod sample;
mod traps;

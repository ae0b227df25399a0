//! Tests of the bus: one contract for both implementations, and traps of Redis and its client library.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod connect;
mod contract;
mod credentials;
mod expiries;
mod footprint;
mod formats;
mod metrics;
mod nodes;
mod permissions;
mod redis_cluster;
mod redis_cluster_lies;
mod redis_cluster_subscriptions;
mod refusals;
mod sample;
mod sentinel;
mod tls;
mod tls_redis;
mod traces;
mod traps;

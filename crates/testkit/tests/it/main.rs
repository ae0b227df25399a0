//! Guarantees of the test kit: what it starts is real, breaks on request, and is gone afterwards.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, its helpers too"
)]

mod chaos;
mod client;
mod cluster;
mod haproxy;
mod node;
mod otlp;
mod postgres;
mod process;
mod prometheus;
mod redis;
mod redis_cluster;
mod redis_sentinel;
mod server;
mod tls;
mod token;
mod wait;

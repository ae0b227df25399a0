//! Tests of both stores against one contract, and of Postgres's failures.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails, and says where"
)]

mod database;
mod pruning;
mod recorder;
mod sample;

mod contract;
mod memory;
mod postgres;

//! The store's promises, kept by both stores, and what only Postgres can break.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails, and says where"
)]

mod database;
mod recorder;
mod sample;

mod contract;
mod memory;
mod postgres;

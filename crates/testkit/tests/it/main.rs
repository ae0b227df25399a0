//! What the test kit promises to those who use it: what it starts is real, breaks on request, and is gone afterwards.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod chaos;
mod postgres;
mod process;
mod redis;

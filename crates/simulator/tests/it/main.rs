//! Behaviour of the simulator, over real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test helper that cannot go on fails its test"
)]

mod bots;
mod client;
mod consent;
mod control;
mod docs;
mod faults;
mod github_api;
mod github_oauth;
mod github_revoke;
mod pages;
mod rotation;
mod server;
mod widget;

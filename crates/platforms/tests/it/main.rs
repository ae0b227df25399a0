//! What platforms are told and how their answers are understood, against the simulator, over real sockets.

#![expect(clippy::unwrap_used, reason = "a test helper that cannot go on fails its test")]

mod bots;
mod discord;
mod exchange;
mod http;
mod profile;
mod revoke;
mod spelling;
mod sync;
mod telegram;
mod world;
mod x_twitter;

//! Requests to platforms and the meaning of their answers, against the simulator, over real sockets.

#![expect(clippy::unwrap_used, reason = "a test helper that cannot go on fails its test")]

mod bots;
mod discord;
mod exchange;
mod http;
mod metrics;
mod outages;
mod profile;
mod response_format;
mod revoke;
mod sync;
mod telegram;
mod traces;
mod world;
mod x_twitter;

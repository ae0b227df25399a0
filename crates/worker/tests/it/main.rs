//! What a worker promises: with the embedded bus and store, and the simulated platform over real HTTP.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test helper that cannot go on fails its test"
)]

mod alerts;
mod authorizations;
mod callback;
mod connect;
mod devices;
mod disconnect;
mod ended_sessions;
mod endings;
mod engine;
mod factor;
mod factor_sent;
mod fairness;
mod grants;
mod guesses;
mod idempotency;
mod inboxes;
mod outage;
mod outbox;
mod refresh;
mod revoke_all;
mod settings;
mod slow_platform;
mod state;
mod subjects;
mod sync;
mod throttles;
mod typed_codes;
mod unlinked;

mod client;
mod fragile_bus;
mod fragile_store;
mod rotating;
mod scripted;
mod simulated;
mod world;

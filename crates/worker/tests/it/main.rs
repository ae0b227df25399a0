//! Behaviour of a worker with the embedded bus and store, and with the simulated platforms over real HTTP.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test helper that cannot go on fails its test"
)]

mod alert_groups;
mod alert_subjects;
mod alerts;
mod api_requests;
mod app_webhooks;
mod authorization_state;
mod callback;
mod code_guessing;
mod connect;
mod devices;
mod disconnect;
mod ended_sessions;
mod engine;
mod factor;
mod factor_authorizations;
mod factor_locks;
mod fairness;
mod idempotency;
mod inboxes;
mod log_lines;
mod metrics;
mod outage;
mod outbox;
mod rate_limits;
mod refresh;
mod revocations;
mod revoke_all;
mod sent_codes;
mod session_ends;
mod settings;
mod slow_platform;
mod sync;
mod traces;
mod typed_codes;
mod unlinked_grants;

mod client;
mod env;
mod faulty_bus;
mod faulty_store;
mod log;
mod rotating_platform;
mod scripted_platform;
mod simulated_platform;

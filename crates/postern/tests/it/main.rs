//! Whole clusters, from the outside: the real binary, real Redis and Postgres, real clients. Platforms are simulated.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod absent_at_start;
mod alert_groups;
mod alerts;
mod app_webhooks;
mod audience;
mod audit;
mod audit_archive;
mod audit_events;
mod bad_input;
mod browser;
mod bystander;
mod callback;
mod chaos;
mod command_line;
mod configuration;
mod delivery;
mod demo_api;
mod demo_kill;
mod dependency;
mod dev_banner;
mod devices;
mod discord;
mod drain;
mod ended_sessions;
mod endings;
mod erasure;
mod factor;
mod factor_sent;
mod github;
mod half_open;
mod healthcheck;
mod idle_memory;
mod interleavings;
mod internal_api;
mod internal_tls;
mod internal_tokens;
mod jwks;
mod memory_limit;
mod no_worker;
mod node_ids;
mod numbered_alerts;
mod operation_costs;
mod operators;
mod page_attacks;
mod pins;
mod postgres_away;
mod presence;
mod process_limits;
mod redis_away;
mod redis_memory;
mod redis_tls;
mod refreshes;
mod releases;
mod restore;
mod resume;
mod revoke_all;
mod rolling_workers;
mod rollout;
mod rotation;
mod secrets;
mod series;
mod session_ends;
mod session_expiry;
mod sessions;
mod silent_clients;
mod smoke_test;
mod stage;
mod status;
mod sync_leases;
mod telegram;
mod telemetry;
mod token_limits;
mod trace_sampling;
mod traces;
mod typescript;
mod vault_rotate;
mod vault_tampering;
mod webhooks;
mod worker_death;
mod x_twitter;

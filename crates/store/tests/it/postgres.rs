//! Tests that need Postgres.

mod alert_groups;
mod audit;
mod backlogs;
mod credentials;
mod crowded;
mod devices;
mod dump;
mod errors;
mod failover;
mod formats;
mod grants;
mod key_rotation;
mod metrics;
mod migration_locks;
mod operator;
mod outage;
mod pooler;
mod races;
mod retention;
mod retention_scale;
mod schema;
mod session_retention;
mod standby;
mod tls;
mod traces;
mod unused_users;

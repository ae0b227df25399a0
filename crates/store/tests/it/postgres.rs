//! What only Postgres can break.

mod audit;
mod crowded;
mod devices;
mod dump;
mod failover;
mod metrics;
mod outage;
mod pooler;
mod races;
mod rotation;
mod schema;
mod tls;

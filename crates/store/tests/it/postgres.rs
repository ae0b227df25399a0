//! What only Postgres can break.

mod audit;
mod devices;
mod dump;
mod metrics;
mod outage;
mod races;
mod rotation;
mod schema;
mod tls;

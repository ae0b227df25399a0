//! What only Postgres can break.

mod dump;
mod outage;
mod races;
mod schema;
mod tls;

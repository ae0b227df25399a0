//! A gateway as its clients meet it: real TLS sockets on one side, the bus on the other.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test by panicking, as the tests do"
)]

mod house;
mod line;
mod worker;

mod addresses;
mod alone;
mod authorize;
mod autobahn;
mod batching;
mod budgets;
mod callback;
mod certificate;
mod commands;
mod deflate;
mod dialects;
mod drain;
mod ended_sessions;
mod expiries;
mod fanout;
mod framing;
mod gone;
mod heartbeat;
mod jwks;
mod lock_out;
mod newcomers;
mod official;
mod poor_links;
mod publish;
mod rates;
mod resume;
mod sessions;
mod slow;
mod smuggling;
mod timeouts;
mod tls;
mod token_sizes;
mod tokens;
mod upgrade;

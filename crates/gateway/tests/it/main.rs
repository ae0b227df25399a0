//! Integration tests of a gateway: real TLS sockets on one side, the bus on the other.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test by panicking, as the tests do"
)]

mod faulty_bus;
#[path = "../shared/loopback_gateway.rs"]
mod loopback_gateway;
mod test_gateway;
mod worker;

mod addresses;
mod authorize;
mod autobahn;
mod batched_publish;
mod batching;
mod big_user;
mod budgets;
mod bus_outages;
mod callback;
mod certificate;
mod commands;
mod connection_floods;
mod deflate;
mod dialects;
mod disconnects;
mod drain;
mod ended_sessions;
mod event_log_restore;
mod expiries;
mod fanout;
mod framing;
mod heartbeat;
mod hot_users;
mod internal_callers;
mod jwks;
mod kill;
mod lossy_links;
mod metrics;
mod no_worker;
mod official_client;
mod proxies;
mod publish;
mod rates;
mod redundant_paths;
mod response_headers;
mod resume;
mod session_expiry;
mod session_timeouts;
mod sessions;
mod sign_in_checks;
mod slow_consumers;
mod smuggling;
mod socket_limit;
mod tls;
mod tls_groups;
mod token_sizes;
mod tokens;
mod traces;
mod upgrade;

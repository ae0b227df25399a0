//! Test kit: real servers, real processes, faulty links, and clients that connect to the product over sockets.
//!
//! It owns start, wait and stop: whatever it starts ends with its handle, and with the test process however that dies. It
//! asserts nothing of its own; if it cannot start something, or waits in vain, it fails the test with a sentence that names the
//! cause.
//!
//! It must not know the product: no crate of ours is linked, so that a fault in a codec cannot hide itself.

pub mod wait;

pub mod port;
pub mod process;
pub mod scratch;

pub mod chaos;
pub mod haproxy;
pub mod issuer;
pub mod limits;
pub mod log;
pub mod mail;
pub mod memory_cgroup;
pub mod otlp;
pub mod postgres;
pub mod prometheus;
pub mod redis;
pub mod sms;
pub mod spans;
pub mod subscriber;
pub mod tls;
pub mod token;
pub mod webhook_receiver;

pub mod client;
pub mod cluster;
pub mod library;
pub mod node;

mod account;
mod canary;
mod fail;
mod listening;

pub use chaos::Proxy;
pub use client::{Endpoint, Native, SocketIo};
pub use cluster::Cluster;
pub use haproxy::HaProxy;
pub use otlp::OtlpReceiver;
pub use postgres::Postgres;
pub use process::{Launch, Process};
pub use prometheus::Prometheus;
pub use redis::{Redis, RedisCluster, RedisSentinel};

//! What tests need: real servers, real processes, broken links and clients that speak to the product over sockets.
//!
//! It owns the starting, the waiting and the stopping: whatever it starts ends with its handle, and with the test
//! process when that dies in any way. It asserts nothing of its own; what cannot be started or awaited fails the test
//! with a sentence that says why.
//!
//! It must not know the product: no crate of ours is linked, so that a fault in a codec cannot hide itself.

pub mod wait;

pub mod port;
pub mod process;
pub mod scratch;

pub mod chaos;
pub mod issuer;
pub mod mail;
pub mod postgres;
pub mod redis;
pub mod sms;
pub mod tls;
pub mod token;

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
pub use postgres::Postgres;
pub use process::{Launch, Process};
pub use redis::Redis;

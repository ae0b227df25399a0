//! Wire contract of Postern: events, commands, answers and errors, the codecs of four dialects, and the messages between nodes.
//!
//! Owns: event and command types, error and close codes, ids, the wire codecs (native JSON, native MessagePack, Socket.IO with
//! its default and its msgpack parser).
//!
//! Must not know: tokio, Redis, SQL. Everything here is a pure function of its arguments.

pub mod id;
pub mod json;
pub mod secret;
pub mod time;
pub mod trace;

pub mod code;
pub mod fault;

pub mod account;
pub mod audit;
pub mod expiry;
pub mod lane;
pub mod notification;
pub mod security;

pub mod answer;
pub mod api;
pub mod command;
pub mod event;

pub mod http_routes;

pub mod cluster;
pub mod wire;

pub mod app_webhook;

#[cfg(feature = "schema")]
pub mod schema;

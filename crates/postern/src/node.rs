//! Node: built from its settings, run until a stop signal or the end of an essential task, then drained.

mod gateway;
mod http_listener;
mod identity;
mod internal_api;
mod memory_limit;
mod reload;
mod runtime;
mod start_error;
mod stop;
mod wait;
mod worker;

pub(crate) use gateway::gateway;
pub use http_listener::ListenError;
pub(crate) use http_listener::{Handler, HttpListener, ListenerKind};
pub(crate) use identity::NodeIdentity;
pub(crate) use runtime::NodeRuntime;
pub use start_error::StartError;
pub(crate) use stop::StopSignals;
pub(crate) use worker::worker;

//! Node: built from its settings, run until a stop signal or the end of an essential task, then drained.

mod gateway;
mod internal;
mod runtime;
mod worker;

use std::io::IsTerminal;

use telemetry::logs::Format;

pub(crate) use gateway::gateway;
pub(crate) use internal::InternalListener;
pub(crate) use runtime::NodeRuntime;
pub use runtime::StartError;
pub(crate) use worker::worker;

/// Log format: text at a terminal, else JSON.
pub(crate) fn log_format() -> Format {
    if std::io::stderr().is_terminal() {
        Format::Human
    } else {
        Format::Json
    }
}

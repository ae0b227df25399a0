//! A node: built from its settings, served until it is told to stop or something essential ends, then drained.

mod gateway;
mod ground;
mod internal;
mod worker;

use std::io::IsTerminal;

use telemetry::logs::Format;

pub(crate) use gateway::gateway;
pub(crate) use ground::Ground;
pub use ground::StartError;
pub(crate) use internal::Internal;
pub(crate) use worker::worker;

/// Text for a person at a terminal, JSON for everything else.
pub(crate) fn log_format() -> Format {
    if std::io::stderr().is_terminal() {
        Format::Human
    } else {
        Format::Json
    }
}

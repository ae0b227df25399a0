//! Stop of a node: its signals and its reasons.

use std::fmt;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::start_error::StartError;

/// SIGTERM and SIGINT, which are handled from the creation of this value on.
#[derive(Debug)]
pub(crate) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Installs the handlers.
    ///
    /// # Errors
    /// [`StartError::Signal`].
    pub(crate) fn install() -> Result<Self, StartError> {
        let install = |kind| signal(kind).map_err(StartError::Signal);
        Ok(Self {
            terminate: install(SignalKind::terminate())?,
            interrupt: install(SignalKind::interrupt())?,
        })
    }

    /// Resolves when a signal is received.
    pub(crate) async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Reason of a node's stop.
#[derive(Debug, Clone, Copy)]
pub(crate) enum StopReason {
    /// SIGTERM or SIGINT.
    Signal,
    /// An essential task ended.
    TaskEnded(&'static str),
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal => f.write_str("stop signal"),
            Self::TaskEnded(task) => write!(f, "essential task ended: {task}"),
        }
    }
}

impl StopReason {
    /// Logs the reason.
    pub(crate) fn log(self) {
        match self {
            Self::Signal => tracing::info!("stop signal received, draining"),
            Self::TaskEnded(task) => {
                tracing::error!(task, "essential task ended, draining, then exiting with failure");
            }
        }
    }
}

//! Log of the current thread, captured.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use crate::subscriber::{SubscriberGuard, set_default};

/// Captured log lines from INFO up, while the guard lives.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Captures the log of the current thread until the guard is dropped.
    pub fn capture() -> (Self, SubscriberGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .without_time()
            .with_ansi(false)
            .with_writer(move || writer.clone());
        (log, set_default(subscriber.finish()))
    }

    /// Lines that contain this text.
    pub fn lines(&self, text: &str) -> Vec<String> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let log = String::from_utf8_lossy(&bytes);
        let lines = log.lines().filter(|line| line.contains(text));
        lines.map(ToOwned::to_owned).collect()
    }

    /// Lines of the outage reporter about this operation.
    pub fn lines_of(&self, operation: &str) -> Vec<String> {
        self.lines(&format!("operation=\"{operation}\""))
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

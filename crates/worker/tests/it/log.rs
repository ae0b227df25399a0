//! Log lines of one test.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

/// Log of one test. Its tasks run on the test's own thread.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn capture(&self) -> testkit::subscriber::SubscriberGuard {
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(self.clone());
        testkit::subscriber::set_default(subscriber.with_max_level(tracing::Level::TRACE).finish())
    }

    /// Lines of the worker with this message.
    pub(crate) fn lines(&self, message: &str) -> Vec<String> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&bytes);
        text.lines()
            .filter(|line| line.contains(message))
            .map(str::to_owned)
            .collect()
    }

    pub(crate) fn assert_warned_of_platform(&self, message: &str) {
        let lines = self.lines(message);
        assert!(!lines.is_empty(), "no line {message:?}");
        for line in lines {
            assert!(line.contains(" WARN "), "{line}");
            assert!(line.contains("platform_unavailable"), "{line}");
        }
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

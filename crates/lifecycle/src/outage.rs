//! Outage reporter: one log line when an operation begins to fail and one when it works again.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Reports the outages of one operation, such as `claim jobs` or `redis commands`.
///
/// Any number of tasks may share one. An outage begins with the first failure, and ends with the first success that
/// comes at least `QUIET` after the last failure: calls that fail and succeed side by side are one outage.
#[derive(Debug)]
pub struct OutageReporter {
    operation: &'static str,
    outage: OutageCounter,
}

impl OutageReporter {
    /// Reporter of an operation without outage. The log lines carry `operation` as a field.
    #[must_use]
    pub const fn new(operation: &'static str) -> Self {
        Self {
            operation,
            outage: OutageCounter::new(),
        }
    }

    /// Counts a failure. The first of an outage is logged as a warning with its error: pass the whole chain.
    pub fn failed(&self, error: impl Display) {
        if self.outage.failed() {
            tracing::warn!(operation = self.operation, %error, "outage began");
        }
    }

    /// Records a success. The one that ends an outage is logged with the number of failures and the duration.
    pub fn succeeded(&self) {
        if let Some(ended) = self.outage.succeeded(QUIET) {
            tracing::info!(
                operation = self.operation,
                failures = ended.failures,
                seconds = ended.duration.as_secs(),
                "outage ended"
            );
        }
    }

    /// Reports whether an outage lasts: the value of a gauge.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.outage.is_failing()
    }
}

/// Begin and end of outages, without their log lines.
#[derive(Debug, Default)]
pub(crate) struct OutageCounter {
    /// True while `outage` is set, so that a success outside of an outage takes no lock.
    is_failing: AtomicBool,
    outage: Mutex<Option<Outage>>,
}

/// Outage that has not ended yet.
#[derive(Debug, Clone, Copy)]
struct Outage {
    began: Instant,
    last_failed: Instant,
    failures: u64,
}

/// Outage that has ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EndedOutage {
    pub(crate) failures: u64,
    pub(crate) duration: Duration,
}

impl OutageCounter {
    const fn new() -> Self {
        Self {
            is_failing: AtomicBool::new(false),
            outage: Mutex::new(None),
        }
    }

    /// Counts a failure. True for the first of an outage.
    pub(crate) fn failed(&self) -> bool {
        let now = Instant::now();
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = outage.is_none();
        let current = outage.get_or_insert(Outage {
            began: now,
            last_failed: now,
            failures: 0,
        });
        current.last_failed = now;
        current.failures += 1;
        self.is_failing.store(true, Ordering::Release);
        is_first
    }

    /// Records a success. Returns the outage if it ends it, which takes `quiet` without a failure.
    pub(crate) fn succeeded(&self, quiet: Duration) -> Option<EndedOutage> {
        if !self.is_failing() {
            return None;
        }
        let now = Instant::now();
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = outage.take_if(|outage| now.duration_since(outage.last_failed) >= quiet)?;
        self.is_failing.store(false, Ordering::Release);
        Some(EndedOutage {
            failures: ended.failures,
            duration: now.duration_since(ended.began),
        })
    }

    pub(crate) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Acquire)
    }
}

/// Time without a failure after which a success ends an outage.
pub(crate) const QUIET: Duration = Duration::from_secs(1);

#[cfg(test)]
pub(crate) mod tests {
    use std::io;
    use std::sync::Arc;

    use tokio::time::advance;
    use tracing::subscriber::DefaultGuard;

    use super::*;

    /// Log of the current thread while the guard lives.
    #[derive(Debug, Clone, Default)]
    pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

    impl Log {
        pub(crate) fn capture() -> (Self, DefaultGuard) {
            let log = Self::default();
            let writer = log.clone();
            let subscriber = tracing_subscriber::fmt()
                .without_time()
                .with_target(false)
                .with_ansi(false)
                .with_writer(move || writer.clone());
            (log, tracing::subscriber::set_default(subscriber.finish()))
        }

        pub(crate) fn lines(&self) -> Vec<String> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            text.lines().map(|line| line.trim().to_owned()).collect()
        }
    }

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const BEGAN: &str = r#"WARN outage began operation="claim jobs" error=connect: refused"#;

    #[tokio::test(start_paused = true)]
    async fn outage_is_logged_once_at_its_begin_and_once_at_its_end_with_count_and_duration() {
        let (log, _guard) = Log::capture();
        let reporter = OutageReporter::new("claim jobs");
        for _ in 0..3 {
            reporter.failed("connect: refused");
            advance(QUIET * 2).await;
        }
        assert!(reporter.is_failing());
        assert_eq!(log.lines(), [BEGAN]);

        reporter.succeeded();
        reporter.succeeded();
        assert!(!reporter.is_failing());
        let ended = r#"INFO outage ended operation="claim jobs" failures=3 seconds=6"#;
        assert_eq!(log.lines(), [BEGAN, ended]);
    }

    #[tokio::test(start_paused = true)]
    async fn successes_among_failures_do_not_end_the_outage() {
        let (log, _guard) = Log::capture();
        let reporter = OutageReporter::new("claim jobs");
        for _ in 0..10 {
            reporter.failed("connect: refused");
            advance(QUIET / 2).await;
            reporter.succeeded();
        }
        assert!(reporter.is_failing());
        assert_eq!(log.lines(), [BEGAN]);

        advance(QUIET).await;
        reporter.succeeded();
        assert!(!reporter.is_failing());
        assert_eq!(log.lines().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn each_outage_is_reported_anew_and_counts_from_zero() {
        let (log, _guard) = Log::capture();
        let reporter = OutageReporter::new("claim jobs");
        for _ in 0..2 {
            reporter.failed("connect: refused");
            advance(QUIET).await;
            reporter.succeeded();
        }
        let ended = r#"INFO outage ended operation="claim jobs" failures=1 seconds=1"#;
        assert_eq!(log.lines(), [BEGAN, ended, BEGAN, ended]);
    }

    #[test]
    fn success_without_outage_logs_nothing() {
        let (log, _guard) = Log::capture();
        let reporter = OutageReporter::new("claim jobs");
        reporter.succeeded();
        assert!(!reporter.is_failing());
        assert!(log.lines().is_empty());
    }
}

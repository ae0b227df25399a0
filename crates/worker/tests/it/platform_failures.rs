//! Platforms that hang: each failure is a WARN line with the code `platform_unavailable`.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::command::CommandKind;
use tracing_subscriber::fmt::MakeWriter;

use crate::client::{assert_error, assert_success};
use crate::env::TestEnv;
use crate::scripted_platform::ScriptedPlatform;

/// Log of one test. Its tasks run on the test's own thread.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn capture(&self) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(self.clone());
        tracing::subscriber::set_default(subscriber.with_max_level(tracing::Level::TRACE).finish())
    }

    /// Lines of the worker with this message.
    fn lines(&self, message: &str) -> Vec<String> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&bytes);
        text.lines()
            .filter(|line| line.contains(message))
            .map(str::to_owned)
            .collect()
    }

    fn assert_warned(&self, message: &str) {
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

#[tokio::test(start_paused = true)]
async fn exchange_at_hanging_platform_is_logged_as_warning_and_counted() {
    let log = Log::default();
    let _guard = log.capture();
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    assert_error(&client.connect(ScriptedPlatform::HANGS).await, "oauth_failed");
    log.assert_warned("authorization code exchange of unknown outcome");
    let labels = [r#"platform="github""#, r#"outcome="platform_unavailable""#];
    env.wait_for_count("postern_worker_exchanges_total", &labels, 1).await;
}

#[tokio::test(start_paused = true)]
async fn syncs_at_hanging_platform_are_logged_as_warnings() {
    let log = Log::default();
    let _guard = log.capture();
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    assert_success(&client.connect("any").await);
    assert_error(&client.for_github(CommandKind::Sync).await, "platform_unavailable");
    log.assert_warned("job failed");
    env.clock.advance(Duration::from_hours(2));
    tokio::time::sleep(Duration::from_secs(60)).await;
    log.assert_warned("scheduled sync failed");
}

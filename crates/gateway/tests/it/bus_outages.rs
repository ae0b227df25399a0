//! Outages of the bus in the log: one line at the beginning and one at the end, however many commands fail between.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::json;
use testkit::{Native, wait};
use tracing::subscriber::DefaultGuard;

use crate::test_gateway::TestGateway;

/// Log of the current thread from INFO on, while the guard lives.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn capture() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .without_time()
            .with_ansi(false)
            .with_writer(move || writer.clone());
        (log, tracing::subscriber::set_default(subscriber.finish()))
    }

    /// Lines of the gateway and of its outage reporter.
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let is_ours = |line: &&str| line.contains("gateway::") || line.contains("lifecycle::");
        text.lines().filter(is_ours).map(str::to_owned).collect()
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

#[tokio::test]
async fn commands_that_fail_in_an_outage_share_one_line_at_its_beginning_and_one_at_its_end() {
    let gateway = TestGateway::new().await;
    let client = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let (log, _guard) = Log::capture();
    gateway.bus.cut(true);
    for _ in 0..COMMANDS {
        let answer = client.request("account:list", json!({})).await;
        assert_eq!(answer.data["error"], "unavailable");
    }
    let began = log.lines();
    assert_eq!(began.len(), 1, "{began:#?}");
    assert!(
        began[0].contains("outage began") && began[0].contains("bus requests"),
        "{began:#?}"
    );

    gateway.bus.cut(false);
    wait::until_true("the outage to end", wait::deadline(), async || log.lines().len() > 1).await;
    let lines = log.lines();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    let ended = &lines[1];
    assert!(ended.contains("outage ended"), "{ended}");
    let (_, failures) = ended.split_once("failures=").unwrap();
    let failures: usize = failures.split(' ').next().unwrap().parse().unwrap();
    assert!(failures >= COMMANDS, "{ended}");
}

const COMMANDS: usize = 20;

//! Resident client: stays connected as the official client does, and resumes a lost connection.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::record::{Record, Recorder};
use crate::client::{Client, Target};

/// Client that reconnects after every loss.
pub(super) struct Resident {
    client: usize,
    token: String,
    target: Target,
    recorder: Recorder,
    /// Resume token and last offset.
    pid: Option<String>,
    offset: Option<String>,
}

impl Resident {
    pub(super) fn new(client: usize, token: String, target: Target, recorder: Recorder) -> Self {
        Self {
            client,
            token,
            target,
            recorder,
            pid: None,
            offset: None,
        }
    }

    /// Stays connected until the receiver of the records is gone.
    pub(super) async fn run(mut self) -> anyhow::Result<()> {
        let mut failures = 0;
        loop {
            let record = match self.target.connect_with(&self.auth()).await {
                Ok(connection) => {
                    failures = 0;
                    let recovered = self.pid.is_some() && self.pid == connection.pid;
                    self.pid.clone_from(&connection.pid);
                    self.recorder.record(Record::Connected { recovered }).await?;
                    Record::Lost(self.serve(connection).await?)
                }
                Err(error) => Record::Failed(format!("{error:#}")),
            };
            self.recorder.record(record).await?;
            sleep(self.delay(failures)).await;
            failures += 1;
        }
    }

    fn auth(&self) -> Value {
        match &self.pid {
            Some(pid) => json!({ "token": self.token, "pid": pid, "offset": self.offset }),
            None => json!({ "token": self.token }),
        }
    }

    /// Receives events until the connection has ended; returns its end.
    async fn serve(&mut self, mut connection: Client) -> anyhow::Result<String> {
        loop {
            match connection.next_event().await {
                Ok((name, data, offset)) => {
                    let number = data
                        .get("message")
                        .and_then(Value::as_str)
                        .and_then(|message| message.parse().ok());
                    if let ("security:alert", Some(number)) = (name.as_str(), number) {
                        self.recorder.record(Record::Alert(number)).await?;
                    }
                    self.offset = offset.or(self.offset.take());
                }
                Err(error) => return Ok(format!("{error:#}")),
            }
        }
    }

    /// Delay of the official client: a second at first, doubled each time up to five, and up to half more or less. The
    /// share follows from the client's number, so that the clients spread.
    fn delay(&self, failures: u32) -> Duration {
        let share = self.client.wrapping_mul(SPREAD) % 1_000;
        let factor = 0.5 + share as f64 / 1_000.0;
        let base = Duration::from_secs(1).saturating_mul(2_u32.saturating_pow(failures));
        base.min(Duration::from_secs(10))
            .mul_f64(factor)
            .min(Duration::from_secs(5))
    }
}

/// Prime number; its multiples are spread over the thousand.
const SPREAD: usize = 617;

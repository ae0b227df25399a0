//! Resident client: stays connected as the official client does, and resumes a lost connection.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::record::{Record, Recorder};
use crate::client::Client;
use crate::dialect::{Auth, Resume};
use crate::target::Target;

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
            let record = match self.target.connect(self.client, 0, &self.auth()).await {
                Ok(connection) => {
                    failures = 0;
                    let recovered = self.pid.is_some() && self.pid.as_deref() == connection.resume_token();
                    self.pid = connection.resume_token().map(str::to_owned);
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

    fn auth(&self) -> Auth {
        let resume = self.pid.clone().map(|token| Resume {
            token,
            offset: self.offset.clone(),
        });
        Auth {
            resume,
            ..Auth::of(self.token.clone())
        }
    }

    /// Receives events until the connection has ended; returns its end.
    async fn serve(&mut self, mut connection: Client) -> anyhow::Result<String> {
        loop {
            let events = match connection.receive_events().await {
                Ok(events) => events,
                Err(error) => return Ok(format!("{error:#}")),
            };
            for event in events {
                let message = event.data.get("message").and_then(Value::as_str);
                let number = message.and_then(|message| message.parse().ok());
                if let ("security:alert", Some(number)) = (event.name.as_str(), number) {
                    self.recorder.record(Record::Alert(number)).await?;
                }
                self.offset = event.offset.or(self.offset.take());
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

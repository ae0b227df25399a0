//! One socket of a user: connects, receives, and connects again after a loss, as the official client does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use memchr::memmem;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::ledger::{Ledger, Series, add_reason};
use crate::client::{Client, Incoming};
use crate::dialect::{Auth, Resume};
use crate::event::Stamp;
use crate::sequence::Sequence;
use crate::target::Target;

/// State that a scenario wants all sockets to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Connected,
    /// No connection.
    Away,
    /// Ended for good.
    Ended,
}

/// Instruction to one socket.
#[derive(Debug)]
pub(super) enum Instruction {
    /// Sends a request that was due at this time of the run.
    Request {
        event: Arc<str>,
        data: Arc<Value>,
        due: Duration,
    },
    /// Drops the connection, and connects again at once.
    Drop,
    /// Stops reading; the server must end the connection.
    StopReading,
}

/// Parts that all sockets share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) target: Arc<Target>,
    pub(super) ledger: Arc<Ledger>,
    /// Permits to connect at the same time.
    pub(super) connecting: Arc<Semaphore>,
    pub(super) phase: watch::Receiver<Phase>,
}

/// One socket.
pub(super) struct Member {
    number: usize,
    auth: Auth,
    shared: Shared,
    instructions: mpsc::Receiver<Instruction>,
    sequence: Sequence,
    /// Last message with a published event: the offset is read from it only to resume.
    last: Option<Message>,
    resume_token: Option<String>,
    lost_at: Option<Duration>,
    /// Due times of requests without an answer.
    pending: BTreeMap<u64, Duration>,
    next_id: u64,
    stopped_reading: bool,
    /// Losses of connections and failed attempts to connect.
    losses: usize,
}

/// End of a connection.
enum End {
    /// Asked for by the scenario.
    Wanted,
    Lost(String),
}

impl Member {
    pub(super) fn new(number: usize, auth: Auth, shared: Shared, instructions: mpsc::Receiver<Instruction>) -> Self {
        Self {
            number,
            auth,
            shared,
            instructions,
            sequence: Sequence::default(),
            last: None,
            resume_token: None,
            lost_at: None,
            pending: BTreeMap::new(),
            next_id: FIRST_ID,
            stopped_reading: false,
            losses: 0,
        }
    }

    /// Stays connected while the phase asks for it; returns the account of its events, unless it has stopped reading.
    pub(super) async fn run(mut self) -> Option<Sequence> {
        let mut failures = 0;
        while self.wait_until_wanted().await {
            match self.connect().await {
                Ok(Some(client)) => {
                    failures = 0;
                    if let End::Lost(reason) = self.serve(client).await {
                        self.losses += 1;
                        self.shared.ledger.count(|counts| add_reason(&mut counts.lost, reason));
                        self.pause(failures).await;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    let reason = format!("{error:#}");
                    self.shared
                        .ledger
                        .count(|counts| add_reason(&mut counts.failed, reason));
                    self.losses += 1;
                    self.pause(failures).await;
                    failures += 1;
                }
            }
        }
        (!self.stopped_reading).then_some(self.sequence)
    }

    /// Waits while the phase asks for no connection; false at the end of the run.
    async fn wait_until_wanted(&mut self) -> bool {
        let phase = self.shared.phase.wait_for(|phase| *phase != Phase::Away).await;
        phase.is_ok_and(|phase| *phase == Phase::Connected)
    }

    /// Connects; `None` if the run ends meanwhile.
    async fn connect(&mut self) -> anyhow::Result<Option<Client>> {
        let mut phase = self.shared.phase.clone();
        let auth = self.auth();
        let connecting = async {
            let _permit = self.shared.connecting.acquire().await?;
            let started = self.shared.ledger.epoch().elapsed();
            anyhow::Ok((
                Box::pin(self.shared.target.connect(self.number, self.losses, &auth)).await?,
                started,
            ))
        };
        let (client, started) = tokio::select! {
            connected = connecting => connected?,
            () = left(&mut phase, |phase| phase != Phase::Ended) => return Ok(None),
        };
        self.record_connect(&client, started);
        Ok(Some(client))
    }

    fn record_connect(&mut self, client: &Client, started: Duration) {
        let ledger = &self.shared.ledger;
        ledger.ended(self.number, Series::Connect, started);
        if let Some(lost_at) = self.lost_at.take() {
            ledger.ended(self.number, Series::Absence, lost_at);
        }
        let before = std::mem::replace(&mut self.resume_token, client.resume_token().map(str::to_owned));
        ledger.count(|counts| {
            counts.connects += 1;
            match before {
                Some(before) if self.resume_token.as_ref() == Some(&before) => counts.resumed += 1,
                Some(_) => counts.not_resumed += 1,
                None => {}
            }
        });
    }

    fn auth(&self) -> Auth {
        let dialect = self.shared.target.dialect();
        let resume = self.resume_token.clone().map(|token| Resume {
            token,
            offset: self.last.as_ref().and_then(|last| dialect.events(last).pop()?.offset),
        });
        Auth {
            resume,
            ..self.auth.clone()
        }
    }

    /// Serves the connection until it ends.
    async fn serve(&mut self, mut client: Client) -> End {
        let shared = self.shared.clone();
        let _live = shared.ledger.live();
        let mut phase = shared.phase.clone();
        let end = loop {
            tokio::select! {
                received = client.receive() => match received {
                    Ok(Incoming::Events(message)) => self.deliver(message),
                    Ok(Incoming::Answer(id)) => self.answered(id),
                    Err(error) => break End::Lost(format!("{error:#}")),
                },
                Some(instruction) = self.instructions.recv() => match instruction {
                    Instruction::Request { event, data, due } => {
                        if let Err(error) = self.request(&mut client, &event, &data, due).await {
                            break End::Lost(format!("{error:#}"));
                        }
                    }
                    Instruction::Drop => break End::Wanted,
                    Instruction::StopReading => {
                        self.stop_reading(client).await;
                        break End::Wanted;
                    }
                },
                () = left(&mut phase, |phase| phase == Phase::Connected) => break End::Wanted,
            }
        };
        self.lost_at = Some(self.shared.ledger.epoch().elapsed());
        let cut_off = std::mem::take(&mut self.pending).len() as u64;
        let is_ended = *self.shared.phase.borrow() == Phase::Ended;
        if matches!(end, End::Wanted) && !is_ended {
            self.shared.ledger.count(|counts| counts.cut_off += cut_off);
        }
        end
    }

    fn deliver(&mut self, message: Message) {
        let payload: &[u8] = match &message {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
            _ => return,
        };
        let mut is_published = false;
        for stamp in Stamp::find(payload) {
            is_published = true;
            if self.sequence.take(stamp.number) {
                self.shared.ledger.delivery(self.number, stamp.kind, stamp.due);
            }
        }
        if is_published {
            self.last = Some(message);
        } else if memmem::find(payload, b"resync").is_some() {
            self.shared.ledger.count(|counts| counts.notices += 1);
        }
    }

    async fn request(&mut self, client: &mut Client, event: &str, data: &Value, due: Duration) -> anyhow::Result<()> {
        let id = self.next_id;
        self.next_id += 1;
        self.pending.insert(id, due);
        client.request(event, data, id).await
    }

    fn answered(&mut self, id: u64) {
        if let Some(due) = self.pending.remove(&id) {
            self.shared.ledger.ended(self.number, Series::Answer, due);
            self.shared.ledger.count(|counts| counts.answered += 1);
        }
    }

    /// Leaves the connection unread until the end of the run; by then the server must have ended it.
    async fn stop_reading(&mut self, client: Client) {
        self.stopped_reading = true;
        left(&mut self.shared.phase, |phase| phase != Phase::Ended).await;
        if timeout(PATIENCE, client.end()).await.is_err() {
            let reason = "a socket that stopped reading was not closed".to_owned();
            self.shared
                .ledger
                .count(|counts| add_reason(&mut counts.failed, reason));
        }
    }

    /// Waits as the official client does: a second at first, doubled each time up to five, and up to half more or less, which follows
    /// from the socket's number. Ends with the phase.
    async fn pause(&mut self, failures: u32) {
        let share = self.number.wrapping_mul(SPREAD) % 1_000;
        let base = Duration::from_secs(1).saturating_mul(2_u32.saturating_pow(failures.min(4)));
        let pause = base.mul_f64(0.5 + share as f64 / 1_000.0).min(LONGEST_PAUSE);
        let mut phase = self.shared.phase.clone();
        tokio::select! {
            () = sleep(pause) => {}
            () = left(&mut phase, |phase| phase != Phase::Ended) => {}
        }
    }
}

/// Waits until a condition no longer holds for the phase, or the run has ended.
async fn left(phase: &mut watch::Receiver<Phase>, condition: impl Fn(Phase) -> bool) {
    drop(phase.wait_for(|phase| !condition(*phase)).await);
}

/// Ids of requests begin above those of the handshake.
const FIRST_ID: u64 = 2;
/// Prime number; its multiples are spread over the thousand.
const SPREAD: usize = 617;
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(60);

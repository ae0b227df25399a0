//! All sockets of a run.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::ledger::Ledger;
use super::member::{Instruction, Member, Phase, Shared};
use super::publishing::Published;
use super::shape::Shape;
use crate::dialect::Auth;
use crate::progress::Progress;
use crate::sequence::{Deliveries, Sequence};
use crate::target::Target;
use crate::token::Issuer;

/// Running sockets.
pub(crate) struct Population {
    shape: Shape,
    members: JoinSet<(usize, Option<Sequence>)>,
    instructions: Vec<mpsc::Sender<Instruction>>,
    phase: watch::Sender<Phase>,
    connecting: Arc<Semaphore>,
    ledger: Arc<Ledger>,
}

impl Population {
    /// Starts all sockets; `at_once` of them connect at the same time.
    pub(crate) fn start(
        shape: Shape,
        target: &Arc<Target>,
        issuer: &Issuer,
        ledger: &Arc<Ledger>,
        at_once: usize,
    ) -> anyhow::Result<Self> {
        let (phase, phases) = watch::channel(Phase::Connected);
        let shared = Shared {
            target: Arc::clone(target),
            ledger: Arc::clone(ledger),
            connecting: Arc::new(Semaphore::new(at_once)),
            phase: phases,
        };
        let mut population = Self {
            shape,
            members: JoinSet::new(),
            instructions: Vec::new(),
            phase,
            connecting: Arc::clone(&shared.connecting),
            ledger: Arc::clone(ledger),
        };
        for number in 0..population.shape.total() {
            let user = number % population.shape.users;
            let auth = Auth {
                token: issuer.issue(&population.shape.name(user))?,
                resume: None,
                batching: population.shape.batching,
            };
            let (sender, instructions) = mpsc::channel(INSTRUCTIONS);
            let member = Member::new(number, auth, shared.clone(), instructions);
            population
                .members
                .spawn(async move { (user, Box::pin(member.run()).await) });
            population.instructions.push(sender);
        }
        Ok(population)
    }

    /// Numbers and names.
    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Waits until all sockets are connected. Fails when none has connected for a minute.
    pub(crate) async fn wait_until_connected(&self, progress: &mut Progress) -> anyhow::Result<()> {
        let (mut best, mut since) = (0, Instant::now());
        loop {
            let connected = self.ledger.connected();
            progress.show("connected", connected as u64, self.shape.total() as u64);
            if connected >= self.shape.total() {
                return Ok(());
            }
            if connected > best {
                (best, since) = (connected, Instant::now());
            }
            if since.elapsed() > PATIENCE {
                let counts = self.ledger.counts();
                bail!(
                    "{connected} of {} sockets connected: {:?}",
                    self.shape.total(),
                    counts.failed
                );
            }
            sleep(POLL).await;
        }
    }

    /// Waits until all connections are dropped; each is dropped without a Close frame.
    pub(crate) async fn drop_all(&self) {
        self.phase.send_replace(Phase::Away);
        while self.ledger.connected() > 0 {
            sleep(POLL).await;
        }
    }

    /// Has all sockets connect again, all at the same time.
    pub(crate) fn return_all(&self) {
        self.connecting.add_permits(self.shape.total());
        self.phase.send_replace(Phase::Connected);
    }

    /// Sends an instruction to one socket; waits while its queue is full.
    pub(super) async fn instruct(&self, number: usize, instruction: Instruction) {
        if let Some(sender) = self.instructions.get(number % self.instructions.len().max(1)) {
            // A socket that has ended takes none.
            drop(sender.send(instruction).await);
        }
    }

    /// Has the first socket of each of the first `count` users stop reading, for good.
    pub(crate) async fn stop_reading(&self, count: usize) {
        for number in 0..count.min(self.shape.users) {
            self.instruct(number, Instruction::StopReading).await;
        }
    }

    /// Waits until a count has reached a number, or grows no more for `patience`.
    pub(crate) async fn wait_for(&self, expected: u64, count: impl Fn() -> u64, patience: Duration) {
        let (mut best, mut since) = (0, Instant::now());
        while count() < expected && since.elapsed() < patience {
            if count() > best {
                (best, since) = (count(), Instant::now());
            }
            sleep(POLL).await;
        }
    }

    /// Ends all sockets; returns the account of their deliveries.
    pub(crate) async fn end(&mut self, published: &Published) -> anyhow::Result<Deliveries> {
        self.phase.send_replace(Phase::Ended);
        let mut deliveries = Deliveries::default();
        while let Some(ended) = self.members.join_next().await {
            let (user, sequence) = ended.context("a task of a socket failed")?;
            if let Some(sequence) = sequence {
                deliveries += sequence.deliveries(published.count(user), &published.uncertain(user));
            }
        }
        Ok(deliveries)
    }
}

/// Most instructions that wait for one socket.
const INSTRUCTIONS: usize = 16;
const POLL: Duration = Duration::from_millis(20);
/// Longest time without a new connection.
const PATIENCE: Duration = Duration::from_secs(60);

//! Requests and losses of connections in an open loop, spread over the sockets.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;

use super::ledger::Ledger;
use super::member::Instruction;
use super::population::Population;
use crate::pacer::Schedule;

/// Requests of sockets, one socket after the other.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    pub(crate) schedule: Schedule,
    pub(crate) event: String,
    pub(crate) data: Value,
}

impl Requests {
    /// Sends all requests of the schedule.
    pub(crate) async fn run(self, population: &Population, ledger: &Ledger) -> anyhow::Result<()> {
        let (event, data): (Arc<str>, _) = (self.event.into(), Arc::new(self.data));
        let schedule = self.schedule;
        let instruction = |due| Instruction::Request {
            event: Arc::clone(&event),
            data: Arc::clone(&data),
            due,
        };
        instruct(population, schedule, |due| {
            ledger.count(|counts| counts.requested += 1);
            instruction(due)
        })
        .await
    }
}

/// Losses of connections, one socket after the other; each connects again at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drops {
    pub(crate) schedule: Schedule,
}

impl Drops {
    /// Drops a connection at each time of the schedule.
    pub(crate) async fn run(self, population: &Population) -> anyhow::Result<()> {
        instruct(population, self.schedule, |_| Instruction::Drop).await
    }
}

async fn instruct(
    population: &Population,
    schedule: Schedule,
    instruction: impl Fn(Duration) -> Instruction,
) -> anyhow::Result<()> {
    let (lane, mut due) = mpsc::channel(QUEUE);
    let pacer = schedule.release(vec![lane], |_| 0);
    while let Some(number) = due.recv().await {
        let socket = usize::try_from(number).unwrap_or(usize::MAX);
        population.instruct(socket, instruction(schedule.due(number))).await;
    }
    Ok(pacer.await?)
}

/// Most due instructions that wait.
const QUEUE: usize = 65_536;

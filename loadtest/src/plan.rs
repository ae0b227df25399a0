//! Steady traffic to and from connected sockets: warm-up, measured part, sums.

use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::options::{DurationOptions, FaultOptions, ServerOptions, SocketOptions, TrafficOptions};
use crate::run::Output;
use crate::setup::{Losses, Setup};
use crate::traffic::{Drops, Mix, Published, Requests};

/// Steady traffic of a scenario.
pub(crate) struct Plan {
    /// Name of the scenario.
    pub(crate) scenario: &'static str,
    pub(crate) servers: ServerOptions,
    pub(crate) sockets: SocketOptions,
    /// Published events, if there are any.
    pub(crate) events: Option<(TrafficOptions, Mix)>,
    /// Requests of the sockets, if there are any.
    pub(crate) requests: Option<RequestPlan>,
    /// Connections lost a second.
    pub(crate) drops: f64,
    /// Process that is terminated in the middle of the measured part, if there is one.
    pub(crate) terminate: Option<u32>,
    pub(crate) durations: DurationOptions,
    pub(crate) faults: FaultOptions,
    pub(crate) output: Output,
    /// Operation whose CPU time is a figure.
    pub(crate) operation: Operation,
}

/// Operation whose CPU time is a figure of the scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Event at a socket.
    Delivery,
    /// Published event.
    Alert,
    /// Request of a socket.
    Command,
}

/// Requests of sockets.
#[derive(Clone, Debug)]
pub(crate) struct RequestPlan {
    /// Requests a second, of all sockets.
    pub(crate) rate: f64,
    pub(crate) event: String,
    pub(crate) data: Value,
}

impl Plan {
    /// Runs the plan and prints its figures.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let shape = self.sockets.shape(&self.servers)?;
        let mut setup = Setup::connect(self.scenario, &self.servers, shape, &self.output, self.parameters()).await?;
        let mut published = Published::default();
        if !self.durations.warm_up.is_zero() {
            setup.run.phase("warm_up")?;
            published = Box::pin(self.part(&mut setup, self.durations.warm_up, published)).await?;
        }
        let before = (setup.ledger.delivered(), setup.ledger.counts());
        let section = setup.ledger.begin_section();
        setup.run.phase("traffic")?;
        let terminating = terminate_after(self.terminate, self.durations.duration / 2);
        let traffic = self.part(&mut setup, self.durations.duration, published);
        (published, ()) = tokio::try_join!(traffic, terminating)?;
        setup.settle(&published, shape.sockets as u64, self.faults).await;
        setup.run.end_phase()?;
        let (delivered, counts) = (setup.ledger.delivered() - before.0, setup.ledger.counts());
        let accepted = counts.accepted - before.1.accepted;
        setup.record_rates(accepted, delivered, self.durations.duration);
        setup.record_section(section, "");
        let (operation, number) = match self.operation {
            Operation::Delivery => ("delivery", delivered),
            Operation::Alert => ("alert", accepted),
            Operation::Command => ("command", counts.answered - before.1.answered),
        };
        setup.run.cpu_per(operation, "traffic", number);
        let losses = match self.terminate {
            Some(_) => Losses::Expected,
            None => Losses::Faults,
        };
        setup.finish(&published, losses, self.faults).await
    }

    /// Traffic of one duration.
    async fn part(&self, setup: &mut Setup, duration: Duration, first: Published) -> anyhow::Result<Published> {
        let publishing = match &self.events {
            Some((traffic, mix)) => Some(setup.publishing(&self.servers, traffic, *mix, duration, first.clone())?),
            None => None,
        };
        let requests = self.requests.as_ref().map(|requests| Requests {
            schedule: setup.schedule(requests.rate, duration),
            event: requests.event.clone(),
            data: requests.data.clone(),
        });
        let drops = (self.drops > 0.0).then(|| Drops {
            schedule: setup.schedule(self.drops, duration),
        });
        let (population, ledger) = (&setup.population, &setup.ledger);
        let publish = async {
            match publishing {
                Some(publishing) => publishing.run(ledger).await,
                None => Ok(first),
            }
        };
        let request = async {
            match requests {
                Some(requests) => requests.run(population, ledger).await,
                None => Ok(()),
            }
        };
        let drop_some = async {
            match drops {
                Some(drops) => drops.run(population).await,
                None => Ok(()),
            }
        };
        let work = async {
            let (published, (), ()) = tokio::try_join!(publish, request, drop_some)?;
            Ok(published)
        };
        Box::pin(Setup::watch(&mut setup.progress, "traffic", duration, work)).await
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let mut parameters = vec![
            (
                "duration",
                humantime::format_duration(self.durations.duration).to_string(),
            ),
            (
                "warm_up",
                humantime::format_duration(self.durations.warm_up).to_string(),
            ),
        ];
        if let Some((traffic, mix)) = &self.events {
            parameters.extend(traffic.parameters());
            parameters.push((
                "mix",
                json!({ "notifications": mix.notifications, "alerts": mix.alerts }).to_string(),
            ));
        }
        if let Some(requests) = &self.requests {
            parameters.push(("request", requests.event.clone()));
            parameters.push(("request_rate", requests.rate.to_string()));
        }
        if self.drops > 0.0 {
            parameters.push(("drop_rate", self.drops.to_string()));
        }
        parameters
    }
}

/// Sends SIGTERM to a process after a delay.
async fn terminate_after(process: Option<u32>, delay: Duration) -> anyhow::Result<()> {
    let Some(process) = process else { return Ok(()) };
    sleep(delay).await;
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
    let pid = pid.with_context(|| format!("{process} is no process id"))?;
    kill_process(pid, Signal::TERM).with_context(|| format!("terminate process {process}"))
}

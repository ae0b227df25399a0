//! Periodic samples of processes during a run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, interval};

use super::RoleProcess;
use super::proc_table::{ProcTable, Tree};
use crate::results::Sample;

/// Samples processes at an interval until it is dropped. A process that ends keeps the CPU time that it had.
pub(crate) struct Sampler {
    samples: Arc<Mutex<Samples>>,
    /// Ends with this value.
    _task: JoinSet<()>,
}

impl Sampler {
    /// Takes a first sample, and one more each `every`.
    ///
    /// # Errors
    /// If a process does not exist.
    pub(crate) fn start(processes: &[RoleProcess], start: Instant, every: Duration) -> anyhow::Result<Self> {
        let mut samples = Samples {
            start,
            processes: processes
                .iter()
                .map(|process| (process.clone(), Tree::default()))
                .collect(),
            by_role: BTreeMap::new(),
        };
        samples.take()?;
        if let Some((gone, _)) = samples.processes.iter().find(|(_, tree)| tree.resident_bytes == 0) {
            bail!("there is no process {} for the role {}", gone.pid, gone.role);
        }
        let samples = Arc::new(Mutex::new(samples));
        let mut task = JoinSet::new();
        task.spawn(sample_each(every, Arc::clone(&samples)));
        Ok(Self { samples, _task: task })
    }

    /// Takes a sample now; returns it by role.
    pub(crate) fn sample(&self) -> anyhow::Result<BTreeMap<String, Sample>> {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.take()?;
        let last = samples.by_role.iter();
        Ok(last
            .filter_map(|(role, samples)| Some((role.clone(), *samples.last()?)))
            .collect())
    }

    /// All samples by role, oldest first.
    pub(crate) fn samples(&self) -> BTreeMap<String, Vec<Sample>> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.by_role.clone()
    }
}

async fn sample_each(every: Duration, samples: Arc<Mutex<Samples>>) {
    let mut ticks = interval(every.max(SHORTEST_INTERVAL));
    loop {
        ticks.tick().await;
        let samples = Arc::clone(&samples);
        // Reading /proc takes milliseconds, in which a thread of the runtime would delay the messages that are measured.
        let taken = spawn_blocking(move || samples.lock().unwrap_or_else(PoisonError::into_inner).take());
        // Without /proc the first sample has failed already.
        drop(taken.await);
    }
}

const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

struct Samples {
    start: Instant,
    /// Processes with what was read of each last.
    processes: Vec<(RoleProcess, Tree)>,
    by_role: BTreeMap<String, Vec<Sample>>,
}

impl Samples {
    fn take(&mut self) -> anyhow::Result<()> {
        let table = ProcTable::read().context("read /proc")?;
        let at = self.start.elapsed().as_secs_f64();
        let mut sums: BTreeMap<&str, Tree> = BTreeMap::new();
        for (process, last) in &mut self.processes {
            let now = table.tree(process.pid).unwrap_or_default();
            // A child that has ended and was not waited for yet is in neither count.
            last.cpu_seconds = last.cpu_seconds.max(now.cpu_seconds);
            last.resident_bytes = now.resident_bytes;
            let sum = sums.entry(&process.role).or_default();
            sum.cpu_seconds += last.cpu_seconds;
            sum.resident_bytes += last.resident_bytes;
        }
        for (role, sum) in sums {
            self.by_role.entry(role.to_owned()).or_default().push(Sample {
                at,
                cpu_seconds: sum.cpu_seconds,
                resident_bytes: sum.resident_bytes,
            });
        }
        Ok(())
    }
}

//! Recording of a run: phases with CPU and memory of processes, counts, figures and latencies; then summary, files and limits.
#![expect(clippy::print_stdout, reason = "the summary is what a scenario is run for")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use clap::Args;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

use crate::counter::Counter;
use crate::limit::Limit;
use crate::processes::{RoleProcess, Sampler};
use crate::report;
use crate::results::{Figure, LatencyLog, Machine, Phase, Results, Sample, Subject, Unit, Usage, VERSION};

/// Options of every scenario on what is measured and where it is written.
#[derive(Clone, Debug, Args)]
pub(crate) struct Output {
    /// Folder for results.json and report.html; it is made if it is missing.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Name of the run in reports and comparisons; the target, if none is given.
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// Process whose CPU time and memory are sampled, with its children, such as gateway=4711; may be repeated, also for a role.
    #[arg(long = "process", value_name = "ROLE=PID")]
    pub(crate) roles: Vec<RoleProcess>,
    /// Counter of a server, with the shell command that prints it; its growth in each phase is part of the results; may be repeated.
    #[arg(long = "counter", value_name = "NAME=COMMAND")]
    pub(crate) counters: Vec<Counter>,
    /// Time between two samples of the processes.
    #[arg(long, default_value = "500ms", value_parser = humantime::parse_duration)]
    pub(crate) sample_interval: Duration,
    /// Limit on a value of the summary, NAME<=VALUE or NAME>=VALUE; the exit code is 1 if one is not met; may be repeated.
    #[arg(long = "limit", value_name = "LIMIT")]
    pub(crate) limits: Vec<Limit>,
}

/// Run of a scenario that is being recorded.
pub(crate) struct Run {
    results: Results,
    start: Instant,
    sampler: Sampler,
    /// Phase in progress, with the samples of its begin.
    open: Option<OpenPhase>,
    output: Output,
}

struct OpenPhase {
    name: String,
    from: f64,
    before: BTreeMap<String, Sample>,
    counters: BTreeMap<String, f64>,
}

impl Run {
    /// Begins a run. The load tester's own process is sampled too, in the role `loadtest`.
    ///
    /// # Errors
    /// If a process does not exist.
    #[expect(clippy::disallowed_methods, reason = "a load run happens now")]
    pub(crate) fn start(subject: Subject, output: &Output) -> anyhow::Result<Self> {
        let start = Instant::now();
        let mut processes = output.roles.clone();
        processes.push(RoleProcess::this());
        let label = output.label.clone().unwrap_or_else(|| subject.target.clone());
        Ok(Self {
            results: Results {
                version: VERSION,
                subject: Subject { label, ..subject },
                started: OffsetDateTime::from(SystemTime::now()).format(&Rfc3339)?,
                machine: Machine::this(),
                ..Results::default()
            },
            start,
            sampler: Sampler::start(&processes, start, output.sample_interval)?,
            open: None,
            output: output.clone(),
        })
    }

    /// Start of the run, from which samples and latencies are counted: `LatencyLog::new(run.started())`.
    pub(crate) fn started(&self) -> Instant {
        self.start
    }

    /// Ends the phase that is open and begins another. Names are unique in a run.
    pub(crate) fn phase(&mut self, name: &str) -> anyhow::Result<()> {
        self.end_phase()?;
        self.open = Some(OpenPhase {
            name: name.to_owned(),
            // Read first, so that the use of their commands is in no phase.
            counters: self.counters()?,
            before: self.sampler.sample()?,
            from: self.start.elapsed().as_secs_f64(),
        });
        Ok(())
    }

    /// Ends the phase that is open.
    pub(crate) fn end_phase(&mut self) -> anyhow::Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let after = self.sampler.sample()?;
        let samples = self.sampler.samples();
        let to = self.start.elapsed().as_secs_f64();
        let mut counters = self.counters()?;
        for (name, value) in &mut counters {
            *value -= open.counters.get(name).copied().unwrap_or_default();
        }
        let usage = after
            .into_iter()
            .filter_map(|(role, after)| {
                let before = open.before.get(&role)?;
                let course = samples.get(&role).map(Vec::as_slice).unwrap_or_default();
                Some((role, usage(before, &after, course)))
            })
            .collect();
        self.results.phases.push(Phase {
            name: open.name,
            from: open.from,
            to,
            usage,
            counters,
        });
        Ok(())
    }

    fn counters(&self) -> anyhow::Result<BTreeMap<String, f64>> {
        let counters = self.output.counters.iter();
        counters
            .map(|counter| Ok((counter.name.clone(), counter.read()?)))
            .collect()
    }

    /// Adds to a count, such as `lost`; a count of 0 is part of the results too.
    pub(crate) fn count(&mut self, name: &str, number: u64) {
        *self.results.counts.entry(name.to_owned()).or_default() += number;
    }

    /// Sets a figure, such as `published_per_second`.
    pub(crate) fn figure(&mut self, name: &str, value: f64, unit: Unit) {
        self.results.figures.insert(name.to_owned(), Figure::new(value, unit));
    }

    /// Sets the latencies of a name, such as `delivery`.
    pub(crate) fn latency(&mut self, name: &str, log: &LatencyLog) {
        self.results.latencies.insert(name.to_owned(), log.summary());
    }

    /// 99th percentile of the latencies of a name that was set, in milliseconds.
    pub(crate) fn p99_ms(&self, name: &str) -> Option<f64> {
        self.results.latencies.get(name).map(|latency| latency.p99_ms)
    }

    /// Sets `ROLE.cpu_ms_per_OPERATION` for every role, and `COUNTER_per_OPERATION` for every counter of a server: CPU time and growth
    /// in an ended phase by its `number` of operations, such as `handshake`.
    pub(crate) fn cpu_per(&mut self, operation: &str, phase: &str, number: u64) {
        for (role, usage) in self.usage(phase) {
            let each = usage.cpu_seconds * 1000.0 / number.max(1) as f64;
            self.figure(&format!("{role}.cpu_ms_per_{operation}"), each, Unit::Milliseconds);
        }
        let phase = self.results.phases.iter().find(|one| one.name == phase);
        for (name, growth) in phase.map(|phase| phase.counters.clone()).unwrap_or_default() {
            let each = growth / number.max(1) as f64;
            self.figure(&format!("{name}_per_{operation}"), each, Unit::Count);
        }
    }

    /// Sets `ROLE.bytes_per_THING` for every role: growth of the resident memory from the begin of the phase `first` to the end of the
    /// phase `last` by the `number` of things, such as `socket`.
    pub(crate) fn memory_per(&mut self, thing: &str, first: &str, last: &str, number: u64) {
        let first = self.usage(first);
        for (role, usage) in self.usage(last) {
            let before = first
                .get(&role)
                .map_or(usage.resident_bytes_before, |first| first.resident_bytes_before);
            let each = (usage.resident_bytes as f64 - before as f64) / number.max(1) as f64;
            self.figure(&format!("{role}.bytes_per_{thing}"), each, Unit::Bytes);
        }
    }

    /// Use of CPU and memory by role in an ended phase; empty for an unknown phase.
    pub(crate) fn usage(&self, phase: &str) -> BTreeMap<String, Usage> {
        let phases = &self.results.phases;
        phases
            .iter()
            .find(|one| one.name == phase)
            .map(|one| one.usage.clone())
            .unwrap_or_default()
    }

    /// Ends the run: prints the summary, writes the files and checks the limits.
    ///
    /// # Errors
    /// If a limit is not met, or names no value, or a file cannot be written.
    pub(crate) fn finish(mut self) -> anyhow::Result<Results> {
        self.end_phase()?;
        let mut results = self.results;
        results.seconds = self.start.elapsed().as_secs_f64();
        results.processes = self.sampler.samples();
        let checked: Result<Vec<_>, _> = self.output.limits.iter().map(|limit| limit.check(&results)).collect();
        let unknown = checked.map(|checked| results.limits = checked).err();
        println!("{}", report::Summary(&results));
        if let Some(out) = &self.output.out {
            write(out, &results)?;
        }
        if let Some(unknown) = unknown {
            return Err(unknown);
        }
        let broken = results.limits.iter().filter(|limit| !limit.is_met);
        let broken: Vec<String> = broken
            .map(|limit| format!("{} is {}", limit.limit, limit.value))
            .collect();
        if !broken.is_empty() {
            bail!("limits are not met: {}", broken.join("; "));
        }
        Ok(results)
    }
}

fn usage(before: &Sample, after: &Sample, course: &[Sample]) -> Usage {
    let within = course
        .iter()
        .filter(|sample| sample.at >= before.at && sample.at <= after.at);
    let within: Vec<&Sample> = within.collect();
    let peak = within.iter().filter_map(|from| {
        let to = within.iter().find(|to| to.at - from.at >= SHORTEST_PEAK)?;
        Some((to.cpu_seconds - from.cpu_seconds) / (to.at - from.at))
    });
    let mean = (after.cpu_seconds - before.cpu_seconds) / (after.at - before.at).max(f64::EPSILON);
    Usage {
        cpu_seconds: after.cpu_seconds - before.cpu_seconds,
        peak_cores: peak.fold(mean, f64::max),
        resident_bytes_before: before.resident_bytes,
        resident_bytes: after.resident_bytes,
    }
}

/// Shortest time over which CPU is called a peak, in seconds: the kernel counts in hundredths of a second.
const SHORTEST_PEAK: f64 = 0.25;

fn write(out: &Path, results: &Results) -> anyhow::Result<()> {
    std::fs::create_dir_all(out).with_context(|| format!("make {}", out.display()))?;
    for (name, content) in [
        ("results.json", serde_json::to_string(results)?),
        ("report.html", report::page(results)),
    ] {
        let path = out.join(name);
        std::fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn memory_counts_from_the_begin_of_the_first_phase_and_cpu_in_its_own() {
        let output = Output {
            out: None,
            label: None,
            roles: Vec::new(),
            counters: Vec::new(),
            sample_interval: Duration::from_secs(60),
            limits: Vec::new(),
        };
        let mut run = Run::start(Subject::default(), &output).unwrap();
        for (name, cpu_seconds, resident_bytes_before, resident_bytes) in
            [("connect", 3.0, 1_000, 5_000), ("hold", 1.0, 5_000, 9_000)]
        {
            let usage = Usage {
                cpu_seconds,
                peak_cores: 0.0,
                resident_bytes_before,
                resident_bytes,
            };
            run.results.phases.push(Phase {
                name: name.to_owned(),
                from: 0.0,
                to: 1.0,
                usage: [("gateway".to_owned(), usage)].into(),
                counters: [("commands".to_owned(), 40.0)].into(),
            });
        }
        run.memory_per("socket", "connect", "hold", 10);
        run.cpu_per("handshake", "connect", 10);
        let figure = |name: &str| run.results.figures[name].value;
        assert!((figure("gateway.bytes_per_socket") - 800.0).abs() < 1e-9);
        assert!((figure("gateway.cpu_ms_per_handshake") - 300.0).abs() < 1e-9);
        assert!((figure("commands_per_handshake") - 4.0).abs() < 1e-9);
    }

    #[test]
    fn usage_of_a_phase_has_its_cpu_time_and_the_busiest_interval() {
        let sample = |at: f64, cpu_seconds: f64, resident_bytes| Sample {
            at,
            cpu_seconds,
            resident_bytes,
        };
        let course = [
            sample(0.0, 5.0, 1),
            sample(1.0, 6.0, 10),
            sample(1.01, 6.01, 10),
            sample(1.5, 6.9, 30),
            sample(2.0, 7.0, 20),
            sample(3.0, 9.0, 99),
        ];
        let usage = usage(&course[1], &course[4], &course);
        assert!((usage.cpu_seconds - 1.0).abs() < 1e-9);
        assert!((usage.peak_cores - 0.89 / 0.49).abs() < 1e-9, "{}", usage.peak_cores);
        assert_eq!((usage.resident_bytes_before, usage.resident_bytes), (10, 20));
    }
}

//! Results of a run, as `results.json` contains them: the schema, and the flat list of values by which two results are compared.

mod figure;
mod latency;
mod machine;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

pub(crate) use self::figure::{Figure, Unit};
pub(crate) use self::latency::{Latency, LatencyLog, LatencySecond};
pub(crate) use self::machine::Machine;

/// Version of the schema that this program writes, and the only one that it reads.
pub(crate) const VERSION: u32 = 1;

/// Results of one run of a scenario.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    /// Version of the schema.
    pub(crate) version: u32,
    /// Subject of the run.
    pub(crate) subject: Subject,
    /// Start, RFC 3339 in UTC.
    pub(crate) started: String,
    /// Duration of the run, in seconds.
    pub(crate) seconds: f64,
    /// Machine of the load tester.
    pub(crate) machine: Machine,
    /// Phases in their order.
    pub(crate) phases: Vec<Phase>,
    /// Counts, such as `lost`.
    pub(crate) counts: BTreeMap<String, u64>,
    /// Further figures, such as `gateway.cpu_ms_per_handshake`.
    pub(crate) figures: BTreeMap<String, Figure>,
    /// Latencies, such as `delivery`.
    pub(crate) latencies: BTreeMap<String, Latency>,
    /// Samples of CPU and memory by role.
    pub(crate) processes: BTreeMap<String, Vec<Sample>>,
    /// Limits of the command line and whether they hold.
    pub(crate) limits: Vec<CheckedLimit>,
}

/// Subject of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Subject {
    /// Scenario, such as `fanout`.
    pub(crate) scenario: String,
    /// Server under load, such as `postern` or `centrifugo`.
    pub(crate) target: String,
    /// Name of the run in reports; the target, if none was given.
    pub(crate) label: String,
    /// Seed of the run's random choices.
    pub(crate) seed: Option<u64>,
    /// Parameters of the scenario. No secrets.
    pub(crate) parameters: BTreeMap<String, String>,
}

/// Part of a run, such as `connect`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Phase {
    /// Name, unique in the run.
    pub(crate) name: String,
    /// Begin, in seconds since the start of the run.
    pub(crate) from: f64,
    /// End, in seconds since the start of the run.
    pub(crate) to: f64,
    /// Use of CPU and memory by role.
    pub(crate) usage: BTreeMap<String, Usage>,
    /// Growth of the counters of servers by name.
    #[serde(default)]
    pub(crate) counters: BTreeMap<String, f64>,
}

/// CPU and memory of the processes of one role at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// Seconds since the start of the run.
    pub(crate) at: f64,
    /// CPU time used so far, in seconds, user and system; includes children.
    pub(crate) cpu_seconds: f64,
    /// Resident memory in bytes; memory that processes share counts once.
    pub(crate) resident_bytes: u64,
}

/// CPU and memory of the processes of one role during a phase.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// CPU time in seconds.
    pub(crate) cpu_seconds: f64,
    /// Most CPU time in a second, over two samples in a row.
    pub(crate) peak_cores: f64,
    /// Resident memory at the begin, in bytes.
    pub(crate) resident_bytes_before: u64,
    /// Resident memory at the end, in bytes.
    pub(crate) resident_bytes: u64,
}

/// Limit of the command line and the value that it was compared with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CheckedLimit {
    /// The limit as it was given, such as `delivery.p99_ms<=250`.
    pub(crate) limit: String,
    /// The value of the run.
    pub(crate) value: f64,
    /// True if the value is within the limit.
    pub(crate) is_met: bool,
}

impl Results {
    /// Reads `results.json`, given the file or its folder.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let path = match path.is_dir() {
            true => path.join("results.json"),
            false => path.to_owned(),
        };
        let text = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        let stated: Version =
            serde_json::from_slice(&text).with_context(|| format!("read the version in {}", path.display()))?;
        if stated.version != VERSION {
            bail!("{} has version {}, not {VERSION}", path.display(), stated.version);
        }
        serde_json::from_slice(&text).with_context(|| format!("decode {}", path.display()))
    }

    /// Every value of the run by name: counts, figures, percentiles of latencies, and counters, CPU and memory by phase.
    /// Limits and comparisons name values as this list does.
    pub(crate) fn values(&self) -> BTreeMap<String, Figure> {
        let mut values = self.figures.clone();
        for (name, count) in &self.counts {
            values.insert(name.clone(), Figure::count(*count));
        }
        for (name, latency) in &self.latencies {
            values.extend(latency.values(name));
        }
        for phase in &self.phases {
            for (name, growth) in &phase.counters {
                values.insert(format!("{}.{name}", phase.name), Figure::new(*growth, Unit::Count));
            }
            for (role, usage) in &phase.usage {
                let name = |what: &str| format!("{role}.{}.{what}", phase.name);
                values.insert(name("cpu_seconds"), Figure::new(usage.cpu_seconds, Unit::Seconds));
                values.insert(name("peak_cores"), Figure::new(usage.peak_cores, Unit::Cores));
                values.insert(
                    name("resident_bytes"),
                    Figure::new(usage.resident_bytes as f64, Unit::Bytes),
                );
            }
        }
        values
    }
}

/// Only the version of a result.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

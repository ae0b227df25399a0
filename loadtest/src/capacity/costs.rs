//! Costs of operations, measured or estimated.

use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

/// Costs of all operations that the model knows.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Costs {
    /// Resident memory of a gateway per socket, in bytes.
    pub(super) gateway_bytes_per_socket: f64,
    /// Memory of Redis per connected user, in bytes, with sessions, sockets and seen devices; without the event log.
    pub(super) redis_bytes_per_user: f64,
    /// Memory of Redis per event of the last hour, in bytes.
    pub(super) redis_bytes_per_event: f64,
    /// One socket that is idle for a second.
    pub(super) idle_second: Cost,
    /// Connect of a known session on a known device.
    pub(super) known_connect: Cost,
    /// First connect of a session.
    pub(super) first_connect: Cost,
    /// Publish of an event without a row, without its deliveries.
    pub(super) event: Cost,
    /// Delivery of an event to one socket.
    pub(super) delivery: Cost,
    /// Durable alert, without its deliveries.
    pub(super) alert: Cost,
}

/// Origin of the CPU times of an operation. Commands of Redis and bytes of the write-ahead log are counted, and need none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CpuOrigin {
    /// Derived from other figures.
    #[default]
    Estimated,
    /// Result of runs of this program.
    Measured,
}

/// Cost of one operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Cost {
    /// Origin of the CPU times.
    pub(super) cpu: CpuOrigin,
    /// CPU time of gateways, in milliseconds.
    pub(super) gateway_cpu_ms: f64,
    /// CPU time of workers, in milliseconds.
    pub(super) worker_cpu_ms: f64,
    /// CPU time of Redis, in milliseconds.
    pub(super) redis_cpu_ms: f64,
    /// CPU time of Postgres, in milliseconds.
    pub(super) postgres_cpu_ms: f64,
    /// Commands of Redis, with those of scripts.
    pub(super) redis_commands: f64,
    /// Write-ahead log of Postgres, in bytes.
    pub(super) wal_bytes: f64,
}

impl Costs {
    /// Reads a file, or the costs that docs/performance.md states.
    pub(super) fn read(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else {
            return serde_json::from_str(include_str!("costs.json")).context("decode the costs of this program");
        };
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("decode {}", path.display()))
    }
}

impl Costs {
    /// Operations by name.
    pub(super) fn operations(&self) -> [(&'static str, &Cost); 6] {
        [
            ("idle_second", &self.idle_second),
            ("known_connect", &self.known_connect),
            ("first_connect", &self.first_connect),
            ("event", &self.event),
            ("delivery", &self.delivery),
            ("alert", &self.alert),
        ]
    }
}

impl Cost {
    /// Adds the cost of `number` operations.
    pub(super) fn add(&mut self, number: f64, one: &Self) {
        self.gateway_cpu_ms += number * one.gateway_cpu_ms;
        self.worker_cpu_ms += number * one.worker_cpu_ms;
        self.redis_cpu_ms += number * one.redis_cpu_ms;
        self.postgres_cpu_ms += number * one.postgres_cpu_ms;
        self.redis_commands += number * one.redis_commands;
        self.wal_bytes += number * one.wal_bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [&str; 6] = [
        "idle socket, a second",
        "connect of a known session",
        "first connect of a session",
        "publish of an event without a row",
        "delivery to one socket",
        "durable alert, without its deliveries",
    ];

    #[test]
    fn costs_of_this_program_are_those_of_the_documentation() {
        let documentation = include_str!("../../../docs/performance.md");
        let costs = Costs::read(None).unwrap();
        for (row, (_, cost)) in ROWS.iter().zip(costs.operations()) {
            let mut lines = documentation.lines();
            let line = lines
                .find_map(|line| line.strip_prefix(&format!("| {row} | ")))
                .expect(row);
            let cells: Vec<&str> = line.trim_end_matches(" |").split(" | ").collect();
            let number = |cell: &&str| match *cell {
                "-" => 0.0,
                cell => cell.trim_end_matches(" ms").replace(',', "").parse::<f64>().unwrap(),
            };
            let documented: Vec<f64> = cells[..6].iter().map(number).collect();
            let expected = [
                cost.gateway_cpu_ms,
                cost.worker_cpu_ms,
                cost.redis_cpu_ms,
                cost.postgres_cpu_ms,
                cost.redis_commands,
                cost.wal_bytes,
            ];
            assert_eq!(documented, expected, "{row}");
            assert_eq!(cells[6], format!("{:?}", cost.cpu).to_lowercase(), "{row}");
        }
    }
}

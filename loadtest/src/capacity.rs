//! `capacity`: nodes, shards and cores that a number of users needs, from the measured cost of each operation.
#![expect(clippy::print_stdout, reason = "the table is what the command is run for")]

mod check;
mod costs;
mod demand;

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use self::costs::{Costs, CpuOrigin};
use self::demand::{Demand, Traffic};
use crate::results::{Figure, Results, Unit};

/// Prints the machines that numbers of connected users need, with the traffic of each: a table in Markdown. It adds up the costs of
/// sockets, connects, events and alerts, and names those that are estimates. With --check, compares the costs with measured runs instead.
#[derive(Debug, Args)]
pub(crate) struct Capacity {
    /// Numbers of connected users.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000_000.0, 10_000_000.0])]
    users: Vec<f64>,
    #[command(flatten)]
    traffic: Traffic,
    #[command(flatten)]
    machines: Machines,
    /// File with the costs of operations, JSON; those of docs/performance.md, if none is given.
    #[arg(long)]
    costs: Option<PathBuf>,
    /// Folder with results.json of a run of `fanout` or `alerts`: prints its CPU time by the model beside the measured one; may be repeated.
    #[arg(long = "check", value_name = "DIR")]
    checks: Vec<PathBuf>,
}

/// Machines of the installation.
#[derive(Debug, Args)]
struct Machines {
    /// Cores of a gateway.
    #[arg(long, default_value_t = 4.0)]
    gateway_cores: f64,
    /// Memory of a gateway, in GiB.
    #[arg(long, default_value_t = 8.0)]
    gateway_gib: f64,
    /// Memory of a Redis shard, in GiB. A shard has one core.
    #[arg(long, default_value_t = 16.0)]
    shard_gib: f64,
    /// Share of cores and memory that is used at the peak; the rest is for failures of nodes and for what the model leaves out.
    #[arg(long, default_value_t = 0.5)]
    utilization: f64,
}

impl Capacity {
    /// Prints the table.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let costs = Costs::read(self.costs.as_deref())?;
        if !self.checks.is_empty() {
            return self.check(&costs);
        }
        let columns: Vec<_> = self
            .users
            .iter()
            .map(|users| self.machines.rows(&Demand::new(*users, &self.traffic, &costs), &costs))
            .collect();
        let head: Vec<String> = self
            .users
            .iter()
            .map(|users| Figure::new(*users, Unit::Count).to_string())
            .collect();
        println!(
            "| connected users | {} |\n|{}",
            head.join(" | "),
            " --- |".repeat(head.len() + 1)
        );
        for (index, (name, _)) in columns.first().into_iter().flatten().enumerate() {
            let cells = columns.iter().filter_map(|column| column.get(index));
            let cells: Vec<String> = cells.map(|(_, figure)| figure.to_string()).collect();
            println!("| {name} | {} |", cells.join(" | "));
        }
        let estimated = costs.operations().into_iter();
        let estimated = estimated.filter(|(_, cost)| cost.cpu == CpuOrigin::Estimated);
        let names: Vec<&str> = estimated.map(|(name, _)| name).collect();
        if !names.is_empty() {
            println!("\nCPU times that are estimates: {}.", names.join(", "));
        }
        Ok(())
    }

    /// Prints the CPU time of measured runs, by the model and as measured.
    fn check(&self, costs: &Costs) -> anyhow::Result<()> {
        println!(
            "| run | role | CPU by the model | CPU measured | measured / model |\n| --- | --- | --- | --- | --- |"
        );
        for path in &self.checks {
            let run = Results::read(path)?;
            let checked = check::check(&run, costs).with_context(|| format!("check {}", path.display()))?;
            for cpu in checked {
                let seconds = |value| Figure::new(value, Unit::Seconds);
                let label = &run.subject.label;
                let ratio = match cpu.model > 0.0 {
                    true => format!("{:.2}", cpu.measured / cpu.model),
                    false => "-".to_owned(),
                };
                println!(
                    "| {label} | {} | {} | {} | {ratio} |",
                    cpu.role,
                    seconds(cpu.model),
                    seconds(cpu.measured)
                );
            }
        }
        Ok(())
    }
}

impl Machines {
    /// Rows of the table: names and figures.
    fn rows(&self, demand: &Demand, costs: &Costs) -> Vec<(&'static str, Figure)> {
        let utilization = self.utilization.clamp(0.01, 1.0);
        let needed = |demand: f64, of_one: f64| (demand / (of_one * utilization)).ceil();
        let use_of = &demand.per_second;
        let cores = |cpu_ms: f64| cpu_ms / 1000.0;
        let gateways = needed(cores(use_of.gateway_cpu_ms), self.gateway_cores)
            .max(needed(demand.gateway_bytes, self.gateway_gib * GIB))
            .max(2.0);
        let shards = needed(cores(use_of.redis_cpu_ms), 1.0).max(needed(demand.redis_bytes, self.shard_gib * GIB));
        let returns = (demand.sockets * cores(costs.known_connect.gateway_cpu_ms) / (gateways * self.gateway_cores))
            .max(demand.sockets * cores(costs.known_connect.redis_cpu_ms) / shards.max(1.0));
        let count = |value| Figure::new(value, Unit::Count);
        vec![
            ("sockets", count(demand.sockets)),
            ("deliveries a second", Figure::new(demand.deliveries, Unit::PerSecond)),
            ("alerts a second", Figure::new(demand.alerts, Unit::PerSecond)),
            ("memory of all gateways", Figure::new(demand.gateway_bytes, Unit::Bytes)),
            (
                "CPU of all gateways",
                Figure::new(cores(use_of.gateway_cpu_ms), Unit::Cores),
            ),
            ("**gateways**", count(gateways)),
            ("CPU of workers", Figure::new(cores(use_of.worker_cpu_ms), Unit::Cores)),
            (
                "**cores of workers**",
                count(needed(cores(use_of.worker_cpu_ms), 1.0).max(2.0)),
            ),
            ("commands of Redis", Figure::new(use_of.redis_commands, Unit::PerSecond)),
            ("CPU of Redis", Figure::new(cores(use_of.redis_cpu_ms), Unit::Cores)),
            ("memory of Redis", Figure::new(demand.redis_bytes, Unit::Bytes)),
            ("**Redis shards**", count(shards.max(1.0))),
            (
                "CPU of Postgres",
                Figure::new(cores(use_of.postgres_cpu_ms), Unit::Cores),
            ),
            ("WAL of Postgres a second", Figure::new(use_of.wal_bytes, Unit::Bytes)),
            (
                "**cores of Postgres**",
                count(needed(cores(use_of.postgres_cpu_ms), 1.0).max(1.0)),
            ),
            (
                "all sockets connect again, at full CPU, in",
                Figure::new(returns, Unit::Seconds),
            ),
        ]
    }
}

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

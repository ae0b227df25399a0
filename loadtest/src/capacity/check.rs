//! Comparison of the model with a measured run of steady traffic.

use anyhow::{Context, bail};
use serde::Deserialize;

use super::costs::{Cost, Costs};
use crate::results::Results;

/// CPU time of one role in a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct CheckedCpu {
    /// Role, as the load tester's options name it.
    pub(super) role: &'static str,
    /// CPU time by the model, in seconds.
    pub(super) model: f64,
    /// CPU time of the processes, in seconds.
    pub(super) measured: f64,
}

/// Compares the CPU time of each role in the traffic of a run; roles whose processes were not sampled are left out.
///
/// # Errors
/// If the run had no such traffic, or requests of sockets, which the model does not know.
pub(super) fn check(results: &Results, costs: &Costs) -> anyhow::Result<Vec<CheckedCpu>> {
    let phase = results.phases.iter().find(|phase| phase.name == "traffic");
    let phase = phase.context("the run has no phase `traffic`: give one of fanout or alerts")?;
    let use_of = Operations::of(results, phase.to - phase.from)?.cost(costs);
    let by_model = [
        ("gateway", use_of.gateway_cpu_ms),
        ("worker", use_of.worker_cpu_ms),
        ("redis", use_of.redis_cpu_ms),
        ("postgres", use_of.postgres_cpu_ms),
    ];
    let checked = by_model.into_iter().filter_map(|(role, cpu_ms)| {
        Some(CheckedCpu {
            role,
            model: cpu_ms / 1_000.0,
            measured: phase.usage.get(role)?.cpu_seconds,
        })
    });
    Ok(checked.collect())
}

/// Numbers of operations in the traffic of a run.
struct Operations {
    /// Seconds of an idle socket.
    idle_seconds: f64,
    events: f64,
    deliveries: f64,
    alerts: f64,
}

impl Operations {
    fn of(results: &Results, seconds: f64) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Mix {
            alerts: f64,
        }
        let parameter = |name: &str| {
            results
                .subject
                .parameters
                .get(name)
                .with_context(|| format!("no parameter {name}"))
        };
        let figure = |name: &str| results.figures.get(name).with_context(|| format!("no figure {name}"));
        if parameter("request").is_ok() {
            bail!("the run had requests of sockets, which the model does not know");
        }
        let duration = humantime::parse_duration(parameter("duration")?)?.as_secs_f64();
        let sockets = parameter("users")?.parse::<f64>()? * parameter("sockets")?.parse::<f64>()?;
        let mix: Mix = serde_json::from_str(parameter("mix")?).context("decode the parameter mix")?;
        let published = figure("published_per_second")?.value * duration;
        Ok(Self {
            idle_seconds: sockets * seconds,
            events: published * (1.0 - mix.alerts),
            deliveries: figure("delivered_per_second")?.value * duration,
            alerts: published * mix.alerts,
        })
    }

    fn cost(&self, costs: &Costs) -> Cost {
        let mut sum = Cost::default();
        for (number, cost) in [
            (self.idle_seconds, &costs.idle_second),
            (self.events, &costs.event),
            (self.deliveries, &costs.delivery),
            (self.alerts, &costs.alert),
        ] {
            sum.add(number, cost);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn results(parameters: serde_json::Value) -> Results {
        let usage = |cpu_seconds: f64| json!({ "cpu_seconds": cpu_seconds, "peak_cores": 0.0, "resident_bytes_before": 0, "resident_bytes": 0 });
        let rate = |value: f64| json!({ "value": value, "unit": "per_second" });
        serde_json::from_value(json!({
            "version": crate::results::VERSION,
            "subject": { "scenario": "fanout", "target": "", "label": "", "seed": null, "parameters": parameters },
            "started": "",
            "seconds": 0.0,
            "machine": { "cpus": 2, "cpu_model": "", "memory_bytes": 1, "kernel": "" },
            "phases": [{ "name": "traffic", "from": 5.0, "to": 25.0, "usage": { "gateway": usage(3.0), "redis": usage(0.5) } }],
            "counts": {},
            "figures": { "published_per_second": rate(100.0), "delivered_per_second": rate(300.0) },
            "latencies": {},
            "processes": {},
            "limits": [],
        }))
        .unwrap()
    }

    #[test]
    fn model_adds_up_the_operations_of_the_traffic_by_role() {
        let costs = Costs {
            idle_second: Cost {
                gateway_cpu_ms: 0.1,
                ..Cost::default()
            },
            event: Cost {
                gateway_cpu_ms: 1.0,
                redis_cpu_ms: 0.5,
                ..Cost::default()
            },
            delivery: Cost {
                gateway_cpu_ms: 0.2,
                ..Cost::default()
            },
            alert: Cost {
                gateway_cpu_ms: 2.0,
                redis_cpu_ms: 1.5,
                ..Cost::default()
            },
            ..Costs::default()
        };
        let mix = r#"{"notifications":0.0,"alerts":0.25}"#;
        let run = results(json!({ "duration": "10s", "users": "5", "sockets": "2", "mix": mix }));
        let checked = check(&run, &costs).unwrap();
        // 10 sockets for 20 s, 750 events, 250 alerts, 3,000 deliveries.
        let gateway = CheckedCpu {
            role: "gateway",
            model: 0.02 + 0.75 + 0.5 + 0.6,
            measured: 3.0,
        };
        let redis = CheckedCpu {
            role: "redis",
            model: 0.375 + 0.375,
            measured: 0.5,
        };
        for (found, expected) in checked.iter().zip([gateway, redis]) {
            assert_eq!((found.role, found.measured), (expected.role, expected.measured));
            assert!((found.model - expected.model).abs() < 1e-9, "{found:?}");
        }
        assert_eq!(checked.len(), 2, "other roles were not sampled");
    }

    #[test]
    fn run_with_requests_of_sockets_cannot_be_checked() {
        let run = results(json!({ "duration": "10s", "request": "account:list" }));
        assert!(check(&run, &Costs::default()).is_err());
    }
}

//! `report.html`: one page with tables and plots that loads nothing.

use std::collections::BTreeMap;

use super::markup::escaped;
use super::plot::{Plot, Series};
use super::scale::Scale;
use crate::results::{Latency, LatencySecond, Results, Sample};

/// Page of the results of a run.
pub(crate) fn page(results: &Results) -> String {
    let subject = &results.subject;
    let title = escaped(&format!("{} of {}", subject.scenario, subject.label));
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <style>{style}</style></head><body><main>\n<h1>{title}</h1>\n{run}{limits}{plots}{values}</main></body></html>\n",
        style = include_str!("style.css"),
        run = run(results),
        limits = limits(results),
        plots = plots(results),
        values = values(results),
    )
}

fn run(results: &Results) -> String {
    let (subject, machine) = (&results.subject, &results.machine);
    let mut rows = vec![
        ("target".to_owned(), subject.target.clone()),
        ("started".to_owned(), results.started.clone()),
        ("duration".to_owned(), format!("{:.1} s", results.seconds)),
        (
            "machine".to_owned(),
            format!(
                "{} CPUs, {}, {:.1} GiB, Linux {}",
                machine.cpus,
                machine.cpu_model,
                machine.memory_bytes as f64 / GIB,
                machine.kernel
            ),
        ),
    ];
    rows.extend(subject.seed.map(|seed| ("seed".to_owned(), seed.to_string())));
    rows.extend(subject.parameters.clone());
    table("Run", rows)
}

fn limits(results: &Results) -> String {
    let rows = results.limits.iter().map(|limit| {
        let verdict = if limit.is_met { "met" } else { "not met" };
        (limit.limit.clone(), format!("{verdict}: {}", limit.value))
    });
    table("Limits", rows.collect())
}

fn values(results: &Results) -> String {
    let values = results.values().into_iter();
    table(
        "Values",
        values.map(|(name, figure)| (name, figure.to_string())).collect(),
    )
}

/// Table of two columns; empty without rows.
fn table(title: &str, rows: Vec<(String, String)>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let rows: String = rows
        .iter()
        .map(|(name, value)| {
            format!(
                "<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n",
                escaped(name),
                escaped(value)
            )
        })
        .collect();
    format!("<h2>{title}</h2>\n<div class=\"scroll\"><table>{rows}</table></div>\n")
}

fn plots(results: &Results) -> String {
    let marks: Vec<(f64, String)> = results
        .phases
        .iter()
        .map(|phase| (phase.from, phase.name.clone()))
        .collect();
    let mut plots = vec![percentiles(&results.latencies)];
    for (name, latency) in &results.latencies {
        plots.push(course(name, latency, marks.clone()));
    }
    plots.push(usage("CPU", "cores", &results.processes, marks.clone(), cores));
    plots.push(usage("Resident memory", "MiB", &results.processes, marks, mebibytes));
    let figures: String = plots.iter().map(Plot::figure).collect();
    match figures.is_empty() {
        true => figures,
        false => format!("<h2>Plots</h2>\n{figures}"),
    }
}

fn percentiles(latencies: &BTreeMap<String, Latency>) -> Plot {
    let series = latencies.iter().map(|(name, latency)| Series {
        name: name.clone(),
        points: percentile_points(latency),
    });
    Plot {
        title: "Percentiles of latency".to_owned(),
        x: (Scale::Percentiles, "percentile"),
        y: (Scale::Logarithmic, "ms"),
        marks: Vec::new(),
        series: series.collect(),
    }
}

/// Percentile at the end of each bucket, with its upper edge in milliseconds. The last lies half a latency before 100.
fn percentile_points(latency: &Latency) -> Vec<(f64, f64)> {
    let total = latency.count as f64;
    let mut below = 0u64;
    let points = latency.histogram.iter().map(|(micros, count)| {
        below += *count;
        (100.0 * (below as f64).min(total - 0.5) / total, *micros as f64 / 1000.0)
    });
    points.collect()
}

fn course(name: &str, latency: &Latency, marks: Vec<(f64, String)>) -> Plot {
    let line = |name: &str, value: fn(&LatencySecond) -> f64| Series {
        name: name.to_owned(),
        points: latency
            .seconds
            .iter()
            .map(|one| (one.second as f64, value(one)))
            .collect(),
    };
    Plot {
        title: format!("Latency over time: {name}"),
        x: (Scale::Linear, "seconds since the start"),
        y: (Scale::Logarithmic, "ms"),
        marks,
        series: vec![
            line("p50", |one| one.p50_ms),
            line("p99", |one| one.p99_ms),
            line("longest", |one| one.max_ms),
        ],
    }
}

fn usage(
    title: &str,
    unit: &'static str,
    processes: &BTreeMap<String, Vec<Sample>>,
    marks: Vec<(f64, String)>,
    points: fn(&[Sample]) -> Vec<(f64, f64)>,
) -> Plot {
    let series = processes.iter().map(|(role, samples)| Series {
        name: role.clone(),
        points: points(samples),
    });
    Plot {
        title: format!("{title} by role"),
        x: (Scale::Linear, "seconds since the start"),
        y: (Scale::Linear, unit),
        marks,
        series: series.collect(),
    }
}

/// CPU seconds a second between samples that are at least [`SHORTEST`] apart.
fn cores(samples: &[Sample]) -> Vec<(f64, f64)> {
    let Some(mut from) = samples.first() else {
        return Vec::new();
    };
    let mut points = Vec::new();
    for to in samples {
        let elapsed = to.at - from.at;
        if elapsed >= SHORTEST {
            points.push((to.at, (to.cpu_seconds - from.cpu_seconds) / elapsed));
            from = to;
        }
    }
    points
}

fn mebibytes(samples: &[Sample]) -> Vec<(f64, f64)> {
    let points = samples
        .iter()
        .map(|sample| (sample.at, sample.resident_bytes as f64 / MIB));
    points.collect()
}

/// Shortest time, in seconds, over which CPU time in hundredths of a second makes a smooth line.
const SHORTEST: f64 = 0.25;
const MIB: f64 = 1024.0 * 1024.0;
const GIB: f64 = 1024.0 * MIB;

#[cfg(test)]
mod tests;

//! Latencies: recorded in histograms with a bounded relative error, and summed up for the results.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::{Counter, Histogram};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::figure::{Figure, Unit};

/// Histograms of latencies: of the whole run with an error of 0.1 %, and of each second with 1 %.
#[derive(Clone, Debug)]
pub(crate) struct LatencyLog {
    start: Instant,
    all: Histogram<u64>,
    seconds: BTreeMap<u64, Histogram<u32>>,
}

impl LatencyLog {
    /// Empty log of a run that began at `start`.
    pub(crate) fn new(start: Instant) -> Self {
        Self {
            start,
            all: growing(3),
            seconds: BTreeMap::new(),
        }
    }

    /// Records something that was due at `due` and done at `done`. A latency above an hour counts as an hour.
    pub(crate) fn record(&mut self, due: Instant, done: Instant) {
        let latency = done.saturating_duration_since(due).min(LONGEST);
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        record(&mut self.all, micros);
        let second = due.saturating_duration_since(self.start).as_secs();
        record(self.seconds.entry(second).or_insert_with(|| growing(2)), micros);
    }

    /// Adds the latencies of another log of the same run.
    pub(crate) fn merge(&mut self, other: &Self) {
        add(&mut self.all, &other.all);
        for (second, histogram) in &other.seconds {
            add(self.seconds.entry(*second).or_insert_with(|| growing(2)), histogram);
        }
    }

    /// Percentiles, histogram and course of the latencies.
    pub(crate) fn summary(&self) -> Latency {
        let percentile = |percentile| millis(self.all.value_at_percentile(percentile));
        Latency {
            count: self.all.len(),
            mean_ms: self.all.mean() / 1000.0,
            p50_ms: percentile(50.0),
            p90_ms: percentile(90.0),
            p99_ms: percentile(99.0),
            p999_ms: percentile(99.9),
            max_ms: millis(self.all.max()),
            histogram: self
                .all
                .iter_recorded()
                .map(|step| (step.value_iterated_to(), step.count_since_last_iteration()))
                .collect(),
            seconds: self
                .seconds
                .iter()
                .map(|(second, one)| LatencySecond::new(*second, one))
                .collect(),
        }
    }
}

/// Latencies of a run, in the results.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Latency {
    /// Number of latencies.
    pub(crate) count: u64,
    /// Mean, in milliseconds.
    pub(crate) mean_ms: f64,
    /// Median, in milliseconds.
    pub(crate) p50_ms: f64,
    /// 90th percentile, in milliseconds.
    pub(crate) p90_ms: f64,
    /// 99th percentile, in milliseconds.
    pub(crate) p99_ms: f64,
    /// 99.9th percentile, in milliseconds.
    pub(crate) p999_ms: f64,
    /// Longest, in milliseconds.
    pub(crate) max_ms: f64,
    /// Upper edges of the buckets in use, in microseconds, with the number of latencies in each.
    pub(crate) histogram: Vec<(u64, u64)>,
    /// Seconds of the run in which something was due, in their order.
    pub(crate) seconds: Vec<LatencySecond>,
}

/// Latencies of what was due within one second of the run.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct LatencySecond {
    /// Second since the start of the run.
    pub(crate) second: u64,
    /// Number of latencies.
    pub(crate) count: u64,
    /// Median, in milliseconds.
    pub(crate) p50_ms: f64,
    /// 99th percentile, in milliseconds.
    pub(crate) p99_ms: f64,
    /// Longest, in milliseconds.
    pub(crate) max_ms: f64,
}

impl Latency {
    /// Percentiles by name, each behind the name of the latency.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = (String, Figure)> {
        [
            ("mean_ms", self.mean_ms),
            ("p50_ms", self.p50_ms),
            ("p90_ms", self.p90_ms),
            ("p99_ms", self.p99_ms),
            ("p999_ms", self.p999_ms),
            ("max_ms", self.max_ms),
        ]
        .map(|(part, value)| (format!("{name}.{part}"), Figure::new(value, Unit::Milliseconds)))
        .into_iter()
    }
}

impl LatencySecond {
    fn new(second: u64, histogram: &Histogram<u32>) -> Self {
        Self {
            second,
            count: histogram.len(),
            p50_ms: millis(histogram.value_at_percentile(50.0)),
            p99_ms: millis(histogram.value_at_percentile(99.0)),
            max_ms: millis(histogram.max()),
        }
    }
}

const LONGEST: Duration = Duration::from_secs(3600);

fn growing<C: Counter>(significant_digits: u8) -> Histogram<C> {
    Histogram::new(significant_digits).expect("2 and 3 digits are within the bounds of the crate")
}

fn record<C: Counter>(histogram: &mut Histogram<C>, micros: u64) {
    histogram
        .record(micros)
        .expect("a growing histogram takes an hour in microseconds");
}

fn add<C: Counter>(histogram: &mut Histogram<C>, other: &Histogram<C>) {
    histogram
        .add(other)
        .expect("a growing histogram takes every value of another");
}

fn millis(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_logs_have_the_percentiles_of_all_latencies_and_the_course_by_due_time() {
        let start = Instant::now();
        let (mut first, mut second) = (LatencyLog::new(start), LatencyLog::new(start));
        for number in 1..=1000u32 {
            let log = if number % 2 == 0 { &mut first } else { &mut second };
            let due = start + Duration::from_millis(u64::from(number) * 2);
            log.record(due, due + Duration::from_millis(u64::from(number)));
        }
        first.merge(&second);
        let summary = first.summary();
        assert_eq!(summary.count, 1000);
        assert!((summary.p50_ms - 500.0).abs() < 1.0, "{}", summary.p50_ms);
        assert!((summary.p99_ms - 990.0).abs() < 1.0, "{}", summary.p99_ms);
        assert!((summary.max_ms - 1000.0).abs() < 1.0, "{}", summary.max_ms);
        assert_eq!(summary.histogram.iter().map(|(_, count)| count).sum::<u64>(), 1000);
        let counts: Vec<(u64, u64)> = summary.seconds.iter().map(|one| (one.second, one.count)).collect();
        assert_eq!(counts, [(0, 499), (1, 500), (2, 1)]);
    }

    #[test]
    fn latency_above_an_hour_counts_as_an_hour() {
        let start = Instant::now();
        let mut log = LatencyLog::new(start);
        log.record(start, start + Duration::from_secs(7200));
        assert!((log.summary().max_ms / 3_600_000.0 - 1.0).abs() < 0.001);
    }
}

//! Metrics of the process and its runtime.

use std::fs::File;
use std::future::pending;
use std::hint::black_box;

use telemetry::metrics::Metrics;
use telemetry::process;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

fn value(metrics: &Metrics, series: &str) -> f64 {
    let text = metrics.render().unwrap();
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    assert!(
        value.is_some(),
        "{series} is not in
{text}"
    );
    value.unwrap().parse().unwrap()
}

#[tokio::test]
async fn process_reports_its_cpu_memory_and_descriptors() {
    let metrics = Metrics::new("gateway-1");
    process::observe(&metrics.meter(), &Handle::current());
    let cpu = |metrics: &Metrics| value(metrics, "process_cpu_time_seconds_total{cpu_mode=\"user\"}");
    let before = cpu(&metrics);
    let mut sum = 0_u64;
    while cpu(&metrics) <= before {
        sum = (0..1_000_000).fold(sum, |sum, number| black_box(sum.wrapping_add(number)));
    }
    assert!(value(&metrics, "process_cpu_time_seconds_total{cpu_mode=\"system\"}") >= 0.0);
    assert!(value(&metrics, "process_memory_usage_bytes") > 1_000_000.0);
    assert!(value(&metrics, "process_uptime_seconds") >= 0.0);

    let before = value(&metrics, "process_unix_file_descriptor_count");
    let files: Vec<File> = (0..200).map(|_| File::open("/proc/self/status").unwrap()).collect();
    let after = value(&metrics, "process_unix_file_descriptor_count");
    assert!(
        after >= before + 100.0,
        "{before}, then {after} with {} files",
        files.len()
    );
    assert!(value(&metrics, "postern_process_file_descriptor_limit") >= after);
}

#[tokio::test]
async fn runtime_reports_its_threads_and_tasks() {
    let metrics = Metrics::new("gateway-1");
    process::observe(&metrics.meter(), &Handle::current());
    assert!(value(&metrics, "postern_runtime_workers") >= 1.0);
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        tasks.spawn(pending::<()>());
    }
    assert!(value(&metrics, "postern_runtime_alive_tasks") >= 50.0);
    assert!(value(&metrics, "postern_runtime_global_queue_depth") >= 0.0);
    assert!(value(&metrics, "postern_runtime_busy_time_seconds_total") >= 0.0);
    tasks.shutdown().await;
}

//! Metrics of the process and of its tokio runtime. Those of the process have the names of OpenTelemetry's conventions.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use tokio::runtime::Handle;
use tokio::time::Instant;

/// Observes the process and this runtime at each collection. Nodes of one process report the same values.
///
/// A value that the system does not offer is absent: memory and file descriptors are read from Linux's `/proc`.
pub fn observe(meter: &Meter, runtime: &Handle) {
    observe_usage(meter);
    observe_descriptors(meter);
    observe_runtime(meter, runtime);
}

fn observe_usage(meter: &Meter) {
    meter
        .f64_observable_counter("process.cpu.time")
        .with_unit("s")
        .with_description("CPU time of the process, by mode")
        .with_callback(|counter| {
            let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else {
                return;
            };
            for (mode, time) in [("user", usage.user_time()), ("system", usage.system_time())] {
                counter.observe(seconds(time), &[KeyValue::new("cpu.mode", mode)]);
            }
        })
        .build();
    meter
        .i64_observable_up_down_counter("process.memory.usage")
        .with_unit("By")
        .with_description("Resident memory of the process")
        .with_callback(|memory| {
            let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
            if let Some(bytes) = resident_bytes(&status) {
                memory.observe(bytes, &[]);
            }
        })
        .build();
    let start = Instant::now();
    meter
        .f64_observable_gauge("process.uptime")
        .with_unit("s")
        .with_description("Time since the start of the node")
        .with_callback(move |uptime| uptime.observe(start.elapsed().as_secs_f64(), &[]))
        .build();
}

fn observe_descriptors(meter: &Meter) {
    meter
        .i64_observable_up_down_counter("process.unix.file_descriptor.count")
        .with_unit("{file_descriptor}")
        .with_description("Open file descriptors of the process")
        .with_callback(|descriptors| {
            if let Some(count) = open_descriptors(Path::new("/proc/self/fd")) {
                descriptors.observe(count, &[]);
            }
        })
        .build();
    meter
        .u64_observable_gauge("postern.process.file_descriptor.limit")
        .with_unit("{file_descriptor}")
        .with_description("Limit of the open file descriptors (RLIMIT_NOFILE)")
        .with_callback(|limit| {
            if let Ok((soft, _hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
                limit.observe(soft, &[]);
            }
        })
        .build();
}

fn observe_runtime(meter: &Meter, runtime: &Handle) {
    let metrics = runtime.metrics();
    meter
        .u64_observable_gauge("postern.runtime.workers")
        .with_description("Worker threads of the runtime")
        .with_callback(move |workers| workers.observe(number(metrics.num_workers()), &[]))
        .build();
    let metrics = runtime.metrics();
    meter
        .u64_observable_gauge("postern.runtime.alive_tasks")
        .with_description("Tasks of the runtime that have not ended")
        .with_callback(move |tasks| tasks.observe(number(metrics.num_alive_tasks()), &[]))
        .build();
    let metrics = runtime.metrics();
    meter
        .u64_observable_gauge("postern.runtime.global_queue_depth")
        .with_description("Tasks in the global queue of the runtime that wait for a worker thread")
        .with_callback(move |depth| depth.observe(number(metrics.global_queue_depth()), &[]))
        .build();
    let metrics = runtime.metrics();
    meter
        .f64_observable_counter("postern.runtime.busy_time")
        .with_unit("s")
        .with_description("Time that the worker threads of the runtime were busy, together")
        .with_callback(move |busy| {
            let times = (0..metrics.num_workers()).map(|worker| metrics.worker_total_busy_duration(worker));
            busy.observe(times.sum::<Duration>().as_secs_f64(), &[]);
        })
        .build();
}

fn seconds(time: TimeVal) -> f64 {
    let micros = u64::try_from(time.num_microseconds()).unwrap_or_default();
    Duration::from_micros(micros).as_secs_f64()
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Resident memory in `/proc/<pid>/status`, whose line is `VmRSS:   1234 kB`.
fn resident_bytes(status: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Number of descriptors in `/proc/<pid>/fd`. Since Linux 6.2 it is the size of that directory; before, they are listed.
fn open_descriptors(directory: &Path) -> Option<i64> {
    let size = fs::metadata(directory).ok()?.len();
    if size > 0 {
        return i64::try_from(size).ok();
    }
    // One of them lists the directory.
    let listed = fs::read_dir(directory).ok()?.count();
    i64::try_from(listed.saturating_sub(1)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_in_bytes_and_absent_without_its_line() {
        let status = "Name:\tpostern\nVmHWM:\t  900 kB\nVmRSS:\t    1234 kB\nThreads:\t4\n";
        assert_eq!(resident_bytes(status), Some(1234 * 1024));
        for broken in ["", "VmRSS:", "VmRSS:\t12 MB", "VmRSS:\t99999999999999999999 kB"] {
            assert_eq!(resident_bytes(broken), None, "{broken}");
        }
    }

    #[test]
    fn descriptors_of_an_old_kernel_are_counted_by_their_list() {
        let size = fs::metadata("/proc/self/fd").unwrap().len();
        let listed = fs::read_dir("/proc/self/fd").unwrap().count();
        assert!(
            size == 0 || size.abs_diff(u64::try_from(listed).unwrap()) <= 100,
            "{size} {listed}"
        );
        assert!(open_descriptors(Path::new("/proc/self/fd")).unwrap() > 0);
        assert_eq!(open_descriptors(Path::new("/proc/self/no-fd")), None);
    }
}

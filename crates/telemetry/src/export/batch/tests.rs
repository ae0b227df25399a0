//! Batches and drops, in paused time.

use std::future::pending;
use std::sync::Mutex;

use lifecycle::Tasks;
use opentelemetry_sdk::error::OTelSdkError;

use super::*;
use crate::export::counts;
use crate::metrics::Metrics;

/// Exporter that keeps the batches, and hangs or fails on request.
#[derive(Debug, Clone, Default)]
struct Fake(Arc<FakeState>);

#[derive(Debug, Default)]
struct FakeState {
    batches: Mutex<Vec<Vec<u32>>>,
    fault: Mutex<Option<Fault>>,
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    Hangs,
    Fails,
}

impl ExportBatch for Fake {
    type Item = u32;

    async fn export_batch(&self, batch: Vec<u32>) -> OTelSdkResult {
        let fault = *self.0.fault.lock().unwrap();
        match fault {
            None => {
                self.0.batches.lock().unwrap().push(batch);
                Ok(())
            }
            Some(Fault::Hangs) => pending().await,
            Some(Fault::Fails) => Err(OTelSdkError::InternalFailure("refused".to_owned())),
        }
    }
}

impl Fake {
    fn batches(&self) -> Vec<Vec<u32>> {
        self.0.batches.lock().unwrap().clone()
    }

    fn set(&self, fault: Option<Fault>) {
        *self.0.fault.lock().unwrap() = fault;
    }
}

/// Running export with a queue of 8 items and batches of 4.
struct Export {
    queue: Queue<u32>,
    exporter: Fake,
    counts: Arc<ExportCounts>,
    tasks: Tasks,
}

impl Export {
    fn start() -> Self {
        let settings = BatchSettings {
            delay: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            max_queue_size: 8,
            max_batch_size: 4,
        };
        let (counts, exporter, tasks) = (Arc::default(), Fake::default(), Tasks::new());
        let (queue, receiver) = Queue::new(Signal::Traces, settings.max_queue_size, &counts);
        let batcher = Batcher::new(Signal::Traces, settings, receiver, &counts);
        tasks.each("trace export", batcher.run(exporter.clone(), tasks.soft()));
        Self {
            queue,
            exporter,
            counts,
            tasks,
        }
    }

    fn push(&self, items: impl IntoIterator<Item = u32>) {
        items.into_iter().for_each(|item| self.queue.push(item));
    }

    /// Value of a count.
    fn count(&self, series: &str) -> u64 {
        let metrics = Metrics::new("test");
        counts::observe(&self.counts, &metrics.meter());
        let text = metrics.render().unwrap();
        let line = text.lines().find(|line| line.starts_with(series));
        let value = line.and_then(|line| line.rsplit(' ').next());
        value
            .unwrap_or_else(|| panic!("no {series} in\n{text}"))
            .parse()
            .unwrap()
    }

    fn dropped(&self, reason: &str) -> u64 {
        self.count(&format!(
            r#"postern_telemetry_dropped_total{{reason="{reason}",signal="traces""#
        ))
    }

    fn exports(&self, outcome: &str) -> u64 {
        self.count(&format!(
            r#"postern_telemetry_exports_total{{outcome="{outcome}",signal="traces""#
        ))
    }
}

#[tokio::test(start_paused = true)]
async fn full_batch_is_exported_at_once_and_a_part_of_one_after_the_delay() {
    let export = Export::start();
    export.push(1..=6);
    advance(1).await;
    assert_eq!(export.exporter.batches(), [vec![1, 2, 3, 4]]);
    advance(5).await;
    assert_eq!(export.exporter.batches(), [vec![1, 2, 3, 4], vec![5, 6]]);
    assert_eq!((export.exports("ok"), export.dropped("queue_full")), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn items_that_come_apart_are_one_batch_within_the_delay_of_the_first() {
    let export = Export::start();
    for item in 1..=3 {
        export.push([item]);
        advance(2).await;
    }
    assert_eq!(export.exporter.batches(), [vec![1, 2, 3]]);
}

#[tokio::test(start_paused = true)]
async fn exporter_that_hangs_drops_and_counts_and_takes_part_again_afterwards() {
    let export = Export::start();
    export.exporter.set(Some(Fault::Hangs));
    export.push(1..=4);
    advance(1).await;
    // Its batch is out of the queue, which has place for 8 more.
    export.push(5..=22);
    assert_eq!(export.dropped("queue_full"), 10);
    export.exporter.set(None);
    advance(30).await;
    assert_eq!((export.exports("timeout"), export.dropped("timeout")), (1, 4));
    assert_eq!(export.exporter.batches(), [vec![5, 6, 7, 8], vec![9, 10, 11, 12]]);
    assert_eq!(export.dropped("queue_full"), 10);
}

#[tokio::test(start_paused = true)]
async fn failed_export_is_counted_and_the_next_one_tried() {
    let export = Export::start();
    export.exporter.set(Some(Fault::Fails));
    export.push(1..=4);
    advance(1).await;
    export.exporter.set(None);
    export.push(5..=8);
    advance(1).await;
    assert_eq!(export.exporter.batches(), [vec![5, 6, 7, 8]]);
    assert_eq!((export.exports("failed"), export.dropped("failed")), (1, 4));
    assert_eq!(export.exports("ok"), 1);
}

#[tokio::test(start_paused = true)]
async fn drain_exports_what_is_left_in_batches() {
    let export = Export::start();
    export.push(1..=2);
    advance(1).await;
    export.push(3..=7);
    let report = export.tasks.drain(Duration::from_secs(3)).await;
    assert!(report.cut.is_empty(), "{report}");
    assert_eq!(export.exporter.batches().concat(), [1, 2, 3, 4, 5, 6, 7]);
    assert!(export.exporter.batches().iter().all(|batch| batch.len() <= 4));
}

#[tokio::test(start_paused = true)]
async fn drain_does_not_wait_longer_than_its_window_for_an_exporter_that_hangs() {
    let export = Export::start();
    export.exporter.set(Some(Fault::Hangs));
    export.push(1..=8);
    advance(1).await;
    let began = Instant::now();
    let report = export.tasks.drain(Duration::from_secs(3)).await;
    assert_eq!(report.cut.get("trace export"), Some(&1), "{report}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    export.push([9]);
    assert_eq!(export.dropped("queue_full"), 0);
}

/// Lets paused time pass.
async fn advance(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

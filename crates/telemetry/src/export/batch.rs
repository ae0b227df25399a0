//! Queue of spans or log records, and the task that exports them in batches.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use lifecycle::OutageReporter;
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_otlp::{LogExporter, SpanExporter};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter as _, LogProcessor, SdkLogRecord};
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter as _, SpanProcessor};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::Record;
use super::counts::{ExportCounts, ExportOutcome, Signal};
use super::settings::BatchSettings;

/// Sending end of the queue, as a processor of the SDK. A full queue drops, and never blocks.
#[derive(Debug)]
pub(super) struct Queue<T> {
    signal: Signal,
    sender: mpsc::Sender<T>,
    counts: Arc<ExportCounts>,
}

impl<T> Queue<T> {
    pub(super) fn new(signal: Signal, bound: usize, counts: &Arc<ExportCounts>) -> (Self, mpsc::Receiver<T>) {
        let (sender, receiver) = mpsc::channel(bound);
        let queue = Self {
            signal,
            sender,
            counts: Arc::clone(counts),
        };
        (queue, receiver)
    }

    fn push(&self, item: T) {
        // After the last export of the process the receiver is gone, and nobody reads a count.
        if let Err(mpsc::error::TrySendError::Full(_)) = self.sender.try_send(item) {
            self.counts.queue_full(self.signal);
        }
    }
}

impl SpanProcessor for Queue<SpanData> {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl LogProcessor for Queue<Record> {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        self.push((record.clone(), scope.clone()));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Exporter of batches.
pub(super) trait ExportBatch: Send + Sync + 'static {
    type Item: Send + 'static;

    fn export_batch(&self, batch: Vec<Self::Item>) -> impl Future<Output = OTelSdkResult> + Send;
}

impl ExportBatch for SpanExporter {
    type Item = SpanData;

    fn export_batch(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        self.export(batch)
    }
}

impl ExportBatch for LogExporter {
    type Item = Record;

    async fn export_batch(&self, batch: Vec<Record>) -> OTelSdkResult {
        let records: Vec<_> = batch.iter().map(|(record, scope)| (record, scope)).collect();
        self.export(LogBatch::new(&records)).await
    }
}

/// Receiving end of the queue.
pub(super) struct Batcher<T> {
    signal: Signal,
    settings: BatchSettings,
    queue: mpsc::Receiver<T>,
    counts: Arc<ExportCounts>,
    outage: OutageReporter,
}

impl<T: Send + 'static> Batcher<T> {
    pub(super) fn new(
        signal: Signal,
        settings: BatchSettings,
        queue: mpsc::Receiver<T>,
        counts: &Arc<ExportCounts>,
    ) -> Self {
        Self {
            signal,
            settings,
            queue,
            counts: Arc::clone(counts),
            outage: OutageReporter::new(signal.operation()),
        }
    }

    /// Exports until the token is cancelled, and then what is left.
    pub(super) async fn run(mut self, exporter: impl ExportBatch<Item = T>, soft: CancellationToken) {
        let mut batch = Vec::new();
        while soft.run_until_cancelled(self.fill(&mut batch)).await.is_some() {
            if batch.is_empty() {
                return;
            }
            self.export(&exporter, std::mem::take(&mut batch)).await;
        }
        self.queue.close();
        loop {
            let missing = self.settings.max_batch_size.saturating_sub(batch.len());
            // The queue is closed, so this does not wait for more.
            let received = self.queue.recv_many(&mut batch, missing).await;
            if batch.is_empty() {
                return;
            }
            if received == 0 || batch.len() >= self.settings.max_batch_size {
                self.export(&exporter, std::mem::take(&mut batch)).await;
            }
        }
    }

    /// Fills a batch: until it is full, or until its first item has waited for the delay. It stays empty if no item will come. What
    /// it has received is in the batch, if it is dropped.
    async fn fill(&mut self, batch: &mut Vec<T>) {
        let max = self.settings.max_batch_size;
        if batch.is_empty() && self.queue.recv_many(batch, max).await == 0 {
            return;
        }
        let deadline = Instant::now() + self.settings.delay;
        while batch.len() < max {
            let received = timeout_at(deadline, self.queue.recv_many(batch, max - batch.len()));
            if matches!(received.await, Err(_) | Ok(0)) {
                return;
            }
        }
    }

    async fn export(&self, exporter: &impl ExportBatch<Item = T>, batch: Vec<T>) {
        let items = batch.len();
        let outcome = match timeout(self.settings.timeout, exporter.export_batch(batch)).await {
            Ok(Ok(())) => {
                self.outage.succeeded();
                ExportOutcome::Ok
            }
            Ok(Err(error)) => {
                self.outage.failed(error);
                ExportOutcome::Failed
            }
            Err(_elapsed) => {
                self.outage
                    .failed(format_args!("no response within {:?}", self.settings.timeout));
                ExportOutcome::Timeout
            }
        };
        self.counts.exported(self.signal, items, outcome);
    }
}

#[cfg(test)]
mod tests;

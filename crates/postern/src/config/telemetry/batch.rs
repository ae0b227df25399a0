//! Bounds of a queue and its batches, which spans and log records have alike.

use telemetry::export::BatchSettings;

use super::values::{count, milliseconds, within};
use crate::config::Problems;

/// Variables of a queue, each with its value.
pub(super) struct BatchVariables<'a> {
    pub(super) delay: (&'static str, &'a str),
    pub(super) timeout: (&'static str, &'a str),
    pub(super) max_queue_size: (&'static str, &'a str),
    pub(super) max_batch_size: (&'static str, &'a str),
}

impl BatchVariables<'_> {
    /// Reads all values, and reports each that is invalid.
    pub(super) fn settings(self, problems: &mut Problems) -> Option<BatchSettings> {
        let (batch_variable, batch) = self.max_batch_size;
        let delay = milliseconds(self.delay.0, self.delay.1, problems);
        let timeout = milliseconds(self.timeout.0, self.timeout.1, problems);
        let queue = count(self.max_queue_size.0, self.max_queue_size.1, problems);
        let batch = count(batch_variable, batch, problems);
        let (delay, timeout, max_queue_size) = (delay?, timeout?, queue?);
        let max_batch_size = within(batch_variable, batch?, max_queue_size, problems)?;
        Some(BatchSettings {
            delay,
            timeout,
            max_queue_size,
            max_batch_size,
        })
    }
}

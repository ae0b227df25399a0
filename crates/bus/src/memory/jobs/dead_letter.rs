//! Dead letters in memory: jobs that a second worker lost are logged and dropped.

use crate::bounds::MAX_DELIVERIES;

/// Reports whether an entry with this number of lost deliveries is a dead letter, and logs it if so.
pub(super) fn is_dead_letter(entry: u64, deliveries: u32) -> bool {
    let is_dead_letter = deliveries >= MAX_DELIVERIES;
    if is_dead_letter {
        tracing::warn!(entry, deliveries, "job became a dead letter, its workers lost it");
    }
    is_dead_letter
}

//! Gap detector of one user's events: delivers every event once, in order and without a gap, or reports that some are lost.
//!
//! Announcements may be lost, late or duplicated; the event log is authoritative. An event that does not follow the last delivered one has
//! the log read, and an event announced meanwhile has it read again unless the read returned it.

use std::sync::Arc;

use bus::LogRead;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::offset::Offset;

/// Offset of one user's log up to which all events were delivered.
#[derive(Debug, Default)]
pub(super) struct GapDetector {
    /// `None` until the offset of the log is known.
    cursor: Option<Offset>,
    /// True while a read of the log is pending.
    is_reading: bool,
    /// Newest offset announced while nothing could be delivered. Boxed, as it is rare, and every user has a detector.
    newest: Option<Box<Offset>>,
}

/// Output of the detector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GapOutput {
    /// Deliver this event to the user's sockets.
    Deliver(Offset, Arc<Envelope>),
    /// Read the log after this offset, up to [`PAGE`] events.
    Read(Offset),
    /// Report to the user's sockets that events up to this offset are lost.
    Gap(Offset),
}

/// Events of one read.
pub(super) const PAGE: usize = 128;

impl GapDetector {
    /// Offset up to which all events were delivered.
    pub(super) fn cursor(&self) -> Option<&Offset> {
        self.cursor.as_ref()
    }

    /// Takes an announced event.
    pub(super) fn received(&mut self, offset: Offset, envelope: Arc<Envelope>) -> Vec<GapOutput> {
        match &mut self.cursor {
            Some(cursor) if !self.is_reading => {
                if follows(&offset, cursor) {
                    *cursor = offset.clone();
                    return vec![GapOutput::Deliver(offset, envelope)];
                }
                self.catch_up(Some(&offset))
            }
            // The next read of the log returns it.
            _ => {
                self.announced(offset);
                Vec::new()
            }
        }
    }

    /// Takes the offset of the log: when the channel was subscribed, or from a comparison.
    pub(super) fn positioned(&mut self, offset: Offset) -> Vec<GapOutput> {
        if self.is_reading {
            // The pending read may return less than this.
            self.announced(offset);
            return Vec::new();
        }
        if self.cursor.is_none() {
            self.cursor = Some(offset);
            let newest = self.newest.take();
            return self.catch_up(newest.as_deref());
        }
        self.catch_up(Some(&offset))
    }

    /// Takes the result of [`GapOutput::Read`].
    pub(super) fn read(&mut self, read: LogRead) -> Vec<GapOutput> {
        self.is_reading = false;
        let mut outputs = Vec::new();
        match read {
            LogRead::Events(events) => {
                let is_full = events.len() >= PAGE;
                for (offset, envelope) in events {
                    outputs.extend(self.take(offset, Arc::new(envelope)));
                }
                if is_full {
                    outputs.extend(self.read_on());
                    return outputs;
                }
            }
            LogRead::Gap(now) => {
                self.cursor = Some(now.clone());
                outputs.push(GapOutput::Gap(now));
            }
        }
        let newest = self.newest.take();
        outputs.extend(self.catch_up(newest.as_deref()));
        outputs
    }

    /// Takes an event of the log. A gap in the log would be a loss.
    fn take(&mut self, offset: Offset, envelope: Arc<Envelope>) -> Vec<GapOutput> {
        let Some(cursor) = &mut self.cursor else {
            return Vec::new();
        };
        if !is_beyond(&offset, cursor) {
            return Vec::new();
        }
        let lost = (!follows(&offset, cursor)).then(|| GapOutput::Gap(before(&offset)));
        *cursor = offset.clone();
        lost.into_iter().chain([GapOutput::Deliver(offset, envelope)]).collect()
    }

    /// Records the newest offset: one of a comparison may be ahead of events that are still unread.
    fn announced(&mut self, offset: Offset) {
        if self.newest.as_ref().is_none_or(|newest| is_beyond(&offset, newest)) {
            self.newest = Some(Box::new(offset));
        }
    }

    /// Reads the log if it has events after the cursor.
    fn catch_up(&mut self, newest: Option<&Offset>) -> Vec<GapOutput> {
        match (&self.cursor, newest) {
            (Some(cursor), Some(newest)) if is_beyond(newest, cursor) => self.read_on(),
            _ => Vec::new(),
        }
    }

    fn read_on(&mut self) -> Vec<GapOutput> {
        self.is_reading = self.cursor.is_some();
        self.cursor.clone().map(GapOutput::Read).into_iter().collect()
    }
}

fn follows(offset: &Offset, cursor: &Offset) -> bool {
    offset.epoch == cursor.epoch && cursor.seq.checked_add(1) == Some(offset.seq)
}

/// Offset before this one.
fn before(offset: &Offset) -> Offset {
    Offset {
        epoch: offset.epoch.clone(),
        seq: offset.seq.saturating_sub(1),
    }
}

/// True if there may be more to deliver than up to `cursor`. With another epoch there may be: only the log shows which of the two has
/// ended.
pub(super) fn is_beyond(offset: &Offset, cursor: &Offset) -> bool {
    offset.epoch != cursor.epoch || offset.seq > cursor.seq
}

#[cfg(test)]
mod tests;

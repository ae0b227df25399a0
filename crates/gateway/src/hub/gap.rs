//! One user's order as this gateway follows it: every event once, in order, without a hole, or a plain word that some are lost.
//!
//! What is heard may be missing, late or double. The log is the truth: whatever does not follow the last event delivered makes it
//! read, and what is heard meanwhile is read too if it was not in what came.

use std::sync::Arc;

use bus::LogRead;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::offset::Offset;

/// The place of one user's order up to which everything was delivered.
#[derive(Debug, Default)]
pub(super) struct Gap {
    /// None until the order's position is known.
    cursor: Option<Offset>,
    /// The log is being read.
    reading: bool,
    /// The newest event known of while nothing could be delivered.
    newest: Option<Offset>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Output {
    /// Hand this event to the user's sockets.
    Deliver(Offset, Arc<Envelope>),
    /// Read the log after this position, at most [`PAGE`] events, and bring what it says.
    Read(Offset),
    /// Tell the user's sockets that events up to this position are lost.
    Gap(Offset),
}

/// How many events are read at once.
pub(super) const PAGE: usize = 128;

impl Gap {
    /// Up to where everything was delivered.
    pub(super) fn cursor(&self) -> Option<&Offset> {
        self.cursor.as_ref()
    }

    /// An event was heard.
    pub(super) fn heard(&mut self, offset: Offset, envelope: Arc<Envelope>) -> Vec<Output> {
        match &mut self.cursor {
            Some(cursor) if !self.reading => {
                if follows(&offset, cursor) {
                    *cursor = offset.clone();
                    return vec![Output::Deliver(offset, envelope)];
                }
                self.catch_up(Some(offset))
            }
            // It is in the log: whoever reads next finds it.
            _ => {
                self.newest = Some(offset);
                Vec::new()
            }
        }
    }

    /// The order stands here, says the bus: when the user's channel was opened, or to see whether something was missed.
    pub(super) fn positioned(&mut self, offset: Offset) -> Vec<Output> {
        if self.reading {
            // What is being read may be older than this.
            if self.newest.as_ref().is_none_or(|newest| is_beyond(&offset, newest)) {
                self.newest = Some(offset);
            }
            return Vec::new();
        }
        if self.cursor.is_none() {
            self.cursor = Some(offset);
            let newest = self.newest.take();
            return self.catch_up(newest);
        }
        self.catch_up(Some(offset))
    }

    /// What the log says, after [`Output::Read`].
    pub(super) fn read(&mut self, past: LogRead) -> Vec<Output> {
        self.reading = false;
        let mut outputs = Vec::new();
        match past {
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
                outputs.push(Output::Gap(now));
            }
        }
        let newest = self.newest.take();
        outputs.extend(self.catch_up(newest));
        outputs
    }

    /// An event of the log. They come without a hole; if one did not, that would be a loss.
    fn take(&mut self, offset: Offset, envelope: Arc<Envelope>) -> Vec<Output> {
        let Some(cursor) = &mut self.cursor else {
            return Vec::new();
        };
        if !is_beyond(&offset, cursor) {
            return Vec::new();
        }
        let lost = (!follows(&offset, cursor)).then(|| Output::Gap(before(&offset)));
        *cursor = offset.clone();
        lost.into_iter().chain([Output::Deliver(offset, envelope)]).collect()
    }

    /// Reads the log if something there is beyond what was delivered.
    fn catch_up(&mut self, newest: Option<Offset>) -> Vec<Output> {
        match (&self.cursor, newest) {
            (Some(cursor), Some(newest)) if is_beyond(&newest, cursor) => self.read_on(),
            _ => Vec::new(),
        }
    }

    fn read_on(&mut self) -> Vec<Output> {
        self.reading = self.cursor.is_some();
        self.cursor.clone().map(Output::Read).into_iter().collect()
    }
}

fn follows(offset: &Offset, cursor: &Offset) -> bool {
    offset.epoch == cursor.epoch && cursor.seq.checked_add(1) == Some(offset.seq)
}

/// The place before this one.
fn before(offset: &Offset) -> Offset {
    Offset {
        epoch: offset.epoch.clone(),
        seq: offset.seq.saturating_sub(1),
    }
}

/// Whether there is more to deliver than up to `cursor`. Of another epoch it may be: only the log can tell which of them is over.
pub(super) fn is_beyond(offset: &Offset, cursor: &Offset) -> bool {
    offset.epoch != cursor.epoch || offset.seq > cursor.seq
}

#[cfg(test)]
mod tests;

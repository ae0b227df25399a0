//! One user's order as this gateway follows it: every event once, in order, without a hole, or a plain word that some are lost.
//!
//! What is heard may be missing, late or double. The log is the truth: whatever does not follow the last event delivered makes it
//! read, and what is heard meanwhile is read too if it was not in what came.

use std::sync::Arc;

use bus::Past;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::position::Position;

/// The place of one user's order up to which everything was delivered.
#[derive(Debug, Default)]
pub(super) struct Gap {
    /// None until the order's position is known.
    cursor: Option<Position>,
    /// The log is being read.
    reading: bool,
    /// The newest event known of while nothing could be delivered.
    newest: Option<Position>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Output {
    /// Hand this event to the user's sockets.
    Deliver(Position, Arc<Envelope>),
    /// Read the log after this position, at most [`PAGE`] events, and bring what it says.
    Read(Position),
    /// Tell the user's sockets that events up to this position are lost.
    Lost(Position),
}

/// How many events are read at once.
pub(super) const PAGE: usize = 128;

impl Gap {
    /// Up to where everything was delivered.
    pub(super) fn cursor(&self) -> Option<&Position> {
        self.cursor.as_ref()
    }

    /// An event was heard.
    pub(super) fn heard(&mut self, position: Position, envelope: Arc<Envelope>) -> Vec<Output> {
        match &mut self.cursor {
            Some(cursor) if !self.reading => {
                if follows(&position, cursor) {
                    *cursor = position.clone();
                    return vec![Output::Deliver(position, envelope)];
                }
                self.catch_up(Some(position))
            }
            // It is in the log: whoever reads next finds it.
            _ => {
                self.newest = Some(position);
                Vec::new()
            }
        }
    }

    /// The order stands here, says the bus: when the user's channel was opened, or to see whether something was missed.
    pub(super) fn positioned(&mut self, position: Position) -> Vec<Output> {
        if self.reading {
            // What is being read may be older than this.
            if self.newest.as_ref().is_none_or(|newest| is_beyond(&position, newest)) {
                self.newest = Some(position);
            }
            return Vec::new();
        }
        if self.cursor.is_none() {
            self.cursor = Some(position);
            let newest = self.newest.take();
            return self.catch_up(newest);
        }
        self.catch_up(Some(position))
    }

    /// What the log says, after [`Output::Read`].
    pub(super) fn read(&mut self, past: Past) -> Vec<Output> {
        self.reading = false;
        let mut outputs = Vec::new();
        match past {
            Past::Events(events) => {
                let is_full = events.len() >= PAGE;
                for (position, envelope) in events {
                    outputs.extend(self.take(position, Arc::new(envelope)));
                }
                if is_full {
                    outputs.extend(self.read_on());
                    return outputs;
                }
            }
            Past::Lost(now) => {
                self.cursor = Some(now.clone());
                outputs.push(Output::Lost(now));
            }
        }
        let newest = self.newest.take();
        outputs.extend(self.catch_up(newest));
        outputs
    }

    /// An event of the log. They come without a hole; if one did not, that would be a loss.
    fn take(&mut self, position: Position, envelope: Arc<Envelope>) -> Vec<Output> {
        let Some(cursor) = &mut self.cursor else {
            return Vec::new();
        };
        if !is_beyond(&position, cursor) {
            return Vec::new();
        }
        let lost = (!follows(&position, cursor)).then(|| Output::Lost(before(&position)));
        *cursor = position.clone();
        lost.into_iter().chain([Output::Deliver(position, envelope)]).collect()
    }

    /// Reads the log if something there is beyond what was delivered.
    fn catch_up(&mut self, newest: Option<Position>) -> Vec<Output> {
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

fn follows(position: &Position, cursor: &Position) -> bool {
    position.epoch == cursor.epoch && cursor.seq.checked_add(1) == Some(position.seq)
}

/// The place before this one.
fn before(position: &Position) -> Position {
    Position {
        epoch: position.epoch.clone(),
        seq: position.seq.saturating_sub(1),
    }
}

/// Whether there is more to deliver than up to `cursor`. Of another epoch it may be: only the log can tell which of them is over.
pub(super) fn is_beyond(position: &Position, cursor: &Position) -> bool {
    position.epoch != cursor.epoch || position.seq > cursor.seq
}

#[cfg(test)]
mod tests;

//! Times at which the residents lost and regained their connections.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use testkit::client::reconnecting::ClientEvent;
use tokio::time::Instant;

/// Log that all residents write.
#[derive(Clone, Default)]
pub(super) struct ConnectionLog {
    changes: Arc<Mutex<Vec<Change>>>,
}

struct Change {
    client: usize,
    at: Instant,
    /// Reason of a disconnection or of a failed attempt; `None` for a connection.
    lost: Option<String>,
}

/// Time without a connection of one client, from the loss to the next connection.
pub(super) struct Absence {
    pub(super) from: Instant,
    /// `None` while it lasts.
    pub(super) until: Option<Instant>,
    pub(super) reason: String,
    /// Reasons of attempts that failed.
    pub(super) failed_attempts: Vec<String>,
}

impl Absence {
    /// Length; until now if it lasts.
    pub(super) fn length(&self) -> Duration {
        self.until.unwrap_or_else(Instant::now) - self.from
    }
}

impl ConnectionLog {
    /// Records an event of a client, if it is one of the connection.
    pub(super) fn record(&self, client: usize, event: &ClientEvent) {
        let lost = match event {
            ClientEvent::Connected { .. } => None,
            ClientEvent::Disconnected(why) | ClientEvent::Stopped(why) => Some(why.clone()),
            ClientEvent::Received(_) => return,
        };
        let at = Instant::now();
        self.changes.lock().unwrap().push(Change { client, at, lost });
    }

    /// Absences that began at `since` or later, of clients that were connected before.
    pub(super) fn absences(&self, since: Instant) -> Vec<Absence> {
        let changes = self.changes.lock().unwrap();
        let mut absences: Vec<(usize, Absence)> = Vec::new();
        for Change { client, at, lost } in changes.iter().filter(|change| change.at >= since) {
            let current = absences
                .iter_mut()
                .find(|(of, absence)| of == client && absence.until.is_none());
            match (current, lost) {
                (Some((_, absence)), Some(why)) => absence.failed_attempts.push(why.clone()),
                (Some((_, absence)), None) => absence.until = Some(*at),
                (None, Some(why)) => {
                    let absence = Absence {
                        from: *at,
                        until: None,
                        reason: why.clone(),
                        failed_attempts: Vec::new(),
                    };
                    absences.push((*client, absence));
                }
                (None, None) => {}
            }
        }
        absences.into_iter().map(|(_, absence)| absence).collect()
    }
}

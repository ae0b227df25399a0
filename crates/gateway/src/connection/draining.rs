//! A socket that is to end: it may only flush.

use std::sync::Arc;
use std::time::Duration;

use protocol::wire::socketio;

use super::ending::Ending;
use super::task::Link;
use crate::command::Caller;

/// A socket on its way out, and why.
pub(super) struct Draining {
    link: Box<Link>,
    ending: Ending,
    /// Whom it served, if it did.
    caller: Option<Arc<Caller>>,
}

impl Draining {
    /// A socket that never became live.
    pub(super) fn unproven(link: Box<Link>, ending: Ending) -> Self {
        Self {
            link,
            ending,
            caller: None,
        }
    }

    /// A socket that was live.
    pub(super) fn live(link: Box<Link>, ending: Ending, caller: Arc<Caller>) -> Self {
        Self {
            link,
            ending,
            caller: Some(caller),
        }
    }

    /// Sends what there still is to say and closes, within a deadline. Says why it ended.
    pub(super) async fn flush(mut self, within: Duration) -> Ending {
        if let Some(caller) = &self.caller {
            if self.ending == Ending::Restart {
                // Nobody else can answer what is under way.
                self.link.send_until(caller.all_answered(), ANSWERS_WITHIN).await;
            }
            if self.ending.stay_away() && caller.form.native().is_none() {
                self.link.send(socketio::disconnect(caller.form.dialect()));
            }
        }
        let reason = self.reason();
        Box::pin(self.link.end(self.ending, &reason, within)).await;
        self.ending
    }

    /// Beside the close code, for a person; a client of a draining node is told when to come back.
    fn reason(&self) -> String {
        let reason = self.ending.code().map_or("", |code| code.as_str());
        if matches!(self.ending, Ending::Restart | Ending::Unavailable) {
            let after = self.link.reconnect_after().as_millis();
            return format!("{reason}; reconnect-after-ms={after}");
        }
        reason.to_owned()
    }
}

/// How long a draining socket waits for answers under way.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

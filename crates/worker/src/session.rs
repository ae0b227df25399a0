//! Sessions. Postgres records which sessions were ended, Redis when each one expires.
//!
//! [`open`] admits a socket whose session Redis does not have. [`end`] ends sessions; [`announce`] and [`confirm`] write an end
//! to Redis before and after its commit. [`timeout`] changes the timeout of live sessions, [`list`] lists them, [`live`] reports whether
//! the user has another one. [`wrong_codes`] ends a session in which second factors are guessed. [`deadlines`] copies deadlines from
//! Redis to Postgres, so that the loss of Redis costs a session at most a minute of its time.

mod announce;
mod confirm;
mod deadlines;
mod end;
#[cfg(test)]
mod error_chains;
mod list;
mod live;
mod open;
mod timeout;
mod warning_lead;
mod wrong_codes;

use std::sync::Arc;
use std::time::Duration;

use bus::{Presence, SessionKey, SessionRegistry};
use lifecycle::Clock;
use protocol::id::{SessionId, UserId};
use store::{Security, SessionRecords};

use crate::settings::SessionTimes;

pub(crate) use confirm::confirm_ends;
pub(crate) use deadlines::save_deadlines;
pub(crate) use end::{EndError, SessionEnder};
pub(crate) use list::{ListError, LiveSession, SessionSources};
pub(crate) use live::LiveSessions;

/// Handlers of the commands and jobs that concern sessions.
pub(crate) struct SessionService {
    pub(crate) records: Arc<dyn SessionRecords>,
    pub(crate) security: Arc<dyn Security>,
    pub(crate) registry: Arc<dyn SessionRegistry>,
    pub(crate) presence: Arc<dyn Presence>,
    pub(crate) times: SessionTimes,
    pub(crate) clock: Arc<dyn Clock>,
}

fn key(user: &UserId, session: &SessionId) -> SessionKey {
    SessionKey {
        user: user.clone(),
        session: session.clone(),
    }
}

/// Life of the record of an ended session in Redis; after it, the store is the only source.
const END_TTL: Duration = Duration::from_hours(24);

//! Sessions: what a gateway cannot decide alone. Postgres says whether a session was ended, Redis when it is over.
//!
//! [`open`] lets a socket in whose session Redis does not know, [`end`] ends sessions for ever, [`announce`] and [`confirm`] tell Redis
//! before and after that is committed, [`retime`] gives them another timeout, [`list`] says which there are, [`live`] whether there is
//! another, [`guesses`] ends one in which second factors are guessed, [`keep`] copies deadlines from Redis to Postgres, so that the loss
//! of Redis costs a session a minute of its time at most.

mod announce;
mod confirm;
mod end;
mod guesses;
mod keep;
mod list;
mod live;
mod open;
mod retime;
mod warning_lead;

use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, SessionKey};
use lifecycle::Clock;
use protocol::id::{SessionId, UserId};
use store::Store;

use crate::settings::SessionTimes;

pub(crate) use confirm::confirm_ends;
pub(crate) use keep::save_deadlines;
pub(crate) use live::LiveSessions;

/// Opens and ends sessions.
pub(crate) struct SessionService {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) times: SessionTimes,
    pub(crate) clock: Arc<dyn Clock>,
}

fn key(user: &UserId, session: &SessionId) -> SessionKey {
    SessionKey {
        user: user.clone(),
        session: session.clone(),
    }
}

/// How long Redis remembers that a session was ended; after that, the store is asked.
const END_REMEMBERED: Duration = Duration::from_hours(24);

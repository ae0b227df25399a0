//! What an operator decides about a worker.

mod redirect_policy;

use std::time::Duration;

use protocol::cluster::job::Lane;

pub use redirect_policy::{RedirectError, RedirectPolicy};

/// A worker's settings: plain data.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many jobs run at once.
    pub concurrency: JobConcurrency,
    /// Where platforms may send users back to.
    pub redirects: RedirectPolicy,
    /// Whether `account:connect` must bring the state of `account:authorize`.
    pub connect_state: ConnectState,
    /// How long sessions last.
    pub sessions: SessionTimes,
    /// Codes that begin with this may be presented again and again, by anybody: for `postern dev`, where the simulator takes
    /// `test_code_*` as often as it comes. Real codes are exchanged once.
    pub dangerous_repeatable_codes: Option<String>,
}

/// How long a session lasts without activity, and how long before its end its user is warned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionTimes {
    /// `POSTERN_SESSION_TIMEOUT`.
    pub timeout: Duration,
    /// `POSTERN_SESSION_WARNING`.
    pub warning: Duration,
}

impl Default for SessionTimes {
    fn default() -> Self {
        Self {
            timeout: Duration::from_mins(30),
            warning: Duration::from_mins(5),
        }
    }
}

/// How many jobs of each lane run at once. What is beyond waits in the lane, for this worker or another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobConcurrency {
    /// Of [`Lane::SignIn`].
    pub sign_in: usize,
    /// Of [`Lane::Interactive`].
    pub interactive: usize,
    /// Of [`Lane::Platform`].
    pub platform: usize,
    /// Of [`Lane::Webhook`].
    pub webhook: usize,
    /// Connects and returning browsers, at each platform. They give their lane's permit back.
    pub exchanges: PlatformConcurrency,
    /// Syncs that clients ask for, at each platform. They too.
    pub syncs: PlatformConcurrency,
}

/// How many jobs of a kind are at a platform at once. It bounds what a platform that hangs can hold up: more of the same kind there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlatformConcurrency {
    /// So many are asking it.
    pub running: usize,
    /// So many more wait to ask, without a permit of their lane. What is beyond is refused.
    pub waiting: usize,
}

impl JobConcurrency {
    pub(crate) fn of(self, lane: Lane) -> usize {
        match lane {
            Lane::SignIn => self.sign_in,
            Lane::Interactive => self.interactive,
            Lane::Platform => self.platform,
            Lane::Webhook => self.webhook,
        }
    }
}

impl Default for JobConcurrency {
    fn default() -> Self {
        Self {
            sign_in: 8,
            interactive: 16,
            platform: 8,
            webhook: 8,
            exchanges: PlatformConcurrency {
                running: 32,
                waiting: 128,
            },
            syncs: PlatformConcurrency {
                running: 16,
                waiting: 64,
            },
        }
    }
}

/// `POSTERN_CONNECT_STATE`: whether a connect must have been begun here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ConnectState {
    /// An application may run the authorization itself. It then has to keep login CSRF and code injection out itself.
    #[default]
    Optional,
    /// Every connect was begun with `account:authorize`.
    Required,
}

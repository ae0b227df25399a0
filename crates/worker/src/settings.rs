//! What an operator decides about a worker.

use protocol::cluster::job::Lane;

use crate::redirect::RedirectPolicy;

/// A worker's settings: plain data.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many jobs run at once.
    pub seats: Seats,
    /// Where platforms may send users back to.
    pub redirects: RedirectPolicy,
    /// Whether `account:connect` must bring the state of `account:authorize`.
    pub connect_state: ConnectState,
    /// Codes that begin with this may be presented again and again, by anybody: for `postern dev`, where the simulator takes
    /// `test_code_*` as often as it comes. Real codes are exchanged once.
    pub dangerous_repeatable_codes: Option<String>,
}

/// How many jobs of each lane run at once. What is beyond waits in the lane, for this worker or another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seats {
    /// Of [`Lane::Interactive`].
    pub interactive: usize,
    /// Of [`Lane::Platform`].
    pub platform: usize,
}

impl Seats {
    pub(crate) fn of(self, lane: Lane) -> usize {
        match lane {
            Lane::Interactive => self.interactive,
            Lane::Platform => self.platform,
        }
    }
}

impl Default for Seats {
    fn default() -> Self {
        Self {
            interactive: 16,
            platform: 8,
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

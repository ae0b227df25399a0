//! Settings of a worker.

mod redirect_policy;

use std::time::Duration;

use protocol::cluster::job::Lane;
use store::RetentionTimes;

pub(crate) use redirect_policy::RedirectNotAllowed;
pub use redirect_policy::{RedirectError, RedirectPolicy};

/// Settings of a worker: plain data.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Concurrency of jobs.
    pub concurrency: JobConcurrency,
    /// Redirect URIs that the account commands accept.
    pub redirects: RedirectPolicy,
    /// Decides whether `account:connect` requires the state of `account:authorize`.
    pub connect_state: ConnectState,
    /// Session timeout and lead of its warning.
    pub sessions: SessionTimes,
    /// Retention times of rows.
    pub retention: RetentionTimes,
    /// Prefix of authorization codes that anybody may present any number of times: for `postern dev`, where the simulator accepts
    /// `test_code_*` repeatedly. All other codes are exchanged once.
    pub dangerous_repeatable_codes: Option<String>,
}

/// Timeout of a session without activity, and the lead of its expiry warning.
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

/// Bounds of concurrent jobs. Jobs above the bound wait in their lane, for this worker or another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobConcurrency {
    /// Jobs of [`Lane::SignIn`].
    pub sign_in: usize,
    /// Jobs of [`Lane::Interactive`].
    pub interactive: usize,
    /// Jobs of [`Lane::Platform`].
    pub platform: usize,
    /// Jobs of [`Lane::Webhook`].
    pub webhook: usize,
    /// Connects and hosted callbacks at each platform. They release the permit of their lane.
    pub exchanges: PlatformConcurrency,
    /// Syncs that clients request, at each platform. They release the permit of their lane.
    pub syncs: PlatformConcurrency,
}

/// Bound of one kind of job at one platform, so that a platform that hangs delays only jobs of that kind there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlatformConcurrency {
    /// Jobs that call the platform.
    pub running: usize,
    /// Jobs that wait to call it, without a permit of their lane. Further jobs are refused.
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

/// `POSTERN_CONNECT_STATE`: decides whether a connect requires an authorization of `account:authorize`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ConnectState {
    /// The application may run the authorization itself. It must then prevent login CSRF and code injection itself.
    #[default]
    Optional,
    /// Every connect follows an `account:authorize`.
    Required,
}

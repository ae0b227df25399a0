//! Dependencies of a node, such as Redis or a mail server: the state of each, since when, and the class of its last error.

use std::fmt::{self, Display};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::Clock;
use crate::outage::{OutageCounter, QUIET};

/// All dependencies of one node. Clones share them.
#[derive(Clone)]
pub struct Dependencies {
    clock: Arc<dyn Clock>,
    all: Arc<Mutex<Vec<Dependency>>>,
}

impl Dependencies {
    /// Empty list. The clock gives the times of changes.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            all: Arc::default(),
        }
    }

    /// Dependency of this name, to which this node keeps connections. The first call creates it, and the node waits for it from then on.
    #[must_use]
    pub fn named(&self, name: &'static str) -> Dependency {
        self.find_or_create(name, DependencyState::Waiting)
    }

    /// Dependency of this name that is called only when there is work for it, such as a mail server. The node does not wait for it, and
    /// nothing but that work finds an outage, or its end. The first call creates it.
    #[must_use]
    pub fn on_demand(&self, name: &'static str) -> Dependency {
        self.find_or_create(name, DependencyState::Unused)
    }

    fn find_or_create(&self, name: &'static str, initial: DependencyState) -> Dependency {
        let mut all = self.list();
        if let Some(known) = all.iter().find(|dependency| dependency.shared.name == name) {
            return known.clone();
        }
        let created = Dependency::new((name, initial), Arc::clone(&self.clock));
        all.push(created.clone());
        created
    }

    /// Status of each, in the sequence of their creation.
    #[must_use]
    pub fn statuses(&self) -> Vec<DependencyStatus> {
        self.list().iter().map(Dependency::status).collect()
    }

    fn list(&self) -> MutexGuard<'_, Vec<Dependency>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Dependencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.statuses()).finish()
    }
}

/// Dependency of a node, to which its clients report each result. Clones share one state.
///
/// An outage is one warning at its begin and one line at its end, however many operations fail between. It ends with the first success
/// that comes at least a second after the last failure. While the node still waits for the dependency at its start, the first success
/// ends the wait.
#[derive(Clone)]
pub struct Dependency {
    shared: Arc<Shared>,
}

struct Shared {
    name: &'static str,
    clock: Arc<dyn Clock>,
    outage: OutageCounter,
    /// True while the dependency is up, so that a success then takes no lock.
    is_up: AtomicBool,
    status: Mutex<DependencyStatus>,
}

/// State of a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DependencyState {
    /// Not reached since the start of the node.
    Waiting,
    /// Not called since the start of the node, which does not wait for it.
    Unused,
    /// The last operations succeeded.
    Up,
    /// Operations have failed since it was up.
    Down,
}

impl DependencyState {
    /// Name in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Unused => "unused",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// Status of a dependency at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DependencyStatus {
    /// Name, such as `redis`.
    pub name: &'static str,
    /// True for a dependency to which the node keeps connections: its state is that of now. Else it is that of the last calls.
    pub is_monitored: bool,
    /// State.
    pub state: DependencyState,
    /// Time of the last change of the state.
    pub since: SystemTime,
    /// Last failure, also of an outage that has ended.
    pub last_error: Option<DependencyError>,
}

/// Class and time of a failure. The class is one of a few words and quotes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DependencyError {
    /// Class, such as `timeout`.
    pub class: &'static str,
    /// Time.
    pub at: SystemTime,
}

impl Dependency {
    fn new((name, initial): (&'static str, DependencyState), clock: Arc<dyn Clock>) -> Self {
        let status = DependencyStatus {
            name,
            is_monitored: initial == DependencyState::Waiting,
            state: initial,
            since: clock.now(),
            last_error: None,
        };
        Self {
            shared: Arc::new(Shared {
                name,
                clock,
                outage: OutageCounter::default(),
                is_up: AtomicBool::new(false),
                status: Mutex::new(status),
            }),
        }
    }

    /// Counts a failure of this class. The first of an outage is logged with its error: pass the whole chain.
    pub fn failed(&self, class: &'static str, error: impl Display) {
        let mut status = self.lock();
        let now = self.shared.clock.now();
        status.last_error = Some(DependencyError { class, at: now });
        let is_first = self.shared.outage.failed();
        self.shared.is_up.store(false, Ordering::Release);
        let dependency = self.shared.name;
        if status.state == DependencyState::Waiting {
            if is_first {
                tracing::warn!(dependency, class, %error, "dependency unavailable at the start, the node is not ready");
            }
            return;
        }
        if is_first {
            status.state = DependencyState::Down;
            status.since = now;
            tracing::warn!(dependency, class, %error, "outage began");
        }
    }

    /// Records a success. The one that ends an outage is logged with the number of failures and the duration.
    pub fn succeeded(&self) {
        if self.is_up() {
            return;
        }
        let mut status = self.lock();
        let was_waited_for = status.state == DependencyState::Waiting;
        let quiet = if was_waited_for { Duration::ZERO } else { QUIET };
        let ended = self.shared.outage.succeeded(quiet);
        if self.shared.outage.is_failing() {
            return;
        }
        status.state = DependencyState::Up;
        status.since = self.shared.clock.now();
        self.shared.is_up.store(true, Ordering::Release);
        let Some(ended) = ended else { return };
        let (dependency, failures, seconds) = (self.shared.name, ended.failures, ended.duration.as_secs());
        if was_waited_for {
            tracing::info!(dependency, failures, seconds, "dependency available");
        } else {
            tracing::info!(dependency, failures, seconds, "outage ended");
        }
    }

    /// Reports whether the last operations succeeded.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.shared.is_up.load(Ordering::Acquire)
    }

    /// Status now.
    #[must_use]
    pub fn status(&self) -> DependencyStatus {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, DependencyStatus> {
        self.shared.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.status().fmt(f)
    }
}

#[cfg(test)]
mod tests;

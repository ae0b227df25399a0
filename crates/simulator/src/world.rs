//! All that the simulator remembers, behind one lock that is held for a few lines and never across an await.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{
    blocked::Holds, discord::guild::Guild, fault::Plan, github::Github, grant::Grants, ledger::Ledger,
    platform::Platform, spelling::ResponseFormat, telegram::bot::Updates, x_twitter::inbox::Inboxes,
};

/// The simulator's memory, shared by its requests and its handles.
#[derive(Debug, Clone)]
pub(crate) struct World {
    base: Arc<str>,
    state: Arc<Mutex<State>>,
}

/// What is remembered.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) grants: Grants,
    pub(crate) plan: Plan,
    pub(crate) holds: Holds,
    pub(crate) ledger: Ledger,
    pub(crate) spellings: HashMap<Platform, ResponseFormat>,
    pub(crate) github: Github,
    pub(crate) x_twitter: Inboxes,
    pub(crate) guild: Guild,
    pub(crate) telegram: Updates,
}

impl World {
    /// An empty world, reached at `base` (`http://127.0.0.1:9100`).
    pub(crate) fn new(base: String, seed: u64) -> Self {
        let state = State {
            grants: Grants::new(seed),
            plan: Plan::new(seed),
            holds: Holds::default(),
            ledger: Ledger::default(),
            spellings: HashMap::new(),
            github: Github::default(),
            x_twitter: Inboxes::default(),
            guild: Guild::default(),
            telegram: Updates::default(),
        };
        Self {
            base: base.into(),
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Where the simulator is reached; no slash at the end.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// How this platform writes its answers.
    pub(crate) fn spelling(&self, platform: Platform) -> ResponseFormat {
        self.lock().spellings.get(&platform).copied().unwrap_or_default()
    }

    /// The memory, for a few lines. What a panic left behind is still whole: no change here takes two steps to be true.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

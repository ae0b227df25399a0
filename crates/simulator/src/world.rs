//! State of the simulator, behind one lock that is held for a few lines and never across an await.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{
    blocked::BlockedRequests,
    consent_token::ConsentTokens,
    fault::Plan,
    grant::Grants,
    inboxes::{discord::Guild, github::GithubInboxes, telegram::TelegramUpdates, x_twitter::XInboxes},
    ledger::Ledger,
    platform::Platform,
    rate_limit::RateLimits,
    response_format::ResponseFormat,
};

/// State of the simulator, shared by its requests and its handles.
#[derive(Debug, Clone)]
pub(crate) struct World {
    base: Arc<str>,
    state: Arc<Mutex<State>>,
}

/// State behind the lock.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) grants: Grants,
    pub(crate) consent_tokens: ConsentTokens,
    pub(crate) plan: Plan,
    pub(crate) blocked: BlockedRequests,
    pub(crate) ledger: Ledger,
    pub(crate) response_formats: HashMap<Platform, ResponseFormat>,
    pub(crate) github: GithubState,
    pub(crate) x_twitter: XInboxes,
    pub(crate) guild: Guild,
    pub(crate) telegram: TelegramUpdates,
}

/// State of GitHub alone.
#[derive(Debug, Default)]
pub(crate) struct GithubState {
    pub(crate) inboxes: GithubInboxes,
    pub(crate) rate_limits: RateLimits,
    /// True if it issues the tokens of a GitHub App.
    pub(crate) expiring_tokens: bool,
}

impl World {
    /// Empty state, with this base URL (`http://127.0.0.1:9100`).
    pub(crate) fn new(base: String, seed: u64) -> Self {
        let state = State {
            grants: Grants::new(seed),
            consent_tokens: ConsentTokens::new(seed),
            plan: Plan::new(seed),
            blocked: BlockedRequests::default(),
            ledger: Ledger::default(),
            response_formats: HashMap::new(),
            github: GithubState::default(),
            x_twitter: XInboxes::default(),
            guild: Guild::default(),
            telegram: TelegramUpdates::default(),
        };
        Self {
            base: base.into(),
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Base URL; no slash at the end.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Response format of this platform.
    pub(crate) fn response_format(&self, platform: Platform) -> ResponseFormat {
        self.lock().response_formats.get(&platform).copied().unwrap_or_default()
    }

    /// Locks the state for a few lines. A panic leaves it valid: no change here takes two steps.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

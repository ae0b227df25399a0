//! Platform that rotates refresh tokens, and ends the grant when one is used again. It counts requests, and fails on request.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use platforms::{
    ApiError, AuthorizeRequest, ExchangeError, ExchangeRequest, Grant, PauseScope, Platform, Profile, RefreshError,
    RevocationPlan, RevocationScope, RevokeError, RevokeOutcome, SyncPage, SyncSchedule, Tokens,
};
use protocol::account::AccountType;
use protocol::secret::Secret;
use serde_json::Value;
use url::Url;

/// Platform in the place of GitHub, with one grant whose tokens are numbered.
#[derive(Debug)]
pub(crate) struct RotatingPlatform {
    state: Mutex<State>,
    /// Time between two syncs by schedule.
    sync_every: Duration,
}

#[derive(Debug, Default)]
struct State {
    newest: u32,
    /// True if the grant has ended; a new code creates another one.
    dead: bool,
    access_ended: bool,
    sends: HashMap<String, u32>,
    syncs: u32,
    faults: VecDeque<RefreshFault>,
    /// True while no refresh is sent.
    unreachable: bool,
}

/// Faults of the next refreshes, in sequence.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RefreshFault {
    /// The refresh is done, and its response lost.
    Dropped,
    /// The request arrives; nothing is done, and there is no response.
    Silent,
    /// The platform throttles the application.
    Throttled(Duration),
}

impl RotatingPlatform {
    /// Lifetime of an access token.
    pub(crate) const LASTS: Duration = Duration::from_secs(7_200);

    /// Platform with this interval between scheduled syncs.
    pub(crate) fn synced_every(sync_every: Duration) -> Self {
        Self {
            state: Mutex::default(),
            sync_every,
        }
    }

    /// Platform without a scheduled sync within a test, so that each fault applies to the sync that the test requests.
    pub(crate) fn synced_on_command() -> Self {
        Self::synced_every(Duration::from_secs(365 * 86_400))
    }

    pub(crate) fn fail(&self, fault: RefreshFault) {
        self.state.lock().unwrap().faults.push_back(fault);
    }

    /// Begins or ends a time in which no refresh is sent, by whatever sync.
    pub(crate) fn be_unreachable(&self, unreachable: bool) {
        self.state.lock().unwrap().unreachable = unreachable;
    }

    /// Ends the access token; the refresh token stays valid.
    pub(crate) fn end_access(&self) {
        self.state.lock().unwrap().access_ended = true;
    }

    /// Ends the grant, as its owner can at the platform.
    pub(crate) fn deauthorize(&self) {
        self.state.lock().unwrap().dead = true;
    }

    /// Largest number of uses of one refresh token, and the number of refresh tokens used.
    pub(crate) fn sends(&self) -> (u32, usize) {
        let state = self.state.lock().unwrap();
        (state.sends.values().copied().max().unwrap_or(0), state.sends.len())
    }

    pub(crate) fn syncs(&self) -> u32 {
        self.state.lock().unwrap().syncs
    }
}

fn issue(state: &mut State) -> Grant {
    state.newest += 1;
    state.access_ended = false;
    Grant {
        tokens: Some(Tokens {
            access: Secret::new(format!("access {}", state.newest)),
            refresh: Some(Secret::new(format!("refresh {}", state.newest))),
            expires_in: Some(RotatingPlatform::LASTS),
        }),
        scopes: Vec::new(),
        owner: None,
    }
}

fn profile() -> Profile {
    Profile {
        platform_user_id: "1".to_owned(),
        username: "ada".to_owned(),
        display_name: None,
        avatar_url: None,
    }
}

#[async_trait]
impl Platform for RotatingPlatform {
    fn account_type(&self) -> AccountType {
        AccountType::Github
    }

    fn sync_schedule(&self) -> SyncSchedule {
        SyncSchedule {
            sync_every: self.sync_every,
            refresh_margin: Duration::from_secs(600),
        }
    }

    fn authorize(&self, _request: &AuthorizeRequest) -> Url {
        "https://platform.example/authorize".parse().unwrap()
    }

    async fn exchange(&self, _request: &ExchangeRequest) -> Result<Grant, ExchangeError> {
        let mut state = self.state.lock().unwrap();
        state.dead = false;
        Ok(issue(&mut state))
    }

    async fn refresh(&self, refresh: &Secret) -> Result<Grant, RefreshError> {
        let account = self.account_type();
        let mut state = self.state.lock().unwrap();
        if state.unreachable {
            return Err(RefreshError::NotSent(account, "fault of the test".into()));
        }
        let fault = state.faults.pop_front();
        match fault {
            Some(RefreshFault::Throttled(wait)) => {
                return Err(RefreshError::Throttled {
                    account,
                    wait,
                    pause: PauseScope::App,
                });
            }
            Some(RefreshFault::Dropped | RefreshFault::Silent) | None => {}
        }
        *state.sends.entry(refresh.expose().to_owned()).or_default() += 1;
        if let Some(RefreshFault::Silent) = fault {
            return Err(RefreshError::Unknown(account, "fault of the test".into()));
        }
        if refresh.expose() != format!("refresh {}", state.newest) {
            state.dead = true;
        }
        if state.dead {
            return Err(RefreshError::Refused(account));
        }
        let grant = issue(&mut state);
        match fault {
            Some(_dropped) => Err(RefreshError::Unknown(account, "fault of the test".into())),
            None => Ok(grant),
        }
    }

    async fn profile(&self, _tokens: &Tokens) -> Result<Profile, ApiError> {
        Ok(profile())
    }

    async fn sync(&self, tokens: &Tokens, _cursor: Option<&Value>) -> Result<SyncPage, ApiError> {
        let mut state = self.state.lock().unwrap();
        state.syncs += 1;
        if state.dead || state.access_ended || tokens.access.expose() != format!("access {}", state.newest) {
            return Err(ApiError::Refused(self.account_type()));
        }
        Ok(SyncPage {
            profile: profile(),
            scopes: None,
            notifications: Vec::new(),
            cursor: None,
            more: false,
            next_sync: None,
        })
    }

    fn revocation(&self, _scope: RevocationScope) -> RevocationPlan {
        RevocationPlan::EachToken
    }

    async fn revoke(&self, _token: &Secret, _scope: RevocationScope) -> Result<RevokeOutcome, RevokeError> {
        Ok(RevokeOutcome::Ended)
    }
}

//! Controls for the process that runs the simulator. [`control`](crate::control) offers the same over HTTP.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use crate::{
    blocked::BlockedRequest,
    chat::NewMessage,
    clock,
    fault::Fault,
    grant::{LiveGrant, Token},
    inboxes::{
        github::{Issued, NewNotification},
        x_twitter::NewPost,
    },
    ledger::Ledger,
    platform::Platform,
    response_format::ResponseFormat,
    world::World,
};

/// Controls of a running simulator.
#[derive(Debug, Clone)]
pub struct Handle {
    world: World,
}

/// State of the simulator at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct Snapshot {
    /// Received requests.
    #[serde(flatten)]
    pub ledger: Ledger,
    /// Valid tokens, oldest first.
    pub tokens: Vec<Token>,
    /// Valid grants, by platform and login.
    pub grants: BTreeSet<LiveGrant>,
    /// Faults that still wait for a request.
    pub faults: Vec<Fault>,
    /// Blocked requests, oldest first.
    pub blocked: Vec<BlockedRequest>,
}

impl Handle {
    pub(crate) fn new(world: World) -> Self {
        Self { world }
    }

    /// Base URL of the simulator, without a slash at the end.
    pub fn url(&self) -> &str {
        self.world.base()
    }

    /// Adds a fault behind the existing ones.
    pub fn fault(&self, fault: Fault) {
        self.world.lock().plan.add(fault);
    }

    /// Sets the response format of this platform.
    pub fn set_response_format(&self, platform: Platform, response_format: ResponseFormat) {
        self.world.lock().response_formats.insert(platform, response_format);
    }

    /// Removes the waiting faults. Blocked requests stay blocked.
    pub fn clear_faults(&self) {
        self.world.lock().plan.clear();
    }

    /// Releases every blocked request and returns their number.
    pub fn release(&self) -> usize {
        self.world.lock().blocked.release()
    }

    /// Sets whether a `test_code_*` can be used once, like a real code, or always, the default. Every use is counted either way.
    pub fn single_use_test_codes(&self, single_use: bool) {
        self.world.lock().grants.single_use_test_codes(single_use);
    }

    /// Revokes the application in the platform's own settings, as its user: every token of the account ends, and no event is
    /// sent. Returns their number.
    pub fn deauthorize(&self, platform: Platform, login: &str) -> usize {
        self.world.lock().grants.revoke_account(platform, login)
    }

    /// Sets the lifetime of new access tokens of this platform.
    pub fn lifetime(&self, platform: Platform, lifetime: Duration) {
        let lifetime = lifetime.try_into().unwrap_or(time::Duration::MAX);
        self.world.lock().grants.set_lifetime(platform, lifetime);
    }

    /// Makes GitHub issue the tokens of a GitHub App: access tokens that expire after 8 hours, and refresh tokens.
    pub fn expiring_github_tokens(&self) {
        self.world.lock().github.expiring_tokens = true;
    }

    /// Expires the account's access tokens and returns their number. Its refresh tokens stay valid.
    pub fn expire(&self, platform: Platform, login: &str) -> usize {
        self.world.lock().grants.expire(platform, login, clock::now())
    }

    /// Adds a notification to an account at GitHub.
    pub fn notify(&self, notification: NewNotification) -> Issued {
        self.world.lock().github.inboxes.put(notification, clock::now())
    }

    /// Adds a post or a direct message to an account at X and returns its id.
    pub fn post(&self, post: NewPost) -> u64 {
        self.world.lock().x_twitter.put(post, clock::now())
    }

    /// Posts a message in Discord's guild and returns its id.
    pub fn post_to_discord(&self, message: &NewMessage) -> u64 {
        self.world.lock().guild.put(message, clock::now())
    }

    /// Posts a message in a group at Telegram and returns the id of the update.
    pub fn post_to_telegram(&self, message: &NewMessage) -> i64 {
        self.world.lock().telegram.put(message, clock::now())
    }

    /// State at this moment.
    pub fn snapshot(&self) -> Snapshot {
        let state = self.world.lock();
        Snapshot {
            ledger: state.ledger.clone(),
            tokens: state.grants.tokens().to_vec(),
            grants: state.grants.live(clock::now()),
            faults: state.plan.faults().to_vec(),
            blocked: state.blocked.list(),
        }
    }
}

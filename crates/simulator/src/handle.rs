//! The controls, for the process the simulator runs in. [`control`](crate::control) offers the same over HTTP.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use crate::{
    blocked::BlockedRequest,
    chat::NewMessage,
    clock,
    fault::Fault,
    github::inbox::{Issued, NewNotification},
    grant::{LiveGrant, Token},
    ledger::Ledger,
    platform::Platform,
    spelling::ResponseFormat,
    world::World,
    x_twitter::inbox::NewPost,
};

/// Controls a simulator while it serves.
#[derive(Debug, Clone)]
pub struct Handle {
    world: World,
}

/// What the simulator remembers at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct Snapshot {
    /// What it was asked.
    #[serde(flatten)]
    pub ledger: Ledger,
    /// The live tokens, oldest first.
    pub tokens: Vec<Token>,
    /// The grants that live, by platform and login.
    pub grants: BTreeSet<LiveGrant>,
    /// The faults still waiting for a request.
    pub faults: Vec<Fault>,
    /// The requests whose answer is being held, oldest first.
    pub blocked: Vec<BlockedRequest>,
}

impl Handle {
    pub(crate) fn new(world: World) -> Self {
        Self { world }
    }

    /// Where the simulator is reached, without a slash at the end.
    pub fn url(&self) -> &str {
        self.world.base()
    }

    /// Sets a fault, behind those already set.
    pub fn fault(&self, fault: Fault) {
        self.world.lock().plan.add(fault);
    }

    /// From now on this platform writes its answers so.
    pub fn set_response_format(&self, platform: Platform, spelling: ResponseFormat) {
        self.world.lock().spellings.insert(platform, spelling);
    }

    /// Forgets the faults that still wait. What is being held stays held.
    pub fn clear_faults(&self) {
        self.world.lock().plan.clear();
    }

    /// Lets every held request have its answer; says how many there were.
    pub fn release(&self) -> usize {
        self.world.lock().holds.release()
    }

    /// Whether a `test_code_*` works once, like a real code, or always, as it does from the start. Whichever it is,
    /// every presentation is counted.
    pub fn single_use_test_codes(&self, single_use: bool) {
        self.world.lock().grants.single_use_test_codes(single_use);
    }

    /// The person takes the application off the list in the platform's own settings: every token of the account dies
    /// and nobody is told. Says how many there were.
    pub fn deauthorize(&self, platform: Platform, login: &str) -> usize {
        self.world.lock().grants.revoke_account(platform, login)
    }

    /// From now on access tokens of this platform are good for so long.
    pub fn lifetime(&self, platform: Platform, lifetime: Duration) {
        let lifetime = lifetime.try_into().unwrap_or(time::Duration::MAX);
        self.world.lock().grants.set_lifetime(platform, lifetime);
    }

    /// From now on GitHub issues what a GitHub App is given: access tokens that end after 8 hours, and refresh tokens.
    pub fn expiring_github_tokens(&self) {
        self.world.lock().github.expiring_tokens = true;
    }

    /// The account's access tokens end as time would end them; its refresh tokens stay good. Says how many there were.
    pub fn expire(&self, platform: Platform, login: &str) -> usize {
        self.world.lock().grants.expire(platform, login, clock::now())
    }

    /// Something happens at GitHub that concerns this account.
    pub fn notify(&self, notification: NewNotification) -> Issued {
        self.world.lock().github.inboxes.put(notification, clock::now())
    }

    /// Something happens at X that concerns this account; gives its id.
    pub fn post(&self, post: NewPost) -> u64 {
        self.world.lock().x_twitter.put(post, clock::now())
    }

    /// Somebody writes in Discord's guild; gives the message's id.
    pub fn post_to_discord(&self, message: &NewMessage) -> u64 {
        self.world.lock().guild.put(message, clock::now())
    }

    /// Somebody writes in a group of Telegram's; gives the update's id.
    pub fn post_to_telegram(&self, message: &NewMessage) -> i64 {
        self.world.lock().telegram.put(message, clock::now())
    }

    /// What is remembered now.
    pub fn snapshot(&self) -> Snapshot {
        let state = self.world.lock();
        Snapshot {
            ledger: state.ledger.clone(),
            tokens: state.grants.tokens().to_vec(),
            grants: state.grants.live(clock::now()),
            faults: state.plan.faults().to_vec(),
            blocked: state.holds.list(),
        }
    }
}

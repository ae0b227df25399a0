//! What the platform was sent and what users were told, and what that proves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use simulator::{Refresh, Rotation};

use crate::stage::Platforms;

/// What users were told, in order.
#[derive(Clone, Default)]
pub(crate) struct Record(Arc<Mutex<Vec<Told>>>);

struct Told {
    login: String,
    kind: String,
    /// In milliseconds since 1970.
    at: i64,
}

/// What it all adds up to.
#[derive(Default)]
pub(crate) struct Verdict {
    /// Refreshes by which the platform issued new tokens.
    pub(crate) refreshed: usize,
    /// When, by whose.
    last: BTreeMap<String, i64>,
    /// Tokens sent twice.
    twice: usize,
    /// Alerts by kind.
    told: BTreeMap<String, usize>,
    /// From the first sending of a token whose answer came to nobody, to its alert; in order.
    took: Vec<Duration>,
    /// What was sent for those that took long.
    late: Vec<String>,
    /// Sentences on what is wrong.
    pub(crate) wrongs: Vec<String>,
}

impl Record {
    /// This account's user hears that the link is lost.
    pub(crate) fn told(&self, login: &str, kind: &str) {
        self.0.lock().unwrap().push(Told {
            login: login.to_owned(),
            kind: kind.to_owned(),
            at: now(),
        });
    }

    /// All that is known so far.
    pub(crate) fn read(&self, platforms: &Platforms) -> Verdict {
        let mut verdict = Verdict::default();
        let mut sendings: BTreeMap<String, Vec<Refresh>> = BTreeMap::new();
        for refresh in platforms.handle.snapshot().ledger.refreshes {
            match &refresh.login {
                Some(login) => sendings.entry(login.clone()).or_default().push(refresh),
                None => verdict.wrongs.push(format!("sent after its end: {refresh:?}")),
            }
        }
        let all_told = self.0.lock().unwrap();
        for told in all_told.iter() {
            *verdict.told.entry(told.kind.clone()).or_default() += 1;
        }
        for (login, sendings) in sendings {
            let told: Vec<&Told> = all_told.iter().filter(|told| told.login == login).collect();
            verdict.add(&login, &sendings, &told);
        }
        verdict
    }
}

impl Verdict {
    fn add(&mut self, login: &str, sendings: &[Refresh], told: &[&Told]) {
        let mut rotated = sendings.iter().filter(|sending| sending.rotation == Rotation::Rotated);
        self.refreshed += rotated.clone().count();
        self.last
            .extend(rotated.next_back().map(|last| (login.to_owned(), last.at)));
        let mut seen = BTreeSet::new();
        for token in sendings.chunk_by(|one, next| one.refresh_token == next.refresh_token) {
            let [first, again @ ..] = token else { continue };
            if !seen.insert(&first.refresh_token) {
                self.wrongs.push(format!("stale: {first:?}"));
            }
            match again {
                [] => {}
                [again] if again.at - first.at >= PERMITTED_AFTER => self.twice += 1,
                more => self.wrongs.push(format!("sent again: {first:?} {more:?}")),
            }
        }
        // A second sending is refused, which ends the link: each has an alert of its own, later.
        let mut unheard = told.iter();
        for end in sendings.iter().filter(|sending| sending.rotation == Rotation::Reused) {
            if !unheard.any(|told| told.at >= end.at) {
                self.wrongs.push(format!("not told: {end:?}"));
            }
        }
        for told in told {
            // A token whose workers died before they sent it has none; then this is the one before it, and too long.
            let last = sendings.iter().rfind(|sending| sending.at <= told.at);
            let first = last.and_then(|last| sendings.iter().find(|first| first.refresh_token == last.refresh_token));
            let took = told.at - first.map_or(told.at, |first| first.at);
            let took = Duration::from_millis(took.unsigned_abs());
            if took > TOLD_WITHIN {
                let sent = sendings.iter().rev().filter(|sending| sending.at <= told.at).take(3);
                let sent: Vec<_> = sent.map(|sending| (told.at - sending.at, sending.rotation)).collect();
                self.late
                    .push(format!("{} after {took:?}; sent, in ms before: {sent:?}", told.kind));
            }
            self.took.push(took);
        }
        self.took.sort_unstable();
    }

    /// Whose tokens were replaced after this moment.
    pub(crate) fn refreshed_since(&self, moment: i64) -> BTreeSet<&str> {
        let later = self.last.iter().filter(|(_, at)| **at > moment);
        later.map(|(login, _)| login.as_str()).collect()
    }

    /// How long the user waited who waited longest.
    pub(crate) fn slowest(&self) -> Duration {
        self.took.last().copied().unwrap_or_default()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            refreshed,
            twice,
            told,
            took,
            late,
            ..
        } = self;
        let median = took.get(took.len() / 2).copied().unwrap_or_default();
        write!(
            f,
            "{refreshed} refreshes, {twice} tokens sent twice; told {told:?}, after {median:?} in the middle and {:?} at most; late: {late:?}",
            self.slowest()
        )
    }
}

/// How soon a user is to hear that a link is lost.
pub(crate) const TOLD_WITHIN: Duration = Duration::from_secs(5);

/// The time of day, in milliseconds since 1970.
pub(crate) fn now() -> i64 {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

/// A worker waits for 1 s before it sends a token again, and the turn of a dead one ends after 2 s at least; two workers that send one token
/// at once do it within a few milliseconds.
const PERMITTED_AFTER: i64 = 200;

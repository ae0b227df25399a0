//! Refresh tokens sent to the platform, alerts sent to users, and checks on both.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use simulator::{Refresh, Rotation};

use crate::stage::Platforms;

/// Alerts of users, in sequence.
#[derive(Clone, Default)]
pub(crate) struct Record(Arc<Mutex<Vec<LossAlert>>>);

struct LossAlert {
    login: String,
    kind: String,
    /// Milliseconds since 1970.
    at: i64,
}

/// Findings over all records.
#[derive(Default)]
pub(crate) struct Findings {
    /// Refreshes by which the platform issued new tokens.
    pub(crate) refreshed: usize,
    /// Times of those, with the login.
    last: BTreeMap<String, i64>,
    /// Tokens sent twice.
    twice: usize,
    /// Alerts by kind.
    alerts: BTreeMap<String, usize>,
    /// Times from the first sending of a token whose response was lost to its alert, in sequence.
    took: Vec<Duration>,
    /// Sendings of those that took long.
    late: Vec<String>,
    /// Violations as sentences.
    pub(crate) violations: Vec<String>,
}

impl Record {
    /// Records the alert about a lost link.
    pub(crate) fn alerts(&self, login: &str, kind: &str) {
        self.0.lock().unwrap().push(LossAlert {
            login: login.to_owned(),
            kind: kind.to_owned(),
            at: now(),
        });
    }

    /// Checks all records so far.
    pub(crate) fn read(&self, platforms: &Platforms) -> Findings {
        let mut findings = Findings::default();
        let mut sendings: BTreeMap<String, Vec<Refresh>> = BTreeMap::new();
        for refresh in platforms.handle.snapshot().ledger.refreshes {
            match &refresh.login {
                Some(login) => sendings.entry(login.clone()).or_default().push(refresh),
                None => findings.violations.push(format!("sent after its end: {refresh:?}")),
            }
        }
        let all_alerts = self.0.lock().unwrap();
        for alerts in all_alerts.iter() {
            *findings.alerts.entry(alerts.kind.clone()).or_default() += 1;
        }
        for (login, sendings) in sendings {
            let alerts: Vec<&LossAlert> = all_alerts.iter().filter(|alerts| alerts.login == login).collect();
            findings.add(&login, &sendings, &alerts);
        }
        findings
    }
}

impl Findings {
    fn add(&mut self, login: &str, sendings: &[Refresh], alerts: &[&LossAlert]) {
        let mut rotated = sendings.iter().filter(|sending| sending.rotation == Rotation::Rotated);
        self.refreshed += rotated.clone().count();
        self.last
            .extend(rotated.next_back().map(|last| (login.to_owned(), last.at)));
        let mut seen = BTreeSet::new();
        for token in sendings.chunk_by(|one, next| one.refresh_token == next.refresh_token) {
            let [first, again @ ..] = token else { continue };
            if !seen.insert(&first.refresh_token) {
                self.violations.push(format!("stale: {first:?}"));
            }
            match again {
                [] => {}
                [again] if again.at - first.at >= PERMITTED_AFTER => self.twice += 1,
                more => self.violations.push(format!("sent again: {first:?} {more:?}")),
            }
        }
        // A refused second sending ends the link: each has an alert of its own, later.
        let mut unmatched = alerts.iter();
        for end in sendings.iter().filter(|sending| sending.rotation == Rotation::Reused) {
            if !unmatched.any(|alerts| alerts.at >= end.at) {
                self.violations.push(format!("no alert: {end:?}"));
            }
        }
        for alerts in alerts {
            // A token whose workers died before they sent it has no sending; then this is the one before it, and too long.
            let last = sendings.iter().rfind(|sending| sending.at <= alerts.at);
            let first = last.and_then(|last| sendings.iter().find(|first| first.refresh_token == last.refresh_token));
            let took = alerts.at - first.map_or(alerts.at, |first| first.at);
            let took = Duration::from_millis(took.unsigned_abs());
            if took > NOTIFIED_WITHIN {
                let sent = sendings.iter().rev().filter(|sending| sending.at <= alerts.at).take(3);
                let sent: Vec<_> = sent.map(|sending| (alerts.at - sending.at, sending.rotation)).collect();
                self.late
                    .push(format!("{} after {took:?}; sent, in ms before: {sent:?}", alerts.kind));
            }
            self.took.push(took);
        }
        self.took.sort_unstable();
    }

    /// Logins whose tokens were refreshed after this moment.
    pub(crate) fn refreshed_since(&self, moment: i64) -> BTreeSet<&str> {
        let later = self.last.iter().filter(|(_, at)| **at > moment);
        later.map(|(login, _)| login.as_str()).collect()
    }

    /// Longest time to an alert.
    pub(crate) fn slowest(&self) -> Duration {
        self.took.last().copied().unwrap_or_default()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            refreshed,
            twice,
            alerts,
            took,
            late,
            ..
        } = self;
        let median = took.get(took.len() / 2).copied().unwrap_or_default();
        write!(
            f,
            "{refreshed} refreshes, {twice} tokens sent twice; alerts {alerts:?}, after {median:?} in the middle and {:?} at most; late: {late:?}",
            self.slowest()
        )
    }
}

/// Deadline of the alert about a lost link.
pub(crate) const NOTIFIED_WITHIN: Duration = Duration::from_secs(5);

/// Wall clock, in milliseconds since 1970.
pub(crate) fn now() -> i64 {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

/// A worker waits for 1 s before it sends a token again, and the lease of a dead one expires after 2 s at least; two workers that send one token
/// at once do it within a few milliseconds.
const PERMITTED_AFTER: i64 = 200;

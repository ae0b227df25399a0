//! What callers were refused, counted for the audit log: a worker hears of it once a minute, so that nobody can buy a write to the
//! database with each refusal.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::cluster::job::{Job, RefusedCommand, Work};
use protocol::cluster::origin::Origin;
use protocol::code::ErrorCode;
use protocol::command::CommandKind;
use protocol::fault::chain;
use protocol::id::{ConnectionId, SessionId, UserId};
use tokio::time::{Instant, interval_at};
use tokio_util::sync::CancellationToken;

use super::{Caller, Commands};
use crate::name;

/// The refusals of this gateway since the last report, by user.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    users: Mutex<HashMap<UserId, Tally>>,
}

/// What one user was refused.
#[derive(Debug, PartialEq, Eq)]
struct Tally {
    /// In which session the first of them was.
    session: SessionId,
    /// On which socket.
    connection: ConnectionId,
    /// From where.
    origin: Origin,
    counts: HashMap<(CommandKind, ErrorCode), u32>,
}

impl Refusals {
    /// Counts a refusal, if it is one that the audit log tells of. False: there is no room for another user.
    pub(super) fn count(&self, caller: &Caller, kind: CommandKind, error: ErrorCode) -> bool {
        if !is_told(error) {
            return true;
        }
        let mut users = self.users();
        let is_full = users.len() >= MAX_USERS;
        let tally = match users.entry(caller.user.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if is_full => return false,
            Entry::Vacant(new) => new.insert(Tally {
                session: caller.session.clone(),
                connection: caller.connection.clone(),
                origin: caller.origin.clone(),
                counts: HashMap::new(),
            }),
        };
        add(&mut tally.counts, (kind, error), 1);
        true
    }

    fn take(&self) -> HashMap<UserId, Tally> {
        std::mem::take(&mut self.users())
    }

    /// Keeps for the next report what could not be told.
    fn put_back(&self, user: UserId, tally: Tally) {
        match self.users().entry(user) {
            Entry::Vacant(gone) => {
                gone.insert(tally);
            }
            Entry::Occupied(mut since) => {
                for (what, count) in tally.counts {
                    add(&mut since.get_mut().counts, what, count);
                }
            }
        }
    }

    fn users(&self) -> MutexGuard<'_, HashMap<UserId, Tally>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the audit log tells of refusals with this code: those that keep somebody out, not those that set a mistake right.
fn is_told(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::Forbidden
            | ErrorCode::RateLimited
            | ErrorCode::ReauthRequired
            | ErrorCode::TwoFactorRequired
            | ErrorCode::TwoFactorInvalid
            | ErrorCode::TwoFactorLocked
            | ErrorCode::ChallengeExpired
            | ErrorCode::ConfirmationInvalid
    )
}

fn add(counts: &mut HashMap<(CommandKind, ErrorCode), u32>, what: (CommandKind, ErrorCode), more: u32) {
    let count = counts.entry(what).or_default();
    *count = count.saturating_add(more);
}

/// Users who are refused something within one report; each has a handful of reasons for each command. It also bounds how many jobs
/// a report makes.
const MAX_USERS: usize = 1_000;

impl Tally {
    fn work(&self) -> Work {
        let refused = self.counts.iter().map(|((kind, error), count)| RefusedCommand {
            command: kind.event().to_owned(),
            error: *error,
            count: *count,
        });
        Work::Refusals(refused.collect())
    }
}

impl Commands {
    /// Reports refusals until the node is done, and a last time then.
    pub(crate) async fn report_refusals(self: Arc<Self>, soft: CancellationToken) {
        let period = self.timing.refusals;
        let mut tick = interval_at(Instant::now() + period, period);
        loop {
            tokio::select! {
                () = soft.cancelled() => return self.report().await,
                _ = tick.tick() => self.report().await,
            }
        }
    }

    /// One job for each user. The answers are nobody's and are passed over.
    async fn report(&self) {
        let mut left = self.refusals.take().into_iter();
        for (user, tally) in left.by_ref() {
            let job = Job {
                v: Job::VERSION,
                id: name::job(&*self.entropy),
                user,
                session: tally.session.clone(),
                connection: tally.connection.clone(),
                node: self.node.clone(),
                origin: Some(tally.origin.clone()),
                traceparent: name::trace(&*self.entropy),
                idempotency_key: None,
                authenticated_at: None,
                work: tally.work(),
            };
            let lane = job.work.lane();
            if let Err(error) = self.bus.submit(lane, &job, self.timing.job_timeout(lane)).await {
                tracing::warn!(error = chain(&error), "refusals could not be reported");
                self.refusals.put_back(job.user, tally);
                break;
            }
        }
        for (user, tally) in left {
            self.refusals.put_back(user, tally);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(refusals: &Refusals) -> Vec<(String, Vec<RefusedCommand>)> {
        let tallies = refusals.take().into_iter();
        let mut told: Vec<_> = tallies
            .map(|(user, tally)| match tally.work() {
                Work::Refusals(mut refused) => {
                    refused.sort_by_key(|refused| refused.count);
                    (user.to_string(), refused)
                }
                other => panic!("{other:?}"),
            })
            .collect();
        told.sort_by(|(one, _), (other, _)| one.cmp(other));
        told
    }

    fn refused(kind: CommandKind, error: ErrorCode, count: u32) -> RefusedCommand {
        RefusedCommand {
            command: kind.event().to_owned(),
            error,
            count,
        }
    }

    #[test]
    fn refusals_are_counted_by_user_command_and_reason() {
        let refusals = Refusals::default();
        let (one, other) = (Caller::sample("a"), Caller::sample("b"));
        for _ in 0..3 {
            refusals.count(&one, CommandKind::Connect, ErrorCode::Forbidden);
        }
        refusals.count(&one, CommandKind::Connect, ErrorCode::RateLimited);
        refusals.count(&one, CommandKind::Connect, ErrorCode::BadRequest);
        refusals.count(&other, CommandKind::List, ErrorCode::Forbidden);
        let limited = refused(CommandKind::Connect, ErrorCode::RateLimited, 1);
        let forbidden = refused(CommandKind::Connect, ErrorCode::Forbidden, 3);
        let others = refused(CommandKind::List, ErrorCode::Forbidden, 1);
        assert_eq!(
            told(&refusals),
            [
                ("a".to_owned(), vec![limited, forbidden]),
                ("b".to_owned(), vec![others])
            ]
        );
        assert!(told(&refusals).is_empty(), "each is told once");
    }

    #[test]
    fn what_could_not_be_told_is_added_to_what_came_since() {
        let refusals = Refusals::default();
        let caller = Caller::sample("a");
        refusals.count(&caller, CommandKind::List, ErrorCode::Forbidden);
        let taken = refusals.take();
        refusals.count(&caller, CommandKind::List, ErrorCode::Forbidden);
        for (user, tally) in taken {
            refusals.put_back(user, tally);
        }
        let both = refused(CommandKind::List, ErrorCode::Forbidden, 2);
        assert_eq!(told(&refusals), [("a".to_owned(), vec![both])]);
    }

    #[test]
    fn no_more_users_are_kept_than_there_is_room_for() {
        let refusals = Refusals::default();
        for number in 0..MAX_USERS {
            let caller = Caller::sample(&number.to_string());
            assert!(refusals.count(&caller, CommandKind::List, ErrorCode::Forbidden));
        }
        assert!(!refusals.count(&Caller::sample("one too many"), CommandKind::List, ErrorCode::Forbidden));
        assert!(refusals.count(&Caller::sample("0"), CommandKind::List, ErrorCode::Forbidden));
        assert_eq!(told(&refusals).len(), MAX_USERS);
    }
}

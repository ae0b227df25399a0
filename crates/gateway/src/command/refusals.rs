//! Refused commands, counted for the audit log. Workers get one report per user and minute, so that a refusal does not cost a write to the
//! database each.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bus::SessionKey;
use lifecycle::PeriodicLoop;
use protocol::cluster::job::{RefusedCommand, Work};
use protocol::cluster::origin::Origin;
use protocol::code::ErrorCode;
use protocol::command::CommandKind;
use protocol::id::{ConnectionId, UserId};
use tokio_util::sync::CancellationToken;

use super::Commands;
use crate::socket::Caller;
use crate::workers::Requester;

/// Refusals of this gateway since the last report, by user.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    users: Mutex<HashMap<UserId, Tally>>,
}

/// Refusals of one user.
#[derive(Debug, PartialEq, Eq)]
struct Tally {
    /// Session of the first refusal.
    session: SessionKey,
    /// Socket of the first refusal.
    connection: ConnectionId,
    /// Origin of the first refusal.
    origin: Origin,
    counts: HashMap<(CommandKind, ErrorCode), u32>,
}

impl Refusals {
    /// Counts a refusal with a code that the audit log records. False if there are too many users already.
    pub(super) fn count(&self, caller: &Caller, kind: CommandKind, error: ErrorCode) -> bool {
        if !is_audited(error) {
            return true;
        }
        let mut users = self.users();
        let is_full = users.len() >= MAX_USERS;
        let tally = match users.entry(caller.user.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if is_full => return false,
            Entry::Vacant(new) => new.insert(Tally {
                session: caller.session_key(),
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

    /// Keeps a report that failed for the next period.
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

/// True if the audit log records refusals with this code: those that deny access, not those that report a mistake.
fn is_audited(error: ErrorCode) -> bool {
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

/// Users of one report, each of which has few codes per command. It also bounds the jobs of a report.
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

    fn requester(&self) -> Requester {
        Requester {
            connection: Some(self.connection.clone()),
            ..Requester::without_socket(self.session.clone(), Some(self.origin.clone()))
        }
    }
}

impl Commands {
    /// Reports refusals until the node is done, and once more then.
    pub(crate) async fn report_refusals(self: Arc<Self>, soft: CancellationToken) {
        let mut ticks = PeriodicLoop::new(self.timing.refusals, soft);
        while ticks.next().await {
            self.report().await;
        }
        self.report().await;
    }

    /// Submits one job per user, whose replies are ignored.
    async fn report(&self) {
        let mut left = self.refusals.take().into_iter();
        for (user, tally) in left.by_ref() {
            let mut job = self.workers.job(tally.requester(), tally.work());
            let within = self.timing.job_timeout(job.work.lane());
            if self.workers.submit(&mut job, within).await.is_err() {
                self.refusals.put_back(user, tally);
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

    fn reported(refusals: &Refusals) -> Vec<(String, Vec<RefusedCommand>)> {
        let tallies = refusals.take().into_iter();
        let mut reported: Vec<_> = tallies
            .map(|(user, tally)| match tally.work() {
                Work::Refusals(mut refused) => {
                    refused.sort_by_key(|refused| refused.count);
                    (user.to_string(), refused)
                }
                other => panic!("{other:?}"),
            })
            .collect();
        reported.sort_by(|(one, _), (other, _)| one.cmp(other));
        reported
    }

    fn refused(kind: CommandKind, error: ErrorCode, count: u32) -> RefusedCommand {
        RefusedCommand {
            command: kind.event().to_owned(),
            error,
            count,
        }
    }

    #[test]
    fn refusals_are_counted_by_user_command_and_code() {
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
            reported(&refusals),
            [
                ("a".to_owned(), vec![limited, forbidden]),
                ("b".to_owned(), vec![others])
            ]
        );
        assert!(reported(&refusals).is_empty(), "each is reported once");
    }

    #[test]
    fn failed_report_is_added_to_the_refusals_since() {
        let refusals = Refusals::default();
        let caller = Caller::sample("a");
        refusals.count(&caller, CommandKind::List, ErrorCode::Forbidden);
        let taken = refusals.take();
        refusals.count(&caller, CommandKind::List, ErrorCode::Forbidden);
        for (user, tally) in taken {
            refusals.put_back(user, tally);
        }
        let both = refused(CommandKind::List, ErrorCode::Forbidden, 2);
        assert_eq!(reported(&refusals), [("a".to_owned(), vec![both])]);
    }

    #[test]
    fn refusals_of_too_many_users_are_not_counted() {
        let refusals = Refusals::default();
        for number in 0..MAX_USERS {
            let caller = Caller::sample(&number.to_string());
            assert!(refusals.count(&caller, CommandKind::List, ErrorCode::Forbidden));
        }
        assert!(!refusals.count(&Caller::sample("one too many"), CommandKind::List, ErrorCode::Forbidden));
        assert!(refusals.count(&Caller::sample("0"), CommandKind::List, ErrorCode::Forbidden));
        assert_eq!(reported(&refusals).len(), MAX_USERS);
    }
}

//! Decisions that both stores share, and retention times.

use std::time::Duration;

use protocol::account::AccountStatus;
use protocol::cluster::envelope::Envelope;
use protocol::event::name;
use protocol::security::Alert;

use crate::accounts::Link;
use crate::alerts::{FoundAlert, FoundAlerts};
use crate::refreshes::{Refresh, RefreshStart};
use crate::tokens::RevokeScope;

/// Admission of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Nothing of the platform is linked.
    New,
    /// The same account is linked: its tokens are replaced. The revocation of the old ones is limited to them, as the new link is
    /// one of the same platform account.
    Renewal,
    /// Another account of the platform is linked.
    OtherAccount,
    /// All access was revoked since the authorization started.
    EpochMoved,
}

/// Decides on a link, for the user's current access epoch and the platform's id of the linked account.
pub(crate) fn admit(link: &Link, access_epoch: i64, linked: Option<&str>) -> Admission {
    match linked {
        _ if link.access_epoch != access_epoch => Admission::EpochMoved,
        None => Admission::New,
        Some(id) if id == link.account.platform_user_id => Admission::Renewal,
        Some(_) => Admission::OtherAccount,
    }
}

/// Reports whether a failed link is published to all devices: only if no linked account works.
pub(crate) fn is_failure_published(linked: Option<AccountStatus>) -> bool {
    !matches!(linked, Some(AccountStatus::Connected | AccountStatus::Syncing))
}

/// Scope of a revocation: limited to the token if another link shares the platform account.
pub(crate) fn narrowed(asked: RevokeScope, shared: bool) -> RevokeScope {
    if shared { RevokeScope::Token } else { asked }
}

/// State of an account's lease and tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AccountState {
    pub(crate) fence: i64,
    pub(crate) generation: i64,
    pub(crate) is_disconnected: bool,
    /// Remaining pause of the account or its platform, whichever is longer.
    pub(crate) paused: Duration,
    /// Number of attempts to send the refresh token of this generation.
    pub(crate) sends: u32,
    /// Id of the last attempt.
    pub(crate) attempt_id: Option<i64>,
}

/// Decision on a refresh attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefreshDecision {
    /// The token may be sent; record this number of attempts.
    Record(u32),
    /// Result without a recorded attempt.
    Reply(RefreshStart),
}

/// Decides on a refresh attempt, for the state of its account; none if the account is not linked.
pub(crate) fn decide_refresh(refresh: &Refresh, account_state: Option<&AccountState>) -> RefreshDecision {
    let Some(account_state) = account_state
        .filter(|account_state| account_state.fence == refresh.lease.fence && !account_state.is_disconnected)
    else {
        return RefreshDecision::Reply(RefreshStart::Superseded);
    };
    if account_state.generation != refresh.generation {
        RefreshDecision::Reply(RefreshStart::TokensReplaced)
    } else if account_state.sends > 0 && account_state.attempt_id == Some(refresh.attempt_id) {
        RefreshDecision::Reply(permission(account_state.sends))
    } else if account_state.sends >= MAX_ATTEMPTS {
        RefreshDecision::Reply(RefreshStart::Spent)
    } else if !account_state.paused.is_zero() {
        RefreshDecision::Reply(RefreshStart::Paused(account_state.paused))
    } else {
        RefreshDecision::Record(account_state.sends + 1)
    }
}

/// Permission of the attempt that makes this number.
pub(crate) fn permission(sends: u32) -> RefreshStart {
    if sends < MAX_ATTEMPTS {
        RefreshStart::Send
    } else {
        RefreshStart::SendLast
    }
}

/// Alert in an event. Its row is written with the event, or neither is.
pub(crate) fn alert_of(event: &Envelope) -> Result<Option<Alert>, serde_json::Error> {
    (event.event == name::ALERT).then(|| event.data.read()).transpose()
}

/// First alerts that fit into one answer.
pub(crate) fn page(alerts: impl IntoIterator<Item = Alert>) -> Vec<Alert> {
    fitting(alerts.into_iter().take(usize::from(PAGE)), |alert| alert)
}

/// First items whose alerts fit into one answer together, at least one.
fn fitting<T>(items: impl Iterator<Item = T>, alert: impl Fn(&T) -> &Alert) -> Vec<T> {
    let mut bytes = 0;
    let fits = |item: &T| {
        let first = bytes == 0;
        bytes += alert(item).message.len() + ALERT_FRAME;
        first || bytes <= PAGE_BYTES
    };
    items.take_while(fits).collect()
}

/// Page of these alerts, the newest first, each of which meets the query.
pub(crate) fn found_alerts(alerts: Vec<FoundAlert>, limit: u16, examined: &Examined) -> FoundAlerts {
    let found = alerts.len();
    let alerts = fitting(alerts.into_iter(), |found| &found.alert);
    let is_full = alerts.len() < found || found >= usize::from(limit);
    let next = examined.next(is_full, alerts.last().map(|last| last.number));
    FoundAlerts { alerts, next }
}

/// Rows that a read of the newest rows examined, at most [`MOST_EXAMINED`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Examined {
    pub(crate) count: i64,
    /// Number of the oldest one.
    pub(crate) last: Option<i64>,
}

impl Examined {
    /// Number before which the next page starts, none if there is none. `last_found` is the number of the last row of this page, which is
    /// full or not.
    pub(crate) fn next(&self, is_full: bool, last_found: Option<i64>) -> Option<i64> {
        let last = if is_full { last_found } else { self.last };
        let is_end = self.count < MOST_EXAMINED && last == self.last;
        last.filter(|_| !is_end)
    }
}

/// Most rows that a read examines to find those that meet its conditions.
pub(crate) const MOST_EXAMINED: i64 = 2_000;

/// Most alerts of a page.
pub(crate) const PAGE: u16 = 100;

/// Most bytes of a page, unless its first alert alone has more. A socket's queue is limited to 1 MiB.
const PAGE_BYTES: usize = 64 * 1024;

/// Estimate of an alert's encoded size without its message.
const ALERT_FRAME: usize = 256;

/// Retention of alerts.
pub(crate) const ALERTS_KEPT_FOR: Duration = Duration::from_hours(90 * 24);

/// Retention of devices and networks since their last use.
pub(crate) const SEEN_KEPT_FOR: Duration = Duration::from_hours(90 * 24);

/// Retention of delivery ids: GitHub redelivers for up to three days, the other platforms for some hours.
pub(crate) const DELIVERIES_KEPT_FOR: Duration = Duration::from_hours(7 * 24);

/// Age from which an unsent event counts as left behind by a crash. Before, the relay of its own transaction is expected.
pub(crate) const BEHIND_AFTER: Duration = Duration::from_secs(1);

/// Time since their sending within which events are sent again after Redis lost data.
pub(crate) const RESENT_WITHIN: Duration = Duration::from_mins(5);

/// Retention of the ids of sent events, and of used codes, states and confirmations. The latter are valid for 10 minutes at most;
/// a sync repeats events as long as its cursor lags behind.
pub(crate) const REMEMBERED_FOR: Duration = Duration::from_hours(24);

/// Limit of attempts to send a refresh token: one, and one more if the result of the first is unknown.
const MAX_ATTEMPTS: u32 = 2;

/// Delay of the first scheduled sync of a new link; its client requests one earlier.
pub(crate) const FIRST_SYNC: Duration = Duration::from_mins(1);

/// Limit of failed tries of a task.
pub(crate) const LAST_TRY: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_page_starts_after_the_last_row_that_was_returned_or_examined() {
        let all = |last| Examined { count: 3, last };
        let part = Examined {
            count: MOST_EXAMINED,
            last: Some(7),
        };
        assert_eq!(all(None).next(false, None), None);
        assert_eq!(all(Some(7)).next(false, Some(9)), None);
        assert_eq!(all(Some(7)).next(true, Some(7)), None);
        assert_eq!(all(Some(7)).next(true, Some(9)), Some(9));
        assert_eq!(part.next(false, None), Some(7));
        assert_eq!(part.next(false, Some(9)), Some(7));
        assert_eq!(part.next(true, Some(9)), Some(9));
        assert_eq!(part.next(true, Some(7)), Some(7));
    }
}

//! What both stores decide alike, and how long both keep things.

use std::time::Duration;

use protocol::account::AccountStatus;
use protocol::cluster::envelope::Envelope;
use protocol::event::name;
use protocol::security::Alert;

use crate::accounts::Link;
use crate::queue::RevokeScope;
use crate::refreshes::{Refresh, RefreshStart};

/// What a link meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Nothing of the platform is linked.
    New,
    /// The same account is linked: its tokens are replaced. The old ones are given back, and no more than they: the new link is one of
    /// the same platform account, so their revocation is narrowed.
    Renewal,
    /// Another account of the platform is linked.
    OtherAccount,
    /// All access was revoked since the command began.
    EpochMoved,
}

/// Whether a link may be stored, where `access_epoch` is the user's now and `linked` the platform's id of what is linked.
pub(crate) fn admit(link: &Link, access_epoch: i64, linked: Option<&str>) -> Admission {
    match linked {
        _ if link.access_epoch != access_epoch => Admission::EpochMoved,
        None => Admission::New,
        Some(id) if id == link.account.platform_user_id => Admission::Renewal,
        Some(_) => Admission::OtherAccount,
    }
}

/// Whether a failed link is told to all devices: never over a link that works.
pub(crate) fn failure_is_news(linked: Option<AccountStatus>) -> bool {
    !matches!(linked, Some(AccountStatus::Connected | AccountStatus::Syncing))
}

/// How much may be revoked: one link's end must not end another link of the same platform account.
pub(crate) fn narrowed(asked: RevokeScope, shared: bool) -> RevokeScope {
    if shared { RevokeScope::Token } else { asked }
}

/// What is kept of an account's turn and tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) fence: i64,
    pub(crate) generation: i64,
    pub(crate) is_lost: bool,
    /// What is left of the account's pause or the platform's.
    pub(crate) paused: Duration,
    /// How often the refresh token of this generation was sent, or may have been.
    pub(crate) sends: u32,
    /// The last of these.
    pub(crate) sending: Option<i64>,
}

/// What is to be recorded of a refresh token that is about to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sending {
    /// So many sendings with this one; the token may be sent.
    Counts(u32),
    /// Nothing, and this is the answer.
    Nothing(RefreshStart),
}

/// Whether a refresh token may be sent, where this is how its account stands; none: it is not linked.
pub(crate) fn send(refresh: &Refresh, standing: Option<&Standing>) -> Sending {
    let Some(standing) = standing.filter(|standing| standing.fence == refresh.lease.fence && !standing.is_lost) else {
        return Sending::Nothing(RefreshStart::Superseded);
    };
    if standing.generation != refresh.generation {
        Sending::Nothing(RefreshStart::TokensReplaced)
    } else if standing.sends > 0 && standing.sending == Some(refresh.sending) {
        Sending::Nothing(permission(standing.sends))
    } else if standing.sends >= MOST_SENDS {
        Sending::Nothing(RefreshStart::Spent)
    } else if !standing.paused.is_zero() {
        Sending::Nothing(RefreshStart::Paused(standing.paused))
    } else {
        Sending::Counts(standing.sends + 1)
    }
}

/// What the sending may do that makes it so many.
pub(crate) fn permission(sends: u32) -> RefreshStart {
    if sends < MOST_SENDS {
        RefreshStart::Send
    } else {
        RefreshStart::SendLast
    }
}

/// The alert that an event tells of. It is a row beside the event, or none of both.
pub(crate) fn alert_of(event: &Envelope) -> Result<Option<Alert>, serde_json::Error> {
    (event.event == name::ALERT).then(|| event.data.read()).transpose()
}

/// As many of these alerts as one answer takes.
pub(crate) fn page(alerts: impl IntoIterator<Item = Alert>) -> Vec<Alert> {
    let mut bytes = 0;
    let fits = |alert: &Alert| {
        let first = bytes == 0;
        bytes += alert.message.len() + ALERT_FRAME;
        first || bytes <= PAGE_BYTES
    };
    alerts.into_iter().take(usize::from(PAGE)).take_while(fits).collect()
}

/// The most alerts of a page.
pub(crate) const PAGE: u16 = 100;

/// The most bytes of a page, unless its first alert alone has more: a socket's queue has room for 1 MiB.
const PAGE_BYTES: usize = 64 * 1024;

/// About what an alert takes beside its message.
const ALERT_FRAME: usize = 256;

/// How long alerts are kept.
pub(crate) const ALERTS_KEPT_FOR: Duration = Duration::from_hours(90 * 24);

/// How long devices and networks are known since a worker was last told of them.
pub(crate) const SEEN_KEPT_FOR: Duration = Duration::from_hours(90 * 24);

/// How long deliveries are known: GitHub lets one be sent again for three days, the others give up within hours.
pub(crate) const DELIVERIES_KEPT_FOR: Duration = Duration::from_hours(7 * 24);

/// After this an unsent event was left behind by a crash; before, its own transaction's relay is on the way.
pub(crate) const BEHIND_AFTER: Duration = Duration::from_secs(1);

/// What was sent this recently is sent again when Redis has lost what it held.
pub(crate) const RESENT_WITHIN: Duration = Duration::from_mins(5);

/// How long sent events keep their ids from being sent again, and spent codes, states and confirmations from being spent again.
/// Those live 10 minutes at most; a sync repeats what it has seen for as long as its cursor lags behind.
pub(crate) const REMEMBERED_FOR: Duration = Duration::from_hours(24);

/// How often a refresh token is sent: once, and once more where nobody knows what became of it.
const MOST_SENDS: u32 = 2;

/// An account that was just linked is first looked at after this: until then its client asks.
pub(crate) const FIRST_SYNC: Duration = Duration::from_mins(1);

/// A task that failed this often is given up.
pub(crate) const LAST_TRY: u32 = 8;

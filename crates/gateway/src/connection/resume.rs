//! A client comes back with its ticket: whether it is told that it missed nothing, and from where on it hears.

use bus::{Bus, BusError, LogRead, Redeemed, ResumeLease, ResumeToken, ResumeTokenKey};
use protocol::cluster::envelope::Envelope;
use protocol::cluster::offset::Offset;
use protocol::fault::chain;
use protocol::id::{ConnectionId, ResumeTokenId};
use protocol::time::Timestamp;
use protocol::wire::auth::Resume;

use super::replay::PAGE;
use crate::handshake::token::Identity;
use crate::metrics::Metrics;

/// A place that a client has come back to.
pub(super) struct Resumed {
    /// The name of its socket, as before.
    pub(super) connection: ConnectionId,
    /// The ticket, which is its own now.
    pub(super) hold: ResumeLease,
    /// The last event that it has handled.
    pub(super) after: Offset,
    /// The first events that it has missed, if any.
    pub(super) page: Vec<(Offset, Envelope)>,
}

/// Where a client's events begin.
pub(super) struct Beginning {
    /// What it comes back with.
    pub(super) hold: Option<ResumeLease>,
    /// It hears what came after.
    pub(super) after: Offset,
    /// Of that, what was read already.
    pub(super) page: Vec<(Offset, Envelope)>,
    /// It has come back and missed nothing.
    pub(super) recovered: bool,
}

/// Why a ticket is no good.
enum Unrecovered {
    /// It is over, of another session or user, or of an order that is over; in the hands of one who came later; or none of ours.
    Unknown,
    /// The offset is none of ours.
    ForeignOffset,
    /// The log no longer has all that was missed.
    Gap,
}

impl Resumed {
    /// Tries a ticket of this caller, who came at `came` and has proven to be itself. None is a fresh start, whatever the reason.
    ///
    /// # Errors
    /// [`BusError::Away`]: nobody can say just now.
    pub(super) async fn of(
        resume: &Resume,
        identity: &Identity,
        came: Timestamp,
        bus: &dyn Bus,
        metrics: &Metrics,
    ) -> Result<Option<Self>, BusError> {
        let tried = redeem_token(resume, identity, came, bus).await?;
        metrics.resumed(match &tried {
            Ok(_) => "recovered",
            Err(Unrecovered::Unknown) => "unknown",
            Err(Unrecovered::ForeignOffset) => "foreign_offset",
            Err(Unrecovered::Gap) => "lost",
        });
        Ok(tried.ok())
    }
}

impl Beginning {
    /// Where the client left off.
    pub(super) fn recovered(resumed: Resumed) -> Self {
        Self {
            hold: Some(resumed.hold),
            after: resumed.after,
            page: resumed.page,
            recovered: true,
        }
    }

    /// Here, with a ticket unless it does not want one. The ticket is known before the client is: it may be back at once.
    ///
    /// # Errors
    /// [`BusError::Away`].
    pub(super) async fn fresh(
        offset: &Offset,
        ticket: Option<(ResumeTokenKey, ResumeToken)>,
        bus: &dyn Bus,
    ) -> Result<Self, BusError> {
        let hold = match ticket {
            Some((key, ticket)) => Some(bus.issue_token(&key, &ticket).await?),
            None => None,
        };
        Ok(Self {
            hold,
            after: offset.clone(),
            page: Vec::new(),
            recovered: false,
        })
    }
}

async fn redeem_token(
    resume: &Resume,
    identity: &Identity,
    came: Timestamp,
    bus: &dyn Bus,
) -> Result<Result<Resumed, Unrecovered>, BusError> {
    let Ok(id) = ResumeTokenId::new(&resume.resume_token) else {
        return Ok(Err(Unrecovered::Unknown));
    };
    let key = ResumeTokenKey {
        user: identity.user.clone(),
        id,
    };
    let Some(Redeemed {
        token: ticket,
        lease: hold,
    }) = bus.redeem_token(&key, &identity.session, came).await?
    else {
        return Ok(Err(Unrecovered::Unknown));
    };
    let Some(after) = last_handled(ticket.start, resume.offset.as_deref()) else {
        revoke_token(&hold, bus).await;
        return Ok(Err(Unrecovered::ForeignOffset));
    };
    match bus.read_log(&key.user, &after, PAGE).await? {
        LogRead::Events(page) => Ok(Ok(Resumed {
            connection: ticket.connection,
            hold,
            after,
            page,
        })),
        LogRead::Gap(_) => {
            revoke_token(&hold, bus).await;
            Ok(Err(Unrecovered::Gap))
        }
    }
}

/// Ends a ticket. One that cannot be ended now ends by itself.
pub(super) async fn revoke_token(hold: &ResumeLease, bus: &dyn Bus) {
    if let Err(error) = bus.revoke_token(hold).await {
        tracing::debug!(error = chain(&error), "a ticket was not ended");
    }
}

/// The last event that a client has handled. Without an offset it has handled none since its ticket was issued, and with one from
/// before that neither: the official client keeps the offset of an earlier ticket until the first event. None when the offset is
/// none of ours.
fn last_handled(start: Offset, offset: Option<&str>) -> Option<Offset> {
    let Some(offset) = offset else {
        return Some(start);
    };
    let handled: Offset = offset.parse().ok()?;
    let is_later = handled.epoch == start.epoch && handled.seq > start.seq;
    Some(if is_later { handled } else { start })
}

#[cfg(test)]
mod tests {
    use protocol::cluster::offset::Epoch;

    use super::*;

    fn at(epoch: &str, seq: u64) -> Offset {
        Offset {
            epoch: Epoch::new(epoch).unwrap(),
            seq,
        }
    }

    #[test]
    fn a_client_has_handled_what_its_offset_says_and_at_least_what_came_before_its_ticket() {
        let start = at("b", 7);
        for (offset, handled) in [
            (None, Some(at("b", 7))),
            (Some("b-9"), Some(at("b", 9))),
            (Some("b-7"), Some(at("b", 7))),
            // Kept from an earlier ticket.
            (Some("b-3"), Some(at("b", 7))),
            (Some("a-12"), Some(at("b", 7))),
            (Some("hello"), None),
            (Some(""), None),
        ] {
            assert_eq!(last_handled(start.clone(), offset), handled, "{offset:?}");
        }
    }
}

//! Resumption: redeems the resume token of a returning client, and decides whether it missed events and at which offset its events begin.

use std::sync::Arc;

use bus::{BusError, Events, LogRead, Redeemed, ResumeLease, ResumeTokenKey, ResumeTokens};
use protocol::cluster::envelope::Envelope;
use protocol::cluster::offset::Offset;
use protocol::fault::chain;
use protocol::id::{ConnectionId, ResumeTokenId};
use protocol::time::Timestamp;
use protocol::wire::auth::Resume;
use tokio::time::Instant;

use super::replay::PAGE;
use crate::handshake::token::Identity;
use crate::metrics::{Metrics, ResumeOutcome};

/// Redemption and revocation of resume tokens.
#[derive(Clone)]
pub(crate) struct Resumption {
    pub(crate) resume_tokens: Arc<dyn ResumeTokens>,
    pub(crate) events: Arc<dyn Events>,
}

/// Redeemed resume token of a client that missed no event.
pub(super) struct Resumed {
    /// Connection id of the earlier socket, which this one takes over.
    pub(super) connection: ConnectionId,
    pub(super) lease: ResumeLease,
    /// Offset of the last event that the client has handled.
    pub(super) after: Offset,
    /// First page of missed events.
    pub(super) page: Vec<(Offset, Envelope)>,
}

/// Start of a client's events.
pub(super) struct Start {
    /// Resume token of the client.
    pub(super) lease: Option<ResumeLease>,
    /// Offset after which events follow.
    pub(super) after: Offset,
    /// First page of these events.
    pub(super) page: Vec<(Offset, Envelope)>,
    /// True if the client resumed and missed no event.
    pub(super) recovered: bool,
}

/// Reason for which a client cannot resume.
enum Unrecovered {
    /// The resume token has expired, is unknown, belongs to another session, user or epoch, or was redeemed by a later attempt.
    Unknown,
    /// The offset is not one of ours.
    ForeignOffset,
    /// The event log no longer has all missed events.
    Gap,
}

impl Start {
    /// Starts at this offset, with an issued resume token if the client can resume.
    pub(super) fn fresh(after: Offset, lease: Option<ResumeLease>) -> Self {
        Self {
            lease,
            after,
            page: Vec::new(),
            recovered: false,
        }
    }

    /// Starts where the client left off.
    pub(super) fn resumed(resumed: Resumed) -> Self {
        Self {
            lease: Some(resumed.lease),
            after: resumed.after,
            page: resumed.page,
            recovered: true,
        }
    }
}

impl Resumption {
    /// Redeems the resume token of an authenticated client whose claim was received at `received_at`. None is a fresh start, whatever the
    /// reason.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    pub(super) async fn resume(
        &self,
        resume: &Resume,
        identity: &Identity,
        received_at: Timestamp,
        metrics: &Metrics,
    ) -> Result<Option<Resumed>, BusError> {
        let started = Instant::now();
        let redeemed = self.redeem_token(resume, identity, received_at).await;
        let outcome = match &redeemed {
            Ok(Ok(_)) => ResumeOutcome::Recovered,
            Ok(Err(Unrecovered::Unknown)) => ResumeOutcome::Unknown,
            Ok(Err(Unrecovered::ForeignOffset)) => ResumeOutcome::ForeignOffset,
            Ok(Err(Unrecovered::Gap)) => ResumeOutcome::Lost,
            Err(_) => ResumeOutcome::Unavailable,
        };
        metrics.resumed(outcome, started.elapsed());
        Ok(redeemed?.ok())
    }

    /// Revokes a resume token. One that cannot be revoked now expires.
    pub(super) async fn revoke_token(&self, lease: &ResumeLease) {
        if let Err(error) = self.resume_tokens.revoke_token(lease).await {
            tracing::debug!(
                error = chain(&error),
                "resume token revocation failed, leaving it to expire"
            );
        }
    }

    async fn redeem_token(
        &self,
        resume: &Resume,
        identity: &Identity,
        received_at: Timestamp,
    ) -> Result<Result<Resumed, Unrecovered>, BusError> {
        let Ok(id) = ResumeTokenId::new(&resume.resume_token) else {
            return Ok(Err(Unrecovered::Unknown));
        };
        let key = ResumeTokenKey {
            user: identity.user.clone(),
            id,
        };
        let redeemed = self
            .resume_tokens
            .redeem_token(&key, &identity.session, received_at)
            .await?;
        let Some(Redeemed { token, lease }) = redeemed else {
            return Ok(Err(Unrecovered::Unknown));
        };
        let Some(after) = last_handled(token.start, resume.offset.as_deref()) else {
            self.revoke_token(&lease).await;
            return Ok(Err(Unrecovered::ForeignOffset));
        };
        match self.events.read_log(&key.user, &after, PAGE).await? {
            LogRead::Events(page) => Ok(Ok(Resumed {
                connection: token.connection,
                lease,
                after,
                page,
            })),
            LogRead::Gap(_) => {
                self.revoke_token(&lease).await;
                Ok(Err(Unrecovered::Gap))
            }
        }
    }
}

/// Offset of the last event that a client has handled. Without an offset it has handled none since its resume token was issued, and with
/// an older one neither: the official client keeps the offset of an earlier token until its first event. None if the offset is not one
/// of ours.
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
    fn last_handled_offset_is_the_later_of_the_client_s_and_the_token_s() {
        let start = at("b", 7);
        for (offset, handled) in [
            (None, Some(at("b", 7))),
            (Some("b-9"), Some(at("b", 9))),
            (Some("b-7"), Some(at("b", 7))),
            // Kept from an earlier resume token.
            (Some("b-3"), Some(at("b", 7))),
            (Some("a-12"), Some(at("b", 7))),
            (Some("hello"), None),
            (Some(""), None),
        ] {
            assert_eq!(last_handled(start.clone(), offset), handled, "{offset:?}");
        }
    }
}

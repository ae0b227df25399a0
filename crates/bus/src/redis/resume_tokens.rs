//! Resume tokens in Redis: a hash per user.

use async_trait::async_trait;
use futures_util::future::try_join_all;
use protocol::id::{ConnectionId, SessionId};
use protocol::time::Timestamp;

use super::client::{Arg, Script};
use super::events::offset;
use super::{PIPELINED, RedisBus};
use crate::bounds::{OFFSET_TTL, RESUME_TOKEN_TTL, kept_resume_tokens};
use crate::epoch::new_epoch;
use crate::operation::Operation;
use crate::{BusError, Redeemed, ResumeLease, ResumeToken, ResumeTokenKey, ResumeTokens};

/// Scripts of the resume tokens.
pub(super) struct ResumeTokenScripts {
    issue_token: Script,
    redeem_token: Script,
    renew: Script,
    revoke_token: Script,
}

impl ResumeTokenScripts {
    pub(super) fn new() -> Self {
        Self {
            issue_token: Script::new(
                Operation::IssueToken,
                concat!(
                    include_str!("script/resume_token.lua"),
                    include_str!("script/issue_token.lua")
                ),
            ),
            redeem_token: Script::new(
                Operation::RedeemToken,
                concat!(
                    include_str!("script/replication_id.lua"),
                    include_str!("script/known_offset.lua"),
                    include_str!("script/current_offset.lua"),
                    include_str!("script/resume_token.lua"),
                    include_str!("script/redeem_token.lua")
                ),
            ),
            renew: Script::new(
                Operation::RenewToken,
                concat!(
                    include_str!("script/resume_token.lua"),
                    include_str!("script/renew_token.lua")
                ),
            ),
            revoke_token: Script::new(
                Operation::RevokeToken,
                concat!(
                    include_str!("script/resume_token.lua"),
                    include_str!("script/revoke_token.lua")
                ),
            ),
        }
    }

    /// All scripts, for the startup check.
    pub(super) fn all(&self) -> impl Iterator<Item = &Script> {
        let Self {
            issue_token,
            redeem_token,
            renew,
            revoke_token,
        } = self;
        [issue_token, redeem_token, renew, revoke_token].into_iter()
    }
}

#[async_trait]
impl ResumeTokens for RedisBus {
    async fn issue_token(
        &self,
        key: &ResumeTokenKey,
        token: &ResumeToken,
        most: usize,
    ) -> Result<ResumeLease, BusError> {
        let shared = &self.shared;
        let args = [
            Arg::from(key.id.as_str()),
            Arg::from(token.session.as_str()),
            Arg::from(token.connection.as_str()),
            Arg::from(&token.start.epoch),
            Arg::from(token.start.seq),
            Arg::from(RESUME_TOKEN_TTL.as_millis()),
            Arg::from(most.max(1)),
            Arg::from(kept_resume_tokens(most.max(1))),
        ];
        let (script, keys) = (
            &shared.resume_tokens.issue_token,
            [shared.names.resume_tokens(&key.user)],
        );
        shared.commands.run("issue a resume token", script, keys, args).await?;
        Ok(ResumeLease {
            key: key.clone(),
            redemption: 0,
        })
    }

    async fn redeem_token(
        &self,
        key: &ResumeTokenKey,
        session: &SessionId,
        attempted_at: Timestamp,
    ) -> Result<Option<Redeemed>, BusError> {
        let (shared, names) = (&self.shared, &self.shared.names);
        let keys = [
            names.offset(&key.user),
            names.log(&key.user),
            names.resume_tokens(&key.user),
        ];
        let args = [
            Arg::from(&new_epoch(&*shared.entropy)),
            Arg::from(OFFSET_TTL.as_secs()),
            Arg::from(session.as_str()),
            Arg::from(RESUME_TOKEN_TTL.as_millis()),
            Arg::from(names.event_channel(&key.user)),
            Arg::from(key.id.as_str()),
            Arg::from(attempted_at.as_millis().to_string()),
        ];
        let script = &shared.resume_tokens.redeem_token;
        let mut reply = shared.commands.run("redeem a resume token", script, keys, args).await?;
        if reply.is_empty() {
            return Ok(None);
        }
        let connection = ConnectionId::new(reply.read::<String>()?);
        let token = ResumeToken {
            session: session.clone(),
            connection: connection.map_err(|_invalid| reply.unreadable("invalid connection id"))?,
            start: offset(&mut reply)?,
        };
        let lease = ResumeLease {
            key: key.clone(),
            redemption: reply.read()?,
        };
        Ok(Some(Redeemed { token, lease }))
    }

    async fn renew_tokens(&self, leases: &[ResumeLease]) -> Result<Vec<bool>, BusError> {
        let mut renewed = Vec::with_capacity(leases.len());
        for leases in leases.chunks(PIPELINED) {
            // One script per token, as no script spans two slots of a cluster; they are pipelined.
            renewed.extend(try_join_all(leases.iter().map(|lease| self.renew_one(lease))).await?);
        }
        Ok(renewed)
    }

    async fn revoke_token(&self, lease: &ResumeLease) -> Result<(), BusError> {
        let shared = &self.shared;
        let (script, keys) = (
            &shared.resume_tokens.revoke_token,
            [shared.names.resume_tokens(&lease.key.user)],
        );
        let args = [Arg::from(lease.key.id.as_str()), Arg::from(lease.redemption)];
        shared
            .commands
            .run("revoke a resume token", script, keys, args)
            .await
            .map(drop)
    }
}

impl RedisBus {
    async fn renew_one(&self, lease: &ResumeLease) -> Result<bool, BusError> {
        let shared = &self.shared;
        let (script, keys) = (
            &shared.resume_tokens.renew,
            [shared.names.resume_tokens(&lease.key.user)],
        );
        let args = [
            Arg::from(lease.key.id.as_str()),
            Arg::from(lease.redemption),
            Arg::from(RESUME_TOKEN_TTL.as_millis()),
        ];
        let mut reply = shared.commands.run("renew a resume token", script, keys, args).await?;
        Ok(reply.read::<u8>()? == 1)
    }
}

//! Tickets in Redis: a hash of a user's.

use async_trait::async_trait;
use futures_util::future::try_join_all;
use protocol::id::{ConnectionId, SessionId};
use protocol::time::Timestamp;

use super::RedisBus;
use super::client::{Arg, Script};
use super::events::offset;
use crate::bounds::{ORDER_LIFE, TICKET_LIFE, TICKETS};
use crate::epoch::new_epoch;
use crate::{BusError, Redeemed, ResumeLease, ResumeToken, ResumeTokenKey, ResumeTokens};

/// What is one step on the server.
pub(super) struct Scripts {
    issue_token: Script,
    redeem_token: Script,
    keep: Script,
    revoke_token: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            issue_token: Script::new(concat!(
                include_str!("script/ticket.lua"),
                include_str!("script/issue_ticket.lua")
            )),
            redeem_token: Script::new(concat!(
                include_str!("script/order.lua"),
                include_str!("script/ticket.lua"),
                include_str!("script/redeem_ticket.lua")
            )),
            keep: Script::new(concat!(
                include_str!("script/ticket.lua"),
                include_str!("script/keep_ticket.lua")
            )),
            revoke_token: Script::new(concat!(
                include_str!("script/ticket.lua"),
                include_str!("script/void_ticket.lua")
            )),
        }
    }
}

#[async_trait]
impl ResumeTokens for RedisBus {
    async fn issue_token(&self, key: &ResumeTokenKey, ticket: &ResumeToken) -> Result<ResumeLease, BusError> {
        let shared = &self.shared;
        let args = [
            Arg::from(key.id.as_str()),
            Arg::from(ticket.session.as_str()),
            Arg::from(ticket.connection.as_str()),
            Arg::from(&ticket.start.epoch),
            Arg::from(ticket.start.seq),
            Arg::from(TICKET_LIFE.as_millis()),
            Arg::from(TICKETS),
        ];
        let (script, keys) = (&shared.tickets.issue_token, [shared.names.tickets(&key.user)]);
        shared.commands.run("issue a ticket", script, keys, args).await?;
        Ok(ResumeLease {
            key: key.clone(),
            redemption: 0,
        })
    }

    async fn redeem_token(
        &self,
        key: &ResumeTokenKey,
        session: &SessionId,
        came: Timestamp,
    ) -> Result<Option<Redeemed>, BusError> {
        let (shared, names) = (&self.shared, &self.shared.names);
        let keys = [names.offset(&key.user), names.log(&key.user), names.tickets(&key.user)];
        let args = [
            Arg::from(&new_epoch(&*shared.entropy)),
            Arg::from(ORDER_LIFE.as_secs()),
            Arg::from(session.as_str()),
            Arg::from(TICKET_LIFE.as_millis()),
            Arg::from(names.events(&key.user)),
            Arg::from(key.id.as_str()),
            Arg::from(came.as_millis().to_string()),
        ];
        let script = &shared.tickets.redeem_token;
        let mut reply = shared.commands.run("redeem a ticket", script, keys, args).await?;
        if reply.is_empty() {
            return Ok(None);
        }
        let connection = ConnectionId::new(reply.read::<String>()?);
        let ticket = ResumeToken {
            session: session.clone(),
            connection: connection.map_err(|_invalid| reply.unreadable("no connection"))?,
            start: offset(&mut reply)?,
        };
        let hold = ResumeLease {
            key: key.clone(),
            redemption: reply.read()?,
        };
        Ok(Some(Redeemed { ticket, hold }))
    }

    async fn renew_tokens(&self, holds: &[ResumeLease]) -> Result<Vec<bool>, BusError> {
        let mut kept = Vec::with_capacity(holds.len());
        for holds in holds.chunks(AT_ONCE) {
            // One script per ticket, as no script spans two slots of a cluster; they travel together.
            kept.extend(try_join_all(holds.iter().map(|hold| self.keep_one(hold))).await?);
        }
        Ok(kept)
    }

    async fn revoke_token(&self, hold: &ResumeLease) -> Result<(), BusError> {
        let shared = &self.shared;
        let (script, keys) = (&shared.tickets.revoke_token, [shared.names.tickets(&hold.key.user)]);
        let args = [Arg::from(hold.key.id.as_str()), Arg::from(hold.redemption)];
        shared.commands.run("void a ticket", script, keys, args).await.map(drop)
    }
}

impl RedisBus {
    async fn keep_one(&self, hold: &ResumeLease) -> Result<bool, BusError> {
        let shared = &self.shared;
        let (script, keys) = (&shared.tickets.keep, [shared.names.tickets(&hold.key.user)]);
        let args = [
            Arg::from(hold.key.id.as_str()),
            Arg::from(hold.redemption),
            Arg::from(TICKET_LIFE.as_millis()),
        ];
        let mut reply = shared.commands.run("keep a ticket", script, keys, args).await?;
        Ok(reply.read::<u8>()? == 1)
    }
}

/// How many tickets are kept at once.
const AT_ONCE: usize = 256;

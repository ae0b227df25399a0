//! Joins in Redis: one script over the keys of the user.

use std::time::Duration;

use async_trait::async_trait;
use protocol::time::Timestamp;
use serde_json::json;

use super::RedisBus;
use super::client::{Arg, RedisReply, Script};
use super::events::offset;
use super::presence::{Registration, entry};
use crate::bounds::{ALERT_CHECK_TTL, OFFSET_TTL, RESUME_TOKEN_TTL, max_resume_tokens};
use crate::epoch::new_epoch;
use crate::hints::marks;
use crate::operation::Operation;
use crate::presence::SOCKETS_TTL;
use crate::{
    BusError, Hint, Hints, JoinOutcome, JoinedSocket, Joins, ResumeLease, ResumeToken, ResumeTokenKey, ResumeTokens,
    SessionRegistry, SessionState, SessionTtl, SocketJoin, TokenTimes,
};

/// Scripts of the joins.
pub(super) struct JoinScripts {
    join: Script,
}

impl JoinScripts {
    pub(super) fn new() -> Self {
        Self {
            join: Script::new(Operation::JoinSocket, join_script()),
        }
    }

    /// All scripts, for the startup check.
    pub(super) fn all(&self) -> impl Iterator<Item = &Script> {
        let Self { join } = self;
        [join].into_iter()
    }
}

/// Text of the script that joins, below its constants. Its commands take the TTL of a resume token as text, which costs no conversion.
fn join_script() -> String {
    let (offset_ttl, check_ttl) = (OFFSET_TTL.as_secs(), ALERT_CHECK_TTL.as_secs());
    let (sockets_ttl, token_ttl) = (SOCKETS_TTL.as_millis(), RESUME_TOKEN_TTL.as_millis());
    format!(
        "local OFFSET_TTL, CHECK_TTL = {offset_ttl}, {check_ttl}\n\
         local SOCKETS_TTL, TOKEN_TTL = {sockets_ttl}, '{token_ttl}'\n\
         {}{}{}{}",
        include_str!("script/replication_id.lua"),
        include_str!("script/known_offset.lua"),
        include_str!("script/current_offset.lua"),
        include_str!("script/join_socket.lua")
    )
}

#[async_trait]
impl Joins for RedisBus {
    async fn join(&self, join: &SocketJoin) -> Result<JoinOutcome, BusError> {
        let mut reply = self.run_join(join, Some(token_times(join.token))).await?;
        let mut status = reply.bytes()?;
        let mut read = None;
        if status == "unread" {
            match self.record_token(&join.session, join.token).await? {
                SessionState::Alive(session) => read = Some(session),
                state => {
                    // A session of another primary.
                    if let (SessionState::Unknown, Some(check)) = (state, &join.alert_check) {
                        self.begin_alert_check(&join.session.user, check).await?;
                    }
                    return Ok(JoinOutcome::Refused(state));
                }
            }
            // An end after this read is received: the channel was subscribed before.
            reply = self.run_join(join, None).await?;
            status = reply.bytes()?;
        }
        if status == "unknown" {
            return Ok(JoinOutcome::Refused(SessionState::Unknown));
        }
        let (session, now) = (reply.bytes()?, time_of(&mut reply)?);
        let session = match read {
            Some(session) => session,
            None => stored_session(&session, now).ok_or_else(|| reply.unreadable("invalid session"))?,
        };
        let offset = offset(&mut reply)?;
        let [sockets, tokens]: [usize; 2] = [reply.read()?, reply.read()?];
        let no_open_alerts = reply.bytes()? == "1";
        let seen = [reply.bytes()?, reply.bytes()?, reply.bytes()?];
        let joined = JoinedSocket {
            session,
            offset,
            surplus: Vec::new(),
            lease: lease(join),
            hint: Hint {
                seen: seen.iter().all(|mark| mark == "1"),
                no_open_alerts,
            },
        };
        let joined = self.enforce_bounds(join, joined, sockets, tokens).await?;
        Ok(JoinOutcome::Joined(Box::new(joined)))
    }
}

impl RedisBus {
    /// Runs the script, which reads the session if the times of the token are given.
    async fn run_join(&self, join: &SocketJoin, times: Option<String>) -> Result<RedisReply, BusError> {
        let (shared, names) = (&self.shared, &self.shared.names);
        let user = &join.session.user;
        let keys = [
            names.session(&join.session),
            names.end_of_all(user),
            names.offset(user),
            names.log(user),
            names.sockets(user),
            names.resume_tokens(user),
            names.seen(user),
            names.open(user),
        ];
        let [device, network] = marks(&join.socket.origin);
        let mut args = vec![
            Arg::from(times.unwrap_or_default()),
            Arg::from(&new_epoch(&*shared.entropy)),
            Arg::from(join.socket.connection.as_str()),
            Arg::from(entry(&join.socket)?),
            Arg::from(device),
            Arg::from(network),
            Arg::from(join.alert_check.as_deref().unwrap_or_default()),
        ];
        if let Some(id) = &join.resume_token {
            args.extend([Arg::from(id.as_str()), Arg::from(token(join))]);
        }
        shared
            .commands
            .run("join a socket", &shared.joins.join, keys, args)
            .await
    }

    /// Evicts above the bounds. This is rare, so the script of the join leaves it to others: sockets of failed gateways may be among
    /// those counted, and the leases are in another slot.
    async fn enforce_bounds(
        &self,
        join: &SocketJoin,
        joined: JoinedSocket,
        sockets: usize,
        tokens: usize,
    ) -> Result<JoinedSocket, BusError> {
        let (user, mut surplus) = (&join.session.user, joined.surplus);
        if sockets > join.max_sockets.max(1) {
            let bound = (join.max_sockets, Registration::Joined);
            surplus = Box::pin(self.register(user, &join.socket, bound)).await?;
        }
        let max_tokens = max_resume_tokens(join.max_sockets);
        if tokens > max_tokens
            && let Some(lease) = &joined.lease
        {
            let token = ResumeToken {
                session: join.session.session.clone(),
                connection: join.socket.connection.clone(),
                start: joined.offset.clone(),
            };
            self.issue_token(&lease.key, &token, max_tokens).await?;
        }
        Ok(JoinedSocket { surplus, ..joined })
    }
}

/// Times of a token as sessions are stored: 13 digits of ms each, zeros if unknown.
fn token_times(token: TokenTimes) -> String {
    let [issued_at, expires_at] = [token.issued_at, token.expires_at].map(|time| {
        let millis = time.map_or(0, Timestamp::as_millis);
        millis.clamp(0, 9_999_999_999_999)
    });
    format!("{issued_at:013} {expires_at:013}")
}

/// Resume token as `issue_token.lua` stores it, up to its offset and expiry.
fn token(join: &SocketJoin) -> String {
    let [session, connection] =
        [join.session.session.as_str(), join.socket.connection.as_str()].map(|text| json!(text));
    format!(r#"{{"v":1,"redemption":0,"session":{session},"connection":{connection}"#)
}

fn lease(join: &SocketJoin) -> Option<ResumeLease> {
    let id = join.resume_token.clone()?;
    let key = ResumeTokenKey {
        user: join.session.user.clone(),
        id,
    };
    Some(ResumeLease { key, redemption: 0 })
}

/// Takes a reply of TIME, in ms since 1970.
fn time_of(reply: &mut RedisReply) -> Result<u64, BusError> {
    let (seconds, micros): (u64, u64) = (reply.read()?, reply.read()?);
    Ok(seconds * 1_000 + micros / 1_000)
}

/// Remaining time of a session as `session.lua` stores it.
fn stored_session(value: &[u8], now: u64) -> Option<SessionTtl> {
    let mut fields = str::from_utf8(value).ok()?.split(' ').skip(2);
    let mut next = || fields.next()?.parse::<u64>().ok();
    let (generation, deadline, timeout, lead) = (next()?, next()?, next()?, next()?);
    let (_newest, expiry) = (next()?, next()?);
    let expiry = i64::try_from(expiry).ok().filter(|expiry| *expiry > 0);
    let left = deadline.saturating_sub(now);
    Some(SessionTtl {
        generation,
        left: Duration::from_millis(left),
        warns_in: Duration::from_millis(left.saturating_sub(lead)),
        timeout: Duration::from_millis(timeout),
        lead: Duration::from_millis(lead),
        latest_token_expiry: expiry.map(Timestamp::from_millis),
    })
}

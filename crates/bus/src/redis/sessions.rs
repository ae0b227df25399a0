//! Sessions in Redis: a string with a TTL each, and another that expires at the warning.

mod expiries;
mod scripts;
mod surplus;

use std::iter::once;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use protocol::id::UserId;
use protocol::time::Timestamp;
use tokio::sync::mpsc;

use super::client::{Arg, RedisReply, Script};
use super::{PIPELINED, RedisBus};
use crate::bounds::{HINT_TTL, MAX_ORIGIN_MARKS};
use crate::hints::marks;
use crate::sessions::ANNOUNCEMENT_TTL;
use crate::{
    AliveSession, BusError, EndAllSessions, EndAnnouncement, RecordedSignIn, SessionKey, SessionRegistry,
    SessionRenewal, SessionSeed, SessionState, SessionTtl, TokenTimes,
};

pub(super) use self::scripts::SessionScripts;

#[async_trait]
impl SessionRegistry for RedisBus {
    async fn seed(&self, session: &SessionKey, seed: SessionSeed) -> Result<SessionState, BusError> {
        let script = &self.shared.sessions.seed;
        let seeded = self.session("seed a session", script, session, seed_args(&seed));
        self.written(session, seeded.await?).await
    }

    async fn seed_signed_in(
        &self,
        session: &SessionKey,
        seed: SessionSeed,
        sign_in: &RecordedSignIn<'_>,
    ) -> Result<SessionState, BusError> {
        let (names, script) = (&self.shared.names, &self.shared.sessions.seed_signed_in);
        let hints = [names.seen(&session.user), names.open(&session.user)];
        let keys = self.session_keys(session).into_iter().chain(hints);
        let [device, network] = marks(sign_in.from);
        let name = Arg::from(names.in_index(&session.session));
        let args = once(name).chain(seed_args(&seed)).chain([
            Arg::from(sign_in.check),
            Arg::from(device),
            Arg::from(network),
            Arg::from(HINT_TTL.as_secs()),
            Arg::from(MAX_ORIGIN_MARKS),
        ]);
        let seeded = self.shared.commands.run("seed a session", script, keys, args);
        self.written(session, seeded.await?).await
    }

    async fn check_ttl(&self, sessions: &[SessionKey]) -> Result<Vec<SessionState>, BusError> {
        let replies = self.all_sessions("check session TTLs", &self.shared.sessions.check_ttl, sessions, []);
        replies.await?.iter_mut().map(state).collect()
    }

    async fn record_token(&self, session: &SessionKey, token: TokenTimes) -> Result<SessionState, BusError> {
        let script = &self.shared.sessions.record_token;
        let args = [token.issued_at, token.expires_at].map(time);
        state(&mut self.session("record a token", script, session, args).await?)
    }

    async fn renew_session(&self, session: &SessionKey) -> Result<SessionRenewal, BusError> {
        let script = &self.shared.sessions.renew_session;
        let mut reply = self.session("renew a session", script, session, []).await?;
        let after_warning = reply.bytes()? == "1";
        Ok(SessionRenewal {
            state: self.written(session, reply).await?,
            after_warning,
        })
    }

    async fn set_timeout(
        &self,
        session: &SessionKey,
        timeout: Duration,
        lead: Duration,
    ) -> Result<SessionState, BusError> {
        let script = &self.shared.sessions.retime;
        let args = [timeout, lead].map(millis);
        let set = self.session("set a session timeout", script, session, args).await?;
        self.written(session, set).await
    }

    async fn alive_sessions(&self, user: &UserId) -> Result<Vec<AliveSession>, BusError> {
        let step = "list sessions";
        let (names, scripts) = (&self.shared.names, &self.shared.sessions);
        let indexed = self
            .shared
            .commands
            .run(step, &scripts.index, [names.sessions(user)], []);
        let named = indexed.await?.filter_map(|name| names.indexed_session(&name));
        let keys: Vec<_> = named
            .map(|session| SessionKey {
                user: user.clone(),
                session,
            })
            .collect();
        let found = self.all_sessions(step, &scripts.find, &keys, []).await?;
        let alive = keys.into_iter().zip(found).filter(|(_, reply)| !reply.is_empty());
        alive.map(|(key, mut reply)| alive_session(key, &mut reply)).collect()
    }

    async fn announce_end(&self, sessions: &[SessionKey]) -> Result<Vec<EndAnnouncement>, BusError> {
        let script = &self.shared.sessions.announce_end;
        let replies = self.all_sessions("announce session ends", script, sessions, [millis(ANNOUNCEMENT_TTL)]);
        replies.await?.iter_mut().map(announced).collect()
    }

    async fn end(&self, session: &SessionKey, ended_at: Timestamp, tombstone_ttl: Duration) -> Result<(), BusError> {
        let script = &self.shared.sessions.end;
        let args = [time(Some(ended_at)), millis(tombstone_ttl)];
        self.session("end a session", script, session, args).await.map(drop)
    }

    async fn end_all(&self, user: &UserId, end: &EndAllSessions, tombstone_ttl: Duration) -> Result<(), BusError> {
        let (names, script) = (&self.shared.names, &self.shared.sessions.end_all);
        let but = end.except.as_ref().map(|session| {
            names.session(&SessionKey {
                user: user.clone(),
                session: session.clone(),
            })
        });
        let args = [
            time(Some(end.ended_at)),
            Arg::from(but.unwrap_or_default()),
            millis(tombstone_ttl),
        ];
        let ended = self
            .shared
            .commands
            .run("end all sessions", script, [names.end_of_all(user)], args);
        ended.await.map(drop)
    }

    fn expiries(&self) -> mpsc::Receiver<SessionKey> {
        expiries::listen(self)
    }
}

impl RedisBus {
    async fn session<const N: usize>(
        &self,
        step: &'static str,
        script: &Script,
        session: &SessionKey,
        args: [Arg; N],
    ) -> Result<RedisReply, BusError> {
        let name = Arg::from(self.shared.names.in_index(&session.session));
        let (keys, args) = (self.session_keys(session), once(name).chain(args));
        self.shared.commands.run(step, script, keys, args).await
    }

    /// Keys of the scripts of sessions, in their order.
    fn session_keys(&self, session: &SessionKey) -> [String; 4] {
        let names = &self.shared.names;
        [
            names.session(session),
            names.warning(session),
            names.sessions(&session.user),
            names.end_of_all(&session.user),
        ]
    }

    /// Runs one script per session, as no script spans two slots of a cluster; they are pipelined.
    async fn all_sessions<const N: usize>(
        &self,
        step: &'static str,
        script: &Script,
        sessions: &[SessionKey],
        args: [Arg; N],
    ) -> Result<Vec<RedisReply>, BusError> {
        let mut replies = Vec::with_capacity(sessions.len());
        for sessions in sessions.chunks(PIPELINED) {
            let asked = sessions
                .iter()
                .map(|session| self.session(step, script, session, args.clone()));
            replies.extend(try_join_all(asked).await?);
        }
        Ok(replies)
    }
}

fn state(reply: &mut RedisReply) -> Result<SessionState, BusError> {
    match reply.bytes()?.as_ref() {
        b"unknown" => Ok(SessionState::Unknown),
        b"ended" => Ok(SessionState::Ended),
        b"ending" => Ok(SessionState::Ending(reply.read()?)),
        b"alive" => Ok(SessionState::Alive(SessionTtl {
            generation: reply.read()?,
            left: Duration::from_millis(reply.read()?),
            warns_in: Duration::from_millis(reply.read()?),
            timeout: Duration::from_millis(reply.read()?),
            lead: Duration::from_millis(reply.read()?),
            latest_token_expiry: known_time(reply)?,
        })),
        _ => Err(reply.unreadable("unknown session state")),
    }
}

/// Arguments of a seed after the name of the session.
fn seed_args(seed: &SessionSeed) -> [Arg; 7] {
    let [left, timeout, lead] = [seed.left, seed.timeout, seed.lead].map(millis);
    let SessionSeed { opened_at, tokens, .. } = *seed;
    let [opened_at, issued_at, expires_at] = [Some(opened_at), tokens.issued_at, tokens.expires_at].map(time);
    let announced = Arg::from(seed.announced.unwrap_or(0));
    [left, timeout, lead, opened_at, issued_at, expires_at, announced]
}

fn alive_session(key: SessionKey, reply: &mut RedisReply) -> Result<AliveSession, BusError> {
    Ok(AliveSession {
        session: key.session,
        opened_at: Timestamp::from_millis(reply.read()?),
        left: Duration::from_millis(reply.read()?),
        timeout: Duration::from_millis(reply.read()?),
    })
}

fn announced(reply: &mut RedisReply) -> Result<EndAnnouncement, BusError> {
    Ok(EndAnnouncement {
        was_alive: reply.bytes()? == "1",
        tokens: TokenTimes {
            issued_at: known_time(reply)?,
            expires_at: known_time(reply)?,
        },
    })
}

/// Takes a time in ms since 1970; none if it is 0.
fn known_time(reply: &mut RedisReply) -> Result<Option<Timestamp>, BusError> {
    let millis = reply.read()?;
    Ok((millis > 0).then(|| Timestamp::from_millis(millis)))
}

fn millis(duration: Duration) -> Arg {
    Arg::from(duration.as_millis().max(1))
}

/// Time in ms since 1970; 0 if unknown.
fn time(time: Option<Timestamp>) -> Arg {
    let millis = time.map_or(0, Timestamp::as_millis);
    Arg::from(u64::try_from(millis).unwrap_or(0))
}

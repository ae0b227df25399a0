//! Sessions in Redis: a string with a TTL each, and another whose end is the warning.

mod expiries;

use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use tokio::sync::mpsc;

use super::RedisBus;
use super::client::{Answer, Arg, Script};
use crate::{Alive, BusError, Seed, SessionKey, SessionState, Sessions, Touched};

/// What is one step on the server.
pub(super) struct Scripts {
    seed: Script,
    poke: Script,
    touch: Script,
    retime: Script,
    end: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            seed: Script::new(concat!(
                include_str!("script/session.lua"),
                include_str!("script/seed_session.lua")
            )),
            poke: Script::new(concat!(
                include_str!("script/session.lua"),
                include_str!("script/poke_session.lua")
            )),
            touch: Script::new(concat!(
                include_str!("script/session.lua"),
                include_str!("script/touch_session.lua")
            )),
            retime: Script::new(concat!(
                include_str!("script/session.lua"),
                include_str!("script/retime_session.lua")
            )),
            end: Script::new(include_str!("script/end_session.lua")),
        }
    }
}

#[async_trait]
impl Sessions for RedisBus {
    async fn seed(&self, session: &SessionKey, seed: Seed) -> Result<SessionState, BusError> {
        let script = &self.shared.sessions.seed;
        let [left, timeout, lead] = [seed.left, seed.timeout, seed.lead].map(millis);
        let args = [left, timeout, lead, Arg::from(u32::from(seed.over_end))];
        state(&mut self.session("seed a session", script, session, args).await?)
    }

    async fn poke(&self, sessions: &[SessionKey]) -> Result<Vec<SessionState>, BusError> {
        let script = &self.shared.sessions.poke;
        let mut states = Vec::with_capacity(sessions.len());
        for sessions in sessions.chunks(AT_ONCE) {
            // One script per session, as no script spans two slots of a cluster; they travel together.
            let asked = sessions.iter().map(async |session| {
                let answer = self.session("poke a session", script, session, []).await;
                answer.and_then(|mut answer| state(&mut answer))
            });
            states.extend(try_join_all(asked).await?);
        }
        Ok(states)
    }

    async fn touch(&self, session: &SessionKey) -> Result<Touched, BusError> {
        let script = &self.shared.sessions.touch;
        let mut answer = self.session("extend a session", script, session, []).await?;
        let after_warning = answer.bytes()? == "1";
        Ok(Touched {
            state: state(&mut answer)?,
            after_warning,
        })
    }

    async fn retime(&self, session: &SessionKey, timeout: Duration, lead: Duration) -> Result<SessionState, BusError> {
        let script = &self.shared.sessions.retime;
        let args = [timeout, lead].map(millis);
        state(&mut self.session("retime a session", script, session, args).await?)
    }

    async fn end(&self, session: &SessionKey, keep: Duration) -> Result<(), BusError> {
        let script = &self.shared.sessions.end;
        let ended = self.session("end a session", script, session, [millis(keep)]).await;
        ended.map(drop)
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
    ) -> Result<Answer, BusError> {
        let names = &self.shared.names;
        let keys = [names.session(session), names.warning(session)];
        self.shared.commands.run(step, script, keys, args).await
    }
}

fn state(answer: &mut Answer) -> Result<SessionState, BusError> {
    match answer.bytes()?.as_ref() {
        b"unknown" => Ok(SessionState::Unknown),
        b"ended" => Ok(SessionState::Ended),
        b"alive" => Ok(SessionState::Alive(Alive {
            generation: answer.read()?,
            left: Duration::from_millis(answer.read()?),
            warns_in: Duration::from_millis(answer.read()?),
            timeout: Duration::from_millis(answer.read()?),
            lead: Duration::from_millis(answer.read()?),
        })),
        _ => Err(answer.unreadable("no state of a session")),
    }
}

fn millis(duration: Duration) -> Arg {
    Arg::from(duration.as_millis().max(1))
}

/// How many sessions are asked about at once.
const AT_ONCE: usize = 256;

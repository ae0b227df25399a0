//! Joins in Redis: one script over the keys of the user.

use async_trait::async_trait;

use super::RedisBus;
use super::client::{Arg, Script};
use super::events::offset;
use super::presence::entry;
use super::sessions::{state, time};
use crate::bounds::{ALERT_CHECK_TTL, MAX_RESUME_TOKENS, OFFSET_TTL, RESUME_TOKEN_TTL};
use crate::epoch::new_epoch;
use crate::hints::marks;
use crate::operation::Operation;
use crate::presence::SOCKETS_TTL;
use crate::sessions::MAX_SESSIONS;
use crate::{
    BusError, Hint, JoinOutcome, JoinedSocket, Joins, Presence, ResumeLease, ResumeToken, ResumeTokenKey, ResumeTokens,
    SessionState, SocketJoin,
};

/// Scripts of the joins.
pub(super) struct JoinScripts {
    join: Script,
}

impl JoinScripts {
    pub(super) fn new() -> Self {
        let script = concat!(
            include_str!("script/session.lua"),
            include_str!("script/current_offset.lua"),
            include_str!("script/join_socket.lua")
        );
        let script = format!("local bound = {MAX_SESSIONS}\n{script}");
        Self {
            join: Script::new(Operation::JoinSocket, script),
        }
    }
}

#[async_trait]
impl Joins for RedisBus {
    async fn join(&self, join: &SocketJoin) -> Result<JoinOutcome, BusError> {
        let (shared, keys, args) = (&self.shared, self.join_keys(join), self.join_args(join)?);
        let mut reply = shared
            .commands
            .run("join a socket", &shared.joins.join, keys, args)
            .await?;
        let session = match state(&mut reply)? {
            SessionState::Alive(session) => session,
            state => return Ok(JoinOutcome::Refused(state)),
        };
        let offset = offset(&mut reply)?;
        let [sockets, tokens]: [usize; 2] = [reply.read()?, reply.read()?];
        let hint = Hint {
            seen: reply.bytes()? == "1",
            no_open_alerts: reply.bytes()? == "1",
        };
        let mut joined = JoinedSocket {
            session,
            offset,
            surplus: Vec::new(),
            lease: join.resume_token.as_ref().map(|id| ResumeLease {
                key: ResumeTokenKey {
                    user: join.session.user.clone(),
                    id: id.clone(),
                },
                redemption: 0,
            }),
            hint,
        };
        // Rare, so the script leaves it to others: sockets of dead gateways may be among them, and theirs is another slot.
        if sockets > join.max_sockets.max(1) {
            joined.surplus = self
                .register_socket(&join.session.user, &join.socket, join.max_sockets)
                .await?;
        }
        if tokens > MAX_RESUME_TOKENS
            && let Some(lease) = &joined.lease
        {
            let token = ResumeToken {
                session: join.session.session.clone(),
                connection: join.socket.connection.clone(),
                start: joined.offset.clone(),
            };
            self.issue_token(&lease.key, &token).await?;
        }
        Ok(JoinOutcome::Joined(Box::new(joined)))
    }
}

impl RedisBus {
    fn join_keys(&self, join: &SocketJoin) -> [String; 10] {
        let (names, session) = (&self.shared.names, &join.session);
        let user = &session.user;
        [
            names.session(session),
            names.warning(session),
            names.sessions(user),
            names.end_of_all(user),
            names.offset(user),
            names.log(user),
            names.sockets(user),
            names.resume_tokens(user),
            names.seen(user),
            names.open(user),
        ]
    }

    fn join_args(&self, join: &SocketJoin) -> Result<Vec<Arg>, BusError> {
        let (session, socket) = (&join.session.session, &join.socket);
        let [device, network] = marks(&socket.origin);
        let mut args = vec![
            Arg::from(self.shared.names.in_index(session)),
            time(join.issued_at),
            Arg::from(&new_epoch(&*self.shared.entropy)),
            Arg::from(OFFSET_TTL.as_secs()),
            Arg::from(socket.connection.as_str()),
            Arg::from(entry(socket)?),
            Arg::from(SOCKETS_TTL.as_millis()),
            Arg::from(device),
            Arg::from(network),
            Arg::from(join.alert_check.as_deref().unwrap_or_default()),
            Arg::from(ALERT_CHECK_TTL.as_secs()),
        ];
        if let Some(id) = &join.resume_token {
            args.extend([
                Arg::from(id.as_str()),
                Arg::from(session.as_str()),
                Arg::from(RESUME_TOKEN_TTL.as_millis()),
            ]);
        }
        Ok(args)
    }
}

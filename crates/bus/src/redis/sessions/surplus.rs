//! Sessions above the bound of their user. The script that writes a session finds them, and another one, which declares their
//! keys, drops them: some servers refuse a script that uses keys which it does not declare, and in a cluster it may stop half
//! way.

use protocol::id::UserId;

use super::{RedisBus, state};
use crate::redis::client::{Arg, RedisReply};
use crate::{BusError, SessionKey, SessionState};

impl RedisBus {
    /// State of a session that a script has written, once the sessions above the bound are dropped. A drop that fails is made up
    /// for by the next write.
    pub(super) async fn written(&self, session: &SessionKey, mut reply: RedisReply) -> Result<SessionState, BusError> {
        let state = state(&mut reply)?;
        if !reply.is_empty() {
            // Boxed, as it is rare.
            Box::pin(self.drop_sessions(&session.user, reply)).await?;
        }
        Ok(state)
    }

    async fn drop_sessions(&self, user: &UserId, surplus: RedisReply) -> Result<(), BusError> {
        let (names, script) = (&self.shared.names, &self.shared.sessions.drop);
        let (mut keys, mut args) = (vec![names.sessions(user)], Vec::new());
        for session in surplus.filter_map(|name| names.indexed_session(&name)) {
            args.push(Arg::from(names.in_index(&session)));
            let key = SessionKey {
                user: user.clone(),
                session,
            };
            keys.extend([names.session(&key), names.warning(&key)]);
        }
        self.shared
            .commands
            .run("drop sessions", script, keys, args)
            .await
            .map(drop)
    }
}

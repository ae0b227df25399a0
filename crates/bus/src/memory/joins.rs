//! Joins in memory: the steps of the single roles. The session is read first: one that ends after that is announced to the node.

use async_trait::async_trait;

use super::{MemoryBus, lock};
use crate::bounds::max_resume_tokens;
use crate::{
    BusError, Hints, JoinOutcome, JoinedSocket, Joins, ResumeToken, ResumeTokenKey, ResumeTokens, SessionRegistry,
    SessionState, SocketJoin,
};

#[async_trait]
impl Joins for MemoryBus {
    async fn join(&self, join: &SocketJoin) -> Result<JoinOutcome, BusError> {
        let (user, socket) = (&join.session.user, &join.socket);
        let session = match self.record_token(&join.session, join.token).await? {
            SessionState::Alive(session) => session,
            state => {
                if let (SessionState::Unknown, Some(check)) = (state, &join.alert_check) {
                    self.begin_alert_check(user, check).await?;
                }
                return Ok(JoinOutcome::Refused(state));
            }
        };
        let offset = lock(&self.shared.events).offset(user, &*self.shared.entropy);
        let surplus = {
            let mut present = lock(&self.shared.present);
            // As `join_socket.lua`: the bound is left to the registration.
            if present.add(user, socket) > join.max_sockets {
                present.register(user, socket, join.max_sockets)
            } else {
                Vec::new()
            }
        };
        let lease = match &join.resume_token {
            Some(id) => {
                let key = ResumeTokenKey {
                    user: user.clone(),
                    id: id.clone(),
                };
                let token = ResumeToken {
                    session: join.session.session.clone(),
                    connection: socket.connection.clone(),
                    start: offset.clone(),
                };
                Some(
                    self.issue_token(&key, &token, max_resume_tokens(join.max_sockets))
                        .await?,
                )
            }
            None => None,
        };
        Ok(JoinOutcome::Joined(Box::new(JoinedSocket {
            session,
            offset,
            surplus,
            lease,
            hint: self.hint(user, &socket.origin).await?,
        })))
    }
}

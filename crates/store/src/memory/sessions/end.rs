//! End of sessions: announced to the shared state first, then committed.

use std::collections::HashMap;

use protocol::id::SessionId;
use protocol::time::Timestamp;

use crate::StoreError;
use crate::audit::Entry;
use crate::memory::rows::SessionRow;
use crate::memory::state::State;
use crate::memory::{MemoryStore, in_time};
use crate::session_rules::{self, KnownSession};
use crate::sessions::{
    AnnouncedEnd, EndAllSessions, EndSessionsOutcome, EndSessionsRequest, SessionSelector, SessionsReceipt,
};

/// Sessions to end, each with its record if there is one.
type ToEnd = Vec<(SessionId, Option<KnownSession>)>;

impl MemoryStore {
    /// Announces ends without holding the state's lock. Sessions that are opened in the meantime are announced too, before
    /// anything is written.
    pub(super) async fn end(
        &self,
        ending: &EndSessionsRequest<'_>,
        receipt: &SessionsReceipt<'_>,
    ) -> Result<EndSessionsOutcome, StoreError> {
        let mut announced = HashMap::new();
        loop {
            let unannounced = match self.end_announced(ending, receipt, &announced)? {
                Attempt::Done(ended) => return Ok(ended),
                Attempt::Unannounced(sessions) => sessions,
            };
            match ending.announcer.announce(&ending.user, &unannounced).await {
                Ok(ends) => announced.extend(unannounced.into_iter().zip(ends)),
                Err(error) => return Ok(EndSessionsOutcome::Unannounced(error)),
            }
        }
    }

    fn end_announced(
        &self,
        ending: &EndSessionsRequest<'_>,
        receipt: &SessionsReceipt<'_>,
        announced: &HashMap<SessionId, AnnouncedEnd>,
    ) -> Result<Attempt, StoreError> {
        let wall = self.now();
        let mut state = self.state();
        if let Some(answer) = state.begin("commit session ends", &ending.user, &receipt(0), wall)? {
            return Ok(Attempt::Done(EndSessionsOutcome::Repeated(answer)));
        }
        let now = Timestamp::from(wall);
        let to_end = state.to_end(ending, now);
        let unannounced = to_end
            .iter()
            .map(|(session, _)| session)
            .filter(|session| !announced.contains_key(*session));
        let unannounced: Vec<_> = unannounced.cloned().collect();
        if !unannounced.is_empty() {
            return Ok(Attempt::Unannounced(unannounced));
        }
        let ended_at = session_rules::end_time(&to_end, now);
        let mut rows = Vec::new();
        for (session, known) in to_end {
            let Some(announced) = announced.get(&session) else {
                continue;
            };
            rows.push((session, session_rules::end(known, *announced, ended_at)));
        }
        let were_alive = rows.iter().filter(|(_, (_, was_alive))| *was_alive);
        let were_alive: Vec<_> = were_alive.map(|(session, _)| session.clone()).collect();
        let receipt = receipt(were_alive.len());
        in_time("commit session ends", &receipt)?;
        for (session, (ended, _)) in rows {
            let row = state
                .sessions
                .entry((ending.user.clone(), session))
                .or_insert_with(|| SessionRow::unknown(ended));
            row.known = ended;
            row.end_unconfirmed = true;
        }
        state.end_all(ending, ended_at);
        for session in &were_alive {
            state.send(&ending.user, &[(ending.notice)(session)], wall);
            state.audit(
                &self.audit,
                &ending.user,
                Entry::of_ended_session(session),
                &receipt,
                wall,
            );
        }
        state.remember(&receipt, wall);
        Ok(Attempt::Done(EndSessionsOutcome::Ended(were_alive.len())))
    }
}

/// Result of one attempt to end sessions.
enum Attempt {
    Done(EndSessionsOutcome),
    /// Sessions that must be announced first.
    Unannounced(Vec<SessionId>),
}

impl State {
    fn to_end(&self, ending: &EndSessionsRequest<'_>, now: Timestamp) -> ToEnd {
        let known = self.sessions.iter().filter(|((user, _), _)| *user == ending.user);
        let known: Vec<_> = known.map(|((_, session), row)| (session.clone(), row.known)).collect();
        let all = self.ends_of_all.get(&ending.user).map(|(all, _)| all);
        session_rules::to_end(&known, ending, all, now)
    }

    fn end_all(&mut self, ending: &EndSessionsRequest<'_>, ended_at: Timestamp) {
        let except = match &ending.which {
            SessionSelector::One(_) => return,
            SessionSelector::AllExcept(session) => Some(session.clone()),
            SessionSelector::All => None,
        };
        let all = EndAllSessions { ended_at, except };
        self.ends_of_all.insert(ending.user.clone(), (all, true));
    }
}

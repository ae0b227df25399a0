//! The task that asks the bus what is due and does what follows.

use std::sync::Arc;

use bus::{SessionKey, SessionState};
use futures_util::future::{join, join_all};
use protocol::event::Notice;
use protocol::fault::chain;
use protocol::security::SessionWarning;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::open::Closed;
use super::table::{Ask, Effect, Over};
use super::{Sessions, key};
use crate::command::Caller;
use crate::connection::Ending;

impl Sessions {
    /// Watches until the node is done. Hints, of the bus and of this node, make it ask earlier; nothing else depends on them. When
    /// messages of the bus may have been `missed`, an end may be among them: all sessions are asked about.
    pub(crate) async fn run(
        self: Arc<Self>,
        mut expiries: mpsc::Receiver<SessionKey>,
        mut hints: mpsc::Receiver<SessionKey>,
        missed: Arc<Notify>,
        soft: CancellationToken,
    ) {
        loop {
            let due = self.table().due(Instant::now());
            if !due.is_empty() {
                let sessions = Arc::clone(&self);
                self.tasks.each("sessions", async move { sessions.ask_all(due).await });
            }
            let next = self.table().next();
            tokio::select! {
                biased;
                () = soft.cancelled() => return,
                () = self.changed.notified() => {}
                () = missed.notified() => self.table().all_hinted(),
                Some(key) = expiries.recv() => self.table().hinted(&key),
                Some(key) = hints.recv() => self.table().hinted(&key),
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
        }
    }

    /// Pokes travel together, touches beside them.
    async fn ask_all(self: Arc<Self>, due: Vec<Ask>) {
        let (mut pokes, mut touches) = (Vec::new(), Vec::new());
        for ask in due {
            match ask {
                Ask::Poke(key) => pokes.push(key),
                Ask::Touch(key) => touches.push(key),
            }
        }
        join(
            self.poke_all(pokes),
            join_all(touches.iter().map(|key| self.renew_session(key))),
        )
        .await;
        self.changed.notify_one();
    }

    async fn poke_all(self: &Arc<Self>, keys: Vec<SessionKey>) {
        match self.bus.check_ttl(&keys).await {
            Ok(states) => {
                for (key, state) in keys.iter().zip(states) {
                    self.take(key, state);
                }
            }
            Err(error) => {
                tracing::debug!(error = chain(&error), "sessions are asked for again");
                let now = Instant::now();
                keys.into_iter()
                    .for_each(|key| self.table().again(&Ask::Poke(key), now));
            }
        }
    }

    async fn renew_session(self: &Arc<Self>, key: &SessionKey) {
        match self.bus.renew_session(key).await {
            Ok(touched) => {
                self.announce(key, &touched).await;
                self.take(key, touched.state);
            }
            Err(error) => {
                tracing::debug!(error = chain(&error), "activity is passed on again");
                self.table().again(&Ask::Touch(key.clone()), Instant::now());
            }
        }
    }

    fn take(self: &Arc<Self>, key: &SessionKey, state: SessionState) {
        let effect = self.table().answered(key, state, Instant::now());
        match effect {
            Some(Effect::Reopen(caller, announced)) => {
                let sessions = Arc::clone(self);
                self.tasks.each("session reopening", async move {
                    sessions.reopen(&caller, announced).await;
                });
            }
            Some(effect) => self.obey(effect),
            None => {}
        }
    }

    /// Redis has lost a session whose deadline lies ahead, or an end was announced: a worker says whether it goes on.
    async fn reopen(&self, caller: &Caller, announced: Option<u64>) {
        let key = key(caller);
        // Fails only when closed, and nobody closes it.
        let permit = self.reopenings.acquire().await;
        let opened = self.open(caller, caller.token().issued, announced).await;
        drop(permit);
        let over = match opened {
            Ok(()) | Err(Closed::Unavailable) => None,
            Err(Closed::Ended) => Some(Over::Ended),
            Err(Closed::Idle) => Some(Over::Idle),
        };
        match over {
            Some(over) => {
                let effect = self.table().over(&key, over);
                effect.into_iter().for_each(|effect| self.obey(effect));
            }
            None => self.table().again(&Ask::Poke(key), Instant::now()),
        }
        self.changed.notify_one();
    }

    fn obey(&self, effect: Effect<Arc<Caller>>) {
        match effect {
            Effect::Warn(callers, left) => {
                let ends = self.now().plus(left);
                for caller in callers {
                    let token_ends = caller.token().ends;
                    let nearest = ends.min(token_ends).since(self.now());
                    caller.notify(&Notice::SessionWarning(SessionWarning {
                        user_id: caller.user.clone(),
                        expires_in: nearest.as_secs() + u64::from(nearest.subsec_millis() > 0),
                        can_extend: ends < token_ends,
                    }));
                }
            }
            Effect::End(callers, over) => {
                let ending = match over {
                    Over::Idle => Ending::SessionIdle,
                    Over::Ended => Ending::SessionEnded,
                };
                callers.iter().for_each(|caller| caller.dismiss(ending));
            }
            // Done by a task of its own, as it takes its time.
            Effect::Reopen(..) => {}
        }
    }
}

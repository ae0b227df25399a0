//! Task of the session monitor: queries the bus about what is due and applies the results.

use std::sync::Arc;
use std::time::Duration;

use bus::{SessionKey, SessionState};
use futures_util::future::join;
use futures_util::{StreamExt, stream};
use protocol::command::{Answer, CommandKind};
use protocol::event::Notice;
use protocol::security::SessionWarning;
use protocol::time::Timestamp;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::SessionMonitor;
use super::open::SessionRefusal;
use super::table::{EndReason, SessionEffect, TtlQuery};
use crate::metrics::SessionDeadline;
use crate::socket::{Caller, CloseReason};

impl SessionMonitor {
    /// Runs until the node is done. Hints of the bus and of this node only cause earlier queries. When messages of the bus may have been
    /// `missed`, the end of a session may be among them: the bus is queried about all sessions.
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
                let monitor = Arc::clone(&self);
                self.tasks.each("sessions", async move { monitor.query_all(due).await });
            }
            let next = self.table().next();
            tokio::select! {
                biased;
                () = soft.cancelled() => return,
                () = self.changed.notified() => {}
                () = missed.notified() => self.table().hint_all(),
                Some(key) = expiries.recv() => self.table().hint(&key),
                Some(key) = hints.recv() => self.table().hint(&key),
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
        }
    }

    /// Sends TTL checks in one batch, and renewals beside it.
    async fn query_all(self: Arc<Self>, due: Vec<TtlQuery>) {
        let (mut checks, mut renewals) = (Vec::new(), Vec::new());
        for query in due {
            match query {
                TtlQuery::Check(key) => checks.push(key),
                TtlQuery::Renew(key) => renewals.push(key),
            }
        }
        let renew = |key: SessionKey| {
            let monitor = Arc::clone(&self);
            async move { monitor.renew(&key).await }
        };
        let renewals = stream::iter(renewals).for_each_concurrent(RENEWALS_AT_ONCE, renew);
        join(self.check_all(checks), renewals).await;
        self.changed.notify_one();
    }

    async fn check_all(self: &Arc<Self>, keys: Vec<SessionKey>) {
        let states = self.sessions.check_ttl(&keys).await;
        match self.outage.record("session TTL checks", states) {
            Ok(states) => {
                for (key, state) in keys.iter().zip(states) {
                    self.apply(key, state);
                }
            }
            Err(_) => {
                let now = Instant::now();
                keys.into_iter()
                    .for_each(|key| self.table().retry(&TtlQuery::Check(key), now));
            }
        }
    }

    async fn renew(self: &Arc<Self>, key: &SessionKey) {
        let renewed = self.sessions.renew_session(key).await;
        match self.outage.record("session renewal", renewed) {
            Ok(renewed) => {
                self.apply(key, renewed.state);
                self.announce(key, &renewed).await;
            }
            Err(_) => {
                self.table().retry(&TtlQuery::Renew(key.clone()), Instant::now());
            }
        }
    }

    fn apply(self: &Arc<Self>, key: &SessionKey, state: SessionState) {
        let effects = {
            let mut table = self.table();
            let effects = table.answered(key, state, Instant::now());
            self.record_lateness(table.take_late());
            effects
        };
        for effect in effects {
            match effect {
                SessionEffect::Reopen(caller, announced) => {
                    let monitor = Arc::clone(self);
                    self.tasks.each("session reopening", async move {
                        monitor.reopen(&caller, announced).await;
                    });
                }
                effect => self.carry_out(effect),
            }
        }
    }

    /// Has a worker decide whether a session is still open that the bus has lost, or whose end was announced.
    async fn reopen(&self, caller: &Caller, announced: Option<u64>) {
        let key = caller.session_key();
        // Fails only if the semaphore is closed, which it never is.
        let permit = self.reopenings.acquire().await;
        let opened = self.open(caller, caller.token().into(), (announced, None)).await;
        drop(permit);
        let end = match opened {
            Ok(()) | Err(SessionRefusal::Unavailable) => None,
            Err(SessionRefusal::Ended) => Some(EndReason::Ended),
            Err(SessionRefusal::Idle) => Some(EndReason::Idle),
        };
        match end {
            Some(reason) => {
                let effect = {
                    let mut table = self.table();
                    let effect = table.end(&key, reason, Instant::now());
                    self.record_lateness(table.take_late());
                    effect
                };
                effect.into_iter().for_each(|effect| self.carry_out(effect));
            }
            None => self.table().retry(&TtlQuery::Check(key), Instant::now()),
        }
        self.changed.notify_one();
    }

    /// Carries out the effects of a renewal, none of which is a reopening.
    pub(super) fn carry_out_all(&self, effects: Vec<SessionEffect<Arc<Caller>>>) {
        effects.into_iter().for_each(|effect| self.carry_out(effect));
    }

    fn record_lateness(&self, late: Vec<(SessionDeadline, Duration)>) {
        for (deadline, late) in late {
            self.metrics.session_lateness(deadline, late);
        }
    }

    fn carry_out(&self, effect: SessionEffect<Arc<Caller>>) {
        match effect {
            SessionEffect::Warn(callers, left) => {
                let now = self.now();
                let warnings = callers
                    .iter()
                    .map(|caller| (caller, warning(caller, now.plus(left), now)));
                warnings.for_each(|(caller, warning)| caller.notify(&Notice::SessionWarning(warning)));
            }
            SessionEffect::Extended(callers, left) => {
                for caller in callers {
                    let extended = Answer::ExtendSession(self.extended(&caller, left));
                    caller.push(CommandKind::ExtendSession.response_event(), &extended.data());
                }
            }
            SessionEffect::Close(callers, reason) => {
                let reason = match reason {
                    EndReason::Idle => CloseReason::SessionIdle,
                    EndReason::Ended => CloseReason::SessionEnded,
                };
                callers.iter().for_each(|caller| caller.close(reason));
            }
            // Carried out by a task of its own.
            SessionEffect::Reopen(..) => {}
        }
    }
}

/// Warning of a socket whose session ends at this time.
fn warning(caller: &Caller, session_ends: Timestamp, now: Timestamp) -> SessionWarning {
    let expiry = caller.expiry(session_ends);
    let left = expiry.expires_at().since(now);
    SessionWarning {
        user_id: caller.user.clone(),
        expires_in: left.as_secs() + u64::from(left.subsec_millis() > 0),
        can_extend: expiry.limit().is_none(),
        reason: expiry.limit(),
        expiry,
        server_time: now,
    }
}

/// Renewals that are in flight at once: each takes some KiB, which the allocator keeps.
const RENEWALS_AT_ONCE: usize = 32;

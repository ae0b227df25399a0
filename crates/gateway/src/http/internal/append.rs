//! Append of an event to its user's event log, after the recent events of the user where Redis has lost them.
//!
//! A worker publishes those again. An event waits at most 2 s for that: without a worker or Postgres it is published
//! nevertheless, and is then followed by older ones.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bus::{BusError, PublishMode, PublishOutcome, PublishPhase, Repeats};
use lifecycle::{KeyedLocks, OutageReporter};
use protocol::cluster::envelope::Envelope;
use protocol::cluster::job::Work;
use protocol::fault::chain;
use protocol::id::UserId;
use tokio::time::{Instant, timeout_at};

use super::Internal;
use super::call::Call;

/// Restores of event logs that this node has requested.
pub(crate) struct RestoreRequests {
    /// One request for a user at a time: the others wait for its outcome.
    users: KeyedLocks<UserId>,
    outage: OutageReporter,
    /// End of the time after a failed request in which no other is made: each would wait in vain, one event after the other.
    paused_until: Mutex<Option<Instant>>,
}

impl RestoreRequests {
    /// Creates a record without requests.
    pub(crate) fn new() -> Self {
        Self {
            users: KeyedLocks::default(),
            outage: OutageReporter::new("restore event logs"),
            paused_until: Mutex::default(),
        }
    }

    fn is_paused(&self) -> bool {
        let until = *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    fn failed(&self, error: impl Display) {
        self.outage.failed(error);
        *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + PAUSE);
    }
}

impl Internal {
    /// Appends an event to the event log of its user.
    ///
    /// # Errors
    /// [`BusError`]: the outcome is unknown.
    pub(super) async fn append(
        &self,
        call: &Call<'_>,
        user: &UserId,
        event: &Envelope,
        repeats: Repeats,
    ) -> Result<PublishOutcome, BusError> {
        match self.append_in(PublishPhase::AfterRestore, user, event, repeats).await? {
            // Boxed, as it is rare: a user's first event in a month, or after a loss of Redis.
            PublishOutcome::Unrestored => Box::pin(self.append_to_unrestored(call, user, event, repeats)).await,
            published => Ok(published),
        }
    }

    /// Appends events of one user to its event log in their sequence, by one step of the bus where the log is restored.
    ///
    /// # Errors
    /// [`BusError`]: the outcome of all is unknown.
    pub(super) async fn append_all(
        &self,
        call: &Call<'_>,
        user: &UserId,
        events: &[(Envelope, Repeats)],
    ) -> Result<Vec<Result<PublishOutcome, BusError>>, BusError> {
        let phase = PublishPhase::AfterRestore;
        let outcomes = self.events.publish_all(user, events, phase).await?;
        let mut appended = Vec::with_capacity(outcomes.len());
        for ((event, repeats), outcome) in events.iter().zip(outcomes) {
            appended.push(match outcome {
                PublishOutcome::Unrestored => Box::pin(self.append_to_unrestored(call, user, event, *repeats)).await,
                outcome => Ok(outcome),
            });
        }
        Ok(appended)
    }

    async fn append_to_unrestored(
        &self,
        call: &Call<'_>,
        user: &UserId,
        event: &Envelope,
        repeats: Repeats,
    ) -> Result<PublishOutcome, BusError> {
        let deadline = Instant::now() + RESTORE_TIMEOUT;
        // Held until the event is published, so that events of one user stay in their sequence.
        let lock = timeout_at(deadline, self.restores.users.lock(user)).await;
        if lock.is_ok() {
            // Another request may have had the log restored meanwhile.
            match self.append_in(PublishPhase::AfterRestore, user, event, repeats).await? {
                PublishOutcome::Unrestored => self.restore(call, user, deadline).await,
                published => return Ok(published),
            }
            match self.append_in(PublishPhase::AfterRestore, user, event, repeats).await? {
                PublishOutcome::Unrestored => {}
                published => return Ok(published),
            }
        }
        self.metrics.published_before_restore();
        self.append_in(PublishPhase::Immediate, user, event, repeats).await
    }

    async fn append_in(
        &self,
        phase: PublishPhase<'_>,
        user: &UserId,
        event: &Envelope,
        repeats: Repeats,
    ) -> Result<PublishOutcome, BusError> {
        self.events
            .publish_with(user, event, PublishMode { repeats, phase })
            .await
    }

    /// Has a worker restore the event log of a user, unless the last request has just failed.
    async fn restore(&self, call: &Call<'_>, user: &UserId, deadline: Instant) {
        if self.restores.is_paused() {
            return;
        }
        let within = deadline.saturating_duration_since(Instant::now());
        let restored = self
            .workers
            .request(call.requester(user), Work::RestoreLog, within)
            .await;
        match restored.map(|outcome| outcome.map(|outcome| outcome.error)) {
            Ok(Some(None)) => self.restores.outage.succeeded(),
            Ok(Some(Some(code))) => self.restores.failed(code.as_str()),
            Ok(None) => self.restores.failed("no answer of a worker in time"),
            Err(error) => self.restores.failed(chain(&error)),
        }
    }
}

/// Time that an event waits for the restore of its event log.
const RESTORE_TIMEOUT: Duration = Duration::from_secs(2);

/// Time after a failed request in which events wait for none.
const PAUSE: Duration = Duration::from_secs(2);

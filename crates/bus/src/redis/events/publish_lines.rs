//! Publishes of each user in a line: one script of a user is in flight at a time, and what arrives meanwhile goes together in the next one.
//!
//! A user with thousands of events a second so has one script in Redis where it would have thousands, and events of others wait for one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::id::UserId;
use tokio::sync::{Notify, oneshot};

use super::publish::Publish;
use crate::redis::RedisBus;
use crate::{BusError, PublishOutcome};

/// Lines of the users with a publish in flight.
#[derive(Debug, Default)]
pub(in crate::redis) struct PublishLines {
    users: Mutex<HashMap<UserId, Line>>,
}

/// Publishes of one user that wait for the one in flight.
#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Waiting>,
    /// Events that wait, and their bytes.
    events: usize,
    bytes: usize,
    /// True once a task sends what waits.
    has_task: bool,
    /// Notified when the publish that began the line is done.
    first_done: Arc<Notify>,
}

#[derive(Debug)]
struct Waiting {
    publish: Publish,
    done: oneshot::Sender<Published>,
}

/// Outcomes of a publish. Its error may be that of a script with events of several.
type Published = Result<Vec<PublishOutcome>, Arc<BusError>>;

/// Entry to a line.
enum Entry {
    /// No publish is in flight: this one may be sent, and is in flight until the value is dropped.
    First(FirstPublish, Publish),
    /// Others are sent before. The first that waits has a task serve the line.
    Waiting(oneshot::Receiver<Published>, Option<LineTask>),
}

impl PublishLines {
    /// Enters the line of a user.
    fn enter(self: &Arc<Self>, user: &UserId, publish: Publish) -> Result<Entry, BusError> {
        let mut users = self.users();
        let Some(line) = users.get_mut(user) else {
            users.insert(user.clone(), Line::default());
            let first = FirstPublish {
                lines: Arc::clone(self),
                user: user.clone(),
            };
            return Ok(Entry::First(first, publish));
        };
        let (events, bytes) = (line.events + publish.len(), line.bytes + publish.bytes());
        if events > MAX_WAITING || bytes > MAX_WAITING_BYTES {
            return Err(BusError::Busy);
        }
        let is_first = !std::mem::replace(&mut line.has_task, true);
        let task = is_first.then(|| LineTask {
            lines: Arc::clone(self),
            user: user.clone(),
            first_done: Arc::clone(&line.first_done),
            has_ended: false,
        });
        let (done, published) = oneshot::channel();
        line.waiting.push_back(Waiting { publish, done });
        (line.events, line.bytes) = (events, bytes);
        Ok(Entry::Waiting(published, task))
    }

    fn users(&self) -> MutexGuard<'_, HashMap<UserId, Line>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Publish that began a line, in flight.
struct FirstPublish {
    lines: Arc<PublishLines>,
    user: UserId,
}

impl Drop for FirstPublish {
    fn drop(&mut self) {
        let mut users = self.lines.users();
        let Some(line) = users.get(&self.user) else {
            return;
        };
        if line.has_task {
            line.first_done.notify_one();
        } else {
            users.remove(&self.user);
        }
    }
}

/// Task that sends what waits in a line, and ends the line. Dropped before, it ends the line with what waits.
struct LineTask {
    lines: Arc<PublishLines>,
    user: UserId,
    first_done: Arc<Notify>,
    has_ended: bool,
}

impl LineTask {
    async fn run(mut self, bus: RedisBus) {
        self.first_done.notified().await;
        while let Some((publish, callers)) = self.take() {
            let published = bus.run_publish(&self.user, &publish).await;
            callers.answer(published);
        }
    }

    /// Takes what goes in one script. None, and the end of the line, if nothing waits.
    fn take(&mut self) -> Option<(Publish, Callers)> {
        let mut users = self.lines.users();
        let next = users.get_mut(&self.user).and_then(Line::take);
        if next.is_none() {
            users.remove(&self.user);
            self.has_ended = true;
        }
        next
    }
}

impl Drop for LineTask {
    fn drop(&mut self) {
        if !self.has_ended {
            self.lines.users().remove(&self.user);
        }
    }
}

impl Line {
    /// Takes the oldest publishes of one phase, up to the bounds of a script, without those whose callers gave up.
    fn take(&mut self) -> Option<(Publish, Callers)> {
        let (mut first, done) = self.pop_if(|_| true)?;
        let mut callers = Callers(vec![(first.len(), done)]);
        let fits = |first: &Publish, next: &Publish| {
            next.has_phase_of(first)
                && first.len() + next.len() <= MAX_EVENTS
                && first.bytes() + next.bytes() <= MAX_BYTES
        };
        while let Some((next, done)) = self.pop_if(|next| fits(&first, next)) {
            callers.0.push((next.len(), done));
            first.append(next);
        }
        Some((first, callers))
    }

    /// Takes the oldest publish whose caller waits for it, if the condition holds for it.
    fn pop_if(&mut self, condition: impl Fn(&Publish) -> bool) -> Option<(Publish, oneshot::Sender<Published>)> {
        loop {
            let has_given_up = self.waiting.front()?.done.is_closed();
            let next = self
                .waiting
                .pop_front_if(|next| has_given_up || condition(&next.publish))?;
            self.events -= next.publish.len();
            self.bytes -= next.publish.bytes();
            if !has_given_up {
                return Some((next.publish, next.done));
            }
        }
    }
}

/// Callers whose events are in one script, with the number of each.
struct Callers(Vec<(usize, oneshot::Sender<Published>)>);

impl Callers {
    fn answer(self, published: Result<Vec<PublishOutcome>, BusError>) {
        let mut published = published.map(Vec::into_iter).map_err(Arc::new);
        for (events, done) in self.0 {
            let of_caller = match &mut published {
                Ok(outcomes) => Ok(outcomes.by_ref().take(events).collect()),
                Err(error) => Err(Arc::clone(error)),
            };
            // The caller may have given up.
            let _is_gone = done.send(of_caller).is_err();
        }
    }
}

impl RedisBus {
    /// Publishes events of a user after those of the user that were published before.
    pub(super) async fn publish_in_line(
        &self,
        user: &UserId,
        publish: Publish,
    ) -> Result<Vec<PublishOutcome>, BusError> {
        match self.shared.publish_lines.enter(user, publish)? {
            // Boxed: with the wait of the others its future would exceed 8 KiB.
            Entry::First(_in_flight, publish) => Box::pin(self.run_publish(user, &publish)).await,
            Entry::Waiting(published, task) => {
                if let Some(task) = task {
                    self.shared.tasks.each("publishes of a user", task.run(self.clone()));
                }
                match published.await {
                    Ok(published) => published.map_err(|error| shared(SharedFailure::Script(error))),
                    Err(_closed) => Err(shared(SharedFailure::Ended)),
                }
            }
        }
    }
}

/// Failure of a script with events of several callers.
#[derive(Debug, thiserror::Error)]
enum SharedFailure {
    #[error(transparent)]
    Script(Arc<BusError>),
    #[error("the node ends")]
    Ended,
}

fn shared(failure: SharedFailure) -> BusError {
    BusError::Unavailable {
        step: "publish after other events of the user",
        source: Box::new(failure),
    }
}

/// Bounds of what waits for one user.
const MAX_WAITING: usize = 1_024;
const MAX_WAITING_BYTES: usize = 4 * 1024 * 1024;
/// Bounds of one script: it keeps the server for less than a millisecond.
const MAX_EVENTS: usize = 32;
const MAX_BYTES: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use protocol::cluster::envelope::{Audience, Envelope};
    use protocol::cluster::offset::{Epoch, Offset};
    use protocol::event::DeliveryClass;
    use protocol::id::EventId;
    use protocol::json::Json;

    use super::*;
    use crate::{PublishPhase, Repeats};

    fn user() -> UserId {
        UserId::new("u").unwrap()
    }

    fn publish(phase: PublishPhase<'_>) -> Publish {
        let event = Envelope {
            v: Envelope::VERSION,
            id: EventId::new("e").unwrap(),
            audience: Audience::User,
            class: DeliveryClass::State,
            event: "test".to_owned(),
            data: Json::of(&1),
            traceparent: None,
            published_at: None,
        };
        Publish::new(&event, Repeats::Dropped, phase).unwrap()
    }

    fn first(lines: &Arc<PublishLines>) -> FirstPublish {
        match lines.enter(&user(), publish(PublishPhase::AfterRestore)) {
            Ok(Entry::First(first, _)) => first,
            _ => panic!("it waits"),
        }
    }

    fn waiting(lines: &Arc<PublishLines>, phase: PublishPhase<'_>) -> (oneshot::Receiver<Published>, Option<LineTask>) {
        match lines.enter(&user(), publish(phase)) {
            Ok(Entry::Waiting(published, task)) => (published, task),
            _ => panic!("it is sent"),
        }
    }

    fn assigned(seqs: std::ops::Range<u64>) -> Vec<PublishOutcome> {
        let epoch = Epoch::new("e").unwrap();
        seqs.map(|seq| {
            PublishOutcome::Assigned(Offset {
                epoch: epoch.clone(),
                seq,
            })
        })
        .collect()
    }

    #[tokio::test]
    async fn waiting_publishes_of_one_phase_go_together_and_each_gets_its_outcomes() {
        let lines = Arc::default();
        let in_flight = first(&lines);
        let (one, task) = waiting(&lines, PublishPhase::AfterRestore);
        let mut task = task.unwrap();
        let (gave_up, none) = waiting(&lines, PublishPhase::AfterRestore);
        assert!(none.is_none(), "a line has one task");
        drop(gave_up);
        let (two, _) = waiting(&lines, PublishPhase::AfterRestore);
        let (other, _) = waiting(&lines, PublishPhase::Immediate);
        drop(in_flight);
        task.first_done.notified().await;
        let (together, callers) = task.take().unwrap();
        assert_eq!(together.len(), 2);
        callers.answer(Ok(assigned(1..3)));
        assert_eq!(one.await.unwrap().unwrap(), assigned(1..2));
        assert_eq!(two.await.unwrap().unwrap(), assigned(2..3));
        let (_, callers) = task.take().unwrap();
        callers.answer(Err(BusError::Busy));
        assert!(other.await.unwrap().is_err());
        assert!(task.take().is_none());
        assert!(lines.users().is_empty());
        drop(task);
        drop(first(&lines));
        assert!(lines.users().is_empty());
    }

    #[test]
    fn line_is_bounded_and_a_dropped_task_ends_it() {
        let lines = Arc::default();
        let _in_flight = first(&lines);
        let (mut published, task) = waiting(&lines, PublishPhase::AfterRestore);
        let _others: Vec<_> = (1..MAX_WAITING)
            .map(|_| waiting(&lines, PublishPhase::AfterRestore))
            .collect();
        let full = lines.enter(&user(), publish(PublishPhase::AfterRestore));
        assert!(matches!(full, Err(BusError::Busy)));
        let other = UserId::new("other").unwrap();
        assert!(matches!(
            lines.enter(&other, publish(PublishPhase::AfterRestore)),
            Ok(Entry::First(..))
        ));
        let mut task = task.unwrap();
        assert_eq!(task.take().unwrap().0.len(), MAX_EVENTS);
        drop(task);
        assert_eq!(published.try_recv().unwrap_err(), oneshot::error::TryRecvError::Closed);
        drop(first(&lines));
    }
}

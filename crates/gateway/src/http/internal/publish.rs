//! Publication of an event to a user.

use std::borrow::Cow;
use std::pin::pin;

use axum::body::Body;
use axum::response::Response;
use bus::{BusError, PublishOutcome, Repeats};
use http::StatusCode;
use lifecycle::KeyedLocks;
use protocol::api::PublishedEvent;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::job::Work;
use protocol::code::ErrorCode;
use protocol::event::{Event, name};
use protocol::fault::Fault;
use protocol::id::{EventId, UserId};
use protocol::security::Alert;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout_at};

use super::call::Call;
use super::error::ApiError;
use super::event::{Defaults, Publication};
use super::{Internal, body, json_response};
use crate::ids;

/// `POST /v1/users/{id}/events`: 202 once the event has an offset in the user's event log, or, for an alert, is committed.
pub(super) async fn publish(internal: &Internal, call: &Call<'_>, body: Body) -> Result<Response, ApiError> {
    let user = call.user()?;
    // Pinned here: moved through the layers of the call, it would be copied by each.
    let published = pin!(async {
        let body = body::read(body, call.route).await?;
        let publication = Publication::read(&body)?;
        let event_id = internal.publish(call, &user, publication).await?;
        let event_id = Cow::Borrowed(&event_id);
        Ok(json_response(StatusCode::ACCEPTED, &PublishedEvent { event_id }))
    });
    Ok(call.run(Some(&user), published).await)
}

/// Event with its envelope, ready to be published.
pub(super) struct PreparedEvent {
    /// Id that the response has.
    pub(super) id: EventId,
    pub(super) event: Event,
    pub(super) envelope: Envelope,
    /// Only the id of an event with an idempotency key may come again.
    pub(super) repeats: Repeats,
}

impl Internal {
    /// Bound of the alerts of a user that are with the workers: a flood of one user would fill the lane of all.
    pub(crate) fn alert_locks() -> KeyedLocks<UserId> {
        KeyedLocks::with_bound(MAX_ALERTS)
    }

    /// Publishes one event of a user, and returns its id.
    async fn publish(&self, call: &Call<'_>, user: &UserId, publication: Publication<'_>) -> Result<EventId, ApiError> {
        let PreparedEvent {
            id,
            event,
            envelope,
            repeats,
        } = self.prepare(user, publication)?;
        let name = event.name();
        if let Event::Alert(alert) = event {
            // Boxed: inline, an alert on its way to a worker would be in the task of every publish.
            Box::pin(self.raise(alert, call, user)).await?;
        } else {
            let published = self.append(call, user, &envelope, repeats).await;
            self.published(name, published)?;
        }
        Ok(id)
    }

    /// Checks an event, and encodes it.
    pub(super) fn prepare(&self, user: &UserId, publication: Publication<'_>) -> Result<PreparedEvent, ApiError> {
        let id = self.event_id(user, publication.idempotency_key.as_deref());
        let repeats = match publication.idempotency_key {
            Some(_) => Repeats::Dropped,
            None => Repeats::Unrecorded,
        };
        let event = publication.event(&Defaults {
            user,
            id: &id,
            now: self.clock.now(),
        })?;
        let envelope = Envelope::of(id.clone(), &event);
        if envelope.data.as_str().len() > MAX_EVENT {
            return Err(ApiError::invalid("data: at most 16 KiB were expected"));
        }
        Ok(PreparedEvent {
            id,
            event,
            envelope,
            repeats,
        })
    }

    /// Records the outcome of an event that was published directly to the user's event log. If the log is lost, clients reload the state
    /// from its source.
    pub(super) fn published(
        &self,
        event: &'static str,
        published: Result<PublishOutcome, BusError>,
    ) -> Result<(), ApiError> {
        let published = self.outage.record("event publish", published);
        published.map_err(|error| ApiError::Failed(error.code()))?;
        self.metrics.published(event);
        Ok(())
    }

    /// Has a worker commit an alert, which is stored before it is published.
    pub(super) async fn raise(&self, alert: Alert, call: &Call<'_>, user: &UserId) -> Result<(), ApiError> {
        let deadline = Instant::now() + self.job_timeout;
        let lock = timeout_at(deadline, self.alerts.lock(user)).await;
        let _lock = lock.map_err(|_elapsed| ApiError::Failed(ErrorCode::Unavailable))?;
        let within = deadline.saturating_duration_since(Instant::now());
        let work = Work::RaiseAlert(alert);
        let raised = self.workers.request(call.requester(user), work, within).await;
        let raised = raised.map_err(|error| ApiError::Failed(error.code()))?;
        match raised.map(|outcome| outcome.error) {
            Some(None) => {
                self.metrics.published(name::ALERT);
                Ok(())
            }
            // The outcome is unknown: the alert may have been committed.
            None | Some(Some(ErrorCode::Unavailable | ErrorCode::Timeout)) => {
                Err(ApiError::Failed(ErrorCode::Unavailable))
            }
            Some(Some(code)) => Err(ApiError::Failed(code)),
        }
    }

    /// Returns the id of an event. Requests of one user with the same idempotency key have the same id.
    fn event_id(&self, user: &UserId, idempotency_key: Option<&str>) -> EventId {
        match idempotency_key {
            // User ids contain no line break, so the digested text is unique per user and key.
            Some(key) => ids::event_of(&Sha256::digest(format!("{user}\n{key}"))),
            None => ids::event(&*self.entropy),
        }
    }
}

/// Maximum size of an event payload, in bytes. The event log keeps up to 256 events per user.
const MAX_EVENT: usize = 16 * 1024;
/// Alerts of one user that are with the workers at once; the others wait, until the timeout of a job.
const MAX_ALERTS: usize = 64;

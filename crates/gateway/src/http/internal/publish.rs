//! Publication of an event to a user.

use std::borrow::Cow;
use std::pin::pin;
use std::time::SystemTime;

use axum::body::Body;
use axum::response::Response;
use bus::{BusError, ContentDigest, PublishOutcome, Repeats};
use http::StatusCode;
use protocol::api;
use protocol::cluster::envelope::Envelope;
use protocol::event::Event;
use protocol::fault::Fault;
use protocol::id::{EventId, UserId};
use protocol::time::Timestamp;
use sha2::{Digest, Sha256};

use super::alert::{AlertKey, PreparedAlert};
use super::call::Call;
use super::error::ApiError;
use super::event::{Defaults, Publication, PublishedEvent};
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
        Ok(json_response(StatusCode::ACCEPTED, &api::PublishedEvent { event_id }))
    });
    Ok(call.run(Some(&user), published).await)
}

/// Event that is ready to be published.
pub(super) enum PreparedEvent {
    /// Alert, which a worker commits.
    Alert(PreparedAlert),
    /// Event that goes to the user's event log directly.
    Logged(LoggedEvent),
}

/// Event for the event log of its user.
pub(super) struct LoggedEvent {
    /// Id that the response has.
    pub(super) id: EventId,
    /// Name of the event.
    pub(super) name: &'static str,
    pub(super) envelope: Envelope,
    /// Only the id of an event with an idempotency key may come again.
    pub(super) repeats: Repeats,
}

impl Internal {
    /// Publishes one event of a user, and returns its id.
    async fn publish(&self, call: &Call<'_>, user: &UserId, publication: Publication<'_>) -> Result<EventId, ApiError> {
        let LoggedEvent {
            id,
            name,
            envelope,
            repeats,
        } = match self.prepare(user, publication)? {
            // Boxed: inline, an alert on its way to a worker would be in the task of every publish.
            PreparedEvent::Alert(alert) => return Box::pin(self.raise(call, user, alert)).await,
            PreparedEvent::Logged(event) => event,
        };
        let published = self.append(call, user, &envelope, repeats).await;
        self.published(name, published)?;
        Ok(id)
    }

    /// Checks an event, and encodes it.
    pub(super) fn prepare(&self, user: &UserId, mut publication: Publication<'_>) -> Result<PreparedEvent, ApiError> {
        let key = publication.idempotency_key.take();
        let id = self.event_id(user, key.as_deref());
        let now = self.clock.now();
        let PublishedEvent { event, has_time } = publication.event(&Defaults { user, id: &id, now })?;
        let envelope = Envelope::of(id.clone(), &event);
        if envelope.data.as_str().len() > MAX_EVENT {
            return Err(ApiError::invalid("data: at most 16 KiB were expected"));
        }
        if let Event::Alert(alert) = event {
            let key = key.map(|key| AlertKey { key, has_time });
            return Ok(PreparedEvent::Alert(PreparedAlert { id, alert, key }));
        }
        let repeats = match key {
            Some(_) => Repeats::Compared(content(&envelope, (!has_time).then_some(now))),
            None => Repeats::Unrecorded,
        };
        Ok(PreparedEvent::Logged(LoggedEvent {
            id,
            name: event.name(),
            envelope,
            repeats,
        }))
    }

    /// Records the outcome of an event that was published directly to the user's event log. If the log is lost, clients reload the state
    /// from its source.
    pub(super) fn published(
        &self,
        event: &'static str,
        published: Result<PublishOutcome, BusError>,
    ) -> Result<(), ApiError> {
        let published = self.outage.record("event publish", published);
        let outcome = published.map_err(|error| ApiError::Failed(error.code()))?;
        if outcome == PublishOutcome::Conflict {
            return Err(ApiError::other_content());
        }
        self.metrics.published(event);
        Ok(())
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

/// Digest of the content of an event, without the time if it is that of the request.
fn content(envelope: &Envelope, default_time: Option<SystemTime>) -> ContentDigest {
    let data = envelope.data.as_str();
    // A quote in a text is escaped, so only the field itself is found.
    let field = default_time.map(|time| format!(r#""timestamp":"{}""#, Timestamp::from(time)));
    let parts = field.and_then(|field| data.split_once(&field));
    let (before, after) = parts.unwrap_or((data, ""));
    ContentDigest::of(&envelope.id, [envelope.event.as_str(), before, after])
}

/// Maximum size of an event payload, in bytes. The event log keeps up to 256 events per user.
const MAX_EVENT: usize = 16 * 1024;

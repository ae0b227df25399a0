//! Publication of several events, to one user or to many.

use std::collections::HashMap;

use axum::body::Body;
use axum::response::Response;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::StatusCode;
use protocol::code::ErrorCode;
use protocol::event::Event;
use protocol::fault::Fault;
use protocol::id::{EventId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::call::{Call, RequestHead};
use super::error::ApiError;
use super::event::Publication;
use super::publish::PreparedEvent;
use super::{Internal, body, json_response};
use crate::settings::Scope;
use crate::trace::HttpRoute;

/// `POST /v1/events`: 200 with a result for each event, in the sequence of the events.
pub(super) async fn publish(internal: &Internal, head: RequestHead<'_>, body: Body) -> Result<Response, ApiError> {
    let call = internal.authorize(Scope::PublishEvents, head)?;
    let published = async {
        let body = body::read(body, MAX_BODY).await?;
        internal.publish_batch(&call, &body).await
    };
    Ok(call.run(ROUTE, None, published).await)
}

/// Event of a batch with its position in it.
type Numbered<T> = (usize, T);

/// Result of one event.
#[derive(Serialize)]
#[serde(untagged)]
enum EventResult {
    #[serde(rename_all = "camelCase")]
    Accepted {
        event_id: EventId,
    },
    Failed {
        error: ErrorCode,
        message: String,
    },
}

impl From<Result<EventId, ApiError>> for EventResult {
    fn from(published: Result<EventId, ApiError>) -> Self {
        match published {
            Ok(event_id) => Self::Accepted { event_id },
            Err(error) => {
                let failure = error.failure();
                Self::Failed {
                    error: failure.error,
                    message: failure.message,
                }
            }
        }
    }
}

impl Internal {
    /// Publishes the events of each user one after the other, and of several users at the same time: their commands are pipelined to
    /// Redis, and workers commit their alerts in groups.
    async fn publish_batch(&self, call: &Call<'_>, body: &[u8]) -> Result<Response, ApiError> {
        #[derive(Serialize)]
        struct BatchResults {
            results: Vec<EventResult>,
        }
        let events = events(body)?;
        let mut by_user: HashMap<UserId, Vec<Numbered<Publication<'_>>>> = HashMap::new();
        let mut results = Vec::with_capacity(events.len());
        for (number, event) in events.into_iter().enumerate() {
            match Publication::read_addressed(event.get().as_bytes()) {
                Ok((user, publication)) => by_user.entry(user).or_default().push((number, publication)),
                Err(error) => results.push((number, EventResult::from(Err(error)))),
            }
        }
        let (mut users, mut running) = (by_user.into_iter(), FuturesUnordered::new());
        loop {
            let free = MAX_USERS_AT_ONCE.saturating_sub(running.len());
            running.extend(
                users
                    .by_ref()
                    .take(free)
                    .map(|(user, events)| self.publish_in_sequence(call, user, events)),
            );
            match running.next().await {
                Some(of_user) => results.extend(of_user),
                None => break,
            }
        }
        results.sort_unstable_by_key(|(number, _)| *number);
        let results = results.into_iter().map(|(_, result)| result).collect();
        Ok(json_response(StatusCode::OK, &BatchResults { results }))
    }

    /// Publishes events of one user in their sequence: those that follow each other without an alert by one step of the bus, up to a
    /// number, and the others each when the one before is published or has failed.
    async fn publish_in_sequence(
        &self,
        call: &Call<'_>,
        user: UserId,
        events: Vec<Numbered<Publication<'_>>>,
    ) -> Vec<Numbered<EventResult>> {
        let mut results = Vec::with_capacity(events.len());
        let mut group = Vec::new();
        for (number, publication) in events {
            match self.prepare(&user, publication) {
                Err(error) => results.push((number, EventResult::from(Err(error)))),
                Ok(PreparedEvent {
                    id,
                    event: Event::Alert(alert),
                    ..
                }) => {
                    results.extend(self.publish_group(call, &user, &mut group).await);
                    let raised = Box::pin(self.raise(alert, call, &user)).await;
                    results.push((number, EventResult::from(raised.map(|()| id))));
                }
                Ok(prepared) => {
                    group.push((number, prepared));
                    if group.len() >= MAX_GROUP {
                        results.extend(self.publish_group(call, &user, &mut group).await);
                    }
                }
            }
        }
        results.extend(self.publish_group(call, &user, &mut group).await);
        results
    }

    /// Publishes the events of a group, none of which is an alert, and empties it.
    async fn publish_group(
        &self,
        call: &Call<'_>,
        user: &UserId,
        group: &mut Vec<Numbered<PreparedEvent>>,
    ) -> Vec<Numbered<EventResult>> {
        let (events, heads): (Vec<_>, Vec<_>) = group
            .drain(..)
            .map(|(number, prepared)| {
                let head = (number, prepared.id, prepared.event.name());
                ((prepared.envelope, prepared.repeats), head)
            })
            .unzip();
        if events.is_empty() {
            return Vec::new();
        }
        let published = self.append_all(call, user, &events).await;
        let published = match self.outage.record("event publish", published) {
            Ok(published) => published,
            Err(error) => {
                let failed = || EventResult::from(Err(ApiError::Failed(error.code())));
                return heads.into_iter().map(|(number, ..)| (number, failed())).collect();
            }
        };
        let results = heads
            .into_iter()
            .zip(published)
            .map(|((number, id, event), published)| {
                let published = self.published(event, published);
                (number, EventResult::from(published.map(|()| id)))
            });
        results.collect()
    }
}

/// Events of a body `{events}`, unread.
fn events(body: &[u8]) -> Result<Vec<&RawValue>, ApiError> {
    #[derive(Deserialize)]
    struct Batch<'a> {
        #[serde(borrow)]
        events: Vec<&'a RawValue>,
    }
    let batch: Option<Batch<'_>> = serde_json::from_slice(body).ok();
    let events = batch.map(|batch| batch.events);
    let events = events.filter(|events| (1..=MAX_EVENTS).contains(&events.len()));
    events.ok_or_else(|| ApiError::invalid(format!("events: a list of 1 to {MAX_EVENTS} events was expected")))
}

/// Route of [`publish`].
pub(super) const ROUTE: HttpRoute = HttpRoute {
    method: "POST",
    path: "/v1/events",
};

/// Maximum size of a request body, in bytes.
const MAX_BODY: usize = 1024 * 1024;
/// Events of one batch.
const MAX_EVENTS: usize = 1_000;
/// Users of a batch whose events are published at the same time.
const MAX_USERS_AT_ONCE: usize = 256;
/// Events of one step of the bus.
const MAX_GROUP: usize = 32;

//! Publication of several events, to one user or to many.

use std::collections::HashMap;
use std::num::NonZeroU32;

use axum::body::Body;
use axum::response::Response;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::StatusCode;
use protocol::answer::Failure;
use protocol::api::{BatchResult, BatchResults, MAX_BATCH, PublicationBatch};
use protocol::fault::Fault;
use protocol::id::{EventId, UserId};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::call::Call;
use super::error::ApiError;
use super::event::Publication;
use super::publish::{LoggedEvent, PreparedEvent};
use super::{Internal, body, json_response};

/// `POST /v1/events`: 200 with a result for each event, in the sequence of the events.
pub(super) async fn publish(internal: &Internal, call: &Call<'_>, body: Body) -> Result<Response, ApiError> {
    let published = async {
        let body = body::read(body, call.route).await?;
        internal.publish_batch(call, &body).await
    };
    Ok(call.run(None, published).await)
}

/// Event of a batch with its position in it.
type Numbered<T> = (usize, T);

fn result(published: Result<EventId, ApiError>) -> BatchResult {
    match published {
        Ok(event_id) => BatchResult::Published { event_id },
        Err(error) => {
            let Failure { error, message, .. } = error.failure();
            BatchResult::Failed { error, message }
        }
    }
}

impl Internal {
    /// Publishes the events of each user one after the other, and of several users at the same time: their commands are pipelined to
    /// Redis, and workers commit their alerts in groups.
    async fn publish_batch(&self, call: &Call<'_>, body: &[u8]) -> Result<Response, ApiError> {
        let events = events(body)?;
        self.admit_events(call, events.len())?;
        let mut by_user: HashMap<UserId, Vec<Numbered<Publication<'_>>>> = HashMap::new();
        let mut results = Vec::with_capacity(events.len());
        for (number, event) in events.into_iter().enumerate() {
            match Publication::read_addressed(event.get().as_bytes()) {
                Ok((user, publication)) => by_user.entry(user).or_default().push((number, publication)),
                Err(error) => results.push((number, result(Err(error)))),
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

    /// Counts the events after the first, which the request itself stands for, against the limits of the caller.
    fn admit_events(&self, call: &Call<'_>, events: usize) -> Result<(), ApiError> {
        let further = u32::try_from(events).unwrap_or(u32::MAX).saturating_sub(1);
        let Some(further) = NonZeroU32::new(further) else {
            return Ok(());
        };
        let now = Instant::now();
        let admitted = call.in_flight.admit_events(further, now);
        admitted.map_err(|exceeded| self.exceeded(exceeded, Some(&call.caller), call.head.peer, now))
    }

    /// Publishes events of one user in their sequence: those that follow each other without an alert by one step of the bus, up to a
    /// number, and the others each when the one before is published or has failed.
    async fn publish_in_sequence(
        &self,
        call: &Call<'_>,
        user: UserId,
        events: Vec<Numbered<Publication<'_>>>,
    ) -> Vec<Numbered<BatchResult>> {
        let mut results = Vec::with_capacity(events.len());
        let mut group = Vec::new();
        for (number, publication) in events {
            match self.prepare(&user, publication) {
                Err(error) => results.push((number, result(Err(error)))),
                Ok(PreparedEvent::Alert(alert)) => {
                    results.extend(self.publish_group(call, &user, &mut group).await);
                    let raised = Box::pin(self.raise(call, &user, alert)).await;
                    results.push((number, result(raised)));
                }
                Ok(PreparedEvent::Logged(event)) => {
                    group.push((number, event));
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
        group: &mut Vec<Numbered<LoggedEvent>>,
    ) -> Vec<Numbered<BatchResult>> {
        let (events, heads): (Vec<_>, Vec<_>) = group
            .drain(..)
            .map(|(number, event)| ((event.envelope, event.repeats), (number, event.id, event.name)))
            .unzip();
        if events.is_empty() {
            return Vec::new();
        }
        let published = self.append_all(call, user, &events).await;
        let published = match self.outage.record("event publish", published) {
            Ok(published) => published,
            Err(error) => {
                let failed = || result(Err(ApiError::Failed(error.code())));
                return heads.into_iter().map(|(number, ..)| (number, failed())).collect();
            }
        };
        let results = heads
            .into_iter()
            .zip(published)
            .map(|((number, id, event), published)| {
                let published = self.published(event, published);
                (number, result(published.map(|()| id)))
            });
        results.collect()
    }
}

/// Events of a body `{events}`, unread.
fn events(body: &[u8]) -> Result<Vec<&RawValue>, ApiError> {
    let batch: Option<PublicationBatch<'_>> = serde_json::from_slice(body).ok();
    let events = batch.map(|batch| batch.events);
    let events = events.filter(|events| (1..=MAX_BATCH).contains(&events.len()));
    events.ok_or_else(|| ApiError::invalid(format!("events: a list of 1 to {MAX_BATCH} events was expected")))
}

/// Users of a batch whose events are published at the same time.
const MAX_USERS_AT_ONCE: usize = 256;
/// Events of one step of the bus.
const MAX_GROUP: usize = 32;

//! A connection for one caller, and the wait for it.

use std::pin::pin;
use std::time::Duration;

use deadpool::managed::Object;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, timeout_at};

use super::connection::Opener;
use super::error::Failure;
use super::pool::{Pool, within};

/// A connection in use, and until when. First it is idle again, then its place is free.
pub(super) struct Taken {
    pub(super) connection: Object<Opener>,
    pub(super) until: Instant,
    _place: OwnedSemaphorePermit,
}

/// How long a caller waits.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    begun: Instant,
    /// With a server that lets us have the connections we want, for all of it.
    all: Duration,
    /// For a connection, where there are fewer.
    crowded: Instant,
}

impl Patience {
    /// `deadline`: that of the job.
    pub(super) fn new(all: Duration, deadline: Option<Instant>) -> Self {
        let begun = Instant::now();
        let latest = deadline.and_then(|deadline| deadline.checked_sub(TO_ANSWER));
        Self {
            begun,
            all,
            crowded: latest.unwrap_or(begun + CROWDED).max(begun + all),
        }
    }

    fn usual(self) -> Instant {
        self.begun + self.all
    }
}

impl Pool {
    /// A connection that is free, or one more. Where the server refuses one more, another caller's is waited for.
    pub(super) async fn take(&self, patience: Patience) -> Result<Taken, Failure> {
        let mut refusal = None;
        loop {
            let Some(place) = self.place(patience).await else {
                return Err(refusal.unwrap_or(Failure::NoConnection));
            };
            let until = if self.places.are_crowded() {
                Instant::now() + patience.all
            } else {
                patience.usual()
            };
            let failure = match within(until, self.connections.get()).await {
                Ok(connection) => {
                    return Ok(Taken {
                        connection,
                        until,
                        _place: place,
                    });
                }
                Err(failure) => failure,
            };
            if failure.is_refused_connection() && self.connections.status().size > 0 {
                self.places.close(place);
            } else if failure.is_too_many_connections() && Instant::now() < patience.crowded {
                // Others have them all, and none of ours will be free.
                sleep(AGAIN).await;
            } else {
                return Err(failure);
            }
            refusal = Some(failure);
        }
    }

    async fn place(&self, patience: Patience) -> Option<OwnedSemaphorePermit> {
        let mut place = pin!(self.places.take());
        let place = match timeout_at(patience.usual(), &mut place).await {
            Err(_elapsed) if self.places.are_crowded() => timeout_at(patience.crowded, place).await,
            place => place,
        };
        place.ok()?.ok()
    }
}

/// For a caller without a deadline: the time that clients wait.
const CROWDED: Duration = Duration::from_secs(10);

/// What is left of a job's deadline when its wait is over: for the answer, or for what is to be undone.
const TO_ANSWER: Duration = Duration::from_millis(500);

/// Before a server that has no connection for us is asked again.
const AGAIN: Duration = Duration::from_millis(100);

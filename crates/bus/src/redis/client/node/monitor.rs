//! Health monitor of a connection: sends a heartbeat (TIME) each second, and replaces a client that does not recover.
//!
//! fred mostly reconnects by itself. But its routing task can end, or block in a write to a dead peer; and its own check for
//! unresponsive connections counts from the last write, so on a busy connection it never fires.

use std::sync::Arc;
use std::time::Duration;

use fred::error::Error;
use fred::interfaces::{ClientLike, EventInterface};
use fred::types::CustomCommand;
use fred::types::config::Server;
use lifecycle::Clock;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;
use tokio::time::{Instant, sleep};

use super::NodeState;
use crate::BusError;
use crate::operation::Operation;
use crate::redis::client::RedisReply;
use crate::redis::client::command_failure::{CommandFailure, ERROR_REPLY, refusal, waitable};
use crate::redis::client::connection::Connection;
use crate::redis::client::health::Health;

/// Health monitor of one [`super::NodeClient`].
pub(super) struct HealthMonitor {
    shared: Arc<NodeState>,
    reconnects: Receiver<Server>,
    /// Errors that closed connections or prevented new ones.
    errors: Receiver<(Error, Option<Server>)>,
    /// Time of the last attempt to replace the client.
    tried: Instant,
}

impl HealthMonitor {
    pub(super) fn new(shared: Arc<NodeState>) -> Self {
        Self {
            reconnects: shared.fred().reconnect_rx(),
            errors: shared.fred().error_rx(),
            tried: Instant::now(),
            shared,
        }
    }

    /// Sends heartbeats for ever.
    pub(super) async fn run(mut self) {
        loop {
            let begin = Instant::now();
            let outcome = heartbeat(self.shared.fred(), &*self.shared.context.clock).await;
            self.measure(begin.elapsed(), outcome.as_ref().err());
            self.count_reconnects();
            let pause = match outcome {
                Ok(health) => {
                    self.up(health);
                    INTERVAL
                }
                Err(error) => {
                    self.down(&error).await;
                    // A failed heartbeat has usually waited for its timeout already.
                    PAUSE
                }
            };
            sleep(pause).await;
        }
    }

    fn replace(&mut self, connection: Connection) {
        self.reconnects = connection.client().reconnect_rx();
        self.errors = connection.client().error_rx();
        *self.shared.connection() = connection;
        self.shared.context.reconnected();
    }

    fn measure(&self, duration: Duration, error: Option<&BusError>) {
        let error_type = error.map(|error| error.outage().unwrap_or(ERROR_REPLY));
        self.shared
            .context
            .metrics
            .operation(Operation::Time, duration, error_type);
    }

    fn up(&self, health: Health) {
        self.shared.context.reports.answered(&self.shared.server, &health);
        *self.shared.health() = health;
    }

    async fn down(&mut self, error: &BusError) {
        let connector = &self.shared.context.connector;
        let (server, redis) = (self.shared.server.clone(), connector.address_of(&self.shared.server));
        self.record_refusal(redis.as_str());
        let (silence, class) = {
            let mut health = self.shared.health();
            let refusal = health.refusal();
            let class = refusal.as_ref().and_then(waitable).or(error.outage());
            let class = class.unwrap_or("refused");
            health.mark_down(class);
            (health.silence(Instant::now()), class)
        };
        self.shared.context.reports.failed(&server, class, silence, error);
        if silence < REPLACE_AFTER || self.tried.elapsed() < REPLACE_AFTER {
            return;
        }
        self.tried = Instant::now();
        let context = &self.shared.context;
        if let Ok(connection) = context.connector.open_at(server, context.purpose).await {
            tracing::debug!(redis = redis.as_str(), "redis connection did not recover, replaced");
            self.replace(connection);
        }
    }

    /// Records the server's refusal of the connection: the heartbeat itself only times out, the reason is among fred's errors.
    fn record_refusal(&mut self, redis: &str) {
        let mut newest = None;
        loop {
            match self.errors.try_recv() {
                Ok((error, _)) if refusal(&error).is_some() => newest = Some(error),
                Ok(_) | Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        if let Some(error) = newest
            && self.shared.health().refuse(error.clone())
        {
            tracing::warn!(
                redis,
                error = error.to_string(),
                "redis refused the connection, retrying"
            );
        }
    }

    fn count_reconnects(&mut self) {
        while let Ok(_) | Err(TryRecvError::Lagged(_)) = self.reconnects.try_recv() {
            self.shared.context.reconnected();
        }
    }
}

/// Sends a heartbeat.
pub(super) async fn heartbeat(fred: fred::clients::Client, clock: &dyn Clock) -> Result<Health, BusError> {
    const STEP: &str = "read the time of redis";
    let time = CustomCommand::new_static("TIME", None::<u16>, false);
    let sent = Instant::now();
    // Boxed: fred's futures are several KiB.
    let value = Box::pin(fred.custom(time, Vec::<String>::new())).await;
    let mut reply = RedisReply::new(STEP, value.map_err(|error| CommandFailure::Fred(error).at_step(STEP))?);
    let (seconds, micros): (u64, u64) = (reply.read()?, reply.read()?);
    // The clock was read somewhere between request and reply: the middle is wrong by at most half of the round trip.
    let middle = sent + sent.elapsed() / 2;
    let wall = clock.now() - middle.elapsed();
    Ok(Health::up(middle, seconds * 1000 + micros / 1000, wall))
}

/// Pause after an answered heartbeat.
const INTERVAL: Duration = Duration::from_secs(1);
/// Pause after a failed heartbeat.
const PAUSE: Duration = Duration::from_millis(100);
/// Time without a reply after which the client is replaced, and interval of the attempts. fred's own reconnection is faster.
const REPLACE_AFTER: Duration = Duration::from_secs(4);

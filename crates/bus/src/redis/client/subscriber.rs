//! Sharded channels that stay subscribed, and the truth about what may have been missed.
//!
//! fred forgets subscriptions with their connection, and the little manager it offers brings back what was dropped meanwhile
//! and gives up on the first error. So [`registry`] says what is wanted, and [`ear`], one task per subscriber, makes it so
//! over and over.

mod ear;
mod probe;
mod registry;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lifecycle::Tasks;
use tokio::time::timeout;

use self::ear::Ear;
use self::registry::Registry;
use super::connector::{Connector, Use};
use super::failure::Failure;
use super::{COMMAND_TIMEOUT, Client};
use crate::BusError;

/// Who is told what a subscriber hears.
pub(in crate::redis) trait Listener: Send + 'static {
    /// A message on a channel that is wanted, or was a moment ago.
    fn hear(&mut self, channel: &str, message: &[u8]);

    /// Messages may have been missed; everything that is wanted is subscribed again.
    fn missed(&mut self);

    /// Comes to its end when nobody listens any more.
    fn abandoned(&self) -> impl Future<Output = ()> + Send + 'static;
}

/// The subscriptions of one connection. They end with the listener, or with the tasks.
pub(in crate::redis) struct Subscriber {
    shared: Arc<Shared>,
}

struct Shared {
    registry: Registry,
    /// Whether messages are known to arrive.
    live: AtomicBool,
}

/// What a subscriber is made from.
pub(in crate::redis) struct Opening<'a> {
    pub(in crate::redis) connector: &'a Connector,
    pub(in crate::redis) to_do: Use,
    /// Announces the probes that this subscriber must hear.
    pub(in crate::redis) commands: &'a Client,
    /// The channel of the probes, nobody else's.
    pub(in crate::redis) probe: String,
    pub(in crate::redis) tasks: &'a Tasks,
}

impl Subscriber {
    /// Connects, and hears its first probe channel confirmed.
    pub(in crate::redis) async fn open<L: Listener>(opening: Opening<'_>, listener: L) -> Result<Self, BusError> {
        let link = opening.connector.link(opening.to_do).await;
        let link = link.map_err(|error| Failure::Fred(error).at(STEP))?;
        let shared = Arc::new(Shared {
            registry: Registry::default(),
            live: AtomicBool::new(true),
        });
        let subscriber = Self {
            shared: Arc::clone(&shared),
        };
        let (soft, probe) = (opening.tasks.soft(), opening.probe.clone());
        let ear = Ear::new(link, shared, &opening, listener);
        opening.tasks.each("redis ear", async move {
            soft.run_until_cancelled(ear.run()).await;
        });
        subscriber.subscribe(STEP, probe).await?;
        Ok(subscriber)
    }

    /// Wants a channel and waits until the server has confirmed or refused it. After an error it is still wanted.
    pub(in crate::redis) async fn subscribe(&self, step: &'static str, channel: String) -> Result<(), BusError> {
        let Some(confirmed) = self.shared.registry.want(channel.into()) else {
            return Ok(());
        };
        match timeout(COMMAND_TIMEOUT, confirmed).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(refusal))) => Err(Failure::Fred(refusal).at(step)),
            Ok(Err(_)) | Err(_) => Err(Failure::Unconfirmed.at(step)),
        }
    }

    /// No longer wants a channel.
    pub(in crate::redis) fn unsubscribe(&self, channel: &str) {
        self.shared.registry.unwant(channel);
    }

    /// Whether everything wanted is subscribed, and the last probe came back.
    pub(in crate::redis) fn is_live(&self) -> bool {
        self.shared.live.load(Ordering::Relaxed)
    }
}

const STEP: &str = "listen to Redis";

/// How many channels are subscribed at once. One command with 100,000 stalls the server for 110 ms.
const BATCH: usize = 512;

/// How often a subscriber proves that it hears.
const BEAT: Duration = Duration::from_secs(1);

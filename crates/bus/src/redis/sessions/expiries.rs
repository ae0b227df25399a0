//! The keys that Redis says have ended. It says so when it deletes them, which may be minutes late, and only where its operator
//! has set `notify-keyspace-events` to hold `Ex`.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::Entropy;
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};

use crate::redis::RedisBus;
use crate::redis::client::{Client, MessageHandler, Purpose, keyspace};
use crate::redis::names::Names;
use crate::{BusError, SessionKey};

/// Begins to listen, over a connection of its own; what does not fit the channel is dropped.
pub(super) fn listen(bus: &RedisBus) -> mpsc::Receiver<SessionKey> {
    let shared = &bus.shared;
    let (tell, told) = mpsc::channel(HINTS);
    let entropy: &dyn Entropy = &*shared.entropy;
    let probe = Probe {
        key: shared.names.expiry_probe(&entropy.token()),
        subscribed: Notify::new(),
        heard: Notify::new(),
    };
    let probe = Arc::new(probe);
    let handler = ExpiryHandler {
        names: shared.names.clone(),
        probe: Arc::clone(&probe),
        tell,
    };
    let channel = shared.connector.expired_channel();
    let (connector, subscribed) = (shared.connector.clone(), Arc::clone(&probe));
    let soft = shared.tasks.soft();
    shared.tasks.each("redis expiries", async move {
        let listening = keyspace::listen(connector, Purpose::Expiries, channel, handler, move || {
            subscribed.subscribed.notify_one();
        });
        Box::pin(soft.run_until_cancelled(listening)).await;
    });
    let (commands, soft) = (shared.commands.clone(), shared.tasks.soft());
    shared.tasks.each("redis expiry probe", async move {
        Box::pin(soft.run_until_cancelled(probe.watch(&commands))).await;
    });
    told
}

/// A key that ends at once, to see whether that is announced.
struct Probe {
    key: String,
    subscribed: Notify,
    heard: Notify,
}

impl Probe {
    /// Says in metric and log whether expiries are announced: looks again with each new connection, and after a while, as an
    /// operator may have changed what Redis announces, or the key was lost with all others.
    async fn watch(&self, commands: &Client) {
        let mut known = None;
        loop {
            let patience = if known == Some(true) { LOOK_EVERY } else { PROBE_WAIT };
            drop(timeout(patience, self.subscribed.notified()).await);
            // While Redis cannot be asked nothing new is known.
            let Ok(arrive) = self.look(commands).await else {
                continue;
            };
            commands.metrics().expiries_arrive(arrive);
            if known.replace(arrive) != Some(arrive) {
                tell(arrive);
            }
        }
    }

    async fn look(&self, commands: &Client) -> Result<bool, BusError> {
        let step = "probe expiries";
        commands.set(step, self.key.clone(), Vec::new(), PROBE_LIFE).await?;
        sleep(2 * PROBE_LIFE).await;
        // Reading a key that is due makes Redis delete it.
        commands.get(step, vec![self.key.clone()]).await?;
        Ok(timeout(PROBE_WAIT, self.heard.notified()).await.is_ok())
    }
}

fn tell(arrive: bool) {
    if arrive {
        tracing::debug!("Redis announces expiries");
    } else {
        tracing::info!("Redis does not announce expiries: sessions are watched by asking alone");
    }
}

struct ExpiryHandler {
    names: Names,
    probe: Arc<Probe>,
    tell: mpsc::Sender<SessionKey>,
}

impl MessageHandler for ExpiryHandler {
    fn on_message(&mut self, _channel: &str, message: &[u8]) {
        let Ok(key) = str::from_utf8(message) else {
            return;
        };
        if key == self.probe.key {
            self.probe.heard.notify_one();
        } else if let Some(session) = self.names.session_of(key) {
            // A hint that finds no room is one that never came.
            drop(self.tell.try_send(session));
        }
    }

    fn on_missed(&mut self) {}

    fn closed(&self) -> impl Future<Output = ()> + Send + 'static {
        let tell = self.tell.clone();
        async move { tell.closed().await }
    }
}

const HINTS: usize = 4096;
const PROBE_LIFE: Duration = Duration::from_millis(100);
const PROBE_WAIT: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_secs(60);

//! Keyspace notifications of expired sessions and warnings. Redis sends them when it deletes the keys, which may be minutes late,
//! and only if its operator has added `Ex` to `notify-keyspace-events`.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::Entropy;
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};

use crate::redis::RedisBus;
use crate::redis::client::{Client, MessageHandler, Missed, Purpose, keyspace};
use crate::redis::names::Names;
use crate::{BusError, SessionKey};

/// Subscribes, over a connection of its own. Notifications that do not fit the channel are dropped.
pub(super) fn listen(bus: &RedisBus) -> mpsc::Receiver<SessionKey> {
    let shared = &bus.shared;
    let (sender, expired) = mpsc::channel(CAPACITY);
    let entropy: &dyn Entropy = &*shared.entropy;
    let probe = ExpiryProbe {
        key: shared.names.expiry_probe(&entropy.token()),
        subscribed: Notify::new(),
        received: Notify::new(),
    };
    let probe = Arc::new(probe);
    let handler = ExpiryHandler {
        names: shared.names.clone(),
        probe: Arc::clone(&probe),
        sender,
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
    expired
}

/// Key that expires at once, to check that its notification arrives.
struct ExpiryProbe {
    key: String,
    subscribed: Notify,
    received: Notify,
}

impl ExpiryProbe {
    /// Reports in metric and log whether notifications arrive. Probes again on each new connection, and periodically: an operator
    /// may change the setting, and a probe key may get lost.
    async fn watch(&self, commands: &Client) {
        let mut known = None;
        loop {
            let pause = if known == Some(true) {
                PROBE_INTERVAL
            } else {
                PROBE_TIMEOUT
            };
            drop(timeout(pause, self.subscribed.notified()).await);
            // An unreachable Redis changes nothing.
            let Ok(arrive) = self.probe_once(commands).await else {
                continue;
            };
            commands.metrics().expiries_arrive(arrive);
            if known.replace(arrive) != Some(arrive) {
                log_change(arrive);
            }
        }
    }

    async fn probe_once(&self, commands: &Client) -> Result<bool, BusError> {
        let step = "probe expiries";
        commands.set(step, self.key.clone(), Vec::new(), PROBE_TTL).await?;
        sleep(2 * PROBE_TTL).await;
        // A read of an expired key makes Redis delete it.
        commands.get(step, vec![self.key.clone()]).await?;
        Ok(timeout(PROBE_TIMEOUT, self.received.notified()).await.is_ok())
    }
}

fn log_change(arrive: bool) {
    if arrive {
        tracing::debug!("redis keyspace notifications arrive");
    } else {
        tracing::info!("redis keyspace notifications do not arrive, session expiry relies on polling");
    }
}

struct ExpiryHandler {
    names: Names,
    probe: Arc<ExpiryProbe>,
    sender: mpsc::Sender<SessionKey>,
}

impl MessageHandler for ExpiryHandler {
    fn on_message(&mut self, _channel: &str, message: &[u8]) {
        let Ok(key) = str::from_utf8(message) else {
            return;
        };
        if key == self.probe.key {
            self.probe.received.notify_one();
        } else if let Some(session) = self.names.session_of(key) {
            // A dropped hint equals one that never arrived.
            drop(self.sender.try_send(session));
        }
    }

    fn on_missed(&mut self, _missed: Missed<'_>) {}

    fn closed(&self) -> impl Future<Output = ()> + Send + 'static {
        let sender = self.sender.clone();
        async move { sender.closed().await }
    }
}

const CAPACITY: usize = 4096;
const PROBE_TTL: Duration = Duration::from_millis(100);
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
const PROBE_INTERVAL: Duration = Duration::from_secs(60);

//! Keyspace notifications of expired sessions and warnings. Redis sends them when it deletes the keys, which may be minutes late,
//! and only if its operator has added `Ex` to `notify-keyspace-events`.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lifecycle::Entropy;
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};

use crate::redis::RedisBus;
use crate::redis::client::{Client, Connector, MessageHandler, Missed, Purpose, keyspace};
use crate::redis::names::Names;
use crate::{BusError, SessionKey};

/// Subscribes at every primary, over connections of its own. Notifications that do not fit the channel are dropped.
pub(super) fn listen(bus: &RedisBus) -> mpsc::Receiver<SessionKey> {
    let shared = &bus.shared;
    let (sender, expired) = mpsc::channel(CAPACITY);
    let entropy: &dyn Entropy = &*shared.entropy;
    let probe = ExpiryProbe {
        names: shared.names.clone(),
        subscriber: entropy.token(),
        awaited: Mutex::default(),
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
    let (commands, connector) = (shared.commands.clone(), shared.connector.clone());
    let soft = shared.tasks.soft();
    shared.tasks.each("redis expiry probe", async move {
        Box::pin(soft.run_until_cancelled(probe.watch(&commands, &connector))).await;
    });
    expired
}

/// Keys that expire at once, one at each primary, to check that their notifications arrive.
struct ExpiryProbe {
    names: Names,
    /// Part of their names.
    subscriber: String,
    /// Keys whose notifications have not arrived.
    awaited: Mutex<HashSet<String>>,
    subscribed: Notify,
    /// Notified when the last of them has arrived.
    received: Notify,
}

impl ExpiryProbe {
    /// Reports in metric and log whether notifications arrive from every primary. Probes again on each new connection, and periodically:
    /// an operator may change the setting, and a probe key may get lost.
    async fn watch(&self, commands: &Client, connector: &Connector) {
        let mut known = None;
        loop {
            let pause = if known == Some(true) {
                PROBE_INTERVAL
            } else {
                PROBE_TIMEOUT
            };
            drop(timeout(pause, self.subscribed.notified()).await);
            // An unreachable Redis changes nothing.
            let Ok(arrive) = self.probe_once(commands, connector).await else {
                continue;
            };
            commands.metrics().expiries_arrive(arrive);
            if known.replace(arrive) != Some(arrive) {
                log_change(arrive);
            }
        }
    }

    async fn probe_once(&self, commands: &Client, connector: &Connector) -> Result<bool, BusError> {
        let step = "probe expiries";
        let name = |number| self.names.expiry_probe(&format!("{}-{number}", self.subscriber));
        let keys = connector.name_for_each(&name);
        *self.awaited() = keys.iter().cloned().collect();
        for key in &keys {
            commands.set(step, key.clone(), Vec::new(), PROBE_TTL).await?;
        }
        sleep(2 * PROBE_TTL).await;
        for key in keys {
            // A read of an expired key makes Redis delete it.
            commands.get(step, vec![key]).await?;
        }
        let arrived = async {
            while !self.awaited().is_empty() {
                self.received.notified().await;
            }
        };
        Ok(timeout(PROBE_TIMEOUT, arrived).await.is_ok())
    }

    /// Records the notification of a probe key.
    fn record(&self, key: &str) {
        let mut awaited = self.awaited();
        if awaited.remove(key) && awaited.is_empty() {
            self.received.notify_one();
        }
    }

    fn awaited(&self) -> MutexGuard<'_, HashSet<String>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn on_message(&self, _channel: &str, message: &[u8]) {
        let Ok(key) = str::from_utf8(message) else {
            return;
        };
        match self.names.session_of(key) {
            // A dropped hint equals one that never arrived.
            Some(session) => drop(self.sender.try_send(session)),
            None => self.probe.record(key),
        }
    }

    fn on_missed(&self, _missed: Missed<'_>) {}

    fn closed(&self) -> impl Future<Output = ()> + Send + 'static {
        let sender = self.sender.clone();
        async move { sender.closed().await }
    }
}

const CAPACITY: usize = 4096;
const PROBE_TTL: Duration = Duration::from_millis(100);
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
const PROBE_INTERVAL: Duration = Duration::from_secs(60);

//! Presence: registers the sockets of this gateway in the cluster, and has a user's surplus sockets closed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bus::{BusError, Events, OpenSocket};
use futures_util::future::join3;
use futures_util::{StreamExt, stream};
use lifecycle::{Clock, Entropy, PeriodicLoop};
use protocol::cluster::envelope::{Audience, Envelope};
use protocol::event::{DeliveryClass, name as event};
use protocol::id::{ConnectionId, NodeId, UserId};
use protocol::json::Json;
use protocol::time::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::bus_outage::BusOutage;
use crate::ids;
use crate::socket::Caller;

/// Registry of this gateway's sockets. [`PresenceRegistry::run`] renews their entries in the cluster.
pub(crate) struct PresenceRegistry {
    presence: Arc<dyn bus::Presence>,
    events: Arc<dyn Events>,
    outage: Arc<BusOutage>,
    node: NodeId,
    /// Cap of sockets per user in the whole cluster.
    cap: usize,
    sockets: Mutex<RegisteredSockets>,
    /// Notified when a socket has left.
    departed: Notify,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

#[derive(Default)]
struct RegisteredSockets {
    present: HashMap<ConnectionId, PresentSocket>,
    entered: u64,
    /// Sockets that have left and are not yet removed from the cluster.
    left: Vec<(UserId, ConnectionId)>,
}

/// Registered socket, by its caller: a copy of its ids and its origin would take memory for as long as it is open.
#[derive(Clone)]
struct PresentSocket {
    /// Number of the entry: a resumed socket has the connection id of its predecessor, which may leave after it.
    number: u64,
    caller: Arc<Caller>,
    connected_at: Timestamp,
}

impl RegisteredSockets {
    /// Registers a socket under a new number.
    fn enter(&mut self, caller: &Arc<Caller>, connected_at: Timestamp) -> u64 {
        self.entered += 1;
        let entry = PresentSocket {
            number: self.entered,
            caller: Arc::clone(caller),
            connected_at,
        };
        self.present.insert(caller.connection.clone(), entry);
        self.entered
    }

    /// Removes a socket. True if its entry in the cluster is to be removed too: no other socket has taken over its connection id.
    fn leave(&mut self, connection: &ConnectionId, number: u64) -> bool {
        let is_current = self
            .present
            .get(connection)
            .is_some_and(|socket| socket.number == number);
        if let Some(socket) = is_current.then(|| self.present.remove(connection)).flatten() {
            self.left.push((socket.caller.user.clone(), connection.clone()));
        }
        is_current
    }
}

/// Entry of a socket. Dropping it removes the socket from the cluster.
pub(crate) struct PresenceEntry {
    registry: Arc<PresenceRegistry>,
    connection: ConnectionId,
    number: u64,
}

impl PresenceRegistry {
    /// Creates an empty registry.
    pub(crate) fn new(
        (presence, events, outage): (Arc<dyn bus::Presence>, Arc<dyn Events>, Arc<BusOutage>),
        node: NodeId,
        cap: usize,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            presence,
            events,
            outage,
            node,
            cap,
            sockets: Mutex::default(),
            departed: Notify::new(),
            clock,
            entropy,
        }
    }

    /// Enters a socket that is about to join its session, which registers it in the cluster.
    pub(crate) fn enter(self: &Arc<Self>, caller: &Arc<Caller>) -> (PresenceEntry, OpenSocket) {
        let connected_at = self.clock.now().into();
        // The entry removes the socket even if the join fails or is cancelled.
        let entry = PresenceEntry {
            registry: Arc::clone(self),
            connection: caller.connection.clone(),
            number: self.sockets().enter(caller, connected_at),
        };
        (entry, self.open_socket(caller, connected_at))
    }

    /// Cap of sockets per user.
    pub(crate) fn cap(&self) -> usize {
        self.cap
    }

    /// Has the gateways close the sockets by which a user exceeds the cap.
    ///
    /// # Errors
    /// [`BusError`]: the number of sockets is unknown.
    pub(crate) async fn close_surplus(&self, user: &UserId, surplus: Vec<OpenSocket>) -> Result<(), BusError> {
        for surplus in surplus {
            let close = Envelope {
                v: Envelope::VERSION,
                id: ids::event(&*self.entropy),
                audience: Audience::Socket(surplus.connection),
                class: DeliveryClass::Critical,
                event: event::SURPLUS.to_owned(),
                data: Json::of(&()),
                traceparent: None,
                published_at: None,
            };
            self.events.publish(user, &close).await?;
        }
        Ok(())
    }

    /// Renews this gateway's lease, removes sockets that have left, and registers all others again periodically: Redis may have lost them.
    pub(crate) async fn run(self: Arc<Self>, drain: CancellationToken) {
        // Concurrent: to register thousands of sockets takes longer than a lease lasts.
        let renewals = join3(
            self.renew_lease(drain.clone()),
            self.remove_continuously(),
            self.renew_entries(drain.clone()),
        );
        drain.run_until_cancelled(renewals).await;
        self.remove_departed().await;
    }

    async fn renew_lease(&self, drain: CancellationToken) {
        let mut ticks = PeriodicLoop::new(LEASE_EVERY, drain);
        while ticks.next().await {
            let renewed = self.presence.renew_node(&self.node, LEASE).await;
            drop(self.outage.record("gateway lease renewal", renewed));
        }
    }

    async fn remove_continuously(&self) {
        loop {
            self.departed.notified().await;
            self.remove_departed().await;
        }
    }

    async fn renew_entries(&self, drain: CancellationToken) {
        let mut ticks = PeriodicLoop::new(REGISTER_EVERY, drain);
        while ticks.next().await {
            self.register_all().await;
        }
    }

    /// Removes the sockets that have left. An entry that cannot be removed now expires.
    async fn remove_departed(&self) {
        let left = std::mem::take(&mut self.sockets().left);
        let removals = stream::iter(left).map(async |(user, connection)| {
            let removed = self.presence.unregister_socket(&user, &self.node, &connection).await;
            drop(self.outage.record("presence removal", removed));
        });
        removals.buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    /// Registers all sockets. The next round repeats what fails.
    async fn register_all(&self) {
        let present: Vec<_> = self.sockets().present.values().cloned().collect();
        let renewals = stream::iter(present).map(async |socket| drop(self.register(socket).await));
        renewals.buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    async fn register(
        &self,
        PresentSocket {
            caller, connected_at, ..
        }: PresentSocket,
    ) -> Result<(), BusError> {
        let socket = self.open_socket(&caller, connected_at);
        let surplus = self.presence.register_socket(&caller.user, &socket, self.cap).await;
        let surplus = self.outage.record("presence registration", surplus)?;
        self.close_surplus(&caller.user, surplus).await
    }

    fn open_socket(&self, caller: &Caller, connected_at: Timestamp) -> OpenSocket {
        OpenSocket {
            connection: caller.connection.clone(),
            node: self.node.clone(),
            session: caller.session.clone(),
            connected_at,
            origin: caller.origin.clone(),
        }
    }

    fn sockets(&self) -> MutexGuard<'_, RegisteredSockets> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PresenceEntry {
    fn drop(&mut self) {
        let mut sockets = self.registry.sockets();
        if sockets.leave(&self.connection, self.number) {
            self.registry.departed.notify_one();
        }
    }
}

/// Time after which a gateway without a renewal counts as dead.
const LEASE: Duration = Duration::from_secs(10);
const LEASE_EVERY: Duration = Duration::from_secs(3);
/// Entries expire after ten minutes.
const REGISTER_EVERY: Duration = Duration::from_secs(4 * 60);
/// Entries that are changed concurrently.
const AT_ONCE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn departed_socket_does_not_remove_the_socket_that_resumed_it() {
        let caller = Arc::new(Caller::sample("u"));
        let mut sockets = RegisteredSockets::default();
        let [first, second] = [0, 1].map(|at| sockets.enter(&caller, Timestamp::from_millis(at)));
        assert!(!sockets.leave(&caller.connection, first));
        assert_eq!((sockets.present.len(), sockets.left.len()), (1, 0));
        assert!(sockets.leave(&caller.connection, second));
        assert_eq!((sockets.present.len(), sockets.left.len()), (0, 1));
    }
}

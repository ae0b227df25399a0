//! Which sockets of this gateway the cluster knows, and which of a user's have to go because there are too many.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bus::{Bus, BusError, OpenSocket};
use futures_util::future::join3;
use futures_util::{StreamExt, stream};
use lifecycle::{Clock, Entropy};
use protocol::cluster::envelope::{Audience, Envelope};
use protocol::event::{DeliveryClass, name as event};
use protocol::fault::chain;
use protocol::id::{ConnectionId, NodeId, UserId};
use protocol::json::Json;
use tokio::sync::Notify;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::command::Caller;
use crate::name;

/// The sockets of this gateway. [`Presence::run`] keeps the cluster's knowledge of them alive.
pub(crate) struct Presence {
    bus: Arc<dyn Bus>,
    node: NodeId,
    /// How many sockets a user may have in the whole cluster.
    most: usize,
    sockets: Mutex<Sockets>,
    /// A socket has left.
    news: Notify,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

#[derive(Default)]
struct Sockets {
    /// Each with a number: a client that comes back has the same connection, and its predecessor may leave after it.
    present: HashMap<ConnectionId, (u64, UserId, OpenSocket)>,
    entered: u64,
    /// Those that have left and are still known to the cluster.
    left: Vec<(UserId, ConnectionId)>,
}

impl Sockets {
    /// Takes note of a socket, under a number of its own.
    fn enter(&mut self, user: &UserId, socket: &OpenSocket) -> u64 {
        self.entered += 1;
        let entry = (self.entered, user.clone(), socket.clone());
        self.present.insert(socket.connection.clone(), entry);
        self.entered
    }

    /// True when it has to be struck out: nobody came back to its place.
    fn leave(&mut self, connection: &ConnectionId, number: u64) -> bool {
        let is_its_own = self.present.get(connection).is_some_and(|(of, ..)| *of == number);
        if let Some((_, user, _)) = is_its_own.then(|| self.present.remove(connection)).flatten() {
            self.left.push((user, connection.clone()));
        }
        is_its_own
    }
}

/// A socket's entry. Dropping it strikes it out.
pub(crate) struct Entry {
    presence: Arc<Presence>,
    connection: ConnectionId,
    number: u64,
}

impl Presence {
    /// No socket yet.
    pub(crate) fn new(
        bus: Arc<dyn Bus>,
        node: NodeId,
        most: usize,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            bus,
            node,
            most,
            sockets: Mutex::default(),
            news: Notify::new(),
            clock,
            entropy,
        }
    }

    /// Enters a socket that is about to be live. If its user has too many now, others have to go.
    ///
    /// # Errors
    /// [`BusError`]: nobody can say how many there are.
    pub(crate) async fn enter(self: &Arc<Self>, caller: &Caller) -> Result<Entry, BusError> {
        let socket = OpenSocket {
            connection: caller.connection.clone(),
            node: self.node.clone(),
            session: caller.session.clone(),
            connected_at: self.clock.now().into(),
            origin: caller.origin.clone(),
        };
        let user = caller.user.clone();
        // Whatever becomes of the request, the entry is struck out again.
        let entry = Entry {
            presence: Arc::clone(self),
            connection: socket.connection.clone(),
            number: self.sockets().enter(&user, &socket),
        };
        self.tell_cluster(&user, &socket).await?;
        Ok(entry)
    }

    /// Keeps this gateway's lease, strikes out who has left, and enters all others again now and then: Redis may have lost them.
    pub(crate) async fn run(self: Arc<Self>, drain: CancellationToken) {
        // Beside each other: to enter thousands again takes longer than a lease lasts.
        let kept = join3(self.keep_lease(), self.keep_striking_out(), self.keep_entered());
        drain.run_until_cancelled(kept).await;
        self.strike_out().await;
    }

    async fn keep_lease(&self) {
        let mut pace = pace(LEASE_EVERY);
        loop {
            pace.tick().await;
            if let Err(error) = self.bus.renew_node(&self.node, LEASE).await {
                tracing::debug!(error = chain(&error), "the lease is kept a little later");
            }
        }
    }

    async fn keep_striking_out(&self) {
        loop {
            self.news.notified().await;
            self.strike_out().await;
        }
    }

    async fn keep_entered(&self) {
        let mut pace = pace(RENEW_EVERY);
        loop {
            pace.tick().await;
            self.enter_again().await;
        }
    }

    async fn strike_out(&self) {
        let left = std::mem::take(&mut self.sockets().left);
        let struck = stream::iter(left).map(async |(user, connection)| {
            if let Err(error) = self.bus.unregister_socket(&user, &self.node, &connection).await {
                // It is forgotten with the rest of the user's, or with this gateway.
                tracing::debug!(error = chain(&error), "a socket that left was not struck out");
            }
        });
        struck.buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    async fn enter_again(&self) {
        let present: Vec<_> = self.sockets().present.values().cloned().collect();
        let renewed = stream::iter(present).map(async |(_, user, socket)| {
            if let Err(error) = self.tell_cluster(&user, &socket).await {
                tracing::debug!(error = chain(&error), "a socket is entered again later");
            }
        });
        renewed.buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    async fn tell_cluster(&self, user: &UserId, socket: &OpenSocket) -> Result<(), BusError> {
        for gone in self.bus.register_socket(user, socket, self.most).await? {
            let dismissal = Envelope {
                v: Envelope::VERSION,
                id: name::event(&*self.entropy),
                audience: Audience::Socket(gone.connection),
                class: DeliveryClass::Critical,
                event: event::SURPLUS.to_owned(),
                data: Json::of(&()),
            };
            self.bus.publish(user, &dismissal).await?;
        }
        Ok(())
    }

    fn sockets(&self) -> MutexGuard<'_, Sockets> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut sockets = self.presence.sockets();
        if sockets.leave(&self.connection, self.number) {
            self.presence.news.notify_one();
        }
    }
}

/// Ticks at once and then evenly, however long what is done between takes.
fn pace(period: Duration) -> Interval {
    let mut pace = interval(period);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}

/// How long a gateway that says nothing counts as alive.
const LEASE: Duration = Duration::from_secs(10);
const LEASE_EVERY: Duration = Duration::from_secs(3);
/// Entries are kept for ten minutes.
const RENEW_EVERY: Duration = Duration::from_secs(4 * 60);
/// How many entries are changed together.
const AT_ONCE: usize = 64;

#[cfg(test)]
mod tests {
    use protocol::cluster::origin::Origin;
    use protocol::id::SessionId;
    use protocol::time::Timestamp;

    use super::*;

    #[test]
    fn a_socket_whose_client_came_back_before_it_left_takes_nobody_along() {
        let user = UserId::new("u").unwrap();
        let socket = OpenSocket {
            connection: ConnectionId::new("c").unwrap(),
            node: NodeId::new("gw-1").unwrap(),
            session: SessionId::new("s").unwrap(),
            connected_at: Timestamp::from_millis(0),
            origin: Origin {
                address: "192.0.2.1".to_owned(),
                device_id: None,
                device_name: None,
                user_agent: None,
            },
        };
        let mut sockets = Sockets::default();
        let [first, second] = [0, 1].map(|_| sockets.enter(&user, &socket));
        assert!(!sockets.leave(&socket.connection, first));
        assert_eq!((sockets.present.len(), sockets.left.len()), (1, 0));
        assert!(sockets.leave(&socket.connection, second));
        assert_eq!((sockets.present.len(), sockets.left.len()), (0, 1));
    }
}

//! Keyspace notifications. Missed ones are not recovered, so no caller may depend on them.

use std::time::Duration;

use fred::interfaces::{ClientLike, EventInterface, PubsubInterface};
use fred::types::Value;
use futures_util::StreamExt;
use futures_util::future::FutureExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{interval, sleep};

use super::connection::Connection;
use super::connector::{Connector, Purpose};
use super::slots::Slots;
use super::{MessageHandler, Missed};
use crate::redis::settings::Endpoint;

/// Subscribes to one `__keyevent` channel of every primary until the handler is closed, over connections of its own. `subscribed` is
/// called for each of them.
pub(in crate::redis) async fn listen<L: MessageHandler>(
    connector: Connector,
    purpose: Purpose,
    channel: String,
    handler: L,
    subscribed: impl Fn() + Send + Sync,
) {
    let closed = handler.closed();
    tokio::pin!(closed);
    let mut map = connector.slots().watch();
    let (mut listening, mut servers) = (FuturesUnordered::new(), Vec::new());
    loop {
        let current = map.borrow_and_update().clone();
        for server in current.primaries() {
            if !servers.contains(server) {
                servers.push(server.clone());
                // Boxed, as there may be many.
                let serve = serve_server(&connector, server.clone(), purpose, &channel, &handler, &subscribed);
                listening.push(serve.boxed());
            }
        }
        tokio::select! {
            biased;
            () = &mut closed => return,
            changed = map.changed() => if changed.is_err() {
                return;
            },
            Some(left) = listening.next() => servers.retain(|server| *server != left),
        }
    }
}

/// Serves a server until it owns no slots. Returns it.
async fn serve_server<L: MessageHandler>(
    connector: &Connector,
    server: Endpoint,
    purpose: Purpose,
    channel: &str,
    handler: &L,
    subscribed: &(impl Fn() + Send + Sync),
) -> Endpoint {
    while !connector.slots().has_left(&server) {
        if let Ok(connection) = connector.open_at(server.clone(), purpose).await {
            // Boxed: fred's futures are several KiB.
            Box::pin(receive(&connection, connector.slots(), channel, handler, subscribed)).await;
        }
        sleep(PAUSE).await;
    }
    server
}

/// Subscribes, and passes keys on until the connection fails, or its server owns no slots.
async fn receive<L: MessageHandler>(
    connection: &Connection,
    slots: &Slots,
    channel: &str,
    handler: &L,
    subscribed: &(impl Fn() + Send + Sync),
) {
    let fred = connection.client();
    // fred sorts messages by channel: those of `__keyevent` channels never reach `message_rx`.
    let (mut events, mut reconnects) = (fred.keyspace_event_rx(), fred.reconnect_rx());
    if let Err(error) = subscribe(connection, channel).await {
        if error.details().starts_with("NOPERM") {
            // An early retry would fail again.
            sleep(REFUSED_PAUSE).await;
        }
        return;
    }
    subscribed();
    let mut heartbeat = interval(HEARTBEAT);
    let left = slots.leaves(connection.server());
    tokio::pin!(left);
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(event) => handler.on_message(channel, event.key.as_bytes()),
                Err(RecvError::Lagged(_)) => handler.on_missed(Missed::All),
                Err(RecvError::Closed) => return,
            },
            // fred drops the subscriptions of a broken connection.
            _ = reconnects.recv() => return,
            () = &mut left => return,
            _ = heartbeat.tick() => {
                if fred.ping::<Value>(None).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Subscribes. The reply to the PING confirms that SUBSCRIBE was processed.
async fn subscribe(connection: &Connection, channel: &str) -> Result<(), fred::error::Error> {
    connection.client().subscribe(channel).await?;
    connection.client().ping::<Value>(None).await.map(drop)
}

const PAUSE: Duration = Duration::from_millis(250);
const REFUSED_PAUSE: Duration = Duration::from_secs(60);
const HEARTBEAT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;

//! Keyspace notifications. Missed ones are not recovered, so no caller may depend on them.

use std::time::Duration;

use fred::interfaces::{ClientLike, EventInterface, PubsubInterface};
use fred::types::Value;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{interval, sleep};

use super::connection::Connection;
use super::connector::{Connector, Purpose};
use super::slots::Slots;
use super::{MessageHandler, Missed};

/// Subscribes to one `__keyevent` channel until the handler is closed, over connections of its own. `subscribed` is called for
/// each of them.
pub(in crate::redis) async fn listen<L: MessageHandler>(
    connector: Connector,
    purpose: Purpose,
    channel: String,
    mut handler: L,
    subscribed: impl Fn() + Send,
) {
    let closed = handler.closed();
    tokio::pin!(closed);
    loop {
        tokio::select! {
            biased;
            () = &mut closed => return,
            () = serve_connection(&connector, purpose, &channel, &mut handler, &subscribed) => {}
        }
        sleep(PAUSE).await;
    }
}

/// Serves one connection until it fails.
async fn serve_connection<L: MessageHandler>(
    connector: &Connector,
    purpose: Purpose,
    channel: &str,
    handler: &mut L,
    subscribed: &(impl Fn() + Send),
) {
    let Ok(connection) = connector.open(purpose).await else {
        return;
    };
    receive(&connection, connector.slots(), channel, handler, subscribed).await;
}

/// Subscribes, and passes keys on until the connection fails, or its server owns no slots.
async fn receive<L: MessageHandler>(
    connection: &Connection,
    slots: &Slots,
    channel: &str,
    handler: &mut L,
    subscribed: &(impl Fn() + Send),
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

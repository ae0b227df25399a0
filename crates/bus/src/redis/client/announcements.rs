//! What Redis says of its keys, by keyspace notifications. Nothing here makes good what was missed: who listens must not depend
//! on it.

use std::time::Duration;

use fred::interfaces::{ClientLike, EventInterface, PubsubInterface};
use fred::types::Value;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{interval, sleep};

use super::Listener;
use super::connector::{Connector, Use};
use super::link::Link;

/// Listens to one `__keyevent` channel until nobody does any more, over connections of its own. `subscribed` is called for each
/// of them.
pub(in crate::redis) async fn listen<L: Listener>(
    connector: Connector,
    to_do: Use,
    channel: String,
    mut listener: L,
    subscribed: impl Fn() + Send,
) {
    let abandoned = listener.abandoned();
    tokio::pin!(abandoned);
    loop {
        tokio::select! {
            biased;
            () = &mut abandoned => return,
            () = connection(&connector, to_do, &channel, &mut listener, &subscribed) => {}
        }
        sleep(PAUSE).await;
    }
}

/// One connection, until it is lost.
async fn connection<L: Listener>(
    connector: &Connector,
    to_do: Use,
    channel: &str,
    listener: &mut L,
    subscribed: &(impl Fn() + Send),
) {
    let Ok(link) = connector.link(to_do).await else {
        return;
    };
    receive(&link, channel, listener, subscribed).await;
}

/// Subscribes, and passes keys on until the link is lost.
async fn receive<L: Listener>(link: &Link, channel: &str, listener: &mut L, subscribed: &(impl Fn() + Send)) {
    let fred = link.client();
    // fred sorts messages by their channel: those of `__keyevent` channels never come to `message_rx`.
    let (mut events, mut reconnects) = (fred.keyspace_event_rx(), fred.reconnect_rx());
    if let Err(error) = subscribe(link, channel).await {
        if error.details().starts_with("NOPERM") {
            // Asking again soon would change nothing.
            sleep(REFUSED_PAUSE).await;
        }
        return;
    }
    subscribed();
    let mut beat = interval(BEAT);
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(event) => listener.hear(channel, event.key.as_bytes()),
                Err(RecvError::Lagged(_)) => listener.missed(),
                Err(RecvError::Closed) => return,
            },
            // Subscriptions are forgotten with their connection.
            _ = reconnects.recv() => return,
            _ = beat.tick() => {
                if fred.ping::<Value>(None).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// The PING's answer tells that SUBSCRIBE was taken.
async fn subscribe(link: &Link, channel: &str) -> Result<(), fred::error::Error> {
    link.client().subscribe(channel).await?;
    link.client().ping::<Value>(None).await.map(drop)
}

const PAUSE: Duration = Duration::from_millis(250);
const REFUSED_PAUSE: Duration = Duration::from_secs(60);
const BEAT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;

//! Handler that falls behind the keyspace notifications.

use std::future::pending;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use fred::types::{Key, KeyspaceEvent};
use testkit::{Redis, wait};
use tokio::sync::Notify;

use super::*;
use crate::redis::tls::RedisTls;

/// Counts notifications.
#[derive(Default)]
struct Count {
    keys: AtomicUsize,
    last: Mutex<Vec<u8>>,
    missed: AtomicUsize,
}

impl MessageHandler for Count {
    fn on_message(&self, _channel: &str, message: &[u8]) {
        self.keys.fetch_add(1, Ordering::Relaxed);
        *self.last.lock().unwrap() = message.to_vec();
    }

    fn on_missed(&self, _missed: Missed<'_>) {
        self.missed.fetch_add(1, Ordering::Relaxed);
    }

    fn closed(&self) -> impl Future<Output = ()> + Send + 'static {
        pending()
    }
}

/// Overruns the channel: on one thread nothing reads meanwhile.
#[tokio::test]
async fn lagging_handler_is_notified_and_continues() {
    let redis = Redis::start().await;
    let connector = Connector::new(redis.url().parse().unwrap(), &RedisTls::default()).unwrap();
    let connection = connector.open_for("any", Purpose::Expiries).await.unwrap();
    let (count, subscribed) = (Count::default(), Notify::new());
    let overrun = async {
        subscribed.notified().await;
        for number in 0..2 * CAPACITY {
            let event = KeyspaceEvent {
                db: 0,
                operation: "expired".to_owned(),
                key: Key::from(number.to_string()),
            };
            connection.client().inner().notifications.broadcast_keyspace(event);
        }
        redis.command(&["SET", "the last", "", "PX", "1"]).await;
        wait::until_true("the last key to be gone", wait::deadline(), async || {
            redis.command(&["EXISTS", "the last"]).await == "0"
        })
        .await;
        // Redis has written the notification; what was read before its answer to this PING is in the channel.
        connection.client().ping::<Value>(None).await.unwrap();
        wait::until_true("the channel to be read", wait::deadline(), async || {
            connection.client().inner().notifications.keyspace.load().is_empty()
        })
        .await;
    };
    let (channel, confirm) = (connector.expired_channel(), || subscribed.notify_one());
    tokio::select! {
        () = receive(&connection, connector.slots(), &channel, &count, &confirm) => panic!("keyspace listener stopped"),
        () = overrun => {}
    }
    assert_eq!((count.missed.into_inner(), count.keys.into_inner()), (1, CAPACITY + 1));
    assert_eq!(count.last.into_inner().unwrap(), b"the last");
}

const CAPACITY: usize = 4096;

//! A listener that does not keep up with what Redis announces.

use std::future::pending;

use fred::types::{Key, KeyspaceEvent};
use testkit::{Redis, wait};
use tokio::sync::Notify;

use super::*;

/// Counts what it is told.
#[derive(Default)]
struct Count {
    keys: usize,
    last: Vec<u8>,
    missed: usize,
}

impl Listener for Count {
    fn hear(&mut self, _channel: &str, message: &[u8]) {
        self.keys += 1;
        self.last = message.to_vec();
    }

    fn missed(&mut self) {
        self.missed += 1;
    }

    fn abandoned(&self) -> impl Future<Output = ()> + Send + 'static {
        pending()
    }
}

/// On one thread nobody reads while the channel is overrun.
#[tokio::test]
async fn a_listener_that_lags_is_told_so_and_goes_on() {
    let redis = Redis::start().await;
    let connector = Connector::new(redis.url().parse().unwrap(), None).unwrap();
    let link = connector.link(Use::Expiries).await.unwrap();
    let (mut count, subscribed) = (Count::default(), Notify::new());
    let overrun = async {
        subscribed.notified().await;
        for number in 0..2 * CAPACITY {
            let event = KeyspaceEvent {
                db: 0,
                operation: "expired".to_owned(),
                key: Key::from(number.to_string()),
            };
            link.client().inner().notifications.broadcast_keyspace(event);
        }
        redis.command(&["SET", "the last", "", "PX", "1"]).await;
        wait::until_true("the last key to be gone", wait::deadline(), async || {
            redis.command(&["EXISTS", "the last"]).await == "0"
        })
        .await;
        // Redis has written the notification; what was read before its answer to this PING is in the channel.
        link.client().ping::<Value>(None).await.unwrap();
        wait::until_true("the channel to be read", wait::deadline(), async || {
            link.client().inner().notifications.keyspace.load().is_empty()
        })
        .await;
    };
    let (channel, confirm) = (connector.expired_channel(), || subscribed.notify_one());
    tokio::select! {
        () = receive(&link, &channel, &mut count, &confirm) => panic!("the listener has ended"),
        () = overrun => {}
    }
    assert_eq!((count.missed, count.keys), (1, CAPACITY + 1));
    assert_eq!(count.last, b"the last");
}

const CAPACITY: usize = 4096;

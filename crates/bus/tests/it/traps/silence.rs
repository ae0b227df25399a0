//! Unresponsive servers with open connections: fred without timeouts waits for ever.

use std::sync::Arc;
use std::time::Duration;

use bus::{BusError, ChallengeKey, ChannelMessage, LogRead};
use futures_util::future::join_all;
use protocol::fault::chain;
use testkit::{Proxy, Redis, wait};
use tokio::time::Instant;

use crate::nodes::{TestSubscriptions, connect, until_live};
use crate::sample::{event, offset, publish, publish_with_retry, user};

#[tokio::test]
async fn stopped_redis_times_out_once_then_fails_fast() {
    let mut redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    let mut subscriptions = TestSubscriptions::open(&*bus).await;
    subscriptions.handle.subscribe(&user).await.unwrap();
    let before = publish(&*bus, &user, 1).await;
    assert_eq!(subscriptions.next_seq().await, 1);

    redis.pause();
    let asked = Instant::now();
    let error = bus.publish(&user, &event(2)).await.unwrap_err();
    assert!(matches!(error, BusError::Unavailable { .. }), "{error:?}");
    assert!(chain(&error).contains("timed out"), "{}", chain(&error));
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    until_live(&*bus, &subscriptions, false).await;
    let asked = Instant::now();
    bus.publish(&user, &event(3)).await.unwrap_err();
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "commands fail fast after the first timeout"
    );

    redis.resume();
    until_live(&*bus, &subscriptions, true).await;
    publish_with_retry(&*bus, &user, 4).await;
    let LogRead::Events(events) = bus.read_log(&user, &before, 9).await.unwrap() else {
        panic!("epoch changed by a pause");
    };
    let (last, _) = events.last().unwrap();
    subscriptions.until(last).await;
}

/// Trap: after its queue refused a command, fred 10.1 no longer flushes its writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn command_overload_leaves_no_lasting_damage() {
    let mut redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    redis.pause();
    let flood = join_all((0..20_000).map(|number| {
        let (bus, user) = (Arc::clone(&bus), user.clone());
        async move { bus.publish(&user, &event(number)).await.is_err() }
    }));
    assert!(flood.await.into_iter().all(|failed| failed));
    redis.resume();
    wait::until_true("the bus to be live", wait::deadline(), async || bus.is_live()).await;
    let asked = Instant::now();
    for _ in 0..20 {
        let key = ChallengeKey::State {
            hash: "00ff".to_owned(),
        };
        bus.read(&key).await.unwrap();
    }
    // Unflushed, each would wait for the next heartbeat, up to a second.
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}

/// Trap: fred measures unresponsiveness from its last write, so a connection with writes never counts as unresponsive.
#[tokio::test]
async fn half_open_connection_is_replaced() {
    let redis = Redis::start().await;
    let proxy = Proxy::start(redis.addr()).await;
    let bus = connect(&format!("redis://{}", proxy.addr()), "pn").await;
    let elsewhere = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    let mut subscriptions = TestSubscriptions::open(&*bus).await;
    subscriptions.handle.subscribe(&user).await.unwrap();

    proxy.blackhole();
    let stranded = Instant::now();
    let unheard = publish(&*elsewhere, &user, 1).await;
    wait::until_true("the bus not to be live", wait::deadline(), async || !bus.is_live()).await;
    subscriptions.missed().await;
    // The promised bound is ten seconds.
    assert!(stranded.elapsed() < Duration::from_secs(20), "{:?}", stranded.elapsed());
    until_live(&*bus, &subscriptions, true).await;
    assert_eq!(offset(&*bus, &user).await, unheard);
    let offset = publish(&*elsewhere, &user, 2).await;
    subscriptions.until(&offset).await;
}

#[tokio::test]
async fn network_outage_leaves_no_extra_connections() {
    let redis = Redis::start().await;
    let proxy = Proxy::start(redis.addr()).await;
    let bus = connect(&format!("redis://{}", proxy.addr()), "pn").await;
    let elsewhere = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    let mut subscriptions = TestSubscriptions::open(&*bus).await;
    subscriptions.handle.subscribe(&user).await.unwrap();

    let before = proxy.connections();
    proxy.freeze();
    until_live(&*bus, &subscriptions, false).await;
    publish(&*elsewhere, &user, 1).await;
    wait::until_true("new connections to be tried", wait::deadline(), async || {
        proxy.connections() >= before + 2
    })
    .await;
    proxy.thaw();
    until_live(&*bus, &subscriptions, true).await;
    let offset = publish(&*bus, &user, 2).await;
    subscriptions.until(&offset).await;
}

/// Trap: fred's channel holds 32 messages by default, and the loop of its documentation ends when it lags.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn burst_delivers_every_message_or_missed() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    let mut subscriptions = TestSubscriptions::open(&*bus).await;
    subscriptions.handle.subscribe(&user).await.unwrap();
    let envelope = serde_json::to_string(&event(0)).unwrap();
    // A script publishes the whole burst at once, in an epoch of its own: no publisher is as fast.
    let burst = "for seq = 1, 100000 do redis.call('SPUBLISH', ARGV[1], 'b-' .. seq .. ' ' .. ARGV[2]) end";
    let command = ["EVAL", burst, "0", "pn:{GEN-001}:ev", &envelope];
    tokio::join!(redis.command(&command), async {
        for expected in 1..=100_000 {
            match subscriptions.next().await {
                ChannelMessage::Event { offset, .. } => assert_eq!(offset.seq, expected, "gap without a Missed"),
                _missed => break,
            }
        }
    });
    let mut number = 0;
    wait::until_true("a later event to arrive", wait::deadline(), async || {
        number += 1;
        let offset = publish(&*bus, &user, number).await;
        subscriptions.receives_before_missed(&offset).await
    })
    .await;
}

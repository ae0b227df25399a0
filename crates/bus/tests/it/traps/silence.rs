//! Servers that keep their connections and say nothing: fred without timeouts waits for ever.

use std::sync::Arc;
use std::time::Duration;

use bus::{BusError, ChallengeKey, ChannelMessage, LogRead};
use futures_util::future::join_all;
use protocol::fault::chain;
use testkit::{Proxy, Redis, wait};
use tokio::time::Instant;

use crate::nodes::{Ear, connect, until_live};
use crate::sample::{event, offset, publish, publish_surely, user};

#[tokio::test]
async fn a_stopped_redis_costs_two_seconds_and_nothing_once_it_goes_on() {
    let mut redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    let mut ear = Ear::open(&*bus).await;
    ear.feed.subscribe(&user).await.unwrap();
    let before = publish(&*bus, &user, 1).await;
    assert_eq!(ear.next_seq().await, 1);

    redis.pause();
    let asked = Instant::now();
    let error = bus.publish(&user, &event(2)).await.unwrap_err();
    assert!(matches!(error, BusError::Unavailable { .. }), "{error:?}");
    assert!(chain(&error).contains("timed out"), "{}", chain(&error));
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    until_live(&*bus, &ear, false).await;
    let asked = Instant::now();
    bus.publish(&user, &event(3)).await.unwrap_err();
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "once it is known, nobody waits"
    );

    redis.resume();
    until_live(&*bus, &ear, true).await;
    publish_surely(&*bus, &user, 4).await;
    let LogRead::Events(events) = bus.read_log(&user, &before, 9).await.unwrap() else {
        panic!("a pause is no new epoch");
    };
    let (last, _) = events.last().unwrap();
    ear.until(last).await;
}

/// After a refused command fred 10.1 no longer flushes what it writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_commands_than_fit_do_no_harm_that_stays() {
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
    wait::until_true("the bus to live", wait::deadline(), async || bus.is_live()).await;
    let asked = Instant::now();
    for _ in 0..20 {
        let key = ChallengeKey::State {
            hash: "00ff".to_owned(),
        };
        bus.read(&key).await.unwrap();
    }
    // Unflushed, each would wait for the next beat of the pulse, a second.
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}

/// fred counts the silence from the last thing it wrote, so a connection that is written to is never unresponsive.
#[tokio::test]
async fn a_half_open_link_is_noticed_and_replaced() {
    let redis = Redis::start().await;
    let proxy = Proxy::start(redis.addr()).await;
    let bus = connect(&format!("redis://{}", proxy.addr()), "pn").await;
    let elsewhere = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    let mut ear = Ear::open(&*bus).await;
    ear.feed.subscribe(&user).await.unwrap();

    proxy.blackhole();
    let stranded = Instant::now();
    let unheard = publish(&*elsewhere, &user, 1).await;
    wait::until_true("the loss to be noticed", wait::deadline(), async || !bus.is_live()).await;
    ear.missed().await;
    // Ten seconds were promised.
    assert!(stranded.elapsed() < Duration::from_secs(20), "{:?}", stranded.elapsed());
    until_live(&*bus, &ear, true).await;
    assert_eq!(offset(&*bus, &user).await, unheard);
    let place = publish(&*elsewhere, &user, 2).await;
    ear.until(&place).await;
}

#[tokio::test]
async fn a_network_that_was_gone_for_a_while_leaves_nothing_behind() {
    let redis = Redis::start().await;
    let proxy = Proxy::start(redis.addr()).await;
    let bus = connect(&format!("redis://{}", proxy.addr()), "pn").await;
    let elsewhere = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    let mut ear = Ear::open(&*bus).await;
    ear.feed.subscribe(&user).await.unwrap();

    let before = proxy.connections();
    proxy.freeze();
    until_live(&*bus, &ear, false).await;
    publish(&*elsewhere, &user, 1).await;
    wait::until_true("new connections to be tried", wait::deadline(), async || {
        proxy.connections() >= before + 2
    })
    .await;
    proxy.thaw();
    until_live(&*bus, &ear, true).await;
    let place = publish(&*bus, &user, 2).await;
    ear.until(&place).await;
}

/// fred's own channel holds 32 messages by default, and the loop of its documentation ends when it is overrun.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_burst_every_message_is_heard_or_a_missed_tells() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    let mut ear = Ear::open(&*bus).await;
    ear.feed.subscribe(&user).await.unwrap();
    let envelope = serde_json::to_string(&event(0)).unwrap();
    // Redis alone says all of it in one step, in an epoch of its own: no publisher could be as quick.
    let burst = "for seq = 1, 100000 do redis.call('SPUBLISH', ARGV[1], 'b-' .. seq .. ' ' .. ARGV[2]) end";
    let command = ["EVAL", burst, "0", "pn:{GEN-001}:ev", &envelope];
    tokio::join!(redis.command(&command), async {
        for expected in 1..=100_000 {
            match ear.next().await {
                ChannelMessage::Event { offset, .. } => assert_eq!(offset.seq, expected, "a hole without a Missed"),
                _missed => break,
            }
        }
    });
    let mut number = 0;
    wait::until_true("something later to be heard", wait::deadline(), async || {
        number += 1;
        let place = publish(&*bus, &user, number).await;
        ear.hears(&place).await
    })
    .await;
}

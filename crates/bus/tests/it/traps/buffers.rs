//! Subscriber that does not read: Redis disconnects it, and its buffered messages are lost.

use testkit::{Proxy, Redis, wait};

use crate::nodes::{TestSubscriptions, connect, until_live};
use crate::sample::{publish, user};

#[tokio::test]
async fn subscriber_disconnected_for_a_full_buffer_reports_missed_and_receives_again() {
    let redis = Redis::start().await;
    let limit = ["CONFIG", "SET", "client-output-buffer-limit", "pubsub 64kb 0 0"];
    redis.command(&limit).await;
    let link = Proxy::start(redis.addr()).await;
    let slow = connect(&format!("redis://{}", link.addr()), "pn").await;
    let publisher = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    let mut subscriptions = TestSubscriptions::open(&*slow).await;
    subscriptions.handle.subscribe(&user).await.unwrap();
    let first = publish(&*publisher, &user, 1).await;
    subscriptions.until(&first).await;

    // As with a stopped process: the connection stays open and unread.
    link.freeze();
    let filler = "x".repeat(512 * 1024);
    let channel = "pn:{GEN-001}:ev";
    wait::until_true("Redis to disconnect the subscriber", wait::deadline(), async || {
        redis.command(&["SPUBLISH", channel, &filler]).await;
        redis.scratch().logs().contains("overcoming of output buffer limits")
    })
    .await;
    let while_away = publish(&*publisher, &user, 2).await;
    link.thaw();

    subscriptions.missed().await;
    until_live(&*slow, &subscriptions, true).await;
    assert_eq!(while_away.seq, 2);
    let after = publish(&*publisher, &user, 3).await;
    subscriptions.until(&after).await;
}

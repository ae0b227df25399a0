//! A subscriber that does not read: Redis cuts it off, and all that waited for it is lost.

use testkit::{Proxy, Redis, wait};

use crate::nodes::{Ear, connect, until_live};
use crate::sample::{publish, user};

#[tokio::test]
async fn a_subscriber_cut_off_for_a_full_buffer_tells_that_events_were_missed_and_receives_again() {
    let redis = Redis::start().await;
    let limit = ["CONFIG", "SET", "client-output-buffer-limit", "pubsub 64kb 0 0"];
    redis.command(&limit).await;
    let link = Proxy::start(redis.addr()).await;
    let slow = connect(&format!("redis://{}", link.addr()), "pn").await;
    let publisher = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    let mut ear = Ear::open(&*slow).await;
    ear.feed.subscribe(&user).await.unwrap();
    let first = publish(&*publisher, &user, 1).await;
    ear.until(&first).await;

    // As of a process that is stopped: nothing is read, nothing is closed.
    link.freeze();
    let filler = "x".repeat(512 * 1024);
    let channel = "pn:{GEN-001}:ev";
    wait::until_true("Redis to cut the subscriber off", wait::deadline(), async || {
        redis.command(&["SPUBLISH", channel, &filler]).await;
        redis.scratch().logs().contains("overcoming of output buffer limits")
    })
    .await;
    let while_away = publish(&*publisher, &user, 2).await;
    link.thaw();

    ear.missed().await;
    until_live(&*slow, &ear, true).await;
    assert_eq!(while_away.seq, 2);
    let after = publish(&*publisher, &user, 3).await;
    ear.until(&after).await;
}

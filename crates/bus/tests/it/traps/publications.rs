//! Writes of a publish beside the event: ids and TTLs only where they are needed.

use bus::PublishOutcome;
use testkit::Redis;

use crate::nodes::connect;
use crate::sample::{event, offset, publish, publish_compared, publish_unrecorded, user};

const LOG: &str = "pn:{GEN-001}:log";
const IDS: &str = "pn:{GEN-001}:eids";

#[tokio::test]
async fn id_of_an_unrepeated_event_is_not_recorded() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    publish_unrecorded(&*bus, &user, 1).await.unwrap();
    assert_eq!(redis.command(&["EXISTS", IDS]).await, "0");
    publish(&*bus, &user, 2).await;
    assert_eq!(redis.command(&["ZRANGE", IDS, "0", "-1"]).await, "e-2");
    assert_eq!(bus.publish(&user, &event(2)).await.unwrap(), PublishOutcome::Duplicate);
}

#[tokio::test]
async fn id_that_an_older_release_recorded_is_a_repetition_with_any_content() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    offset(&*bus, &user).await;
    redis.command(&["ZADD", IDS, "1796000000000", "e-1"]).await;
    for content in ["a", "b"] {
        let repeated = publish_compared(&*bus, &user, 1, content).await;
        assert_eq!(repeated, PublishOutcome::Duplicate, "{content}");
    }
    assert!(!bus.is_compared(&user, &event(1).id).await.unwrap());
    // Releases before find the id of this one's record.
    publish_compared(&*bus, &user, 2, "a").await;
    assert_eq!(redis.command(&["ZADD", IDS, "NX", "1796000000001", "e-2"]).await, "0");
}

#[tokio::test]
async fn ttl_of_a_log_is_renewed_below_an_hour_and_not_above() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    publish(&*bus, &user, 1).await;
    let ttl = async || redis.command(&["TTL", LOG]).await.parse::<u64>().unwrap();
    assert!((HOUR..=HOUR + QUARTER).contains(&ttl().await), "{}", ttl().await);
    redis.command(&["EXPIRE", LOG, "4000"]).await;
    publish(&*bus, &user, 2).await;
    assert!(
        (HOUR..=4000).contains(&ttl().await),
        "renewed too early: {}",
        ttl().await
    );
    for left in ["3599", "1"] {
        redis.command(&["EXPIRE", LOG, left]).await;
        publish_unrecorded(&*bus, &user, 3).await.unwrap();
        assert!(ttl().await > 4000, "not renewed at {left}: {}", ttl().await);
    }
}

#[tokio::test]
async fn ttls_of_offset_and_ids_are_renewed_with_that_of_the_log() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    publish(&*bus, &user, 1).await;
    // Renewed with the log.
    for key in ["pn:{GEN-001}:pos", IDS, LOG] {
        redis.command(&["EXPIRE", key, "60"]).await;
    }
    // An event whose id is not recorded renews those of the others.
    publish_unrecorded(&*bus, &user, 2).await.unwrap();
    for key in ["pn:{GEN-001}:pos", IDS] {
        let ttl: u64 = redis.command(&["TTL", key]).await.parse().unwrap();
        assert!(ttl > 15 * 24 * HOUR, "{key}: {ttl}");
    }
}

#[tokio::test]
async fn bytes_of_an_expired_log_do_not_count() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    publish(&*bus, &user, 1).await;
    let bytes = async || redis.command(&["HGET", "pn:{GEN-001}:pos", "bytes"]).await;
    let of_one = bytes().await;
    publish(&*bus, &user, 2).await;
    assert_ne!(bytes().await, of_one);
    redis.command(&["DEL", LOG]).await;
    publish(&*bus, &user, 3).await;
    assert_eq!(bytes().await, of_one);
}

/// Seconds.
const HOUR: u64 = 3600;
/// Seconds.
const QUARTER: u64 = 900;

//! Real sentinels: the primary that they name, and its replacement.

use testkit::RedisSentinel;

#[tokio::test]
async fn failover_on_request_makes_a_replica_with_all_data_the_primary() {
    let redis = RedisSentinel::start().await;
    let ports: Vec<u16> = redis.sentinels().iter().map(std::net::SocketAddr::port).collect();
    let [one, two, three] = ports.as_slice() else {
        panic!("{ports:?}")
    };
    assert_eq!(
        redis.url(),
        format!("redis-sentinel://127.0.0.1:{one},127.0.0.1:{two},127.0.0.1:{three}/0?master=postern-master")
    );
    assert_eq!(redis.primary().await, 0);
    redis.server(0).command(&["SET", "key", "value"]).await;
    redis.server(0).command(&["WAIT", "2", "0"]).await;

    let primary = redis.failover().await;
    assert_ne!(primary, 0);
    assert_eq!(redis.server(primary).command(&["GET", "key"]).await, "value");
}

#[tokio::test]
async fn silent_primary_is_replaced_by_two_sentinels_of_three_and_returns_as_a_replica() {
    let mut redis = RedisSentinel::start().await;
    redis.kill_sentinel(0).await;
    redis.server_mut(0).pause();
    let primary = redis.until_primary_is_not(0).await;
    redis
        .server(primary)
        .command(&["SET", "key", "of the new primary"])
        .await;

    redis.server_mut(0).resume();
    redis.restart_sentinel(0).await;
    redis.until_in_sync().await;
    assert_eq!(redis.primary().await, primary);
    assert_eq!(redis.server(0).command(&["GET", "key"]).await, "of the new primary");
}

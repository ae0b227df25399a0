//! Cluster harness, with a stand-in for the product's binary.

use std::path::{Path, PathBuf};

use testkit::client::http::{self, Request};
use testkit::{Cluster, Postgres, Proxy, Redis, RedisSentinel, wait};

/// Script that accepts the subcommands and variables of `postern`, responds to `/readyz` and `/env`, and logs the value of
/// `FAKE_LEAK`.
fn stand_in() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/scripts/postern.js")
}

async fn variable(cluster: &Cluster, gateway: usize, name: &str) -> String {
    let answer = http::plain(cluster.gateway(gateway).health_addr(), &Request::get("/env"))
        .await
        .unwrap();
    answer.json()[name].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn nodes_receive_ports_stores_and_secrets_of_their_role_only() {
    let cluster = Cluster::builder(stand_in())
        .gateways(2)
        .workers(1)
        .worker_env("ONLY", "workers")
        .start()
        .await;
    for (index, other) in [(0, 1), (1, 0)] {
        assert_eq!(
            variable(&cluster, index, "POSTERN_LISTEN").await,
            cluster.gateway(index).addr().to_string()
        );
        assert_ne!(cluster.gateway(index).addr(), cluster.gateway(other).addr());
        assert_eq!(
            variable(&cluster, index, "POSTERN_JWT_HS256_SECRET").await,
            cluster.signer().verifier()
        );
        assert_eq!(
            variable(&cluster, index, "POSTERN_INTERNAL_TOKEN").await,
            cluster.internal_token()
        );
        assert_eq!(
            variable(&cluster, index, "POSTERN_REDIS_PREFIX").await,
            cluster.redis_prefix()
        );
        for foreign in ["POSTERN_DATABASE_URL", "POSTERN_VAULT_KEYS", "ONLY"] {
            assert_eq!(
                variable(&cluster, index, foreign).await,
                "",
                "{foreign} is none of a gateway's business"
            );
        }
    }
    let worker = http::plain(cluster.worker(0).health_addr(), &Request::get("/env"))
        .await
        .unwrap()
        .json();
    assert_eq!(worker["POSTERN_DATABASE_URL"], cluster.schema().url());
    assert_eq!(worker["ONLY"], "workers");
    assert!(worker["POSTERN_VAULT_KEYS"].as_str().unwrap().starts_with("k1:"));
    assert!(cluster.logs().contains("migrated"), "{}", cluster.logs());
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn nodes_can_be_ended_paused_and_added() {
    let mut cluster = Cluster::builder(stand_in()).gateways(1).workers(1).start().await;
    cluster.gateway(0).pause();
    assert!(
        tokio::time::timeout(std::time::Duration::from_millis(200), cluster.gateway(0).is_ready())
            .await
            .is_err()
    );
    cluster.gateway(0).resume();
    assert!(cluster.gateway(0).is_ready().await);
    cluster.gateway(0).terminate();
    assert_eq!(cluster.gateway(0).wait(wait::deadline()).await, 0);
    cluster.worker(0).kill().await;
    assert_eq!(cluster.worker(0).exit_status(), Some(128 + 9));
    let added = cluster
        .start_worker_with(&[("POSTERN_REDIS_PREFIX", "other")])
        .await
        .health_addr();
    let answer = http::plain(added, &Request::get("/env")).await.unwrap();
    assert_eq!(answer.json()["POSTERN_REDIS_PREFIX"], "other");
    assert_eq!(cluster.worker(1).exit_status(), None);
}

#[tokio::test]
async fn servers_and_proxies_of_the_test_replace_the_shared_ones() {
    let (redis, postgres) = (Redis::start().await, Postgres::start().await);
    let (to_redis, to_postgres) = (Proxy::start(redis.addr()).await, Proxy::start(postgres.addr()).await);
    let builder = Cluster::builder(stand_in())
        .redis(&redis)
        .schema(postgres.schema().await);
    let cluster = builder
        .redis_through(&to_redis)
        .database_through(&to_postgres)
        .start()
        .await;
    assert_eq!(
        variable(&cluster, 0, "POSTERN_REDIS_URL").await,
        format!("redis://{}", to_redis.addr())
    );
    let worker = http::plain(cluster.worker(0).health_addr(), &Request::get("/env"))
        .await
        .unwrap()
        .json();
    assert_eq!(
        worker["POSTERN_DATABASE_URL"],
        cluster.schema().url_through(to_postgres.addr())
    );
}

#[tokio::test]
async fn keys_are_searched_at_the_primary_after_a_failover_of_sentinels() {
    let redis = RedisSentinel::start().await;
    let builder = Cluster::builder(stand_in()).gateways(1).workers(0);
    let cluster = builder.redis_sentinel(&redis).start().await;
    assert_eq!(variable(&cluster, 0, "POSTERN_REDIS_URL").await, redis.url());
    let primary = redis.failover().await;
    redis.server(primary).command(&["SET", "pn:key", "value"]).await;
    redis.server(primary).command(&["WAIT", "1", "0"]).await;
    assert_eq!(cluster.finish().await, ["pn:key has no TTL"]);
}

#[tokio::test]
async fn leaked_secrets_and_keys_without_ttl_are_found() {
    let redis = Redis::start().await;
    let builder = Cluster::builder(stand_in()).gateways(1).redis(&redis);
    let cluster = builder.worker_env("FAKE_LEAK", "a-canary-in-the-logs").start().await;
    for canary in ["a-canary-in-the-logs", "a-canary-in-redis----", "a-canary-in-postgres-"] {
        cluster.canary(canary);
    }
    redis.command(&["SET", "pn:key", "a-canary-in-redis----"]).await;
    redis.command(&["SET", "foreign:key", "a-canary-in-redis----"]).await;
    cluster
        .schema()
        .sql("CREATE TABLE kept (what bytea); INSERT INTO kept VALUES ('a-canary-in-postgres-')")
        .await;
    let token = cluster.token("GEN-001");
    redis.command(&["HSET", "pn:hash", "token", &token]).await;

    let leaks = cluster.finish().await;
    assert_eq!(leaks.len(), 6, "{leaks:?}");
    for what in [
        "pn:key has no TTL",
        "pn:hash has no TTL",
        "a-canary-in-the-logs",
        "pn:key: a-canary-in-redis",
        "a-canary-in-postgres-",
        &token,
    ] {
        assert_eq!(
            leaks.iter().filter(|line| line.contains(what)).count(),
            1,
            "{what} in {leaks:?}"
        );
    }
}

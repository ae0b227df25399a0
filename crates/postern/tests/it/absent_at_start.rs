//! Dependencies that are away while a node starts: it waits for them, and not for what waiting cannot mend.

use testkit::cluster::{Cluster, Member};
use testkit::postgres::WORKER_ROLE;
use testkit::{Postgres, Redis, SocketIo, wait};
use tokio::net::{TcpListener, TcpStream};

use crate::command_line::postern;
use crate::dependency::{Dependency, get};
use crate::stage::POSTERN;

const WAITS: &str = "dependency unavailable at the start";
const WAITED: &str = "dependency available";

/// Cluster without nodes, on a Redis of its own.
async fn cluster(redis: &Redis) -> Cluster {
    Cluster::builder(POSTERN)
        .gateways(0)
        .workers(0)
        .redis(redis)
        .start()
        .await
}

/// Waits until a node reports that it waits for a dependency, with an error of this class, and asserts that it is live and not ready.
async fn assert_waits(node: &Member, name: &str, class: &str) {
    let what = format!("the node to wait for {name} because of {class}");
    wait::until_true(&what, wait::deadline(), async || {
        assert_eq!(node.exit_status(), None, "{}", node.logs());
        // Nothing listens in its first moments.
        if TcpStream::connect(node.health_addr()).await.is_err() {
            return false;
        }
        let dependency = Dependency::of(node.health_addr(), name).await;
        dependency.state == "waiting" && dependency.class == class
    })
    .await;
    assert_eq!(Dependency::of(node.health_addr(), name).await.up, "0");
    let ready = get(node.health_addr(), "/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(
        ready.text().contains(&format!("{name} not ready\n")),
        "{}",
        ready.text()
    );
    assert_eq!(get(node.health_addr(), "/livez").await.status, 200);
}

async fn assert_becomes_ready(node: &Member, name: &str) {
    wait::until_true("the node to be ready", wait::deadline(), async || {
        assert_eq!(node.exit_status(), None, "{}", node.logs());
        node.is_ready().await
    })
    .await;
    let dependency = Dependency::of(node.health_addr(), name).await;
    assert_eq!((dependency.state.as_str(), dependency.up.as_str()), ("up", "1"));
    assert_logged_once(node);
}

/// Asserts one line at the begin of the wait and one at its end, and no other line of an outage.
fn assert_logged_once(node: &Member) {
    let logs = node.logs();
    for (line, count) in [(WAITS, 1), (WAITED, 1), ("outage began", 0)] {
        assert_eq!(logs.matches(line).count(), count, "{line}: {logs}");
    }
}

#[tokio::test]
async fn nodes_that_start_without_redis_are_ready_without_a_restart_once_it_comes() {
    let mut redis = Redis::start().await;
    let mut cluster = cluster(&redis).await;
    redis.kill().await;
    cluster.begin_gateway_with(&[]);
    cluster.begin_worker_with(&[]);
    for node in [cluster.gateway(0), cluster.worker(0)] {
        assert_waits(node, "redis", "unreachable").await;
    }
    let parts = get(cluster.gateway(0).health_addr(), "/readyz").await.text();
    for part in [
        "listener not ready\n",
        "certificate ok (at start)\n",
        "keys ok (at start)\n",
    ] {
        assert!(parts.contains(part), "{parts}");
    }
    let client = TcpStream::connect(cluster.gateway(0).addr()).await;
    assert!(client.is_err(), "clients are refused, and do not wait for an accept");

    redis.restart().await;
    for node in [cluster.gateway(0), cluster.worker(0)] {
        assert_becomes_ready(node, "redis").await;
    }
    let token = cluster.token("GEN-001");
    SocketIo::connect(&cluster.endpoint(0), &token).await.unwrap();
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// A dependency that lies: the kernel accepts its connections, and nothing answers.
#[tokio::test]
async fn nodes_that_start_on_a_silent_redis_wait_for_its_first_answer() {
    let mut redis = Redis::start().await;
    let mut cluster = cluster(&redis).await;
    redis.pause();
    cluster.begin_gateway_with(&[]);
    cluster.begin_worker_with(&[]);
    for node in [cluster.gateway(0), cluster.worker(0)] {
        assert_waits(node, "redis", "timeout").await;
    }
    redis.resume();
    for node in [cluster.gateway(0), cluster.worker(0)] {
        assert_becomes_ready(node, "redis").await;
    }
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn worker_that_starts_without_postgres_is_ready_without_a_restart_once_it_comes() {
    let redis = Redis::start().await;
    let mut postgres = Postgres::start().await;
    let mut cluster = Cluster::builder(POSTERN)
        .gateways(0)
        .workers(0)
        .redis(&redis)
        .schema(postgres.schema().await)
        .start()
        .await;
    postgres.stop().await;
    cluster.begin_worker_with(&[]);
    assert_waits(cluster.worker(0), "postgres", "unreachable").await;
    postgres.start_again().await;
    assert_becomes_ready(cluster.worker(0), "postgres").await;
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn worker_that_starts_beside_the_migration_waits_for_its_end() {
    let redis = Redis::start().await;
    let mut cluster = cluster(&redis).await;
    let schema = Postgres::shared().await.schema().await;
    let url = schema.url();
    cluster.begin_worker_with(&[("POSTERN_DATABASE_URL", &url)]);
    assert_waits(cluster.worker(0), "postgres", "schema_behind").await;
    let owner = schema.owner_url();
    let migrated = postern(&["migrate", "--database-url", &owner, "--migrate-grant-to", WORKER_ROLE]).await;
    assert_eq!(migrated.status, 0, "{}", migrated.stderr);
    assert_becomes_ready(cluster.worker(0), "postgres").await;
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn wrong_password_is_waited_for_and_is_in_no_report() {
    let redis = Redis::start().await;
    let mut cluster = cluster(&redis).await;
    let user = ["ACL", "SETUSER", "gate", "on", ">other", "+@all", "~*", "&*"];
    redis.command(&user).await;
    let url = format!("redis://gate:hunter2@{}", redis.addr());
    cluster.begin_gateway_with(&[("POSTERN_REDIS_URL", &url)]);
    let gateway = cluster.gateway(0);
    assert_waits(gateway, "redis", "auth").await;
    let logs = gateway.logs();
    assert!(logs.contains("WRONGPASS"), "{logs}");
    let report = get(gateway.health_addr(), "/healthz/dependencies").await.text();
    assert!(
        !logs.contains("hunter2") && !report.contains("hunter2"),
        "{report} {logs}"
    );
    // The server learns the new password.
    redis.command(&["ACL", "SETUSER", "gate", ">hunter2"]).await;
    assert_becomes_ready(gateway, "redis").await;
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn sigterm_during_the_wait_ends_a_node_with_success() {
    let mut redis = Redis::start().await;
    let mut cluster = cluster(&redis).await;
    redis.pause();
    cluster.begin_gateway_with(&[("POSTERN_DRAIN_DELAY", "20s"), ("POSTERN_DRAIN_WINDOW", "20s")]);
    cluster.begin_worker_with(&[]);
    for node in [cluster.gateway(0), cluster.worker(0)] {
        assert_waits(node, "redis", "timeout").await;
        node.terminate();
        assert_eq!(node.wait(wait::deadline()).await, 0);
        let logs = node.logs();
        assert!(logs.contains("node stopped before it was ready"), "{logs}");
    }
    redis.resume();
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// Faults that waiting cannot mend end the start, also while a dependency is away.
#[tokio::test]
async fn start_fails_with_a_sentence_on_faults_that_waiting_cannot_mend() {
    let mut redis = Redis::start().await;
    let mut cluster = cluster(&redis).await;
    redis
        .command(&[
            "ACL", "SETUSER", "gate", "on", ">right", "+@all", "-eval", "-evalsha", "~*", "&*",
        ])
        .await;
    let forbidden = format!("redis://gate:right@{}", redis.addr());
    cluster.begin_gateway_with(&[("POSTERN_REDIS_URL", &forbidden)]);
    assert_fails(cluster.gateway(0), "NOPERM").await;

    redis.pause();
    cluster.begin_gateway_with(&[("POSTERN_TLS_CERT", "/nonexistent/tls.pem")]);
    assert_fails(cluster.gateway(1), "/nonexistent/tls.pem").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    for (index, variable) in [(2, "POSTERN_LISTEN"), (3, "POSTERN_HEALTH_LISTEN")] {
        cluster.begin_gateway_with(&[(variable, &taken)]);
        assert_fails(cluster.gateway(index), "Address already in use").await;
    }
    redis.resume();
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

async fn assert_fails(node: &Member, sentence: &str) {
    assert_eq!(node.wait(wait::deadline()).await, 1, "{}", node.logs());
    assert!(node.logs().contains(sentence), "{}", node.logs());
}

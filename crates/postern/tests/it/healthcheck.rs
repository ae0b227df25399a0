//! `postern healthcheck`, which containers run in place of an HTTP client.

use std::net::SocketAddr;

use testkit::wait;
use tokio::net::TcpListener;

use crate::command_line::{postern, postern_with};
use crate::stage::{POSTERN, Platforms};

#[tokio::test]
async fn healthcheck_succeeds_at_ready_nodes_and_fails_with_the_reason_at_a_draining_one() {
    let platforms = Platforms::start().await;
    let cluster = platforms
        .linked_to(testkit::cluster::Cluster::builder(POSTERN))
        .gateway_env("POSTERN_DRAIN_DELAY", "60s")
        .start()
        .await;
    let gateway = cluster.gateway(0);
    for address in [gateway.health_addr(), cluster.worker(0).health_addr()] {
        let flag = postern(&["healthcheck", "--health-listen", &address.to_string()]).await;
        assert_eq!((flag.status, flag.stdout.lines().count()), (0, 1), "{}", flag.stderr);
        let unspecified = SocketAddr::new([0, 0, 0, 0].into(), address.port());
        let variable = [("POSTERN_HEALTH_LISTEN", unspecified.to_string())];
        let variable = postern_with(&["healthcheck"], &variable).await;
        assert_eq!(variable.status, 0, "{}", variable.stderr);
    }

    gateway.terminate();
    wait::until_true("the gateway to be unready", wait::deadline(), async || {
        !gateway.is_ready().await
    })
    .await;
    let draining = postern(&["healthcheck", "--health-listen", &gateway.health_addr().to_string()]).await;
    assert_eq!((draining.status, draining.stdout.as_str()), (1, ""));
    assert_eq!(draining.stderr.lines().count(), 1, "{}", draining.stderr);
    assert!(draining.stderr.contains("not ready: 503"), "{}", draining.stderr);
    assert!(draining.stderr.contains("draining"), "{}", draining.stderr);
}

#[tokio::test]
async fn healthcheck_fails_where_nothing_listens_and_where_nothing_answers_within_its_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let silent = postern(&["healthcheck", "--health-listen", &address, "--timeout", "200ms"]).await;
    assert_eq!(silent.status, 1);
    assert!(silent.stderr.contains("deadline has elapsed"), "{}", silent.stderr);
    assert_eq!(silent.stderr.lines().count(), 1, "{}", silent.stderr);

    drop(listener);
    let absent = postern(&["healthcheck", "--health-listen", &address]).await;
    assert_eq!(absent.status, 1);
    let expected = format!("postern: ask http://{address}/readyz: Connection refused");
    assert!(absent.stderr.starts_with(&expected), "{}", absent.stderr);
}

//! Alerts that many callers publish at once, and the death of the worker that commits them.

use futures_util::future::join_all;
use serde_json::json;
use testkit::client::http::{Request, plain};
use testkit::cluster::Cluster;
use testkit::wait;

use crate::stage::{Platforms, client, cluster};

fn alert(cluster: &Cluster, user: &str, message: &str) -> Request {
    let alert = json!({"event": "security:alert", "data": {"severity": "high", "type": "suspicious_login",
        "message": message, "requiresAction": true}});
    Request::post(&format!("/v1/users/{user}/events"), &alert).bearer(cluster.internal_token())
}

#[tokio::test]
async fn an_alert_whose_worker_dies_between_commit_and_publication_arrives_once() {
    let platforms = Platforms::start().await;
    let mut cluster = cluster(&platforms).await;
    let caller = client(&cluster, 0, "GEN-001").await;
    // The worker has sent COMMIT and waits for it, as if the disk were slow; the server commits without the worker.
    let releasable = "CREATE TABLE released (row int); GRANT SELECT ON released TO PUBLIC";
    cluster.schema().sql(releasable).await;
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN \
                FOR i IN 1..600 LOOP EXIT WHEN EXISTS (SELECT FROM released); PERFORM pg_sleep(0.01); END LOOP; RETURN NULL; END$$; \
                CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON outbox DEFERRABLE INITIALLY DEFERRED \
                FOR EACH ROW EXECUTE FUNCTION slow()";
    cluster.schema().sql(slow).await;
    let request = alert(&cluster, "GEN-001", "the alert");
    let addr = cluster.gateway(0).internal_addr();
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database() \
                 AND query = 'COMMIT'";
    let death = async {
        wait::until_true("the commit", wait::deadline(), async || {
            cluster.schema().sql(waits).await != ["0"]
        })
        .await;
        cluster.worker(0).kill().await;
        cluster.schema().sql("INSERT INTO released VALUES (1)").await;
        cluster.start_worker().await;
    };
    let (published, ()) = tokio::join!(plain(addr, &request), death);
    assert_eq!(published.unwrap().status, 202);
    assert_eq!(caller.next_event("security:alert").await.data["message"], "the alert");

    // Numbered after whatever the first would have published again.
    let behind = plain(addr, &alert(&cluster, "GEN-001", "behind")).await.unwrap();
    assert_eq!(behind.status, 202, "{behind:?}");
    assert_eq!(caller.next_event("security:alert").await.data["message"], "behind");
    let rows = "SELECT count(*) FROM audit WHERE action = 'alert_raised'";
    assert_eq!(cluster.schema().sql(rows).await, ["2"]);
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn alerts_published_at_once_arrive_once_each_at_their_users() {
    let platforms = Platforms::start().await;
    let cluster = cluster(&platforms).await;
    let users: Vec<_> = (0..10).map(|user| format!("GEN-{user:03}")).collect();
    let mut clients = Vec::new();
    for (number, user) in users.iter().enumerate() {
        clients.push(client(&cluster, number % 2, user).await);
    }
    let mut requests = Vec::new();
    for number in 0..20 {
        requests.extend(
            users
                .iter()
                .map(|user| alert(&cluster, user, &format!("{user} {number}"))),
        );
    }
    let gateways = [0, 1].map(|gateway| cluster.gateway(gateway).internal_addr());
    let publish = |(number, request): (usize, _)| plain(gateways[number % 2], request);
    for published in join_all(requests.iter().enumerate().map(publish)).await {
        let published = published.unwrap();
        assert_eq!(published.status, 202, "{published:?}");
    }
    for (user, client) in users.iter().zip(&clients) {
        let mut received = Vec::new();
        for _ in 0..20 {
            let event = client.next_event("security:alert").await;
            received.push(event.data["message"].as_str().unwrap().to_owned());
        }
        let last = alert(&cluster, user, &format!("{user} last"));
        let published = plain(gateways[0], &last).await.unwrap();
        assert_eq!(published.status, 202, "{published:?}");
        let last = client.next_event("security:alert").await;
        assert_eq!(last.data["message"], format!("{user} last"));
        received.sort_unstable();
        let mut expected: Vec<_> = (0..20).map(|number| format!("{user} {number}")).collect();
        expected.sort_unstable();
        assert_eq!(received, expected);
    }
    let chains = "SELECT count(*) FROM (SELECT FROM audit GROUP BY user_id HAVING count(*) = max(seq)) AS whole";
    assert_eq!(cluster.schema().sql(chains).await, ["10"]);
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

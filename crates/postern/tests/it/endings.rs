//! Ends of sessions against a thief who has a token: uncopied deadlines, an unreachable Redis, clocks that are ahead.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::chaos::Proxy;
use testkit::client::SocketIo;
use testkit::client::http::{Request, plain};
use testkit::cluster::Cluster;
use testkit::token::claims;
use testkit::{Redis, wait};

use crate::stage::POSTERN;

/// Workers copy deadlines each minute; no worker ran for longer than two minutes.
#[tokio::test]
async fn sessions_that_no_worker_has_watched_are_listed_and_ended() {
    let cluster = Cluster::builder(POSTERN).start().await;
    let owner = connect(&cluster, 0, &token(&cluster, Some("mine"), 0)).await;
    let mut thieves = Vec::new();
    for name in ["a", "b", "c"] {
        let stolen = token(&cluster, Some(name), 0);
        thieves.push((connect(&cluster, 1, &stolen).await, stolen));
    }
    unwatch(&cluster).await;
    let listed = owner.emit_with_ack("security:sessions", json!({})).await;
    assert_eq!(listed["sessions"].as_array().map(Vec::len), Some(4), "{listed}");
    assert_eq!(end(&owner, "a").await, json!({"success": true, "sessionsEnded": 1}));
    assert_eq!(
        end(&owner, "others").await,
        json!({"success": true, "sessionsEnded": 2})
    );
    for (thief, stolen) in &thieves {
        assert_eq!(thief.closed().await.code, 4403);
        assert_refused(&cluster, stolen).await;
    }
    unwatch(&cluster).await;
    let all = Request::new("DELETE", "/v1/users/GEN-001/sessions").bearer(cluster.internal_token());
    let ended = plain(cluster.gateway(0).internal_addr(), &all).await.unwrap();
    assert_eq!((ended.status, ended.json()), (200, json!({"sessionsEnded": 1})));
    assert_eq!(owner.closed().await.code, 4403);
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// The worker's connection to Redis breaks right after the end is committed, for longer than its job's deadline.
#[tokio::test]
async fn committed_end_of_a_session_is_effective_while_redis_is_unreachable() {
    let redis = Redis::start().await;
    let link = Proxy::start(redis.addr()).await;
    let cluster = Cluster::builder(POSTERN)
        .redis(&redis)
        .worker_env("POSTERN_REDIS_URL", format!("redis://{}", link.addr()))
        .start()
        .await;
    let owner = connect(&cluster, 0, &token(&cluster, Some("mine"), 0)).await;
    let stolen = token(&cluster, Some("theirs"), 0);
    drop(connect(&cluster, 1, &stolen).await);
    // The commit takes a second, so that the test can act during it.
    let slow_commit = "CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS \
                       $$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$; \
                       CREATE CONSTRAINT TRIGGER linger AFTER UPDATE ON sessions DEFERRABLE INITIALLY DEFERRED \
                       FOR EACH ROW WHEN (NEW.ended_at IS NOT NULL) EXECUTE FUNCTION linger()";
    cluster.schema().sql(slow_commit).await;
    owner
        .emit("security:end_sessions", json!({"sessionId": "others"}))
        .await;
    wait::until_true("the commit to be under way", wait::deadline(), async || {
        let committing = "SELECT count(*) FROM pg_stat_activity WHERE query = 'COMMIT' AND wait_event = 'PgSleep'";
        cluster.schema().sql(committing).await != ["0"]
    })
    .await;
    link.freeze();
    wait::until_true("the end to be committed", wait::deadline(), async || {
        let ended = "SELECT count(*) FROM sessions WHERE session_id = 'theirs' AND ended_at IS NOT NULL";
        cluster.schema().sql(ended).await == ["1"]
    })
    .await;
    // Each of them waits 5 s for a worker.
    for _ in 0..3 {
        let admitted = SocketIo::connect(&cluster.endpoint(1), &stolen).await;
        assert!(admitted.is_err(), "the thief is admitted with the token that it had");
    }
    link.thaw();
    let received = async || match SocketIo::connect(&cluster.endpoint(1), &stolen).await {
        Err(refused) => refused.to_string().contains("forbidden"),
        Ok(_) => panic!("the thief is admitted once Redis is back"),
    };
    wait::until_true("the end to reach Redis", wait::deadline(), received).await;
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// Both tokens belong to the session that tokens without `sid` share; the issuer's clock is ahead, within the leeway.
#[tokio::test]
async fn a_token_from_a_clock_that_is_ahead_does_not_open_an_ended_session_again() {
    let cluster = Cluster::builder(POSTERN).start().await;
    for refreshed in [false, true] {
        let (first, ahead) = if refreshed { (46, 50) } else { (0, 45) };
        let owner = connect(&cluster, 0, &token(&cluster, None, first)).await;
        let ahead = token(&cluster, None, ahead);
        if refreshed {
            let answer = owner.emit_with_ack("auth:refresh", json!({"token": ahead})).await;
            assert_eq!(answer["success"], json!(true), "{answer}");
        } else {
            drop(connect(&cluster, 1, &ahead).await);
        }
        owner
            .emit("security:end_sessions", json!({"sessionId": "default"}))
            .await;
        assert_eq!(owner.closed().await.code, 4403);
        assert_refused(&cluster, &ahead).await;
    }
    let newer = connect(&cluster, 1, &token(&cluster, None, 55)).await;
    assert!(newer.is_open(), "its token was issued after the end");
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// Makes the last copy of deadlines an hour old.
async fn unwatch(cluster: &Cluster) {
    cluster
        .schema()
        .sql("UPDATE sessions SET exp_at = now() - interval '1 hour'")
        .await;
}

async fn end(owner: &SocketIo, which: &str) -> Value {
    owner
        .emit_with_ack("security:end_sessions", json!({"sessionId": which}))
        .await
}

async fn connect(cluster: &Cluster, gateway: usize, token: &str) -> SocketIo {
    SocketIo::connect(&cluster.endpoint(gateway), token).await.unwrap()
}

async fn assert_refused(cluster: &Cluster, token: &str) {
    let refused = SocketIo::connect(&cluster.endpoint(1), token).await.unwrap_err();
    assert!(refused.to_string().contains("forbidden"), "{refused}");
}

/// A token of GEN-001 that is, or will be, issued so many seconds from now.
fn token(cluster: &Cluster, session: Option<&str>, issued_in: u64) -> String {
    let mut claims: Value = claims("GEN-001", Duration::from_secs(3600));
    if let Some(session) = session {
        claims["sid"] = json!(session);
    }
    claims["iat"] = json!(claims["iat"].as_u64().unwrap() + issued_in);
    cluster.token_with(&claims)
}

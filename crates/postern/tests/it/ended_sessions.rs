//! An ended session can neither join nor run a command, however late its gateway learns of the end.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::client::http::{Request, plain};
use testkit::client::{Native, Refused, SocketIo};
use testkit::cluster::Cluster;
use testkit::token::claims;
use testkit::{Proxy, Redis, wait};

use crate::stage::POSTERN;

/// The thief's gateway subscribes to the user's channel so late that it misses the end.
#[tokio::test]
async fn socket_that_joins_while_its_session_is_ended_receives_no_event_and_runs_no_command() {
    let redis = Redis::start().await;
    let slow = Proxy::start(redis.addr()).await;
    let mut cluster = Cluster::builder(POSTERN).redis(&redis).gateways(1).start().await;
    let url = format!("redis://{}", slow.addr());
    cluster.start_gateway_with(&[("POSTERN_REDIS_URL", &url)]).await;
    let owner = SocketIo::connect(&cluster.endpoint(0), &token(&cluster, "owner"))
        .await
        .unwrap();
    let (endpoint, stolen) = (cluster.endpoint(1), token(&cluster, "thief"));
    // The session is open: a gateway subscribes before it opens one.
    drop(Native::connect(&cluster.endpoint(0), &stolen).await.unwrap());
    slow.delay_requests("SSUBSCRIBE", Duration::from_millis(1_500));

    let (late, ()) = tokio::join!(Native::connect(&endpoint, &stolen), async {
        let ended = async || {
            let end = json!({"sessionId": "thief"});
            let answer = owner.emit_with_ack("security:end_sessions", end).await;
            assert_eq!(answer["success"], json!(true), "{answer}");
            answer["sessionsEnded"] == json!(1)
        };
        wait::until_true("the thief's session to be ended", wait::deadline(), ended).await;
        alert(&cluster).await;
    });
    if let Ok(thief) = &late {
        // The socket is live, which it must not be: the message shows its abilities.
        alert(&cluster).await;
        let update = json!({"userId": "GEN-001", "settings": {"sessionTimeout": 7}});
        let answer = thief.request("security:update_settings", update).await;
        panic!("the thief received {:?}, and {:?}", thief.unread(), answer.data);
    }
    let Err(Refused::Answered { data, closed }) = late else {
        panic!("{late:?}");
    };
    assert_eq!((&data["error"], closed.unwrap().code), (&json!("forbidden"), 4403));
    let settings = owner.emit_with_ack("security:get_settings", json!({})).await;
    assert_eq!(settings["settings"]["sessionTimeout"], json!(30));
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// Publishes an alert for the owner.
async fn alert(cluster: &Cluster) {
    let alert = json!({
        "event": "security:alert",
        "data": {"severity": "high", "type": "suspicious_login", "message": "for the owner", "requiresAction": true},
    });
    let request = Request::post("/v1/users/GEN-001/events", &alert).bearer(cluster.internal_token());
    let answer = plain(cluster.gateway(0).internal_addr(), &request).await.unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text());
}

fn token(cluster: &Cluster, session: &str) -> String {
    let mut claims: Value = claims("GEN-001", Duration::from_secs(3600));
    claims["sid"] = json!(session);
    cluster.token_with(&claims)
}

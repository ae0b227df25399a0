//! Sockets and sessions of a user over all gateways: capped, listed while open, ended together.

use futures_util::future::join_all;
use serde_json::{Value, json};
use testkit::client::SocketIo;
use testkit::client::http::{Request, Response, plain};
use testkit::cluster::Cluster;
use testkit::{token, wait};

use crate::stage::POSTERN;

const USER: &str = "GEN-001";

async fn client(cluster: &Cluster, gateway: usize, session: &str) -> SocketIo {
    let now = token::now();
    let token = cluster.token_with(&json!({"sub": USER, "sid": session, "iat": now, "exp": now + 3_600}));
    let auth = json!({"token": token, "deviceId": format!("device of {session}"), "deviceName": "Phone"});
    SocketIo::to(&cluster.endpoint(gateway))
        .auth(auth)
        .connect()
        .await
        .unwrap()
}

async fn ask(cluster: &Cluster, gateway: usize, method: &str, path: &str) -> Response {
    let request = Request::new(method, path).bearer(cluster.internal_token());
    plain(cluster.gateway(gateway).internal_addr(), &request).await.unwrap()
}

/// Sockets of the user, from a gateway that need not have any of them.
async fn connections(cluster: &Cluster, gateway: usize) -> Vec<Value> {
    let response = ask(cluster, gateway, "GET", "/v1/users/GEN-001/connections").await;
    assert_eq!(response.status, 200, "{response:?}");
    response.json()["connections"].as_array().unwrap().clone()
}

#[tokio::test]
async fn socket_above_the_cap_closes_the_oldest_of_the_largest_session_on_any_gateway() {
    let cluster = Cluster::builder(POSTERN)
        .gateway_env("POSTERN_MAX_SOCKETS_PER_USER", "4")
        .start()
        .await;
    let mut large = Vec::new();
    for gateway in [0, 1, 0] {
        large.push(client(&cluster, gateway, "large").await);
    }
    let small = client(&cluster, 1, "small").await;
    assert_eq!(connections(&cluster, 0).await.len(), 4);
    let new_socket = client(&cluster, 1, "small").await;
    assert_eq!(large[0].closed().await.code, 4429);
    assert!(large[0].received_disconnect(), "it does not come back by itself");
    assert_eq!(large[0].unread(), []);
    for socket in [&large[1], &large[2], &small, &new_socket] {
        assert_eq!(socket.emit_with_ack("account:list", json!({})).await["success"], true);
    }
    let listed = connections(&cluster, 1).await;
    let sessions: Vec<_> = listed.iter().map(|socket| &socket["sessionId"]).collect();
    assert_eq!(sessions, ["large", "large", "small", "small"]);
    assert_eq!(listed[0]["deviceId"], "device of large");
    assert_eq!(listed[0]["address"], "127.0.0.1");
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn concurrent_connects_leave_exactly_the_cap_of_sockets() {
    let cluster = Cluster::builder(POSTERN)
        .gateway_env("POSTERN_MAX_SOCKETS_PER_USER", "4")
        .start()
        .await;
    let sockets = join_all((0..16).map(|number| client(&cluster, number % 2, "s"))).await;
    let open = || sockets.iter().filter(|socket| socket.is_open()).count();
    wait::until_true("those that have to go", wait::deadline(), async || open() <= 4).await;
    assert_eq!(connections(&cluster, 0).await.len(), 4);
    for socket in sockets.iter().filter(|socket| socket.is_open()) {
        assert_eq!(socket.emit_with_ack("account:list", json!({})).await["success"], true);
    }
    assert_eq!(open(), 4);
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn sockets_are_listed_while_they_are_there_and_not_after_their_gateway_was_killed() {
    let cluster = Cluster::builder(POSTERN).start().await;
    let (here, there) = (client(&cluster, 0, "a").await, client(&cluster, 1, "b").await);
    let leaves = client(&cluster, 0, "a").await;
    assert_eq!(connections(&cluster, 1).await.len(), 3);
    let answer = here.emit_with_ack("security:sessions", json!({})).await;
    assert_eq!(answer["success"], true, "{answer}");
    let of = |answer: &Value| -> Vec<(String, bool, u64)> {
        let sessions = answer["sessions"].as_array().unwrap().iter();
        let session = |session: &Value| {
            let id = session["sessionId"].as_str().unwrap().to_owned();
            (id, session["current"] == true, session["sockets"].as_u64().unwrap())
        };
        sessions.map(session).collect()
    };
    assert_eq!(of(&answer), [("a".to_owned(), true, 2), ("b".to_owned(), false, 1)]);
    assert_eq!(answer["sessions"][0]["deviceName"], "Phone");
    leaves.disconnect().await;
    cluster.gateway(1).kill().await;
    there.closed().await;
    // A failed gateway counts until its lease expires.
    wait::until_true("one socket", wait::deadline(), async || {
        connections(&cluster, 0).await.len() == 1
    })
    .await;
    let answer = here.emit_with_ack("security:sessions", json!({})).await;
    assert_eq!(of(&answer), [("a".to_owned(), true, 1), ("b".to_owned(), false, 0)]);
}

#[tokio::test]
async fn the_application_s_server_ends_all_sessions_of_a_user() {
    let cluster = Cluster::builder(POSTERN).start().await;
    let sockets = [
        client(&cluster, 0, "a").await,
        client(&cluster, 1, "a").await,
        client(&cluster, 1, "b").await,
    ];
    let unproven = Request::new("DELETE", "/v1/users/GEN-001/sessions").bearer("not-the-token");
    let refused = plain(cluster.gateway(0).internal_addr(), &unproven).await.unwrap();
    assert_eq!(refused.status, 401);
    let ended = ask(&cluster, 0, "DELETE", "/v1/users/GEN-001/sessions").await;
    assert_eq!((ended.status, ended.json()), (200, json!({"sessionsEnded": 2})));
    for socket in &sockets {
        let expired = socket.next_event("security:session_expired").await;
        assert_eq!(expired.data["reason"], "ended");
        assert_eq!(socket.closed().await.code, 4403);
    }
    let again = ask(&cluster, 1, "DELETE", "/v1/users/GEN-001/sessions").await;
    assert_eq!((again.status, again.json()), (200, json!({"sessionsEnded": 0})));
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

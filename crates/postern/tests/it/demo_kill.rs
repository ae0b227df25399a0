//! Kill of a gateway of `postern dev` by the demo: as abrupt as SIGKILL for its clients, which lose nothing, and another gateway follows.

use serde_json::{Value, json};
use testkit::client::http::Request;
use testkit::client::{Event, Native, SocketIo};
use testkit::{Redis, wait};

use crate::command_line::Dev;
use crate::demo_api::Page;

#[tokio::test]
async fn clients_of_a_killed_gateway_resume_on_the_other_and_its_ports_are_served_again() {
    Box::pin(killed_gateway_is_replaced(&[])).await;
}

#[tokio::test]
async fn clients_of_a_killed_gateway_resume_on_the_other_by_redis() {
    let redis = Redis::shared().await;
    let (url, prefix) = (redis.url(), redis.prefix());
    Box::pin(killed_gateway_is_replaced(&[
        "--redis-url",
        &url,
        "--redis-prefix",
        &prefix,
    ]))
    .await;
}

async fn killed_gateway_is_replaced(args: &[&str]) {
    let dev = Dev::start(args).await;
    let page = Page::open(&dev);
    let token = page.token(0, "GEN-001", "tab").await;
    let native = Native::connect(&dev.endpoint_at(0), &token).await.unwrap();
    let socketio = SocketIo::connect(&dev.endpoint_at(0), &token).await.unwrap();
    // Its client never comes back.
    let _left = Native::connect(&dev.endpoint_at(0), &token).await.unwrap();
    publish(&page, "before").await;
    let seen = [received(&native, "before").await, received(&socketio, "before").await];
    let nodes = nodes(&dev).await;
    assert_eq!(nodes.len(), 3);

    // By the other gateway: the killed one may end before its response. A second request finds it away.
    let kill = json!({"gateway": 0});
    let (first, second) = tokio::join!(page.post(1, "kill", &kill), page.post(1, "kill", &kill));
    let (killed, refused) = if first.status == 202 {
        (first, second)
    } else {
        (second, first)
    };
    assert_eq!(
        (killed.status, killed.json()),
        (202, json!({"gateway": 0, "restartsIn": 5}))
    );
    assert_eq!(
        (refused.status, refused.json()["error"].clone()),
        (409, json!("conflict"))
    );
    for socket in [&*native, &*socketio] {
        assert_eq!(socket.closed().await.code, 1006, "a Close frame was received");
    }
    assert!(!socketio.received_disconnect());
    publish(&page, "meanwhile").await;

    let resume = json!({"resumeToken": native.ready()["resumeToken"], "offset": seen[0].offset});
    let auth = json!({"token": token, "resume": resume});
    let resumed = Native::to(&dev.endpoint_at(1)).auth(auth).connect().await.unwrap();
    assert_eq!(resumed.ready()["recovered"], true);
    received(&resumed, "meanwhile").await;
    let pid = socketio.connect_answer()["pid"].clone();
    let auth = json!({"token": token, "pid": pid, "offset": seen[1].offset});
    let recovered = SocketIo::to(&dev.endpoint_at(1)).auth(auth).connect().await.unwrap();
    assert_eq!(recovered.connect_answer()["pid"], pid);
    received(&recovered, "meanwhile").await;

    wait::until_true("both gateways to run", wait::deadline(), async || {
        let gateways = page.cluster(1).await["gateways"].clone();
        gateways
            .as_array()
            .unwrap()
            .iter()
            .all(|gateway| gateway["isRunning"] == true)
    })
    .await;
    let again = Native::connect(&dev.endpoint_at(0), &token).await.unwrap();
    publish(&page, "afterwards").await;
    received(&again, "afterwards").await;
    received(&resumed, "afterwards").await;
    // The entries of the killed gateway end with its lease, and the next one is another node.
    wait::until_true("the killed gateway's sockets to leave", wait::deadline(), async || {
        let now = self::nodes(&dev).await;
        now.len() == 3 && now.iter().all(|node| *node != nodes[0])
    })
    .await;
    assert_eq!(
        page.post(0, "kill", &json!({"gateway": 1})).await.status,
        202,
        "the next kill is admitted"
    );
    assert_eq!(resumed.closed().await.code, 1006);
    dev.stop().await;
}

/// Publishes an alert with this text, by the demo's API of the second gateway.
async fn publish(page: &Page<'_>, message: &str) {
    let alert = json!({"userId": "GEN-001", "message": message});
    let accepted = page.post(1, "alert", &alert).await;
    assert_eq!(accepted.status, 202, "{}", accepted.text());
}

/// Waits for the alert with this text.
async fn received(socket: &testkit::client::socket::Socket, message: &str) -> Event {
    loop {
        let alert = socket.next_event("security:alert").await;
        if alert.data["message"] == message {
            return alert;
        }
    }
}

/// Gateways of the user's sockets, one for each socket.
async fn nodes(dev: &Dev) -> Vec<Value> {
    let response = dev.internal(1, Request::get("/v1/users/GEN-001/connections")).await;
    let connections = response.json()["connections"].as_array().unwrap().clone();
    connections
        .iter()
        .map(|connection| connection["node"].clone())
        .collect()
}

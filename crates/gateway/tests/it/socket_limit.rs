//! Maximum number of sockets of a gateway.

use std::num::NonZeroUsize;

use gateway::Origins;
use serde_json::json;
use testkit::client::Refused;
use testkit::client::http::Request;
use testkit::{Native, SocketIo, wait};

use crate::test_gateway::TestGateway;

const SATURATION: &str = "postern_gateway_socket_saturation_ratio";
const PAGE: &str = "https://app.example.com";

async fn limited(sockets: usize) -> TestGateway {
    TestGateway::with(|settings| {
        settings.max_sockets = NonZeroUsize::new(sockets);
        settings.origins = Origins::parse(PAGE).unwrap();
    })
    .await
}

async fn is_ready(gateway: &TestGateway, expected: bool) {
    let what = format!(
        "readiness to be {expected}, without {:?}",
        gateway.readiness.waiting_for()
    );
    wait::until_true(&what, wait::deadline(), async || {
        gateway.readiness.is_ready() == expected
    })
    .await;
}

#[tokio::test]
async fn upgrade_at_the_limit_gets_503_with_retry_after_until_a_socket_ends() {
    let gateway = limited(2).await;
    assert!(gateway.metric(SATURATION) < 0.1);
    let first = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let _second = SocketIo::connect(&gateway.endpoint, &gateway.token("v")).await.unwrap();
    assert!(gateway.metric(SATURATION) > 0.9);
    assert_eq!(gateway.readiness.waiting_for(), ["sockets"]);

    for path in ["/socket.io/?EIO=4&transport=websocket", "/ws"] {
        let request = Request::upgrade(path)
            .header("Origin", PAGE)
            .header("Sec-WebSocket-Protocol", "postern.v1.json");
        let response = gateway.endpoint.http(&request).await.unwrap();
        assert_eq!((response.status, response.header("retry-after")), (503, "5"), "{path}");
        assert_eq!(response.header("access-control-allow-origin"), PAGE);
        assert_eq!(response.header("content-type"), "application/json");
        assert_eq!(response.json()["error"], json!("unavailable"));
    }
    gateway
        .metric_is("postern_gateway_refusals_total{reason=\"max_sockets\"}", 2.0)
        .await;
    let page = gateway.endpoint.http(&Request::get("/nowhere")).await.unwrap();
    assert_eq!(page.status, 404, "HTTP routes need no socket");

    first.close().await;
    is_ready(&gateway, true).await;
    Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
}

#[tokio::test]
async fn unauthenticated_and_refused_upgrades_release_their_sockets() {
    let gateway = limited(2).await;
    let silent = Native::to(&gateway.endpoint).open().await.unwrap();
    let mut reset = gateway.endpoint.open().await.unwrap();
    let request = Request::upgrade("/ws").header("Sec-WebSocket-Protocol", "postern.v1.json");
    reset.upgrade(&request).await.unwrap();
    is_ready(&gateway, false).await;
    let refused = Native::connect(&gateway.endpoint, &gateway.token("u")).await;
    assert_eq!(refused.err().as_ref().and_then(Refused::status), Some(503));

    reset.reset();
    silent.close().await;
    is_ready(&gateway, true).await;
    // An upgrade that is refused for another reason takes none.
    for _ in 0..3 {
        let foreign = Request::upgrade("/ws").header("Origin", "https://evil.example");
        assert_eq!(gateway.endpoint.http(&foreign).await.unwrap().status, 403);
    }
    assert!(gateway.readiness.is_ready());
    assert!(gateway.metric(SATURATION) < 0.1);
}

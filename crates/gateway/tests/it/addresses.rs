//! IPv4 clients of a listener on `[::]` arrive under IPv4-mapped addresses (RFC 4291, section 2.5.5.2) and are shown as IPv4.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::body::{Body, to_bytes};
use http::Request;
use serde_json::{Value, json};
use testkit::Native;
use tower::ServiceExt;

use crate::test_gateway::{TestGateway, internal_api};

/// Address of a user's only socket, as the internal API lists it.
pub(crate) async fn listed_address(gateway: &TestGateway, user: &str) -> Value {
    let request =
        Request::get(format!("/v1/users/{user}/connections")).header("Authorization", "Bearer internal-token");
    let answer = gateway
        .internal
        .clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await;
    let body = to_bytes(answer.unwrap().into_body(), usize::MAX).await.unwrap();
    let mut listed: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(listed["connections"].as_array().map(Vec::len), Some(1), "{listed}");
    listed["connections"][0]["address"].take()
}

#[tokio::test]
async fn ipv4_client_of_ipv6_listener_is_listed_with_ipv4_address() {
    let gateway = TestGateway::with(|settings| {
        settings.listen = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        settings.internal_api = Some(internal_api("internal-token"));
    })
    .await;
    let endpoint = gateway
        .endpoint
        .at((Ipv4Addr::LOCALHOST, gateway.endpoint.addr().port()).into());
    let _socket = Native::connect(&endpoint, &gateway.token("u")).await.unwrap();
    assert_eq!(listed_address(&gateway, "u").await, json!("127.0.0.1"));
}

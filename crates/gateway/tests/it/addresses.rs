//! A listener on `[::]` gets IPv4 clients under mapped addresses (RFC 4291, section 2.5.5.2); they are shown as what they are.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::body::{Body, to_bytes};
use http::Request;
use protocol::secret::Secret;
use serde_json::{Value, json};
use testkit::Native;
use tower::ServiceExt;

use crate::house::House;

#[tokio::test]
async fn an_ipv4_client_of_an_ipv6_listener_is_listed_with_its_ipv4_address() {
    let house = House::with(|settings| {
        settings.listen = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        settings.internal_token = Some(Secret::new("internal-token"));
    })
    .await;
    let endpoint = house
        .endpoint
        .at((Ipv4Addr::LOCALHOST, house.endpoint.addr().port()).into());
    let _socket = Native::connect(&endpoint, &house.token("u")).await.unwrap();

    let request = Request::get("/v1/users/u/connections").header("Authorization", "Bearer internal-token");
    let answer = house
        .internal
        .clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await;
    let body = to_bytes(answer.unwrap().into_body(), usize::MAX).await.unwrap();
    let listed: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(listed["connections"][0]["address"], json!("127.0.0.1"), "{listed}");
}

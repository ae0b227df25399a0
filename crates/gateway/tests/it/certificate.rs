//! Reload of the server certificate without a restart.

use std::time::Duration;

use testkit::tls::Authority;
use testkit::{Endpoint, Native, wait};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::test_gateway::TestGateway;

/// Returns the certificate served to a new connection.
async fn served(gateway: &TestGateway) -> Vec<u8> {
    let tcp = TcpStream::connect(gateway.endpoint.addr()).await.unwrap();
    let name = rustls::pki_types::ServerName::from(gateway.endpoint.addr().ip());
    let stream = TlsConnector::from(gateway.authority.client())
        .connect(name, tcp)
        .await
        .unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn renewed_certificate_is_served_and_open_sockets_stay() {
    let gateway = TestGateway::with(|settings| settings.timing.certificate = Duration::from_millis(50)).await;
    let client = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let old = served(&gateway).await;
    gateway.renew_certificate();
    wait::until_true("the new certificate", wait::deadline(), async || {
        served(&gateway).await != old
    })
    .await;
    assert!(client.is_open());
}

#[tokio::test]
async fn unusable_certificate_keeps_the_current_one_and_is_counted_once() {
    let gateway = TestGateway::with(|settings| settings.timing.certificate = Duration::from_millis(50)).await;
    let old = served(&gateway).await;
    let (certificate, key) = gateway.files();
    let good = (std::fs::read(&certificate).unwrap(), std::fs::read(&key).unwrap());

    let failures = r#"postern_gateway_certificate_failures_total{listener="public"}"#;
    std::fs::write(&key, Authority::new().issue().key).unwrap();
    gateway.metric_is(failures, 1.0).await;
    std::fs::write(&key, "no key").unwrap();
    gateway.metric_is(failures, 2.0).await;
    std::fs::remove_file(&key).unwrap();
    gateway.metric_is(failures, 3.0).await;
    assert_eq!(served(&gateway).await, old);

    std::fs::write(&certificate, &good.0).unwrap();
    std::fs::write(&key, &good.1).unwrap();
    gateway.renew_certificate();
    wait::until_true("the new certificate", wait::deadline(), async || {
        served(&gateway).await != old
    })
    .await;
}

#[tokio::test]
async fn expired_certificate_shows_in_metric_and_renewal_needs_no_restart() {
    const EXPIRES: &str = r#"postern_gateway_certificate_expires_timestamp_seconds{listener="public"}"#;
    /// 1 January 2000.
    const EXPIRED: f64 = 946_684_800.0;
    let gateway = TestGateway::with(|settings| settings.timing.certificate = Duration::from_millis(50)).await;
    let before = gateway.metric(EXPIRES);
    assert!(before > 1_795_451_460.0, "{before}");
    let client = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    gateway.let_certificate_expire();
    gateway.metric_is(EXPIRES, EXPIRED).await;
    assert!(gateway.endpoint.open().await.is_err(), "clients refuse it");
    assert!(client.is_open());
    gateway.renew_certificate();
    gateway.metric_is(EXPIRES, before).await;
    wait::until_true("clients to be served again", wait::deadline(), async || {
        gateway.endpoint.open().await.is_ok()
    })
    .await;
    assert!(client.is_open());
}

#[tokio::test]
async fn client_of_another_authority_rejects_the_certificate() {
    let gateway = TestGateway::new().await;
    let stranger = Endpoint::new(gateway.endpoint.addr(), Authority::new().client());
    assert!(stranger.open().await.is_err());
}

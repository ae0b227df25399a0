//! The certificate is served as its files are, without a restart.

use std::time::Duration;

use testkit::tls::Authority;
use testkit::{Endpoint, Native, wait};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::house::House;

/// The certificate a new connection is answered with.
async fn served(house: &House) -> Vec<u8> {
    let tcp = TcpStream::connect(house.endpoint.addr()).await.unwrap();
    let name = rustls::pki_types::ServerName::from(house.endpoint.addr().ip());
    let stream = TlsConnector::from(house.authority.client())
        .connect(name, tcp)
        .await
        .unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn a_renewed_certificate_is_served_and_old_sockets_stay() {
    let house = House::with(|settings| settings.timing.certificate = Duration::from_millis(50)).await;
    let client = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    let old = served(&house).await;
    house.renew_certificate();
    wait::until_true("the new certificate", wait::deadline(), async || {
        served(&house).await != old
    })
    .await;
    assert!(client.is_open());
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_leaves_the_old_one_and_is_counted_once() {
    let house = House::with(|settings| settings.timing.certificate = Duration::from_millis(50)).await;
    let old = served(&house).await;
    let (certificate, key) = house.files();
    let good = (std::fs::read(&certificate).unwrap(), std::fs::read(&key).unwrap());

    let failures = "postern_gateway_certificate_failures_total";
    std::fs::write(&key, Authority::new().issue().key).unwrap();
    house.metric_is(failures, 1.0).await;
    std::fs::write(&key, "no key").unwrap();
    house.metric_is(failures, 2.0).await;
    std::fs::remove_file(&key).unwrap();
    house.metric_is(failures, 3.0).await;
    assert_eq!(served(&house).await, old);

    std::fs::write(&certificate, &good.0).unwrap();
    std::fs::write(&key, &good.1).unwrap();
    house.renew_certificate();
    wait::until_true("the new certificate", wait::deadline(), async || {
        served(&house).await != old
    })
    .await;
}

#[tokio::test]
async fn an_expired_certificate_is_told_by_the_metric_and_renewing_it_needs_no_restart() {
    const EXPIRES: &str = "postern_gateway_certificate_expires_timestamp_seconds";
    /// The first of January 2000.
    const EXPIRED: f64 = 946_684_800.0;
    let house = House::with(|settings| settings.timing.certificate = Duration::from_millis(50)).await;
    let before = house.metric(EXPIRES);
    assert!(before > 1_795_451_460.0, "{before}");
    let client = Native::connect(&house.endpoint, &house.token("u")).await.unwrap();
    house.let_certificate_expire();
    house.metric_is(EXPIRES, EXPIRED).await;
    assert!(house.endpoint.open().await.is_err(), "clients refuse it");
    assert!(client.is_open());
    house.renew_certificate();
    house.metric_is(EXPIRES, before).await;
    wait::until_true("clients to be served again", wait::deadline(), async || {
        house.endpoint.open().await.is_ok()
    })
    .await;
    assert!(client.is_open());
}

#[tokio::test]
async fn another_authority_s_client_is_not_fooled() {
    let house = House::new().await;
    let stranger = Endpoint::new(house.endpoint.addr(), Authority::new().client());
    assert!(stranger.open().await.is_err());
}

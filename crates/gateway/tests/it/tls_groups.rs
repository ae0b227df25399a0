//! Groups of the TLS key exchange: the gateway's preference, `HelloRetryRequest`, and clients without a common group.

use std::process::Stdio;

use rustls::HandshakeKind::{Full, FullWithHelloRetryRequest};
use rustls::{HandshakeKind, NamedGroup};
use testkit::wait;
use tokio::process::Command;

use crate::test_gateway::TestGateway;

const HYBRID: NamedGroup = NamedGroup::X25519MLKEM768;
const X25519: NamedGroup = NamedGroup::X25519;
const P256: NamedGroup = NamedGroup::secp256r1;
const REFUSALS: &str = "postern_gateway_refusals_total{reason=\"tls\"}";

/// Gateway with these groups.
async fn gateway_with(groups: &str) -> TestGateway {
    TestGateway::with(|settings| settings.tls_groups = groups.parse().unwrap()).await
}

/// Key exchange with a client of these groups, in its order of preference; `None` if the handshake fails.
async fn negotiate(gateway: &TestGateway, groups: &[NamedGroup]) -> Option<(NamedGroup, HandshakeKind)> {
    let client = gateway.authority.client_with_groups(groups);
    let wire = gateway.endpoint.with_tls(client).open().await.ok()?;
    Some(wire.key_exchange())
}

#[tokio::test]
async fn hybrid_group_is_negotiated_with_every_client_that_supports_it() {
    let gateway = TestGateway::new().await;
    assert_eq!(negotiate(&gateway, &[HYBRID, X25519, P256]).await, Some((HYBRID, Full)));
    assert_eq!(negotiate(&gateway, &[HYBRID]).await, Some((HYBRID, Full)));
    // Such a client sends a share for X25519 alone, and is asked for one of the hybrid group.
    for own_preference in [[X25519, HYBRID], [P256, HYBRID]] {
        let negotiated = negotiate(&gateway, &own_preference).await;
        assert_eq!(
            negotiated,
            Some((HYBRID, FullWithHelloRetryRequest)),
            "{own_preference:?}"
        );
    }
    gateway.metric_is(REFUSALS, 0.0).await;
}

#[tokio::test]
async fn client_without_the_hybrid_group_negotiates_the_next_one() {
    let gateway = TestGateway::new().await;
    assert_eq!(negotiate(&gateway, &[X25519, P256]).await, Some((X25519, Full)));
    assert_eq!(
        negotiate(&gateway, &[P256, X25519]).await,
        Some((X25519, FullWithHelloRetryRequest))
    );
    assert_eq!(negotiate(&gateway, &[P256]).await, Some((P256, Full)));
}

#[tokio::test]
async fn preference_of_the_gateway_outranks_that_of_a_client() {
    let gateway = gateway_with("secp256r1,x25519,X25519MLKEM768").await;
    assert_eq!(
        negotiate(&gateway, &[HYBRID, X25519, P256]).await,
        Some((P256, FullWithHelloRetryRequest))
    );
    assert_eq!(negotiate(&gateway, &[HYBRID, X25519]).await, Some((X25519, Full)));
}

#[tokio::test]
async fn client_without_a_configured_group_is_refused_and_others_are_served() {
    let gateway = gateway_with("X25519MLKEM768").await;
    // As an attacker would have it, who has removed the hybrid group from the client's list to record the traffic.
    assert_eq!(negotiate(&gateway, &[X25519, P256]).await, None);
    gateway.metric_is(REFUSALS, 1.0).await;
    assert_eq!(
        negotiate(&gateway, &[X25519, HYBRID]).await,
        Some((HYBRID, FullWithHelloRetryRequest))
    );
    let wire = gateway.wire("u").await;
    assert_eq!(wire.key_exchange(), (HYBRID, Full));
}

/// Output of openssl's client with these groups, and whether its handshake succeeded.
async fn openssl(gateway: &TestGateway, groups: &str) -> (bool, String) {
    let mut client = Command::new("openssl");
    client
        .args(["s_client", "-verify_return_error", "-groups", groups, "-connect"])
        .arg(gateway.endpoint.addr().to_string())
        .arg("-CAfile")
        .arg(gateway.authority.pem_path())
        .stdin(Stdio::null());
    let output = tokio::time::timeout(wait::deadline(), client.output())
        .await
        .unwrap()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test]
async fn openssl_negotiates_a_common_group_and_is_refused_without_one() {
    let gateway = gateway_with("X25519MLKEM768,x25519,secp256r1").await;
    for (groups, negotiated) in [("P-256", "prime256v1"), ("X448:P-256:X25519", "X25519")] {
        let (succeeded, output) = openssl(&gateway, groups).await;
        assert!(
            succeeded && output.contains("TLSv1.3") && output.contains(negotiated),
            "{groups}: {output}"
        );
    }
    let (succeeded, output) = openssl(&gateway, "X448:P-521").await;
    assert!(!succeeded && output.contains("handshake failure"), "{output}");
    gateway.metric_is(REFUSALS, 1.0).await;
}

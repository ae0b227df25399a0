//! Token verification with a JWKS from a real HTTP issuer.

use std::time::Duration;

use gateway::{JwksSettings, JwksUrl, Settings, TokenKeys};
use serde_json::{Value, json};
use testkit::issuer::{Issuer, IssuerResponse};
use testkit::token::{Signer, algorithm_confusion, claims};
use testkit::{Native, SocketIo, wait};
use tokio::task::JoinSet;

use crate::test_gateway::TestGateway;

/// Starts a gateway that accepts tokens of this issuer and refreshes its keys every 100 ms.
async fn gateway(issuer: &Issuer, change: impl FnOnce(&mut JwksSettings)) -> TestGateway {
    let mut jwks = JwksSettings::new(JwksUrl::parse(&issuer.url()).unwrap());
    jwks.refresh = Duration::from_millis(100);
    change(&mut jwks);
    TestGateway::with(|settings: &mut Settings| settings.tokens.keys = TokenKeys::Jwks(jwks)).await
}

/// Disables the periodic refresh: only tokens cause a fetch.
fn never(jwks: &mut JwksSettings) {
    jwks.refresh = Duration::from_secs(24 * 60 * 60);
}

async fn is_accepted(gateway: &TestGateway, token: &str) -> bool {
    Native::connect(&gateway.endpoint, token).await.is_ok()
}

async fn wait_accepted(gateway: &TestGateway, token: &str, expected: bool) {
    let what = format!("token to be accepted: {expected}");
    wait::until_true(&what, wait::deadline(), async || {
        is_accepted(gateway, token).await == expected
    })
    .await;
}

fn refusals(reason: &str) -> String {
    format!("postern_gateway_refusals_total{{reason=\"{reason}\"}}")
}

fn fetches(outcome: &str) -> String {
    format!("postern_gateway_jwks_fetches_total{{outcome=\"{outcome}\"}}")
}

#[tokio::test]
async fn all_key_types_are_accepted_and_withdrawn_key_is_refused_after_refresh() {
    let signers = [Signer::rs256(), Signer::es256(), Signer::eddsa()];
    let kids = ["rsa", "p-256", "ed25519"];
    let keys: Vec<Value> = signers.iter().zip(kids).map(|(signer, kid)| signer.jwk(kid)).collect();
    let issuer = Issuer::start(IssuerResponse::Keys(keys.clone())).await;
    let gateway = gateway(&issuer, |_| {}).await;
    for (signer, kid) in signers.iter().zip(kids) {
        assert!(is_accepted(&gateway, &signer.token_with_kid(kid, "u")).await, "{kid}");
    }
    gateway.metric_is("postern_gateway_jwks_keys", 3.0).await;
    for outcome in ["no_answer", "status", "too_large", "unreadable"] {
        let zero = format!("{} 0", fetches(outcome));
        assert!(gateway.scrape().lines().any(|line| line == zero), "{zero}");
    }

    issuer.respond_with(IssuerResponse::Keys(keys[1..].to_vec()));
    wait_accepted(&gateway, &signers[0].token_with_kid("rsa", "u"), false).await;
    assert!(is_accepted(&gateway, &signers[1].token_with_kid("p-256", "u")).await);

    issuer.respond_with(IssuerResponse::Keys(Vec::new()));
    wait_accepted(&gateway, &signers[1].token_with_kid("p-256", "u"), false).await;
    assert!(gateway.readiness.is_ready(), "keys once loaded are loaded");
}

#[tokio::test]
async fn new_key_is_accepted_at_its_first_token() {
    let (old, new) = (Signer::es256(), Signer::es256());
    let issuer = Issuer::start(IssuerResponse::Keys(vec![old.jwk("old")])).await;
    let gateway = gateway(&issuer, never).await;
    assert!(is_accepted(&gateway, &old.token_with_kid("old", "u")).await);

    issuer.respond_with(IssuerResponse::Keys(vec![old.jwk("old"), new.jwk("new")]));
    assert!(is_accepted(&gateway, &new.token_with_kid("new", "u")).await);
    assert!(is_accepted(&gateway, &old.token_with_kid("old", "u")).await);
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn new_key_is_accepted_on_auth_refresh() {
    let (old, new) = (Signer::es256(), Signer::es256());
    let issuer = Issuer::start(IssuerResponse::Keys(vec![old.jwk("old")])).await;
    let gateway = gateway(&issuer, never).await;
    let socket = SocketIo::connect(&gateway.endpoint, &old.token_with_kid("old", "u"))
        .await
        .unwrap();

    issuer.respond_with(IssuerResponse::Keys(vec![old.jwk("old"), new.jwk("new")]));
    let refresh = json!({"token": new.token_with_kid("new", "u")});
    let answer = socket.emit_with_ack("auth:refresh", refresh).await;
    assert_eq!(answer["success"], json!(true), "{answer}");
}

#[tokio::test]
async fn all_keys_of_a_kid_are_tried_and_all_keys_without_one() {
    let signers = [Signer::es256(), Signer::es256(), Signer::rs256()];
    // All keys of this issuer share a kid. Some of them verify no token here.
    let mut keys: Vec<Value> = signers.iter().map(|signer| signer.jwk("main")).collect();
    keys.insert(
        0,
        json!({ "kty": "AKP", "alg": "ML-DSA-44", "kid": "main", "pub": "AAAA" }),
    );
    keys.insert(
        0,
        json!({ "kty": "RSA", "use": "enc", "kid": "main", "n": keys[3]["n"], "e": "AQAB" }),
    );
    keys[2]["x5c"] = json!(["MIIB+padded/certificate=="]);
    let issuer = Issuer::start(IssuerResponse::Keys(keys)).await;
    let gateway = gateway(&issuer, never).await;
    for (number, signer) in signers.iter().enumerate() {
        assert!(
            is_accepted(&gateway, &signer.token_with_kid("main", "u")).await,
            "key {number}"
        );
        assert!(
            is_accepted(&gateway, &signer.token("u")).await,
            "key {number} without a name"
        );
    }
    let before = gateway.metric(&refusals("token_signature"));
    assert!(!is_accepted(&gateway, &Signer::es256().token_with_kid("main", "u")).await);
    assert!(!is_accepted(&gateway, &Signer::es256().token("u")).await);
    gateway.metric_is(&refusals("token_signature"), before + 2.0).await;
}

#[tokio::test]
async fn flood_of_unknown_keys_causes_one_fetch() {
    let signer = Signer::es256();
    let issuer = Issuer::start(IssuerResponse::Keys(vec![signer.jwk("1")])).await;
    let gateway = gateway(&issuer, never).await;
    let mut flood = JoinSet::new();
    for number in 0..50 {
        let (endpoint, signer) = (gateway.endpoint.clone(), Signer::es256());
        flood.spawn(async move {
            for kid in 0..20 {
                let kid = format!("../../{number}/{kid}'; DROP TABLE keys");
                assert!(
                    Native::connect(&endpoint, &signer.token_with_kid(&kid, "u"))
                        .await
                        .is_err()
                );
            }
        });
    }
    while let Some(ended) = flood.join_next().await {
        ended.unwrap();
    }
    assert_eq!(issuer.fetches(), 2, "one at the start, one for all of them");
    gateway.metric_is(&refusals("token_key"), 1000.0).await;
    assert!(is_accepted(&gateway, &signer.token_with_kid("1", "u")).await);
}

#[tokio::test]
async fn unknown_key_is_fetched_again_after_the_interval() {
    let (old, new) = (Signer::es256(), Signer::es256());
    let issuer = Issuer::start(IssuerResponse::Keys(vec![old.jwk("old")])).await;
    let gateway = gateway(&issuer, |jwks| {
        never(jwks);
        jwks.unknown_key_interval = Duration::from_millis(300);
    })
    .await;
    assert!(!is_accepted(&gateway, &new.token_with_kid("new", "u")).await);
    issuer.respond_with(IssuerResponse::Keys(vec![new.jwk("new")]));
    wait_accepted(&gateway, &new.token_with_kid("new", "u"), true).await;
}

#[tokio::test]
async fn cached_keys_are_used_until_max_stale_during_issuer_outage() {
    let signer = Signer::es256();
    let token = signer.token_with_kid("1", "u");
    let issuer = Issuer::start(IssuerResponse::Keys(vec![signer.jwk("1")])).await;
    let gateway = gateway(&issuer, |jwks| jwks.max_stale = Duration::from_secs(4)).await;
    let live = Native::connect(&gateway.endpoint, &token).await.unwrap();
    issuer.respond_with(IssuerResponse::Disconnect);
    gateway.metric_is(&fetches("no_answer"), 1.0).await;
    assert!(is_accepted(&gateway, &token).await);

    wait_accepted(&gateway, &token, false).await;
    assert!(live.is_open(), "open sockets stay");
    assert!(gateway.readiness.is_ready());
    issuer.respond_with(IssuerResponse::Keys(vec![signer.jwk("1")]));
    wait_accepted(&gateway, &token, true).await;
}

#[tokio::test]
async fn invalid_jwks_responses_keep_cached_keys_and_are_bounded() {
    let (signer, attacker_key) = (Signer::es256(), Signer::es256());
    let token = signer.token_with_kid("1", "u");
    let elsewhere = Issuer::start(IssuerResponse::Keys(vec![attacker_key.jwk("1")])).await;
    let issuer = Issuer::start(IssuerResponse::Keys(vec![signer.jwk("1")])).await;
    let gateway = gateway(&issuer, |jwks| jwks.fetch_timeout = Duration::from_secs(1)).await;
    let padded = format!("{{\"keys\":[]{}}}", " ".repeat(300_000));
    for (answer, outcome) in [
        (IssuerResponse::Endless, "too_large"),
        (IssuerResponse::Text(padded), "too_large"),
        (IssuerResponse::Stall, "no_answer"),
        (IssuerResponse::Redirect(elsewhere.url()), "status"),
        (IssuerResponse::Status(500, vec![attacker_key.jwk("1")]), "status"),
        (IssuerResponse::Status(204, vec![]), "status"),
        (
            IssuerResponse::Text("<html>maintenance</html>".to_owned()),
            "unreadable",
        ),
        (IssuerResponse::Text("[".repeat(100_000)), "unreadable"),
    ] {
        let before = gateway.metric(&fetches(outcome));
        issuer.respond_with(answer.clone());
        let what = format!("{outcome} to be counted");
        wait::until_true(&what, wait::deadline(), async || {
            gateway.metric(&fetches(outcome)) > before
        })
        .await;
        let timed = format!("postern_gateway_jwks_fetch_duration_seconds_count{{outcome=\"{outcome}\"}}");
        assert!(gateway.metric(&timed) > 0.5, "{outcome}");
        assert!(is_accepted(&gateway, &token).await, "{outcome}");
        assert!(
            !is_accepted(&gateway, &attacker_key.token_with_kid("1", "u")).await,
            "{outcome}"
        );
    }
    assert_eq!(elsewhere.fetches(), 0);
    assert!(
        issuer.sent() < 16 * 1024 * 1024,
        "the rest stays in the sockets' buffers"
    );
}

#[tokio::test]
async fn token_header_selects_neither_key_nor_algorithm() {
    let (signer, attacker_key, shared) = (Signer::rs256(), Signer::es256(), Signer::hs256());
    let foreign_issuer = Issuer::start(IssuerResponse::Keys(vec![attacker_key.jwk("theirs")])).await;
    let issuer = Issuer::start(IssuerResponse::Keys(vec![signer.jwk("1"), shared.jwk("shared")])).await;
    let gateway = gateway(&issuer, never).await;
    let good = claims("u", Duration::from_secs(60));
    let pointing = json!({
        "alg": "ES256", "kid": "1", "jku": foreign_issuer.url(), "x5u": foreign_issuer.url(), "jwk": attacker_key.jwk("1"),
    });
    let unnamed = json!({ "alg": "ES256", "jku": foreign_issuer.url(), "jwk": attacker_key.jwk("1") });
    let hs256 = |kid: &str| json!({ "alg": "HS256", "kid": kid });
    let public = Signer::hs256_with(signer.verifier());
    for (what, token, reason) in [
        (
            "a symmetric key that was published",
            shared.sign_with(&hs256("shared"), &good),
            "token_key",
        ),
        (
            "a public key as a secret",
            public.sign_with(&hs256("1"), &good),
            "token_algorithm",
        ),
        (
            "the same without a key's name",
            algorithm_confusion(signer.verifier(), &good),
            "token_algorithm",
        ),
        (
            "a key of the token's own",
            attacker_key.sign_with(&pointing, &good),
            "token_algorithm",
        ),
        (
            "the same without a name",
            attacker_key.sign_with(&unnamed, &good),
            "token_algorithm",
        ),
        (
            "another's signature",
            Signer::rs256().token_with_kid("1", "u"),
            "token_signature",
        ),
        (
            "a name of 7 kB",
            signer.token_with_kid(&"k".repeat(5_000), "u"),
            "token_key",
        ),
        (
            "a name that is none",
            signer.sign_with(&json!({ "alg": "RS256", "kid": 7 }), &good),
            "token_malformed",
        ),
    ] {
        let before = gateway.metric(&refusals(reason));
        assert!(!is_accepted(&gateway, &token).await, "{what}");
        gateway.metric_is(&refusals(reason), before + 1.0).await;
    }
    assert_eq!(foreign_issuer.fetches(), 0);
    assert!(
        is_accepted(&gateway, &signer.sign(&good)).await,
        "there is only one usable key to have signed it"
    );
}

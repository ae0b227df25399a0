//! Keys that an issuer publishes: a real HTTP issuer, tokens over real sockets.

use std::time::Duration;

use gateway::{JwksSettings, JwksUrl, Settings, TokenKeys};
use serde_json::{Value, json};
use testkit::issuer::{Issuer, IssuerResponse};
use testkit::token::{Signer, algorithm_confusion, claims};
use testkit::{Native, SocketIo, wait};
use tokio::task::JoinSet;

use crate::house::House;

/// A gateway that takes this issuer's tokens; its refresh is a matter of moments.
async fn house(issuer: &Issuer, change: impl FnOnce(&mut JwksSettings)) -> House {
    let mut jwks = JwksSettings::new(JwksUrl::parse(&issuer.url()).unwrap());
    jwks.refresh = Duration::from_millis(100);
    change(&mut jwks);
    House::with(|settings: &mut Settings| settings.tokens.keys = TokenKeys::Jwks(jwks)).await
}

/// A refresh that is never due: what happens is due to tokens.
fn never(jwks: &mut JwksSettings) {
    jwks.refresh = Duration::from_secs(24 * 60 * 60);
}

async fn is_let_in(house: &House, token: &str) -> bool {
    Native::connect(&house.endpoint, token).await.is_ok()
}

async fn is_let_in_at_last(house: &House, token: &str, expected: bool) {
    let what = format!("a token to be let in: {expected}");
    wait::until_true(&what, wait::deadline(), async || {
        is_let_in(house, token).await == expected
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
async fn every_kind_of_key_is_taken_and_a_key_withdrawn_is_refused_after_the_next_refresh() {
    let signers = [Signer::rs256(), Signer::es256(), Signer::eddsa()];
    let kids = ["rsa", "p-256", "ed25519"];
    let keys: Vec<Value> = signers.iter().zip(kids).map(|(signer, kid)| signer.jwk(kid)).collect();
    let issuer = Issuer::start(IssuerResponse::Keys(keys.clone())).await;
    let house = house(&issuer, |_| {}).await;
    for (signer, kid) in signers.iter().zip(kids) {
        assert!(is_let_in(&house, &signer.token_with_kid(kid, "u")).await, "{kid}");
    }
    house.metric_is("postern_gateway_jwks_keys", 3.0).await;

    issuer.respond_with(IssuerResponse::Keys(keys[1..].to_vec()));
    is_let_in_at_last(&house, &signers[0].token_with_kid("rsa", "u"), false).await;
    assert!(is_let_in(&house, &signers[1].token_with_kid("p-256", "u")).await);

    issuer.respond_with(IssuerResponse::Keys(Vec::new()));
    is_let_in_at_last(&house, &signers[1].token_with_kid("p-256", "u"), false).await;
    assert!(!house.readiness.is_ready(), "no key is left to verify with");
}

#[tokio::test]
async fn a_new_key_is_taken_at_its_first_token() {
    let (old, new) = (Signer::es256(), Signer::es256());
    let issuer = Issuer::start(IssuerResponse::Keys(vec![old.jwk("old")])).await;
    let house = house(&issuer, never).await;
    assert!(is_let_in(&house, &old.token_with_kid("old", "u")).await);

    issuer.respond_with(IssuerResponse::Keys(vec![old.jwk("old"), new.jwk("new")]));
    assert!(is_let_in(&house, &new.token_with_kid("new", "u")).await);
    assert!(is_let_in(&house, &old.token_with_kid("old", "u")).await);
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn a_new_key_is_taken_at_the_first_token_that_renews_another() {
    let (old, new) = (Signer::es256(), Signer::es256());
    let issuer = Issuer::start(IssuerResponse::Keys(vec![old.jwk("old")])).await;
    let house = house(&issuer, never).await;
    let socket = SocketIo::connect(&house.endpoint, &old.token_with_kid("old", "u"))
        .await
        .unwrap();

    issuer.respond_with(IssuerResponse::Keys(vec![old.jwk("old"), new.jwk("new")]));
    let refresh = json!({"token": new.token_with_kid("new", "u")});
    let answer = socket.emit_with_ack("auth:refresh", refresh).await;
    assert_eq!(answer["success"], json!(true), "{answer}");
}

#[tokio::test]
async fn every_key_of_a_name_is_tried_and_without_a_name_every_key() {
    let signers = [Signer::es256(), Signer::es256(), Signer::rs256()];
    // An issuer that names each of its keys alike, among keys that nothing is signed with here.
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
    let house = house(&issuer, never).await;
    for (number, signer) in signers.iter().enumerate() {
        assert!(
            is_let_in(&house, &signer.token_with_kid("main", "u")).await,
            "key {number}"
        );
        assert!(
            is_let_in(&house, &signer.token("u")).await,
            "key {number} without a name"
        );
    }
    let before = house.metric(&refusals("token_signature"));
    assert!(!is_let_in(&house, &Signer::es256().token_with_kid("main", "u")).await);
    assert!(!is_let_in(&house, &Signer::es256().token("u")).await);
    house.metric_is(&refusals("token_signature"), before + 2.0).await;
}

#[tokio::test]
async fn a_flood_of_unknown_keys_costs_one_fetch() {
    let signer = Signer::es256();
    let issuer = Issuer::start(IssuerResponse::Keys(vec![signer.jwk("1")])).await;
    let house = house(&issuer, never).await;
    let mut flood = JoinSet::new();
    for number in 0..50 {
        let (endpoint, signer) = (house.endpoint.clone(), Signer::es256());
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
    house.metric_is(&refusals("token_key"), 1000.0).await;
    assert!(is_let_in(&house, &signer.token_with_kid("1", "u")).await);
}

#[tokio::test]
async fn after_the_pause_an_unknown_key_is_asked_for_again() {
    let (old, new) = (Signer::es256(), Signer::es256());
    let issuer = Issuer::start(IssuerResponse::Keys(vec![old.jwk("old")])).await;
    let house = house(&issuer, |jwks| {
        never(jwks);
        jwks.unknown_key_interval = Duration::from_millis(300);
    })
    .await;
    assert!(!is_let_in(&house, &new.token_with_kid("new", "u")).await);
    issuer.respond_with(IssuerResponse::Keys(vec![new.jwk("new")]));
    is_let_in_at_last(&house, &new.token_with_kid("new", "u"), true).await;
}

#[tokio::test]
async fn while_the_issuer_is_away_the_last_keys_serve_for_as_long_as_they_may() {
    let signer = Signer::es256();
    let token = signer.token_with_kid("1", "u");
    let issuer = Issuer::start(IssuerResponse::Keys(vec![signer.jwk("1")])).await;
    let house = house(&issuer, |jwks| jwks.max_stale = Duration::from_secs(4)).await;
    let live = Native::connect(&house.endpoint, &token).await.unwrap();
    issuer.respond_with(IssuerResponse::Disconnect);
    house.metric_is(&fetches("no_answer"), 1.0).await;
    assert!(is_let_in(&house, &token).await);

    is_let_in_at_last(&house, &token, false).await;
    assert!(live.is_open(), "who was let in stays");
    wait::until_true("the gateway to say so", wait::deadline(), async || {
        !house.readiness.is_ready()
    })
    .await;
    issuer.respond_with(IssuerResponse::Keys(vec![signer.jwk("1")]));
    is_let_in_at_last(&house, &token, true).await;
    assert!(house.readiness.is_ready());
}

#[tokio::test]
async fn bad_answers_change_nothing_and_are_bounded() {
    let (signer, thief) = (Signer::es256(), Signer::es256());
    let token = signer.token_with_kid("1", "u");
    let elsewhere = Issuer::start(IssuerResponse::Keys(vec![thief.jwk("1")])).await;
    let issuer = Issuer::start(IssuerResponse::Keys(vec![signer.jwk("1")])).await;
    let house = house(&issuer, |jwks| jwks.fetch_timeout = Duration::from_secs(1)).await;
    let padded = format!("{{\"keys\":[]{}}}", " ".repeat(300_000));
    for (answer, outcome) in [
        (IssuerResponse::Endless, "too_large"),
        (IssuerResponse::Text(padded), "too_large"),
        (IssuerResponse::Stall, "no_answer"),
        (IssuerResponse::Redirect(elsewhere.url()), "status"),
        (IssuerResponse::Status(500, vec![thief.jwk("1")]), "status"),
        (IssuerResponse::Status(204, vec![]), "status"),
        (
            IssuerResponse::Text("<html>maintenance</html>".to_owned()),
            "unreadable",
        ),
        (IssuerResponse::Text("[".repeat(100_000)), "unreadable"),
    ] {
        let before = house.metric(&fetches(outcome));
        issuer.respond_with(answer.clone());
        let what = format!("{outcome} to be counted");
        wait::until_true(&what, wait::deadline(), async || {
            house.metric(&fetches(outcome)) > before
        })
        .await;
        assert!(is_let_in(&house, &token).await, "{outcome}");
        assert!(!is_let_in(&house, &thief.token_with_kid("1", "u")).await, "{outcome}");
    }
    assert_eq!(elsewhere.fetches(), 0);
    assert!(
        issuer.sent() < 16 * 1024 * 1024,
        "the rest stays in the sockets' buffers"
    );
}

#[tokio::test]
async fn no_token_chooses_its_key_or_algorithm() {
    let (signer, thief, shared) = (Signer::rs256(), Signer::es256(), Signer::hs256());
    let attacker = Issuer::start(IssuerResponse::Keys(vec![thief.jwk("theirs")])).await;
    let issuer = Issuer::start(IssuerResponse::Keys(vec![signer.jwk("1"), shared.jwk("shared")])).await;
    let house = house(&issuer, never).await;
    let good = claims("u", Duration::from_secs(60));
    let pointing = json!({
        "alg": "ES256", "kid": "1", "jku": attacker.url(), "x5u": attacker.url(), "jwk": thief.jwk("1"),
    });
    let unnamed = json!({ "alg": "ES256", "jku": attacker.url(), "jwk": thief.jwk("1") });
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
            thief.sign_with(&pointing, &good),
            "token_algorithm",
        ),
        (
            "the same without a name",
            thief.sign_with(&unnamed, &good),
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
        let before = house.metric(&refusals(reason));
        assert!(!is_let_in(&house, &token).await, "{what}");
        house.metric_is(&refusals(reason), before + 1.0).await;
    }
    assert_eq!(attacker.fetches(), 0);
    assert!(
        is_let_in(&house, &signer.sign(&good)).await,
        "there is only one usable key to have signed it"
    );
}

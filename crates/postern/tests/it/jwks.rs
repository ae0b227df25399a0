//! `POSTERN_JWKS_URL` in real processes: not ready without keys, rotated and withdrawn without a restart.

use std::cell::Cell;
use std::time::Duration;

use serde_json::json;
use testkit::cluster::Cluster;
use testkit::issuer::{Issuer, IssuerResponse};
use testkit::token::Signer;
use testkit::{Endpoint, SocketIo, wait};

use crate::command_line::postern;
use crate::stage::POSTERN;

#[tokio::test]
async fn keys_rotate_in_a_running_cluster() {
    let (old, new) = (Signer::es256(), Signer::eddsa());
    let issuer = Issuer::start(IssuerResponse::Keys(vec![old.jwk("old")])).await;
    let cluster = cluster(&issuer.url()).await;
    let endpoints = [0, 1].map(|gateway| cluster.endpoint(gateway));
    let (old_token, new_token) = (
        old.token_with_kid("old", "GEN-001"),
        new.token_with_kid("new", "GEN-001"),
    );
    cluster.canary(&old_token);
    cluster.canary(&new_token);
    for endpoint in &endpoints {
        assert!(is_accepted(endpoint, &old_token).await);
        assert!(
            !is_accepted(endpoint, &cluster.token("GEN-001")).await,
            "a secret is no key of the issuer"
        );
    }

    issuer.respond_with(IssuerResponse::Keys(vec![old.jwk("old"), new.jwk("new")]));
    for endpoint in &endpoints {
        wait::until_true("the new key to be taken", wait::deadline(), async || {
            is_accepted(endpoint, &new_token).await
        })
        .await;
        assert!(is_accepted(endpoint, &old_token).await);
    }
    issuer.respond_with(IssuerResponse::Keys(vec![new.jwk("new")]));
    for endpoint in &endpoints {
        wait::until_true("the old key to be refused", wait::deadline(), async || {
            !is_accepted(endpoint, &old_token).await
        })
        .await;
        assert!(is_accepted(endpoint, &new_token).await);
    }
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_gateway_waits_for_its_issuer_and_outlives_it() {
    let signer = Signer::es256();
    let token = signer.token_with_kid("1", "GEN-001");
    let issuer = Issuer::start(IssuerResponse::Disconnect).await;
    let url = issuer.url();
    let is_started = Cell::new(false);
    let starting = async {
        let cluster = cluster(&url).await;
        is_started.set(true);
        cluster
    };
    let coming = async {
        wait::until_true("the issuer to be asked twice", wait::deadline(), async || {
            issuer.fetches() >= 2
        })
        .await;
        assert!(!is_started.get(), "no gateway is ready without keys");
        issuer.respond_with(IssuerResponse::Keys(vec![signer.jwk("1")]));
    };
    let (cluster, ()) = tokio::join!(starting, coming);

    issuer.respond_with(IssuerResponse::Disconnect);
    let asked = issuer.fetches();
    wait::until_true("the issuer to be missed", wait::deadline(), async || {
        issuer.fetches() > asked + 2
    })
    .await;
    assert!(is_accepted(&cluster.endpoint(0), &token).await);
    assert!(cluster.gateway(0).is_ready().await);
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn one_way_to_check_tokens_is_named_and_it_is_a_private_one() {
    let secret = "swordfish-swordfish-swordfish-swordfish";
    for (flags, says) in [
        (&["--jwks-url", "http://issuer.example/"][..], "https"),
        (&["--jwks-url", "https://u:swordfish@issuer.example/"], "password"),
        (
            &["--jwks-url", "https://issuer.example/", "--jwt-hs256-secret", secret],
            "exclude each other",
        ),
        (
            &["--jwks-url", "https://issuer.example/", "--jwks-refresh", "1ms"],
            "at least",
        ),
    ] {
        let refused = postern(&[&["gateway"], flags].concat()).await;
        assert_eq!(refused.status, 1);
        let output = refused
            .stderr
            .lines()
            .filter(|line| line.contains("_JW"))
            .collect::<Vec<_>>();
        assert!(
            output.len() == 1 && output.concat().contains(says),
            "{}",
            refused.stderr
        );
        assert!(!refused.stderr.contains("swordfish"), "{}", refused.stderr);
    }
}

/// Two gateways with the issuer as their only source of keys.
async fn cluster(url: &str) -> Cluster {
    Cluster::builder(POSTERN)
        .without("POSTERN_JWT_HS256_SECRET")
        .gateway_env("POSTERN_JWKS_URL", url)
        .gateway_env("POSTERN_JWKS_REFRESH", "1s")
        .start()
        .await
}

async fn is_accepted(endpoint: &Endpoint, token: &str) -> bool {
    let client = SocketIo::to(endpoint).auth(json!({ "token": token })).connect();
    tokio::time::timeout(Duration::from_secs(60), client)
        .await
        .unwrap()
        .is_ok()
}

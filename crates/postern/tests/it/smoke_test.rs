//! `postern smoke-test`, which `helm test` runs.

use std::path::Path;

use testkit::cluster::Cluster;
use testkit::node::Output;
use testkit::scratch::Scratch;
use testkit::tls::Authority;

use crate::command_line::postern_with;
use crate::stage::{POSTERN, Platforms};

#[tokio::test]
async fn smoke_test_succeeds_when_its_alert_reaches_its_socket_and_names_the_failed_step_otherwise() {
    let platforms = Platforms::start().await;
    let authority = Authority::new();
    let (certificate, key) = authority.issue_files("serving");
    let (other_certificate, _) = authority.issue_files("other");
    let cluster = platforms
        .linked_to(Cluster::builder(POSTERN))
        .gateway_env("POSTERN_TLS_CERT", certificate.display())
        .gateway_env("POSTERN_TLS_KEY", key.display())
        .start()
        .await;
    let scratch = Scratch::new("smoke-test");
    let token = |user: &str| scratch.write(&format!("token-{user}"), cluster.token(user));

    let signed = smoke_test(&cluster, &certificate, cluster.signer().verifier(), &[]).await;
    assert_eq!(signed.status, 0, "{}", signed.stderr);
    let given = ["--token-file", &token("smoke-test").display().to_string()];
    let given = smoke_test(&cluster, &certificate, "", &given).await;
    assert_eq!(given.status, 0, "{}", given.stderr);

    let another_key = "another secret of 32 bytes or more";
    let others_token = token("someone-else").display().to_string();
    let refused: [(&Path, &str, &[&str], &str); 4] = [
        (
            &other_certificate,
            cluster.signer().verifier(),
            &[],
            "by TLS: invalid peer certificate",
        ),
        (
            &certificate,
            another_key,
            &[],
            "receive ready: closed: unauthenticated (4401)",
        ),
        (
            &certificate,
            cluster.signer().verifier(),
            &["--internal-token", "wrong"],
            "publish an alert: the gateway responded 401",
        ),
        (
            &certificate,
            "",
            &["--token-file", &others_token, "--timeout", "2s"],
            "last completed step: alert published",
        ),
    ];
    for (certificate, secret, more, expected) in refused {
        let output = smoke_test(&cluster, certificate, secret, more).await;
        assert_eq!((output.status, output.stdout.as_str()), (1, ""), "{expected}");
        assert!(output.stderr.contains(expected), "{expected}: {}", output.stderr);
    }
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

async fn smoke_test(cluster: &Cluster, certificate: &Path, secret: &str, more: &[&str]) -> Output {
    let gateway = cluster.gateway(0);
    let (address, server) = (gateway.addr().to_string(), gateway.internal_url());
    let certificate = certificate.display().to_string();
    let mut args = vec![
        "smoke-test",
        "--gateway",
        &address,
        "--cert",
        &certificate,
        "--server",
        &server,
    ];
    args.extend(more);
    let mut variables = vec![("POSTERN_JWT_HS256_SECRET", secret.to_owned())];
    if !more.contains(&"--internal-token") {
        variables.push(("POSTERN_INTERNAL_TOKEN", cluster.internal_token().to_owned()));
    }
    postern_with(&args, &variables).await
}

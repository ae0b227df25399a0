//! The client of `clients/typescript` on Node.js and in Chromium, over both dialects, against two gateways.

use std::path::{Path, PathBuf};
use std::time::Duration;

use testkit::cluster::Cluster;
use testkit::node::Script;
use testkit::port::Port;

use crate::stage::POSTERN;

#[tokio::test]
async fn typescript_client_resumes_refreshes_steps_up_and_shares_one_socket_between_tabs() {
    let page = Port::claim();
    let cluster = Cluster::builder(POSTERN)
        .gateway_env("POSTERN_ALLOWED_ORIGINS", format!("http://127.0.0.1:{}", page.number()))
        .start()
        .await;
    let gateways = [0, 1].map(|index| format!("https://{}", cluster.gateway(index).addr()));
    let scenarios = Script::new(compiled())
        .trusting(cluster.authority().pem_path())
        .env("GATEWAYS", gateways.join(","))
        // The one that the scenarios drain.
        .env("GATEWAY_PID", cluster.gateway(0).pid().to_string())
        .env("INTERNAL", cluster.gateway(1).internal_url())
        .env("INTERNAL_TOKEN", cluster.internal_token())
        .env("JWT_SECRET", cluster.signer().verifier())
        .env("PAGE_PORT", page.number().to_string())
        .start();
    let status = scenarios.wait(WITHIN).await;
    assert_eq!(status, 0, "{}\n{}", scenarios.logs(), cluster.logs());
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// Compiled scenarios; fails the test with the command to run where they are missing.
fn compiled() -> PathBuf {
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../clients/typescript");
    let scenarios = client.join("target/test/cluster/cluster.test.js");
    assert!(
        scenarios.exists(),
        "the TypeScript client is not built: run clients/typescript/check first"
    );
    scenarios
}

/// The scenarios take about 20 s, most of them waiting for tokens to expire.
const WITHIN: Duration = Duration::from_secs(120);

//! Token limits of an operator, and the log of refused tokens.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::client::Refused;
use testkit::cluster::Cluster;
use testkit::token::claims;
use testkit::{SocketIo, wait};

use crate::command_line::postern;
use crate::stage::POSTERN;

/// The lines of a gateway's log about refused tokens of this kind.
fn lines(cluster: &Cluster, kind: &str) -> Vec<Value> {
    let logs = cluster.logs();
    let lines = logs.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter(|line| line["kind"] == kind && line["reason"].is_string())
        .collect()
}

#[tokio::test]
async fn tokens_above_the_limits_of_the_operator_are_refused_and_logged_by_kind_with_a_count() {
    let cluster = Cluster::builder(POSTERN)
        .gateways(1)
        .gateway_env("POSTERN_JWT_MAX_BYTES", 1_024)
        .gateway_env("POSTERN_JWT_MAX_LIFETIME", "1h")
        .start()
        .await;
    let mut large = claims("GEN-001", Duration::from_secs(60));
    large["roles"] = json!("r".repeat(1_024));
    let far = claims("GEN-001", Duration::from_secs(2 * 3_600));
    for (kind, reason, claims) in [("too_large", "too_large", large), ("lifetime", "claims", far)] {
        let token = cluster.token_with(&claims);
        for _ in 0..3 {
            let client = SocketIo::connect(&cluster.endpoint(0), &token).await;
            let Err(Refused::Answered { data, .. }) = client else {
                panic!("{kind}: {client:?}")
            };
            assert_eq!(data["data"], json!({ "code": "unauthenticated", "reason": reason }));
        }
    }
    for kind in ["too_large", "lifetime"] {
        let suppressed = || -> u64 {
            let counts = lines(&cluster, kind)
                .into_iter()
                .filter_map(|line| line["suppressed"].as_u64());
            counts.sum()
        };
        wait::until_true("the suppressed refusals to be counted", wait::deadline(), async || {
            suppressed() == 2
        })
        .await;
        let own: Vec<Value> = lines(&cluster, kind)
            .into_iter()
            .filter(|line| line["suppressed"].is_null())
            .collect();
        assert_eq!(own.len(), 1, "{own:?}");
        assert_eq!(own[0]["level"], "INFO");
        let peer = own[0]["spans"][1]["peer"].as_str().unwrap();
        assert!(peer.starts_with("127.0.0.1:"), "{peer}");
    }
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_limit_of_tokens_that_is_none_stops_the_start() {
    for (flag, value, says) in [
        ("--jwt-max-bytes", "16KiB", "POSTERN_JWT_MAX_BYTES is a number of bytes"),
        ("--jwt-max-bytes", "0", "POSTERN_JWT_MAX_BYTES is a number of bytes"),
        ("--jwt-max-bytes", "65536", "POSTERN_JWT_MAX_BYTES is a number of bytes"),
        ("--jwt-max-lifetime", "31", "POSTERN_JWT_MAX_LIFETIME is not a duration"),
        ("--jwt-max-lifetime", "0s", "POSTERN_JWT_MAX_LIFETIME is more than"),
    ] {
        let refused = postern(&["gateway", flag, value]).await;
        assert_eq!(refused.status, 1);
        assert!(refused.stderr.contains(says), "{flag} {value}: {}", refused.stderr);
    }
}

//! Outages of the bus in the log: one line at the beginning and one at the end, however many commands fail between.

use serde_json::json;
use testkit::{Native, wait};

use crate::test_gateway::TestGateway;
use testkit::log::Log;

#[tokio::test]
async fn commands_that_fail_in_an_outage_share_one_line_at_its_beginning_and_one_at_its_end() {
    let gateway = TestGateway::new().await;
    let client = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let (log, _guard) = Log::capture();
    gateway.bus.cut(true);
    for _ in 0..COMMANDS {
        let answer = client.request("account:list", json!({})).await;
        assert_eq!(answer.data["error"], "unavailable");
    }
    let began = log.lines_of("bus requests");
    assert_eq!(began.len(), 1, "{began:#?}");
    assert!(
        began[0].contains("outage began") && began[0].contains("bus requests"),
        "{began:#?}"
    );

    gateway.bus.cut(false);
    wait::until_true("the outage to end", wait::deadline(), async || {
        log.lines_of("bus requests").len() > 1
    })
    .await;
    let lines = log.lines_of("bus requests");
    assert_eq!(lines.len(), 2, "{lines:#?}");
    let ended = &lines[1];
    assert!(ended.contains("outage ended"), "{ended}");
    let (_, failures) = ended.split_once("failures=").unwrap();
    let failures: usize = failures.split(' ').next().unwrap().parse().unwrap();
    assert!(failures >= COMMANDS, "{ended}");
}

const COMMANDS: usize = 20;

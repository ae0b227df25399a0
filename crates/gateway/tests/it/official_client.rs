//! Official Socket.IO client from npm with its defaults.

use std::path::Path;

use protocol::account::AccountType;
use testkit::node::Script;
use testkit::wait;

use crate::test_gateway::TestGateway;
use crate::worker::Worker;

fn script(gateway: &TestGateway, token: &str, parser: &str) -> Script {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/scripts/official.js");
    Script::new(path)
        .trusting(gateway.authority.pem_path())
        .arg(format!("https://{}", gateway.endpoint.addr()))
        .arg(parser)
        .env("TOKEN", token)
}

#[tokio::test]
async fn official_client_connects_emits_with_ack_and_receives_events() {
    let gateway = TestGateway::new().await;
    let _worker = Worker::succeeding(&gateway);
    for parser in ["default", "msgpack"] {
        let running = script(&gateway, &gateway.token("GEN-001"), parser).start();
        wait::until_true("the script to be live", wait::deadline(), async || {
            running.stdout().contains("live")
        })
        .await;
        gateway.publish("GEN-001", AccountType::Github).await;
        let status = running.wait(wait::deadline()).await;
        let stdout = running.stdout();
        assert_eq!(status, 0, "{parser}: {stdout}\n{}", running.stderr());
        for line in [
            r#"ack {"of":"GEN-001","success":true}"#,
            r#"response {"of":"GEN-001","success":true} null"#,
            "unknown unknown_event",
            "event github connected",
            "offset true",
        ] {
            assert!(
                stdout.lines().any(|found| found == line),
                "{parser}: {line:?} in\n{stdout}"
            );
        }
    }
}

#[tokio::test]
async fn official_client_gets_refusal_reason_and_does_not_reconnect() {
    let gateway = TestGateway::new().await;
    let output = script(&gateway, "no token", "default").run().await;
    assert_eq!(output.status, 1);
    assert_eq!(
        output.stdout.trim(),
        "refused A valid token is required. unauthenticated malformed active=false"
    );
}

//! The official client from npm, as it comes.

use std::path::Path;

use protocol::account::AccountType;
use testkit::node::Script;
use testkit::wait;

use crate::house::House;
use crate::worker::Worker;

fn script(house: &House, token: &str, parser: &str) -> Script {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/scripts/official.js");
    Script::new(path)
        .trusting(house.authority.pem_path())
        .arg(format!("https://{}", house.endpoint.addr()))
        .arg(parser)
        .env("TOKEN", token)
}

#[tokio::test]
async fn it_connects_emits_with_an_ack_and_hears_events() {
    let house = House::new().await;
    let _worker = Worker::obliging(&house);
    for parser in ["default", "msgpack"] {
        let running = script(&house, &house.token("GEN-001"), parser).start();
        wait::until_true("the script to be live", wait::deadline(), async || {
            running.stdout().contains("live")
        })
        .await;
        house.publish("GEN-001", AccountType::Github).await;
        let status = running.wait(wait::deadline()).await;
        let said = running.stdout();
        assert_eq!(status, 0, "{parser}: {said}\n{}", running.stderr());
        for line in [
            r#"ack {"of":"GEN-001","success":true}"#,
            r#"response {"of":"GEN-001","success":true} null"#,
            "unknown unknown_event",
            "event github connected",
            "offset true",
        ] {
            assert!(said.lines().any(|found| found == line), "{parser}: {line:?} in\n{said}");
        }
    }
}

#[tokio::test]
async fn it_is_told_why_its_token_is_refused_and_does_not_come_back() {
    let house = House::new().await;
    let output = script(&house, "no token", "default").run().await;
    assert_eq!(output.status, 1);
    assert_eq!(
        output.stdout.trim(),
        "refused A valid token is required. unauthenticated malformed active=false"
    );
}

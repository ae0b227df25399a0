//! Official clients of npm, which prove that the server of these tests implements their protocol.

use std::path::Path;

use testkit::node::Script;

use crate::server::Server;

fn script(name: &str) -> Script {
    Script::new(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/it/scripts")
            .join(name),
    )
}

#[tokio::test]
async fn official_client_connects_to_the_test_server_with_both_parsers() {
    let server = Server::start().await;
    for parser in ["default", "msgpack"] {
        let script = script("socketio.js")
            .arg(format!("https://{}", server.endpoint.addr()))
            .arg(parser);
        let output = script.trusting(server.authority.pem_path()).run().await;
        assert_eq!(output.status, 0, "{output:?}");
        assert_eq!(
            output.stdout,
            "connected s\nack {\"n\":1}\nevent {\"n\":1} e-1\ndisconnect io server disconnect\n"
        );
    }
}

#[tokio::test]
async fn failed_script_returns_its_status_and_output() {
    let output = script("socketio.js")
        .arg("https://127.0.0.1:1")
        .arg("default")
        .run()
        .await;
    assert_eq!(output.status, 1);
    assert!(output.stderr.contains("websocket error"), "{output:?}");
}

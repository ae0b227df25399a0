//! permessage-deflate with real clients: same messages in fewer bytes, and bounded decompression.

use std::path::Path;

use flate2::{Compress, Compression, FlushCompress};
use protocol::cluster::job::JobOutcome;
use protocol::json::Json;
use serde_json::{Value, json};
use testkit::client::frame::Frame;
use testkit::client::http::Request;
use testkit::client::raw::Wire;
use testkit::node::Script;
use testkit::wait;

use crate::test_gateway::TestGateway;
use crate::worker::Worker;

/// Output of a client script.
#[derive(Debug, PartialEq, Eq)]
struct ScriptOutput {
    agreed: String,
    bytes: usize,
    digest: String,
}

/// Starts a worker that answers every command with 60 KiB of account data.
fn large_responses(gateway: &TestGateway) -> Worker {
    let account =
        |number: u32| json!({ "accountType": "github", "username": format!("user-{number}"), "scopes": ["read"] });
    let accounts: Vec<Value> = (0..1_000).map(account).collect();
    let data = json!({ "success": true, "accounts": accounts });
    assert!(data.to_string().len() > 60 * 1024);
    Worker::answering(gateway, move |_| {
        Some(JobOutcome {
            error: None,
            leading_notice: None,
            secret: false,
            data: Json::of(&data),
        })
    })
}

async fn run_script(gateway: &TestGateway, client: &str, compression: &str) -> ScriptOutput {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/scripts/deflate.js");
    let mut script = Script::new(path)
        .trusting(gateway.authority.pem_path())
        .arg(gateway.endpoint.addr().to_string())
        .arg(client)
        .arg(compression)
        .env("TOKEN", gateway.token("u"));
    for length in [9, 90, 900, 9_000, 60_000, 90] {
        script = script.arg(length.to_string());
    }
    let output = script.run().await;
    assert_eq!(output.status, 0, "{}\n{}", output.stdout, output.stderr);
    let field = |what: &str| {
        let line = output.stdout.lines().find_map(|line| line.strip_prefix(what));
        line.unwrap_or(&output.stdout).trim().to_owned()
    };
    ScriptOutput {
        agreed: field("agreed"),
        bytes: field("bytes").parse().unwrap(),
        digest: field("digest"),
    }
}

#[tokio::test]
async fn npm_clients_receive_same_data_in_a_fifth_of_the_bytes() {
    let gateway = TestGateway::with(|settings| settings.event_rate = None).await;
    let _worker = large_responses(&gateway);
    for client in ["ws", "socket.io"] {
        let with = run_script(&gateway, client, "on").await;
        let without = run_script(&gateway, client, "off").await;
        assert_eq!(with.digest, without.digest, "{client}");
        assert_eq!(
            (with.agreed.as_str(), without.agreed.as_str()),
            ("permessage-deflate", "nothing")
        );
        println!(
            "{client}: {} bytes with compression, {} without",
            with.bytes, without.bytes
        );
        assert!(with.bytes * 5 < without.bytes, "{client}: {with:?} {without:?}");
    }
}

/// Opens a native socket with compression at frame level.
async fn compressing(gateway: &TestGateway) -> Wire {
    let mut wire = gateway.endpoint.open().await.unwrap();
    let request = Request::upgrade("/ws")
        .header("Sec-WebSocket-Protocol", "postern.v1.json")
        .header("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")
        .bearer(&gateway.token("u"));
    let response = wire.upgrade(&request).await.unwrap();
    assert_eq!(
        response.header("sec-websocket-extensions"),
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    );
    let ready = wire.next_frame().await.unwrap();
    assert!(ready.payload.starts_with(br#"{"event":"ready""#) && ready.reserved == 0);
    wire
}

/// Returns a compressed text message.
fn compressed(message: &[u8]) -> Frame {
    let mut payload = Vec::with_capacity(message.len() + 1024);
    let mut stream = Compress::new(Compression::best(), false);
    stream.compress_vec(message, &mut payload, FlushCompress::Sync).unwrap();
    Frame::text(payload.strip_suffix(&[0, 0, 0xff, 0xff]).unwrap()).reserved(RSV1)
}

const RSV1: u8 = 4;

#[tokio::test]
async fn invalid_compressed_frames_close_the_socket_with_their_code() {
    let gateway = TestGateway::new().await;
    let bomb = compressed(&vec![b' '; 50_000_000]);
    assert!(
        bomb.payload.len() < 64 * 1024,
        "tungstenite's own bound does not see it"
    );
    let broken = [
        (bomb, 1009),
        (compressed(b"{\"event\":\"\xff\"}"), 1007),
        (Frame::text([0xff; 20]).reserved(RSV1), 1007),
        (Frame::new(9, "").reserved(RSV1), 1002),
        (Frame::new(0, "").reserved(RSV1), 1002),
        (compressed(b"{}").reserved(RSV1 | 1), 1002),
        (compressed(b"{}").unmasked(), 1002),
    ];
    for (frame, code) in broken {
        let mut wire = compressing(&gateway).await;
        wire.send_frame(&frame).await.unwrap();
        assert_eq!(wire.closed().await.code, code, "{:?}", frame.opcode);
    }
}

#[tokio::test]
async fn compressed_command_sent_byte_by_byte_is_answered() {
    let gateway = TestGateway::new().await;
    let worker = Worker::succeeding(&gateway);
    let mut wire = compressing(&gateway).await;
    let command = json!({ "event": "account:list", "data": { "padding": "x".repeat(5_000) }, "id": 7 });
    for byte in compressed(command.to_string().as_bytes()).bytes() {
        wire.send(&[byte]).await.unwrap();
    }
    let answer: Value = serde_json::from_slice(&wire.next_frame().await.unwrap().payload).unwrap();
    assert_eq!(
        (&answer["event"], &answer["id"]),
        (&json!("account:list_response"), &json!(7))
    );
    wait::until_true("the job to be done", wait::deadline(), async || worker.done() == 1).await;
}

#[tokio::test]
async fn client_without_offer_gets_no_compression() {
    let gateway = TestGateway::new().await;
    let mut wire = gateway.endpoint.open().await.unwrap();
    let request = Request::upgrade("/ws").header("Sec-WebSocket-Protocol", "postern.v1.json");
    let response = wire.upgrade(&request.bearer(&gateway.token("u"))).await.unwrap();
    assert_eq!(response.header("sec-websocket-extensions"), "");
    wire.next_frame().await.unwrap();
    wire.send_frame(&compressed(b"{}")).await.unwrap();
    assert_eq!(wire.closed().await.code, 1002);
}

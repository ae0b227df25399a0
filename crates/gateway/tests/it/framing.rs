//! Invalid messages close their own socket only.

use serde_json::json;
use testkit::client::Closed;
use testkit::client::frame::Frame;
use testkit::client::http::Request;
use testkit::{Native, SocketIo, wait};

use crate::test_gateway::TestGateway;
use crate::worker::Worker;

#[tokio::test]
async fn packets_refused_by_the_reference_close_with_4400() {
    let gateway = TestGateway::new().await;
    let _worker = Worker::succeeding(&gateway);
    let neighbour = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    for bad in [
        "abc",
        "7",
        "",
        "4",
        "4abc",
        "47",
        "42[]",
        "42{}",
        "42null",
        "42[\"x\"",
        "42[\"x\"]zzz",
        "42[null]",
        "42[\"connect\"]",
        "42abc[\"x\"]",
        "435{}",
        "41{}",
        "40[]",
        "40{\"a\"",
        "45[\"x\"]",
        "4511-[\"x\"]",
        "44{\"message\":\"x\"}",
        "40{}",
        "42/nope,[\"x\"]",
        "41/nope,",
        "2",
    ] {
        let client = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
        client.send_text(bad).await;
        let closed = client.closed().await;
        assert_eq!(closed.code, 4400, "{bad:?}: {closed}");
        assert!(
            !client.received_disconnect(),
            "{bad:?}: the client may reconnect by itself"
        );
    }
    let binary = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    binary.send_binary(vec![1, 2, 3]).await;
    assert_eq!(binary.closed().await.code, 4400, "an attachment without its header");
    let packed = SocketIo::to(&gateway.endpoint)
        .auth(json!({ "token": gateway.token("u") }))
        .msgpack()
        .connect()
        .await
        .unwrap();
    packed.send_binary(vec![0xc1]).await;
    assert_eq!(packed.closed().await.code, 4400, "no MessagePack");

    assert_eq!(
        neighbour.emit_with_ack("account:list", json!({})).await["success"],
        true
    );
}

#[tokio::test]
async fn packets_tolerated_by_the_reference_keep_the_socket() {
    let gateway = TestGateway::new().await;
    let _worker = Worker::succeeding(&gateway);
    let client = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    for odd in [
        "42",
        "42[1,2]",
        "42[\"\"]",
        "435",
        "43999[]",
        "3",
        "1",
        "6",
        "42[\"error\"]",
    ] {
        client.send_text(odd).await;
    }
    assert_eq!(client.emit_with_ack("account:list", json!({})).await["success"], true);
}

#[tokio::test]
async fn unpaired_surrogates_and_odd_numbers_keep_the_socket() {
    let gateway = TestGateway::new().await;
    let worker = Worker::succeeding(&gateway);
    let token = gateway.token("u");
    // JavaScript sends this for `'My phone 📱'.slice(0, 10)`.
    let auth = format!(r#"{{"token":"{token}","deviceName":"My phone \ud83d","\ud83d":"\u0000"}}"#);
    let socketio = SocketIo::to(&gateway.endpoint).open().await.unwrap();
    socketio.open_packet().await;
    socketio.send_text(format!("40{auth}")).await;
    let native = Native::to(&gateway.endpoint).open().await.unwrap();
    native.send_text(format!(r#"{{"event":"auth","data":{auth}}}"#)).await;
    wait::until_true("both to be live", wait::deadline(), async || {
        !socketio.connect_answer().is_null() && !native.ready().is_null()
    })
    .await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for odd in [
        r#""\ud83d""#,
        r#"{"\udcf1":["\u0000"]}"#,
        "1e400",
        "-0.0",
        "1e-400",
        deep.as_str(),
    ] {
        socketio
            .send_text(format!(r#"42["account:list",{{"x":{odd}}},{odd}]"#))
            .await;
        let list = format!(r#"{{"event":"account:list","data":{{"x":{odd}}},"x":{odd}}}"#);
        native.send_text(list).await;
        for answer in [socketio.next_event("account:list_response").await, native.next().await] {
            assert_eq!(answer.data["success"], true, "{odd:.20}");
        }
        let names = worker.jobs().into_iter().map(|job| job.origin.unwrap().device_name);
        assert!(names.flatten().all(|name| name == "My phone \u{fffd}"));
    }
    for socket in [&*socketio, &*native] {
        assert!(socket.is_open());
    }
}

#[tokio::test]
async fn messagepack_invalid_utf8_keeps_the_socket() {
    let gateway = TestGateway::new().await;
    let _worker = Worker::succeeding(&gateway);
    let token = gateway.token("u");
    let native = Native::to(&gateway.endpoint)
        .msgpack()
        .bearer(&token)
        .connect()
        .await
        .unwrap();
    let auth = json!({ "token": token });
    let socketio = SocketIo::to(&gateway.endpoint)
        .msgpack()
        .auth(auth)
        .connect()
        .await
        .unwrap();
    let deep = [vec![0x91; 10_000], vec![0xc0]].concat();
    for odd in [
        b"\xa3\xed\xa0\xbd".as_slice(),
        b"\xa1\xff",
        b"\x81\xa1\xff\xa1\x00",
        b"\xcb\x7f\xf0\0\0\0\0\0\0",
        b"\xd6\xff\0\0\0\0",
        &deep,
    ] {
        let data = [b"\x81\xa1x".as_slice(), odd].concat();
        let frame = [b"\x82\xa5event\xacaccount:list\xa4data", data.as_slice()].concat();
        native.send_binary(frame).await;
        // Packet type 5, which python-socketio before 5.5 writes for payloads with bytes.
        let packet = [
            b"\x83\xa4type\x05\xa3nsp\xa1/\xa4data\x92\xacaccount:list",
            data.as_slice(),
        ]
        .concat();
        socketio.send_binary(packet).await;
        for answer in [socketio.next_event("account:list_response").await, native.next().await] {
            assert_eq!(answer.data["success"], true, "{:x?}", &odd[..odd.len().min(16)]);
        }
    }
}

#[tokio::test]
async fn malformed_native_message_closes_with_4400() {
    let gateway = TestGateway::new().await;
    let neighbour = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    for bad in [
        "",
        "x",
        "[]",
        "7",
        "{\"event\":\"a\"} {}",
        "[{\"event\":\"account:list\"}]",
    ] {
        let client = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
        client.send_text(bad).await;
        assert_eq!(client.closed().await.code, 4400, "{bad:?}");
    }
    let other = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    other.send_binary(b"{}".to_vec()).await;
    assert_eq!(other.closed().await.code, 4400, "a binary message on a JSON socket");
    assert!(neighbour.is_open());
}

#[tokio::test]
async fn invalid_websocket_framing_closes_with_the_rfc6455_code() {
    let gateway = TestGateway::new().await;
    let long = vec![b'x'; 64 * 1024];
    let cases = [
        ("unmasked", Frame::text("40").unmasked(), 1002),
        ("a reserved bit", Frame::text("40").reserved(4), 1002),
        ("an unknown opcode", Frame::new(3, "x"), 1002),
        ("a continuation of nothing", Frame::new(0, "x"), 1002),
        ("a fragmented ping", Frame::new(9, "x").unfinished(), 1002),
        ("a long ping", Frame::new(9, vec![0; 126]), 1002),
        ("no UTF-8", Frame::text(vec![b'4', 0xff]), 1007),
        ("one byte too many", Frame::text([&long[..], b"x"].concat()), 1009),
        ("a claim of 2^62 bytes", Frame::binary("").claiming(1 << 62), 1009),
    ];
    for (what, frame, code) in cases {
        let mut wire = gateway.endpoint.open().await.unwrap();
        wire.upgrade(&Request::upgrade("/socket.io/?EIO=4&transport=websocket"))
            .await
            .unwrap();
        // An error is ignored: the server may close the connection before it has read the whole frame.
        drop(wire.send_frame(&frame).await);
        let Closed { code: actual, reason } = wire.closed().await;
        assert_eq!(actual, code, "{what}: {reason}");
    }
}

#[tokio::test]
async fn message_of_exactly_the_limit_and_its_successor_are_served() {
    let gateway = TestGateway::new().await;
    let _worker = Worker::succeeding(&gateway);
    let client = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let frame = json!({ "event": "account:list", "data": { "padding": "" }, "id": 1 });
    let padding = "x".repeat(64 * 1024 - frame.to_string().len());
    let frame = json!({ "event": "account:list", "data": { "padding": padding }, "id": 1 }).to_string();
    assert_eq!(frame.len(), 64 * 1024);
    for _ in 0..3 {
        client.send_text(frame.clone()).await;
        // The buffers grown by the long message are replaced before the next one.
        assert_eq!(client.request("account:list", json!({})).await.data["success"], true);
    }
}

#[tokio::test]
async fn fragmented_messages_are_reassembled_within_the_limit() {
    let gateway = TestGateway::new().await;
    let token = gateway.token("u");
    let mut wire = gateway.endpoint.open().await.unwrap();
    wire.upgrade(&Request::upgrade("/socket.io/?EIO=4&transport=websocket"))
        .await
        .unwrap();
    wire.next_frame().await.unwrap();
    let connect = format!("40{{\"token\":\"{token}\"}}");
    let (head, tail) = connect.split_at(3);
    wire.send_frame(&Frame::text(head).unfinished()).await.unwrap();
    wire.send_frame(&Frame::new(9, "between")).await.unwrap();
    wire.send_frame(&Frame::new(0, tail)).await.unwrap();
    let pong = wire.next_frame().await.unwrap();
    assert_eq!((pong.opcode, pong.payload), (10, b"between".to_vec()));
    assert!(wire.next_frame().await.unwrap().payload.starts_with(b"40"));

    wire.send_frame(&Frame::text(vec![b'4'; 40 * 1024]).unfinished())
        .await
        .unwrap();
    wire.send_frame(&Frame::new(0, vec![b'4'; 40 * 1024])).await.unwrap();
    assert_eq!(wire.closed().await.code, 1009);
}

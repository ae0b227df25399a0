//! Groups 1 to 7 of the Autobahn test suite, as far as they apply to a server that does not echo.

use serde_json::json;
use testkit::Native;
use testkit::client::Wire;
use testkit::client::frame::Frame;

use crate::test_gateway::TestGateway;
use crate::worker::Worker;

/// Sends frames on an open socket and returns the close code.
async fn code_after(gateway: &TestGateway, frames: &[Frame]) -> u16 {
    let mut wire = gateway.wire("u").await;
    send(&mut wire, frames).await;
    wire.closed().await.code
}

/// Sends frames. An error is ignored: the server may close the connection before it has read all of them.
async fn send(wire: &mut Wire, frames: &[Frame]) {
    let bytes: Vec<u8> = frames.iter().flat_map(Frame::bytes).collect();
    drop(wire.send(&bytes).await);
}

/// Returns a command as one text message, padded to this many bytes.
fn command(bytes: usize) -> Vec<u8> {
    let bare = json!({ "event": "account:list", "data": { "padding": "" }, "id": 1 }).to_string();
    let padding = "\u{3ba}".repeat((bytes - bare.len()) / 2) + &"x".repeat((bytes - bare.len()) % 2);
    json!({ "event": "account:list", "data": { "padding": padding }, "id": 1 })
        .to_string()
        .into_bytes()
}

/// Splits a message into fragments of this many bytes, with pings between them.
fn fragments(message: &[u8], size: usize) -> Vec<Frame> {
    let last = message.chunks(size).count() - 1;
    let frames = message.chunks(size).enumerate().flat_map(|(nth, part)| {
        let frame = Frame::new(if nth == 0 { 1 } else { 0 }, part);
        let frame = if nth == last { frame } else { frame.unfinished() };
        let ping = (nth % 200 == 1).then(|| Frame::new(9, "between"));
        [Some(frame), ping].into_iter().flatten()
    });
    frames.collect()
}

async fn next_answer(wire: &mut Wire) -> String {
    loop {
        let frame = wire.next_frame().await.expect("the socket was closed");
        if frame.opcode == 1 {
            return String::from_utf8(frame.payload).unwrap();
        }
        assert_eq!(frame.payload, b"between", "only pongs come between");
    }
}

#[tokio::test]
async fn groups_1_and_5_messages_of_every_length_and_fragmentation_are_accepted() {
    let gateway = TestGateway::with(|settings| settings.event_rate = None).await;
    let _worker = Worker::succeeding(&gateway);
    let mut wire = gateway.wire("u").await;
    for length in [125, 126, 127, 128, 65_535, 65_536] {
        let message = command(length);
        assert_eq!(message.len(), length);
        for size in [length, length / 2, length / 3 + 1, length.div_ceil(1_000)] {
            send(&mut wire, &fragments(&message, size)).await;
            let answer = next_answer(&mut wire).await;
            assert!(answer.contains(r#""success":true"#), "{length} in {size}: {answer}");
        }
    }
}

#[tokio::test]
async fn group_2_pings_get_pongs_with_their_payload_and_pongs_get_nothing() {
    let gateway = TestGateway::new().await;
    let mut wire = gateway.wire("u").await;
    send(&mut wire, &[Frame::new(10, "unasked"), Frame::new(10, "")]).await;
    for payload in [vec![], b"Hello".to_vec(), vec![0, 0xff, 0xfe, 0xfd], vec![0xfe; 125]] {
        send(&mut wire, &[Frame::new(9, payload.clone())]).await;
        let pong = wire.next_frame().await.unwrap();
        assert_eq!((pong.opcode, pong.payload), (10, payload));
    }
    let pings: Vec<_> = (0..10u8).map(|nth| Frame::new(9, [nth])).collect();
    send(&mut wire, &pings).await;
    let mut answered = Vec::new();
    while answered.last() != Some(&9) {
        let pong = wire.next_frame().await.unwrap();
        assert_eq!(pong.opcode, 10);
        answered.extend(pong.payload);
    }
    // Only the most recent ping must be answered (RFC 6455, section 5.5.3).
    assert!(answered.is_sorted(), "{answered:?}");
    assert_eq!(code_after(&gateway, &[Frame::new(9, vec![0xfe; 126])]).await, 1002);
}

#[tokio::test]
async fn groups_3_and_4_reserved_bits_and_opcodes_are_refused() {
    let gateway = TestGateway::new().await;
    for bits in 1..8 {
        for frame in [
            Frame::text("x"),
            Frame::binary("x"),
            Frame::new(9, "x"),
            Frame::close(1000, ""),
        ] {
            assert_eq!(code_after(&gateway, &[frame.reserved(bits)]).await, 1002, "{bits}");
        }
    }
    for opcode in (3..8).chain(11..16) {
        for frame in [
            Frame::new(opcode, ""),
            Frame::new(opcode, "x"),
            Frame::new(opcode, "x").unfinished(),
        ] {
            assert_eq!(code_after(&gateway, &[frame]).await, 1002, "{opcode}");
        }
    }
}

#[tokio::test]
async fn group_5_unexpected_fragments_are_refused() {
    let gateway = TestGateway::new().await;
    let cases = [
        vec![Frame::new(9, "x").unfinished(), Frame::new(0, "x")],
        vec![Frame::new(10, "x").unfinished(), Frame::new(0, "x")],
        vec![Frame::new(8, [3, 232]).unfinished()],
        vec![Frame::new(0, "x")],
        vec![Frame::new(0, "x").unfinished(), Frame::text("x")],
        vec![Frame::text("x").unfinished(), Frame::text("x")],
        vec![Frame::text("x").unfinished(), Frame::binary("x").unfinished()],
    ];
    for (case, frames) in cases.iter().enumerate() {
        assert_eq!(code_after(&gateway, frames).await, 1002, "case {case}");
    }
}

#[tokio::test]
async fn message_with_too_many_fragments_or_bytes_is_refused() {
    let gateway = TestGateway::new().await;
    let single = |count: usize| -> Vec<Frame> {
        let rest = (0..count).map(|_| Frame::new(0, "x").unfinished());
        [Frame::text("x").unfinished()].into_iter().chain(rest).collect()
    };
    assert_eq!(
        code_after(&gateway, &single(70_000)).await,
        1009,
        "more than 64 KiB in frames of one byte"
    );
    let empty: Vec<_> = [Frame::text("").unfinished()]
        .into_iter()
        .chain((0..10_000).map(|_| Frame::new(0, "").unfinished()))
        .collect();
    assert_eq!(code_after(&gateway, &empty).await, 1009, "10,000 empty fragments");
    for length in [64 * 1024 + 1, 1 << 32, 1 << 62, 1 << 63, u64::MAX] {
        let frames = [Frame::binary("").claiming(length)];
        let code = code_after(&gateway, &frames).await;
        assert!(matches!(code, 1009 | 1002), "a claim of {length} bytes: {code}");
    }
}

#[tokio::test]
async fn group_6_invalid_utf8_is_refused_in_any_fragmentation() {
    let gateway = TestGateway::new().await;
    let invalid: [&[u8]; 10] = [
        // A lone continuation byte, an invalid byte, overlong forms, truncation, a surrogate, beyond U+10FFFF, five and six bytes.
        b"\x80",
        b"\xff",
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xce",
        b"\xf0\x9f\x98",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xfc\x84\x80\x80\x80\x80",
    ];
    for bytes in invalid {
        let message = [b"\xce\xba\xe1\xbd\xb9", bytes, b" "].concat();
        for size in [message.len(), 1, 2] {
            assert_eq!(
                code_after(&gateway, &fragments(&message, size)).await,
                1007,
                "{bytes:?} by {size}"
            );
        }
    }
    assert_eq!(
        code_after(&gateway, &[Frame::text(b"x\xce".to_vec())]).await,
        1007,
        "cut off at the end"
    );
}

#[tokio::test]
async fn group_7_valid_closes_are_echoed_and_invalid_ones_refused() {
    let gateway = TestGateway::new().await;
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
    ] {
        for reason in ["", "\u{3ba}\u{1f79}", &"x".repeat(123)] {
            assert_eq!(
                code_after(&gateway, &[Frame::close(code, reason)]).await,
                code,
                "{reason}"
            );
        }
    }
    assert_eq!(code_after(&gateway, &[Frame::new(8, "")]).await, 1005, "no code");
    for code in [0, 1, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535] {
        assert_eq!(code_after(&gateway, &[Frame::close(code, "")]).await, 1002, "{code}");
    }
    assert_eq!(code_after(&gateway, &[Frame::new(8, [3])]).await, 1002, "half a code");
    assert_eq!(
        code_after(&gateway, &[Frame::close(1000, &"x".repeat(124))]).await,
        1002
    );
    let not_utf8 = Frame::new(8, [&[3, 232][..], b"\xce\xba\xe1\xbd\xb9\xcf\x83\xed\xa0\x80"].concat());
    assert!(matches!(code_after(&gateway, &[not_utf8]).await, 1002 | 1007));

    let worker = Worker::succeeding(&gateway);
    let after = [
        Frame::close(1000, ""),
        Frame::text(command(200)),
        Frame::new(9, "x"),
        Frame::close(1001, ""),
    ];
    assert_eq!(code_after(&gateway, &after).await, 1000, "nothing counts after a close");
    Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    assert_eq!(worker.done(), 0);
}

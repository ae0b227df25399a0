//! Clients against a small server that the official client accepts too (see `node`).

use serde_json::{Value, json};
use testkit::client::frame::Frame;
use testkit::client::http::{self, Request};
use testkit::client::{Closed, Native, Refused, SocketIo, native, socketio};
use testkit::tls::Authority;
use testkit::{Endpoint, wait};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::server::Server;

fn socketio_of_both_parsers(endpoint: &Endpoint) -> [socketio::SocketIoConnect; 2] {
    let connect = SocketIo::to(endpoint).auth(json!({ "token": "good" }));
    [connect.clone(), connect.msgpack()]
}

fn native_of_both_formats(endpoint: &Endpoint) -> [native::NativeConnect; 2] {
    let connect = Native::to(endpoint).auth(json!({ "token": "good" }));
    [connect.clone(), connect.msgpack()]
}

fn closed(code: u16, reason: &str) -> Closed {
    Closed {
        code,
        reason: reason.to_owned(),
    }
}

#[tokio::test]
async fn socket_io_exchanges_events_and_acks_with_both_parsers() {
    let server = Server::start().await;
    for connect in socketio_of_both_parsers(&server.endpoint) {
        let client = connect.connect().await.unwrap();
        assert_eq!(client.connect_answer(), json!({ "sid": "s", "pid": "p" }));
        assert_eq!(client.open_packet().await["pingInterval"], 25000);
        for number in 0..3 {
            assert_eq!(
                client.emit_with_ack("ask", json!({ "n": number })).await,
                json!({ "n": number })
            );
        }
        client.emit("tell", json!("text")).await;
        let answer = client.next_event("tell_response").await;
        assert_eq!(
            (answer.data, answer.offset.as_deref(), answer.id),
            (json!("text"), Some("e-1"), None)
        );
        client.disconnect().await;
    }
}

#[tokio::test]
async fn event_is_taken_by_name_and_others_stay_in_sequence() {
    let server = Server::start().await;
    let client = SocketIo::connect(&server.endpoint, "good").await.unwrap();
    client.emit("one", Value::Null).await;
    client.emit_with_ack("two", Value::Null).await;
    client.next_event("two_other").await;
    let names: Vec<String> = client.unread().into_iter().map(|event| event.name).collect();
    assert_eq!(names, ["one_other", "one_response", "two_response"]);
    let first = client.next().await;
    assert_eq!((first.name.as_str(), first.offset), ("one_other", None));
}

#[tokio::test]
async fn socketio_refusal_returns_the_data_of_the_error() {
    let server = Server::start().await;
    let connect = SocketIo::to(&server.endpoint).auth(json!({ "token": "bad" }));
    for connect in [connect.clone(), connect.msgpack()] {
        let Err(Refused::Answered { data, closed: None }) = connect.connect().await else {
            panic!("accepted")
        };
        assert_eq!(data["data"]["code"], "unauthenticated");
    }
}

#[tokio::test]
async fn refused_upgrade_returns_status_and_body() {
    let server = Server::start().await;
    let refused = SocketIo::to(&server.endpoint)
        .header("Origin", "https://evil.example")
        .connect()
        .await
        .unwrap_err();
    assert_eq!(refused.status(), Some(403));
    let refused = Native::to(&server.endpoint)
        .header("Origin", "https://evil.example")
        .connect()
        .await
        .unwrap_err();
    assert_eq!(refused.to_string(), "HTTP 403: foreign origin");
}

#[tokio::test]
async fn unknown_authority_is_not_trusted() {
    let server = Server::start().await;
    let endpoint = Endpoint::new(server.endpoint.addr(), Authority::new().client());
    let refused = SocketIo::connect(&endpoint, "good").await.unwrap_err();
    assert!(matches!(refused, Refused::Unreachable(_)), "{refused}");
}

#[tokio::test]
async fn end_returns_code_reason_and_disconnect_packet() {
    let server = Server::start().await;
    for connect in socketio_of_both_parsers(&server.endpoint) {
        let client = connect.connect().await.unwrap();
        assert!(client.is_open() && !client.received_disconnect());
        client.emit("dismiss", Value::Null).await;
        assert_eq!(client.closed().await, closed(4403, "ended"));
        assert!(client.received_disconnect() && !client.is_open());
    }
}

#[tokio::test]
async fn end_without_close_frame_is_1006() {
    let server = Server::start().await;
    let client = SocketIo::connect(&server.endpoint, "good").await.unwrap();
    client.emit("vanish", Value::Null).await;
    assert_eq!(client.closed().await, closed(1006, ""));
    assert!(!client.received_disconnect());
}

#[tokio::test]
async fn heartbeats_are_answered_unless_disabled() {
    let server = Server::start().await;
    let client = SocketIo::connect(&server.endpoint, "good").await.unwrap();
    client.emit("heartbeat", Value::Null).await;
    client.next_event("pong").await;
    assert_eq!(client.pings(), 1);

    let connect = SocketIo::to(&server.endpoint)
        .auth(json!({ "token": "good" }))
        .ignoring_pings();
    let client = connect.connect().await.unwrap();
    client.emit("heartbeat", Value::Null).await;
    // The ping has arrived with the first answer, so a pong would reach the server before the second question.
    client.emit_with_ack("ask", Value::Null).await;
    client.emit_with_ack("ask", Value::Null).await;
    assert_eq!(client.pings(), 1);
    assert!(client.unread().iter().all(|event| event.name != "pong"));
}

#[tokio::test]
async fn native_frames_are_exchanged_in_both_encodings() {
    let server = Server::start().await;
    for connect in native_of_both_formats(&server.endpoint) {
        let client = connect.connect().await.unwrap();
        assert_eq!(client.ready(), json!({ "resumeToken": "s" }));
        let answer = client.request("ask", json!({ "n": 1 })).await;
        assert_eq!((answer.name.as_str(), answer.data), ("ask_response", json!({ "n": 1 })));
        client.emit("batch", Value::Null).await;
        let (first, second) = (client.next().await, client.next().await);
        assert_eq!((first.name.as_str(), first.offset.as_deref()), ("first", Some("e-1")));
        assert_eq!((second.name.as_str(), second.offset), ("second", None));
        client.close().await;
        assert_eq!(client.closed().await.code, 1000);
    }
}

#[tokio::test]
async fn native_refusal_returns_the_error_and_the_close() {
    let server = Server::start().await;
    let refused = Native::to(&server.endpoint)
        .auth(json!({ "token": "bad" }))
        .connect()
        .await
        .unwrap_err();
    let Refused::Answered { data, closed: ended } = refused else {
        panic!("{refused}")
    };
    assert_eq!(data, json!({ "error": "unauthenticated" }));
    assert_eq!(ended, Some(closed(4401, "token refused")));
}

#[tokio::test]
async fn hand_made_frames_reach_the_server_unchanged() {
    let server = Server::start().await;
    let mut wire = server.endpoint.open().await.unwrap();
    wire.upgrade(&Request::upgrade("/ws").header("Sec-WebSocket-Protocol", "postern.v1.json"))
        .await
        .unwrap();
    let (one, other) = (r#"{"event":"auth","da"#, r#"ta":{"token":"good"}}"#);
    wire.send_frame(&Frame::text(one).unfinished()).await.unwrap();
    wire.send_frame(&Frame::new(0, other)).await.unwrap();
    let ready = wire.next_frame().await.unwrap();
    assert!(String::from_utf8(ready.payload).unwrap().contains("ready"));
    // The server's library refuses an unmasked frame and drops the connection.
    wire.send_frame(&Frame::text("{}").unmasked()).await.unwrap();
    assert_eq!(wire.closed().await, closed(1006, ""));
}

#[tokio::test]
async fn http_responses_are_read_by_length_chunks_and_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{\"a\":1}surplus",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-Kind: rest\r\n\r\n{\"a\":1}",
    ];
    for answer in answers {
        let request = Request::post("/path?query", &json!({ "b": 2 })).bearer("token");
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = vec![0; 1024];
            let length = stream.read(&mut seen).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&seen[..length]).into_owned()
        };
        let (response, seen) = tokio::join!(http::plain(addr, &request), serve);
        assert_eq!(response.unwrap().json(), json!({ "a": 1 }));
        assert!(seen.starts_with("POST /path?query HTTP/1.1\r\n"), "{seen}");
        assert!(
            seen.contains("Authorization: Bearer token\r\n") && seen.ends_with("\r\n\r\n{\"b\":2}"),
            "{seen}"
        );
    }
}

#[tokio::test]
async fn dropped_client_disconnects_from_the_server() {
    let server = Server::start().await;
    let proxy = testkit::Proxy::start(server.endpoint.addr()).await;
    let client = SocketIo::connect(&server.endpoint.at(proxy.addr()), "good")
        .await
        .unwrap();
    assert_eq!(proxy.open_connections(), 1);
    drop(client);
    wait::until_true("the connection to end", wait::deadline(), async || {
        proxy.open_connections() == 0
    })
    .await;
}

//! Unmodified client libraries of other languages against a cluster; JavaScript is in `it`.
//!
//! CI runs Python's: `cargo test --workspace --test clients -- python`. All of them, by hand: `cargo xtask long clients`. With them is
//! schemathesis, a client of Python that tries what a document describes; for ten minutes: `cargo xtask long schemathesis`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod follow;
mod schemathesis;

use testkit::library::Program;

use self::follow::{End, Follower, Recovers, follow};

#[tokio::test]
async fn python_clients_connect_reconnect_and_receive_the_reason_of_disconnect() {
    let end = End::Reason("server disconnect");
    let msgpack = Program::python("threads").env("SERIALIZER", "msgpack");
    follow(vec![
        Follower::new(Program::python("threads"), Recovers::No, end),
        Follower::new(msgpack, Recovers::No, end),
        Follower::new(Program::python("coroutines"), Recovers::No, end),
        Follower::new(native_python(), Recovers::Yes, End::Reason("4403")),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_generates_requests_of_the_internal_api_whose_responses_are_those_of_the_document() {
    schemathesis::check_responses().await;
}

#[tokio::test]
async fn java_clients_connect_reconnect_and_receive_the_reason_of_disconnect() {
    follow(vec![
        Follower::new(
            Program::java("SocketIo"),
            Recovers::No,
            End::Reason("io server disconnect"),
        ),
        Follower::new(Program::java("Native"), Recovers::Yes, End::Reason("4403")),
    ])
    .await;
}

#[tokio::test]
async fn go_clients_connect_reconnect_and_receive_the_reason_of_disconnect() {
    follow(vec![
        Follower::new(Program::go("socketio"), Recovers::Yes, End::Unordered),
        Follower::new(Program::go("native"), Recovers::Yes, End::Reason("4403")),
    ])
    .await;
}

/// Plain WebSocket of Python, whose library waits for seconds before it reconnects.
fn native_python() -> Program {
    let program = Program::python("native");
    ["INITIAL", "MIN", "MAX"].iter().fold(program, |program, delay| {
        program.env(&format!("WEBSOCKETS_BACKOFF_{delay}_DELAY"), "0.1")
    })
}

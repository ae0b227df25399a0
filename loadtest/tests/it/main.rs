//! Tests of the program against a server that breaks its promises.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test by panicking, as the tests do"
)]

mod unreliable_server;

use std::sync::atomic::Ordering;

use serde_json::Value;
use testkit::scratch::Scratch;
use testkit::tls::Authority;
use tokio::process::Command;

use self::unreliable_server::{Fault, UnreliableServer};

/// Sockets of the one user, and events that are published to it.
const SOCKETS: u64 = 2;
const EVENTS: u64 = 50;
/// Events of those that a fault concerns.
const FAULTY: u64 = 5;

/// Exit code and results of a run against a server with a fault.
struct Outcome {
    code: Option<i32>,
    counts: Value,
    figures: Value,
    stderr: String,
    /// Requests to the API.
    requests: u64,
    /// Bytes of all requests of sockets.
    socket_bytes: u64,
}

impl Outcome {
    fn count(&self, name: &str) -> u64 {
        self.counts[name].as_u64().unwrap()
    }

    fn faults(&self) -> [u64; 3] {
        ["lost", "twice", "out_of_sequence"].map(|name| self.count(name))
    }
}

async fn fanout(fault: Fault, options: &[&str]) -> Outcome {
    let of_one_user = ["--users", "1", "--sockets", &SOCKETS.to_string()];
    fanout_to(&of_one_user, fault, options).await
}

async fn fanout_to(users: &[&str], fault: Fault, options: &[&str]) -> Outcome {
    let fanout = ["fanout", "--target", "socketio", "--rate", "100"];
    let times = ["--duration", "500ms", "--warm-up", "0s"];
    run(&[&fanout[..], &times, users, options].concat(), fault).await
}

async fn run(scenario: &[&str], fault: Fault) -> Outcome {
    let authority = Authority::new();
    let server = UnreliableServer::start(&authority, fault).await;
    let out = Scratch::new("loadtest");
    let program = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(scenario)
        .args(["--jwt-secret", "0123456789abcdef0123456789abcdef", "--patience", "2s"])
        .args(["--internal-token", "token", "--gateway", &server.gateway.to_string()])
        .args(["--internal", &server.api.to_string()])
        .arg("--ca")
        .arg(authority.pem_path())
        .arg("--out")
        .arg(out.path())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let stderr = String::from_utf8_lossy(&program.stderr).into_owned();
    let results = std::fs::read(out.path().join("results.json")).expect(&stderr);
    let mut results: Value = serde_json::from_slice(&results).unwrap();
    Outcome {
        code: program.status.code(),
        counts: results["counts"].take(),
        figures: results["figures"].take(),
        stderr,
        requests: server.requests.load(Ordering::Relaxed),
        socket_bytes: server.socket_bytes.load(Ordering::Relaxed),
    }
}

#[tokio::test]
async fn honest_server_has_no_faults_and_exit_code_0() {
    let outcome = fanout(Fault::None, &[]).await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(outcome.faults(), [0, 0, 0]);
    assert_eq!(outcome.count("received"), EVENTS * SOCKETS);
    assert_eq!(outcome.count("accepted"), EVENTS);
}

#[tokio::test]
async fn accepted_events_that_never_arrive_are_lost() {
    let outcome = fanout(Fault::Lost, &[]).await;
    assert_eq!(outcome.code, Some(1));
    assert_eq!(outcome.faults(), [FAULTY * SOCKETS, 0, 0]);
    assert!(outcome.stderr.contains("10 deliveries lost"), "{}", outcome.stderr);
}

#[tokio::test]
async fn repeated_deliveries_are_twice() {
    let outcome = fanout(Fault::Twice, &[]).await;
    assert_eq!(outcome.code, Some(1));
    assert_eq!(outcome.faults(), [0, FAULTY * SOCKETS, 0]);
}

#[tokio::test]
async fn deliveries_after_a_later_one_are_out_of_sequence() {
    let outcome = fanout(Fault::Reordered, &[]).await;
    assert_eq!(outcome.code, Some(1));
    assert_eq!(outcome.faults(), [0, 0, FAULTY * SOCKETS]);
}

#[tokio::test]
async fn refused_events_are_counted_as_refused_and_not_as_lost() {
    let outcome = fanout(Fault::Refused, &[]).await;
    assert_eq!(outcome.code, Some(1));
    assert_eq!(outcome.faults(), [0, 0, 0]);
    assert_eq!(
        (outcome.count("refused"), outcome.count("accepted")),
        (FAULTY, EVENTS - FAULTY)
    );
    assert_eq!(outcome.count("received"), (EVENTS - FAULTY) * SOCKETS);
}

#[tokio::test]
async fn batch_has_an_event_of_each_user_and_each_is_accounted_for_alone() {
    let users = ["--users", "10", "--sockets", "1"];
    for (fault, refused, lost) in [(Fault::Refused, FAULTY, 0), (Fault::Lost, 0, FAULTY)] {
        let outcome = fanout_to(&users, fault, &["--batch", "10"]).await;
        assert_eq!(outcome.code, Some(1));
        assert_eq!(outcome.requests, EVENTS / 10, "{}", outcome.stderr);
        assert_eq!(
            (outcome.count("refused"), outcome.count("accepted")),
            (refused, EVENTS - refused)
        );
        assert_eq!(outcome.faults(), [lost, 0, 0]);
        assert_eq!(outcome.count("received"), EVENTS - FAULTY);
    }
}

#[tokio::test]
async fn refused_events_of_a_batch_are_repeated_alone_with_their_keys() {
    let users = ["--users", "10", "--sockets", "1"];
    let outcome = fanout_to(&users, Fault::Refused, &["--batch", "10", "--keyed"]).await;
    // Each batch has a refused event, which the next request accepts.
    assert_eq!(
        (outcome.count("accepted"), outcome.count("refused")),
        (EVENTS, 0),
        "{}",
        outcome.stderr
    );
    assert_eq!(
        (outcome.count("retries"), outcome.requests),
        (FAULTY, EVENTS / 10 + FAULTY)
    );
    assert_eq!(outcome.faults(), [0, 0, 0]);
    assert_eq!(outcome.count("received"), EVENTS);
}

#[tokio::test]
async fn closed_connections_are_counted_and_what_they_miss_is_lost() {
    let outcome = fanout(Fault::Closed, &[]).await;
    assert_eq!(outcome.code, Some(1));
    assert_eq!(outcome.count("connections_lost"), SOCKETS);
    assert!(outcome.count("lost") > 0);
}

#[tokio::test]
async fn tolerated_faults_are_counted_with_exit_code_0() {
    let outcome = fanout(Fault::Twice, &["--tolerate-faults"]).await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(outcome.faults(), [0, FAULTY * SOCKETS, 0]);
}

/// Runs `idle`, in which each socket sends a message of 60 KiB.
async fn idle(fault: Fault) -> Outcome {
    let idle = ["idle", "--sockets", "3", "--hold", "100ms", "--connect-once"];
    run(&[&idle[..], &["--message-bytes", "61440"]].concat(), fault).await
}

#[tokio::test]
async fn each_idle_socket_sends_one_message_of_the_given_length_and_memory_is_measured_after_the_answers() {
    let outcome = idle(Fault::None).await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(outcome.socket_bytes, 3 * 61_440);
    assert_eq!((outcome.count("requested"), outcome.count("answered")), (3, 3));
    let figure = &outcome.figures["loadtest.bytes_per_socket_after_message"];
    assert!(figure["value"].is_number(), "{}", outcome.figures);
}

#[tokio::test]
async fn message_without_an_answer_is_a_fault_and_gives_no_figure() {
    let outcome = idle(Fault::Unanswered).await;
    assert_eq!(outcome.code, Some(1));
    assert_eq!((outcome.count("unanswered"), outcome.count("answered")), (3, 0));
    let names: Vec<_> = outcome.figures.as_object().unwrap().keys().collect();
    assert!(!names.iter().any(|name| name.contains("after_message")), "{names:?}");
}

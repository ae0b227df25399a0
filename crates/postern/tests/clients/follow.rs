//! One user and one program each: it is let in, asks, hears, is cut off, comes back, and its session is ended.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use testkit::client::http::{Request, plain};
use testkit::cluster::Cluster;
use testkit::library::Program;
use testkit::process::Process;
use testkit::{Proxy, wait};

/// A program, and what is expected of its library.
pub(crate) struct Follower {
    program: Program,
    recovers: Recovers,
    end: End,
}

/// Whether a library comes back to its place in the order of events.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recovers {
    Yes,
    No,
}

/// What a library makes of the end of its session.
#[derive(Clone, Copy)]
pub(crate) enum End {
    /// It gives this reason, and has the event that comes right before it; in either order where handlers have threads of their own.
    Reason(&'static str),
    /// It handles the end of a connection beside the messages before it, which may get lost.
    Unordered,
}

impl Follower {
    pub(crate) fn new(program: Program, recovers: Recovers, end: End) -> Self {
        Self { program, recovers, end }
    }

    async fn run(self, cluster: &Cluster, user: &str) {
        let link = Proxy::start(cluster.gateway(0).addr()).await;
        let program = self
            .program
            .env("GATEWAY", format!("https://{}", link.addr()))
            .env("CA", cluster.authority().pem_path())
            .env("TOKEN", cluster.token(user))
            .start();
        has_said(&program, "ack true", 1).await;
        publish(cluster, user, "1").await;
        has_said(&program, "event 1", 1).await;

        link.refuse(true);
        link.cut();
        has_said(&program, "disconnected", 1).await;
        publish(cluster, user, "2").await;
        link.refuse(false);
        has_said(&program, "ack true", 2).await;
        publish(cluster, user, "3").await;
        has_said(&program, "event 3", 1).await;

        end_sessions(cluster, user).await;
        let status = program.wait(wait::deadline()).await;
        assert_eq!(status, 0, "{}", program.logs());
        self.recovers.check(&program);
        let said = program.stdout();
        assert!(said.ends_with("\nrefused forbidden\n"), "{}", program.logs());
        if let End::Reason(reason) = self.end {
            for last in ["expired ended", &format!("disconnected {reason}")] {
                assert!(
                    said.lines().rev().take(3).any(|line| line == last),
                    "{}",
                    program.logs()
                );
            }
        }
    }
}

impl Recovers {
    /// The second event was published while the program was away.
    fn check(self, program: &Process) {
        let said = program.stdout();
        let events: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("event ")).collect();
        match self {
            Self::Yes => assert_eq!(events, ["1", "2", "3"], "{}", program.logs()),
            Self::No => assert_eq!(events, ["1", "3"], "{}", program.logs()),
        }
    }
}

/// Runs all of them at once against one cluster.
pub(crate) async fn follow(followers: Vec<Follower>) {
    let cluster = Cluster::builder(env!("CARGO_BIN_EXE_postern"))
        .gateways(1)
        .start()
        .await;
    let users: Vec<String> = (1..=followers.len()).map(|number| format!("GEN-{number:03}")).collect();
    let runs = followers.into_iter().zip(&users);
    join_all(runs.map(|(follower, user)| follower.run(&cluster, user))).await;
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// Waits until a program has printed a line that begins so, so often.
async fn has_said(program: &Process, line: &str, times: usize) {
    let said = || program.stdout().lines().filter(|said| said.starts_with(line)).count() >= times;
    let heard = wait::until_true(line, wait::deadline(), async || {
        program.exit_status().is_some() || said()
    });
    let in_time = tokio::time::timeout(SAID_WITHIN, heard).await;
    assert!(in_time.is_ok() && said(), "{line:?} was not said: {}", program.logs());
}

/// Below the deadline of a wait, so that a failure shows what was said instead.
const SAID_WITHIN: Duration = Duration::from_secs(25);

async fn publish(cluster: &Cluster, user: &str, message: &str) {
    let event = json!({ "event": "account:status_changed", "data":
        { "accountType": "github", "status": "error", "metadata": { "errorMessage": message } } });
    let request = Request::post(&format!("/v1/users/{user}/events"), &event).bearer(cluster.internal_token());
    let response = plain(cluster.gateway(0).internal_addr(), &request).await.unwrap();
    assert_eq!(response.status, 202, "{}", response.text());
}

async fn end_sessions(cluster: &Cluster, user: &str) {
    let request = Request::new("DELETE", &format!("/v1/users/{user}/sessions")).bearer(cluster.internal_token());
    let response = plain(cluster.gateway(0).internal_addr(), &request).await.unwrap();
    assert_eq!(response.text(), r#"{"sessionsEnded":1}"#);
}

//! One user and one program each: connect, command, event, lost connection, reconnect, and the end of the session.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use testkit::client::http::{Request, plain};
use testkit::cluster::Cluster;
use testkit::library::Program;
use testkit::process::Process;
use testkit::{Proxy, wait};

/// A program, and the expected behaviour of its library.
pub(crate) struct Follower {
    program: Program,
    recovers: Recovers,
    end: End,
}

/// Support of a library for resume.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recovers {
    Yes,
    No,
}

/// Behaviour of a library at the end of its session.
#[derive(Clone, Copy)]
pub(crate) enum End {
    /// The library reports this reason and the event right before it, in either sequence where handlers run on threads of their own.
    Reason(&'static str),
    /// The library handles the end of a connection concurrently with the preceding messages, which may get lost.
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
        wait_until_printed(&program, "ack true", 1).await;
        publish(cluster, user, "1").await;
        wait_until_printed(&program, "event 1", 1).await;

        link.refuse(true);
        link.cut();
        wait_until_printed(&program, "disconnected", 1).await;
        publish(cluster, user, "2").await;
        link.refuse(false);
        wait_until_printed(&program, "ack true", 2).await;
        publish(cluster, user, "3").await;
        wait_until_printed(&program, "event 3", 1).await;

        end_sessions(cluster, user).await;
        let status = program.wait(wait::deadline()).await;
        assert_eq!(status, 0, "{}", program.logs());
        self.recovers.check(&program);
        let output = program.stdout();
        assert!(output.ends_with("\nrefused forbidden\n"), "{}", program.logs());
        if let End::Reason(reason) = self.end {
            for last in ["expired ended", &format!("disconnected {reason}")] {
                assert!(
                    output.lines().rev().take(3).any(|line| line == last),
                    "{}",
                    program.logs()
                );
            }
        }
    }
}

impl Recovers {
    /// Checks the printed events; the second one was published while the program was disconnected.
    fn check(self, program: &Process) {
        let output = program.stdout();
        let events: Vec<&str> = output.lines().filter_map(|line| line.strip_prefix("event ")).collect();
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

/// Waits until a program has printed so many lines with this start.
async fn wait_until_printed(program: &Process, line: &str, times: usize) {
    let output = || {
        program
            .stdout()
            .lines()
            .filter(|output| output.starts_with(line))
            .count()
            >= times
    };
    let printed = wait::until_true(line, wait::deadline(), async || {
        program.exit_status().is_some() || output()
    });
    let in_time = tokio::time::timeout(PRINTED_WITHIN, printed).await;
    assert!(
        in_time.is_ok() && output(),
        "{line:?} was not printed: {}",
        program.logs()
    );
}

/// Shorter than the deadline of a wait, so that a failure shows the program's output.
const PRINTED_WITHIN: Duration = Duration::from_secs(25);

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

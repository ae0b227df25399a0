//! A cluster of processes with a simulated GitHub: the setup of most tests here.

use std::path::Path;

use serde_json::{Value, json};
use simulator::{Fault, Handle, Kind, Platform, Route, Simulator};
use testkit::client::SocketIo;
use testkit::client::http::{self, Request};
use testkit::cluster::{Builder, Cluster};
use testkit::wait;
use tokio::task::JoinSet;

/// The binary under test.
pub(crate) const POSTERN: &str = env!("CARGO_BIN_EXE_postern");

/// A simulated GitHub. It ends with the handle.
pub(crate) struct Platforms {
    pub(crate) handle: Handle,
    _serving: JoinSet<()>,
}

impl Platforms {
    /// Starts it on a free port.
    pub(crate) async fn start() -> Self {
        Self::seeded(7).await
    }

    /// Starts like [`Platforms::start`], with randomness from this seed.
    pub(crate) async fn seeded(seed: u64) -> Self {
        let simulator = Simulator::bind(([127, 0, 0, 1], 0).into(), seed).await.unwrap();
        let handle = simulator.handle();
        let mut serving = JoinSet::new();
        serving.spawn(simulator.serve(std::future::pending()));
        Self {
            handle,
            _serving: serving,
        }
    }

    /// Watches logs and databases for every token that is live now.
    pub(crate) fn watch_tokens(&self, cluster: &Cluster) {
        for token in self.handle.snapshot().tokens {
            cluster.canary(&token.access_token);
            token.refresh_token.iter().for_each(|refresh| cluster.canary(refresh));
        }
    }

    /// Configures the workers of a cluster with this GitHub.
    pub(crate) fn linked_to(&self, builder: Builder) -> Builder {
        let url = self.handle.url();
        builder
            .worker_env("POSTERN_GITHUB_CLIENT_ID", simulator::CLIENT_ID)
            .worker_env("POSTERN_GITHUB_CLIENT_SECRET", simulator::CLIENT_SECRET)
            .worker_env("POSTERN_GITHUB_AUTH_URL", format!("{url}/github/login/oauth/authorize"))
            .worker_env(
                "POSTERN_GITHUB_TOKEN_URL",
                format!("{url}/github/login/oauth/access_token"),
            )
            .worker_env("POSTERN_GITHUB_API_URL", format!("{url}/github/api"))
    }

    /// Blocks the response to the next exchange until it is released.
    pub(crate) fn block_next_exchange(&self) {
        let fault = Fault::once(Platform::Github, Route::Token, Kind::AwaitRelease);
        self.handle.fault(fault);
    }

    /// Waits until an exchange is blocked: the code was presented, the response is not sent.
    pub(crate) async fn exchange_is_blocked(&self) {
        wait::until_true("the exchange to be under way", wait::deadline(), async || {
            !self.handle.snapshot().blocked.is_empty()
        })
        .await;
    }

    /// Number of exchanges of a code.
    pub(crate) fn exchanges(&self, code: &str) -> u64 {
        self.handle.snapshot().ledger.exchanges(Platform::Github, code)
    }
}

/// Visits an authorization URL of a simulator in the browser of this account's owner, who consents; returns the URL of the redirect.
pub(crate) async fn visit(simulator: &str, authorization_url: &str, login: &str) -> String {
    let url = format!("{authorization_url}&login={login}");
    let path = url.strip_prefix(simulator).unwrap();
    let address = simulator.strip_prefix("http://").unwrap().parse().unwrap();
    let answer = http::plain(address, &Request::get(path)).await.unwrap();
    assert_eq!(answer.status, 302, "{}", answer.text());
    answer.header("location").to_owned()
}

/// Sends this user through the authorization of a platform, with this login; returns the payload of the following `account:connect`, or the
/// answer to `account:authorize` where that failed.
pub(crate) async fn link_by_authorization(
    platforms: &Platforms,
    caller: &SocketIo,
    user: &str,
    account: &str,
    login: &str,
) -> Result<Value, Value> {
    let redirect = format!("http://localhost:3000/callback/{account}");
    let asked = json!({ "accountType": account, "redirectUri": redirect });
    let authorized = caller.emit_with_ack("account:authorize", asked).await;
    let Some(url) = authorized["authorizationUrl"].as_str() else {
        return Err(authorized);
    };
    let back = visit(platforms.handle.url(), url, login).await;
    let query = back.split_once('?').unwrap().1;
    let of = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)).unwrap();
    Ok(json!({
        "userId": user,
        "accountType": account,
        "oauthCode": of("code="),
        "state": of("state="),
        "redirectUri": redirect,
    }))
}

/// Two gateways, a worker, and the simulated GitHub.
pub(crate) async fn cluster(platforms: &Platforms) -> Cluster {
    platforms.linked_to(Cluster::builder(POSTERN)).start().await
}

/// A Socket.IO client of this user on one gateway.
pub(crate) async fn client(cluster: &Cluster, gateway: usize, user: &str) -> SocketIo {
    SocketIo::connect(&cluster.endpoint(gateway), &cluster.token(user))
        .await
        .unwrap()
}

/// The payload of `account:connect` for github.
pub(crate) fn connect(user: &str, code: &str) -> Value {
    json!({
        "userId": user,
        "accountType": "github",
        "oauthCode": code,
        "redirectUri": "http://localhost:3000/callback",
    })
}

/// Path of a Node script.
pub(crate) fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/scripts")
        .join(name)
}

/// Value of a variable for long forms by hand.
#[expect(clippy::disallowed_methods, reason = "a test is no node: it has no configuration")]
pub(crate) fn by_hand(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

//! Simulator that runs beside a test, a GitHub client for it, and checks that secrets are not printed.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use platforms::{ExchangeRequest, Github, Http, Platform, Settings, Timeouts, Tokens};
use protocol::fault::chain;
use protocol::secret::Secret;
use simulator::{CLIENT_ID, CLIENT_SECRET, Fault, Handle, Kind, Platform::Github as AtGithub, Route, Simulator};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

/// Deadline of a test: ten times what the slowest one needs on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Redirect URI of the application.
pub(crate) const REDIRECT_URI: &str = "http://localhost:3000/callback";

/// Client and simulator.
pub(crate) struct World {
    pub(crate) github: Github,
    pub(crate) simulator: Handle,
}

/// Runs `test` with a simulator of its own.
pub(crate) async fn world(test: impl AsyncFnOnce(World)) {
    let simulator = Simulator::bind(([127, 0, 0, 1], 0).into(), 7).await.unwrap();
    let github = github(simulator.url());
    let world = World {
        github,
        simulator: simulator.handle(),
    };
    tokio::select! {
        () = simulator.serve(std::future::pending()) => {}
        outcome = tokio::time::timeout(DEADLINE, test(world)) => outcome.unwrap(),
    }
}

/// Longer than any answered call takes.
pub(crate) const PATIENT: Timeouts = Timeouts {
    connect: Duration::from_secs(20),
    total: Duration::from_secs(30),
};

/// Timeouts for calls that get no answer.
pub(crate) const IMPATIENT: Timeouts = Timeouts {
    connect: Duration::from_secs(20),
    total: Duration::from_secs(2),
};

/// Client of the GitHub at this simulator (or of any other server there).
pub(crate) fn github(base: &str) -> Github {
    with_settings(settings(base))
}

/// Client with a timeout of two seconds.
pub(crate) fn impatient(base: &str) -> Github {
    Github::new(settings(base), Http::new(IMPATIENT).unwrap()).unwrap()
}

/// Client with these settings.
pub(crate) fn with_settings(settings: Settings) -> Github {
    Github::new(settings, Http::new(PATIENT).unwrap()).unwrap()
}

pub(crate) fn settings(base: &str) -> Settings {
    let url = |path: &str| Url::parse(&format!("{base}/github/{path}")).unwrap();
    Settings {
        client_id: CLIENT_ID.to_owned(),
        client_secret: Secret::new(CLIENT_SECRET),
        authorize_url: url("login/oauth/authorize"),
        token_url: url("login/oauth/access_token"),
        api_url: url("api"),
        revoke_url: None,
    }
}

impl World {
    /// Sets a fault for the next request of this route.
    pub(crate) fn fault(&self, route: Route, kind: Kind) {
        self.simulator.fault(Fault::once(AtGithub, route, kind));
    }

    /// Sets a fault for the next request of this route and returns the client to send it with: one with short timeouts if no
    /// answer will come.
    pub(crate) fn faulty(&self, route: Route, kind: &Kind) -> Github {
        self.fault(route, kind.clone());
        let timeouts = if *kind == Kind::Hang { IMPATIENT } else { PATIENT };
        Github::new(settings(self.simulator.url()), Http::new(timeouts).unwrap()).unwrap()
    }

    pub(crate) fn requests(&self, route: Route) -> u64 {
        self.simulator.snapshot().ledger.requests(AtGithub, route)
    }

    /// Valid tokens of this account.
    pub(crate) async fn tokens(&self, login: &str) -> Tokens {
        self.github
            .exchange(&request(&format!("test_code_{login}")))
            .await
            .unwrap()
            .tokens
            .unwrap()
    }
}

pub(crate) fn request(code: &str) -> ExchangeRequest {
    ExchangeRequest {
        code: Secret::new(code),
        redirect_uri: REDIRECT_URI.to_owned(),
        verifier: None,
    }
}

/// Faults that leave the outcome unknown, each with a part of the expected error.
pub(crate) fn unanswering() -> [(Kind, &'static str); 8] {
    let status = Kind::Status {
        status: 503,
        headers: [].into(),
        body: "away".to_owned(),
    };
    [
        (Kind::DropResponse, "the connection broke"),
        (Kind::Hang, "no answer within 2s"),
        (
            Kind::HugeBody {
                bytes: 100 * 1024 * 1024,
            },
            "larger than 1048576 bytes",
        ),
        (Kind::Garbage, "could not be read"),
        (
            Kind::Redirect {
                location: "http://127.0.0.1:1/elsewhere".to_owned(),
            },
            "status 307",
        ),
        (
            // Address at which clouds give secrets to their machines.
            Kind::Redirect {
                location: "http://169.254.169.254/latest/meta-data/".to_owned(),
            },
            "status 307",
        ),
        (status, "status 503"),
        (html(500), "status 500"),
    ]
}

/// HTML page with this status.
pub(crate) fn html(status: u16) -> Kind {
    Kind::Status {
        status,
        headers: [("content-type".to_owned(), "text/html".to_owned())].into(),
        body: "<!doctype html><title>Just a moment</title>".to_owned(),
    }
}

/// Asserts that an error, in every way of printing it, contains none of these secrets; returns its chain.
pub(crate) fn assert_no_secret(error: &(dyn Error + 'static), secrets: &[&str]) -> String {
    let chain = chain(error);
    let printed = format!("{error} {error:?} {error:#?} {chain}");
    for secret in secrets.iter().chain(&[CLIENT_SECRET]) {
        assert!(!printed.contains(secret), "{secret} shows in {printed}");
    }
    chain
}

/// Opens the authorize page in the browser of octocat, who consents; returns the query of the redirect.
pub(crate) async fn open_authorize_page(page: &Url) -> HashMap<String, String> {
    let mut socket = TcpStream::connect((page.host_str().unwrap(), page.port().unwrap()))
        .await
        .unwrap();
    let ask = format!(
        "GET {}?{}&login=octocat HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        page.path(),
        page.query().unwrap()
    );
    socket.write_all(ask.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let location = answer.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
    Url::parse(location).unwrap().query_pairs().into_owned().collect()
}

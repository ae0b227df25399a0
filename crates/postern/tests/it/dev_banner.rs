//! Banner of `postern dev` in a terminal, and the log of the tokens that it refuses.

use std::process::Command;
use std::sync::Arc;

use serde_json::json;
use testkit::client::{Endpoint, Refused, SocketIo};
use testkit::process::{Launch, Process};
use testkit::scratch::Scratch;
use testkit::{node, tls, wait};

use crate::command_line::postern_with;
use crate::stage::POSTERN;

/// `postern dev` as started in a terminal.
struct Terminal {
    process: Process,
    banner: String,
}

impl Terminal {
    /// Starts it with a relative folder whose name a shell would split, and waits for the banner.
    async fn start(variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(POSTERN);
        command
            .args(["dev", "--dir", "it's a folder"])
            .envs(variables.iter().copied());
        let launch = Launch::new("dev", &Arc::new(Scratch::new("dev")), command);
        let process = launch.without_environment().start();
        process.line("Ctrl-C stops it.", wait::deadline()).await;
        let banner = process.stdout();
        Self { process, banner }
    }

    /// Text of the banner between a label and the end of the line.
    fn line(&self, label: &str) -> &str {
        let (_, rest) = self.banner.split_once(label).unwrap();
        rest.lines().next().unwrap().trim()
    }

    fn gateway(&self) -> Endpoint {
        let ca = std::fs::read_to_string(self.line("  trust ")).unwrap();
        let gateway = self.line("  gateways ").split("  ").next().unwrap();
        let address = gateway.strip_prefix("https://").unwrap().parse().unwrap();
        Endpoint::new(address, tls::client_trusting(&ca))
    }

    async fn stop(self) {
        self.process.terminate();
        assert_eq!(self.process.wait(wait::deadline()).await, 0, "{}", self.process.logs());
    }
}

const OTHER_SECRET: &str = "0123456789abcdef0123456789abcdef-of-another-cluster";

/// Runs a printed command in another folder, in a shell with the secrets of another cluster.
async fn paste(command: &str) -> node::Output {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]);
    for variable in ["POSTERN_JWT_HS256_SECRET", "POSTERN_INTERNAL_TOKEN"] {
        shell.env(variable, OTHER_SECRET);
    }
    let launch = Launch::new("shell", &Arc::new(Scratch::new("shell")), shell);
    let process = launch.without_environment().start();
    let status = process.wait(wait::deadline()).await;
    let (stdout, stderr) = (process.stdout(), process.stderr());
    assert_eq!(status, 0, "{command}: {stderr}");
    node::Output { status, stdout, stderr }
}

#[tokio::test]
async fn printed_commands_work_in_another_folder_and_beside_other_secrets() {
    let dev = Terminal::start(&[]).await;
    let first = dev.banner.lines().nth(2).unwrap().split_whitespace();
    assert_eq!(
        first.collect::<Vec<_>>(),
        ["demo", format!("https://{}/demo", dev.gateway().addr()).as_str()]
    );
    let token = paste(dev.line("A token:")).await.stdout;
    let client = SocketIo::connect(&dev.gateway(), token.trim()).await.unwrap();
    let (_, rest) = dev.banner.split_once("An alert:").unwrap();
    let (alert, _) = rest.split_once("A client:").unwrap();
    paste(alert.trim()).await;
    let alert = client.next_event("security:alert").await;
    assert_eq!(alert.data["type"], json!("suspicious_login"));
    dev.stop().await;
}

#[tokio::test]
async fn loopback_and_listed_origins_are_printed_and_let_in() {
    let listed = "https://app.example.com";
    let dev = Terminal::start(&[("POSTERN_ALLOWED_ORIGINS", listed)]).await;
    let printed = dev.line("  origins ");
    assert_eq!(printed, format!("localhost, 127.0.0.1, [::1] at any port; {listed}"));
    let token = paste(dev.line("A token:")).await.stdout;
    let auth = json!({"token": token.trim()});
    for origin in [listed, "http://localhost:5173", "https://127.0.0.1:3000"] {
        let page = SocketIo::to(&dev.gateway()).header("Origin", origin).auth(auth.clone());
        page.connect().await.unwrap();
    }
    let foreign = SocketIo::to(&dev.gateway())
        .header("Origin", "https://evil.example")
        .auth(auth);
    let Err(Refused::Http(response)) = foreign.connect().await else {
        panic!("a foreign origin was let in");
    };
    assert_eq!(response.status, 403);
    assert!(response.text().contains("https://evil.example"), "{}", response.text());
    dev.stop().await;
}

#[tokio::test]
async fn callbacks_of_both_gateways_are_allowed_by_address_and_as_localhost() {
    let dev = Terminal::start(&[]).await;
    let token = paste(dev.line("A token:")).await.stdout;
    let client = SocketIo::connect(&dev.gateway(), token.trim()).await.unwrap();
    let gateways: Vec<_> = dev.line("  gateways ").split("  ").collect();
    assert_eq!(gateways.len(), 2);
    for gateway in gateways {
        for host in ["127.0.0.1", "localhost"] {
            let base = gateway.replace("127.0.0.1", host);
            let printed = format!("{base}/oauth/callback/<platform>");
            assert!(dev.line("  redirects ").contains(&printed), "{printed}: {}", dev.banner);
            let asked = json!({"accountType": "github", "redirectUri": printed.replace("<platform>", "github")});
            let answer = client.emit_with_ack("account:authorize", asked).await;
            assert_eq!(answer["success"], true, "{answer}");
        }
    }
    dev.stop().await;
}

#[tokio::test]
async fn token_of_another_secret_is_logged_with_the_reason() {
    let dev = Terminal::start(&[]).await;
    let other = [("POSTERN_JWT_HS256_SECRET", OTHER_SECRET.to_owned())];
    let token = postern_with(&["token", "--user", "GEN-001"], &other).await.stdout;
    assert!(SocketIo::connect(&dev.gateway(), token.trim()).await.is_err());
    let line = dev.process.line("token refused", wait::deadline()).await;
    assert!(line.contains("invalid signature"), "{line}");
    dev.stop().await;
}

//! Output and refusals of the command line.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use testkit::client::http::{Request, Response, plain};
use testkit::client::{Endpoint, SocketIo};
use testkit::process::{Launch, Process};
use testkit::scratch::Scratch;
use testkit::{Postgres, node, tls, wait};

use crate::stage::POSTERN;

/// A running `postern dev`.
pub(crate) struct Dev {
    process: Process,
    ready: Value,
    dir: String,
}

impl Dev {
    /// Starts it with a folder of its own and waits for the ready line.
    pub(crate) async fn start(args: &[&str]) -> Self {
        let scratch = Arc::new(Scratch::new("dev"));
        let dir = scratch.path().join("dev").display().to_string();
        let mut command = Command::new(POSTERN);
        command.args(["dev", "--json", "--dir", &dir]).args(args);
        let process = Launch::new("dev", &scratch, command).without_environment().start();
        let line = process.line("\"ready\":true", wait::deadline()).await;
        Self {
            ready: serde_json::from_str(&line).unwrap(),
            process,
            dir,
        }
    }

    /// URLs of its gateways.
    pub(crate) fn gateways(&self) -> Vec<String> {
        let gateways = self.ready["gateways"].as_array().unwrap();
        gateways.iter().map(|url| url.as_str().unwrap().to_owned()).collect()
    }

    /// Certificate authority that its clients trust.
    pub(crate) fn ca(&self) -> PathBuf {
        self.ready["ca"].as_str().unwrap().into()
    }

    /// A client of this user at the first gateway.
    pub(crate) async fn client(&self, user: &str) -> SocketIo {
        self.client_at(0, user).await
    }

    /// A client of this user at one of the gateways.
    pub(crate) async fn client_at(&self, gateway: usize, user: &str) -> SocketIo {
        let token = postern(&["token", "--user", user, "--dir", self.dir()]).await.stdout;
        SocketIo::connect(&self.endpoint_at(gateway), token.trim())
            .await
            .unwrap()
    }

    /// Endpoint of the first gateway.
    pub(crate) fn endpoint(&self) -> Endpoint {
        self.endpoint_at(0)
    }

    /// Endpoint of one of the gateways.
    pub(crate) fn endpoint_at(&self, gateway: usize) -> Endpoint {
        let ca = std::fs::read_to_string(self.ca()).unwrap();
        let gateway = self.gateways().swap_remove(gateway);
        let address = gateway.strip_prefix("https://").unwrap().parse().unwrap();
        Endpoint::new(address, tls::client_trusting(&ca))
    }

    /// Line that it has printed: addresses and secrets.
    pub(crate) fn ready_line(&self) -> String {
        self.ready.to_string()
    }

    /// URL of the demo.
    pub(crate) fn demo(&self) -> String {
        self.ready["demo"].as_str().unwrap().to_owned()
    }

    /// Sends a request to the internal API of one of the gateways.
    pub(crate) async fn internal(&self, gateway: usize, request: Request) -> Response {
        let url = self.ready["internal"][gateway].as_str().unwrap();
        let address = url.strip_prefix("http://").unwrap().parse().unwrap();
        let request = request.bearer(self.ready["internalToken"].as_str().unwrap());
        plain(address, &request).await.unwrap()
    }

    /// URL of its simulated platforms.
    pub(crate) fn simulator(&self) -> String {
        self.ready["simulator"].as_str().unwrap().to_owned()
    }

    /// Folder of its secrets.
    pub(crate) fn dir(&self) -> &str {
        &self.dir
    }

    /// Log until now.
    pub(crate) fn log(&self) -> String {
        self.process.stderr()
    }

    /// Ends it as Ctrl-C does; returns its log.
    pub(crate) async fn stop(self) -> String {
        self.process.terminate();
        assert_eq!(self.process.wait(wait::deadline()).await, 0, "{}", self.process.logs());
        self.log()
    }
}

/// Runs a small command to its end, with none of the variables of the shell that runs the tests.
pub(crate) async fn postern(args: &[&str]) -> node::Output {
    postern_with(args, &[]).await
}

/// Runs a command like [`postern`], with these environment variables.
pub(crate) async fn postern_with(args: &[&str], variables: &[(&str, String)]) -> node::Output {
    let mut command = Command::new(POSTERN);
    command.args(args).envs(variables.iter().cloned());
    let launch = Launch::new("postern", &Arc::new(Scratch::new("command")), command);
    let process = launch.without_environment().start();
    let status = process.wait(wait::deadline()).await;
    node::Output {
        status,
        stdout: process.stdout(),
        stderr: process.stderr(),
    }
}

#[tokio::test]
async fn dev_prints_one_ready_line_and_nothing_else() {
    let dev = Dev::start(&[]).await;
    assert_eq!(dev.process.stdout().lines().count(), 1);
    assert_eq!(dev.gateways().len(), 2);
    for field in ["internal", "health"] {
        assert_eq!(dev.ready[field].as_array().unwrap().len(), 2, "{field}");
    }
    for field in ["demo", "simulator", "internalToken", "ca", "jwtSecret"] {
        assert!(dev.ready[field].is_string(), "{field}");
    }
    assert!(dev.ca().exists());
    dev.stop().await;
}

#[tokio::test]
async fn two_dev_clusters_run_side_by_side() {
    let (one, other) = tokio::join!(Dev::start(&[]), Dev::start(&[]));
    assert_ne!(one.gateways(), other.gateways());
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn every_wrong_variable_is_named_on_a_line_of_its_own() {
    let refused = postern(&["gateway", "--listen", "nowhere", "--heartbeat-interval", "soon"]).await;
    assert_eq!(refused.status, 1);
    for variable in [
        "POSTERN_LISTEN",
        "POSTERN_HEARTBEAT_INTERVAL",
        "POSTERN_TLS_CERT",
        "POSTERN_JWT_HS256_SECRET",
    ] {
        let lines = refused.stderr.lines().filter(|line| line.contains(variable)).count();
        assert_eq!(lines, 1, "{variable}:\n{}", refused.stderr);
    }
}

#[tokio::test]
async fn redis_acl_prints_the_documented_rules_with_the_prefix() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations/redis.md");
    let page = std::fs::read_to_string(page).unwrap();
    let documented = page.lines().find(|line| line.starts_with("resetkeys ")).unwrap();
    let printed = postern(&["redis", "acl", "--redis-prefix", "gate"]).await;
    assert_eq!((printed.status, printed.stderr.as_str()), (0, ""));
    assert_eq!(printed.stdout.trim_end(), documented.replace("pn:*", "gate:*"));
    let refused = postern(&["redis", "acl", "--redis-prefix", "a:b"]).await;
    assert_eq!(refused.status, 1);
    assert!(refused.stderr.contains("POSTERN_REDIS_PREFIX "), "{}", refused.stderr);
}

#[tokio::test]
async fn addresses_that_redis_cannot_have_are_refused_in_one_line() {
    let wanted = [
        ("redis-cluster://127.0.0.1/1", "a cluster has database 0 alone"),
        ("redis-sentinel://127.0.0.1/main", "?master=<name>"),
    ];
    for (url, reason) in wanted {
        let refused = postern(&["gateway", "--redis-url", url]).await;
        let mut lines = refused.stderr.lines();
        let line = lines.find(|line| line.contains("POSTERN_REDIS_URL"));
        assert!(
            line.is_some_and(|line| line.contains(reason)),
            "{url}:\n{}",
            refused.stderr
        );
    }
}

#[tokio::test]
async fn proxy_settings_without_a_trusted_proxy_or_with_every_address_are_refused() {
    let without = postern(&["gateway", "--proxy-protocol", "required"]).await;
    let sentence =
        "POSTERN_PROXY_PROTOCOL needs POSTERN_TRUSTED_PROXIES: without a trusted proxy no PROXY header is believed";
    assert!(without.stderr.contains(sentence), "{}", without.stderr);
    let everyone = postern(&[
        "gateway",
        "--proxy-protocol",
        "v2",
        "--trusted-proxies",
        "10.0.0.0/8,0.0.0.0/0",
    ])
    .await;
    for line in [
        "POSTERN_PROXY_PROTOCOL must be `off`, `optional` or `required`",
        "POSTERN_TRUSTED_PROXIES `0.0.0.0/0` is every address",
    ] {
        assert!(everyone.stderr.contains(line), "{}", everyone.stderr);
    }
}

#[tokio::test]
async fn migrate_prints_applied_migrations_or_that_there_were_none() {
    let schema = Postgres::shared().await.schema().await;
    let url = schema.owner_url();
    let first = postern(&["migrate", "--database-url", &url]).await;
    assert_eq!(first.status, 0, "{}", first.stderr);
    assert!(
        first.stdout.contains("applied V1__the_truth, V3__security, "),
        "{}",
        first.stdout
    );
    // A pooler that does not exist.
    let pooler = "postgres://postern@127.0.0.1:1/postern?sslmode=disable";
    let again = postern(&["migrate", "--database-url", pooler, "--migrate-database-url", &url]).await;
    assert_eq!(again.status, 0, "{}", again.stderr);
    assert!(again.stdout.contains("no migration was applied"), "{}", again.stdout);
    let reported = postern(&["migrate", "--json", "--database-url", &url]).await;
    let report: Value = serde_json::from_str(&reported.stdout).unwrap();
    assert_eq!((&report["applied"], &report["isNewer"]), (&json!([]), &json!(false)));
    assert!(report["version"].is_u64(), "{report}");
}

#[tokio::test]
async fn a_wrong_secret_is_not_repeated() {
    let secret = "postgres://u:swordfish-swordfish@[bad";
    let refused = postern(&[
        "worker",
        "--database-url",
        secret,
        "--vault-keys",
        "k1:swordfish-swordfish",
    ])
    .await;
    assert_eq!(refused.status, 1);
    assert!(refused.stderr.contains("POSTERN_DATABASE_URL"), "{}", refused.stderr);
    assert!(refused.stderr.contains("POSTERN_VAULT_KEYS"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("swordfish"), "{}", refused.stderr);
}

#[tokio::test]
async fn a_secret_that_ends_in_a_line_break_is_taken_without_it_and_named_in_one_line() {
    let secret = "0123456789abcdef0123456789abcdef";
    let variables = [
        ("POSTERN_JWT_HS256_SECRET", format!("{secret}\n")),
        ("POSTERN_INTERNAL_TOKEN", "token\r\n".to_owned()),
    ];
    let signed = postern_with(&["token", "--user", "GEN-001"], &variables).await;
    for (variable, value) in &variables {
        let named = signed.stderr.lines().filter(|line| line.contains(variable)).count();
        assert_eq!(named, 1, "{variable}:\n{}", signed.stderr);
        assert!(!signed.stderr.contains(value.trim_end()), "{}", signed.stderr);
    }
    let key = DecodingKey::from_secret(secret.as_bytes());
    let token = jsonwebtoken::decode::<Value>(signed.stdout.trim(), &key, &Validation::new(Algorithm::HS256));
    assert_eq!(token.unwrap().claims["sub"], "GEN-001");
}

#[tokio::test]
async fn a_secret_that_no_header_can_carry_is_refused_in_one_line() {
    let gateway = ["POSTERN_INTERNAL_TOKEN"];
    let worker = [
        "POSTERN_GITHUB_CLIENT_SECRET",
        "POSTERN_DISCORD_CLIENT_SECRET",
        "POSTERN_X_TWITTER_CLIENT_SECRET",
        "POSTERN_TELEGRAM_CLIENT_SECRET",
        "POSTERN_TELEGRAM_BOT_TOKEN",
        "POSTERN_DISCORD_BOT_TOKEN",
        "POSTERN_TELEGRAM_WEBHOOK_SECRET",
        "POSTERN_SMS_TOKEN",
    ];
    let ids = ["GITHUB", "DISCORD", "X_TWITTER", "TELEGRAM"].map(|platform| format!("POSTERN_{platform}_CLIENT_ID"));
    let sms = ["POSTERN_SMS_ACCOUNT", "POSTERN_SMS_FROM"].map(|name| (name, "AC1".to_owned()));
    for (node, secrets) in [("gateway", &gateway[..]), ("worker", &worker)] {
        let mut variables: Vec<_> = secrets
            .iter()
            .map(|name| (*name, "sword\u{1}fish".to_owned()))
            .collect();
        variables.extend(ids.iter().map(|id| (id.as_str(), "42".to_owned())));
        variables.extend(sms.clone());
        variables.push(("POSTERN_SMS_URL", "https://sms.example".to_owned()));
        let refused = postern_with(&[node], &variables).await;
        assert_eq!(refused.status, 1);
        for secret in secrets {
            let lines = refused.stderr.lines().filter(|line| line.contains(secret)).count();
            assert_eq!(lines, 1, "{secret}:\n{}", refused.stderr);
        }
        assert!(!refused.stderr.contains("sword"), "{}", refused.stderr);
    }
}

#[tokio::test]
async fn a_token_of_the_dev_cluster_needs_the_dev_cluster() {
    let refused = postern(&["token", "--user", "GEN-001", "--dir", "/nonexistent/postern"]).await;
    assert_eq!(refused.status, 1);
    assert!(refused.stderr.contains("postern dev"), "{}", refused.stderr);
}

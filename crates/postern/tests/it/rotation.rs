//! Rotation of secrets under load: nobody is refused, nothing is lost, and the old secret is worth nothing afterwards.

mod load;

use std::path::PathBuf;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use testkit::client::http::{Request, plain};
use testkit::client::{Native, Refused};
use testkit::cluster::{Cluster, Member};
use testkit::token::{Signer, random_text};
use testkit::{Redis, wait};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use self::load::Load;
use crate::stage::POSTERN;

/// Passwords of the user of Redis, and canaries: at least 16 characters.
const BEFORE: &str = "before-0123456789";
const AFTER: &str = "after-0123456789";

/// Files of the secrets of a cluster, as a platform mounts them.
struct SecretFiles {
    folder: TempDir,
    redis: Redis,
}

impl SecretFiles {
    /// Files with the first secrets, and a Redis whose user has the first password.
    async fn new(signer: &Signer) -> Self {
        let redis = Redis::start().await;
        let password = format!(">{BEFORE}");
        redis
            .command(&["ACL", "SETUSER", "gate", "on", &password, "+@all", "~*", "&*"])
            .await;
        let files = Self {
            folder: tempfile::tempdir().unwrap(),
            redis,
        };
        files.write("jwt", signer.verifier());
        files.write("redis", &files.redis_url(BEFORE));
        files.write("callers", "[]");
        files
    }

    async fn cluster(&self) -> Cluster {
        let builder = Cluster::builder(POSTERN)
            .redis(&self.redis)
            .without("POSTERN_REDIS_URL")
            .env("POSTERN_REDIS_URL_FILE", self.path("redis").display())
            .without("POSTERN_JWT_HS256_SECRET")
            .gateway_env("POSTERN_JWT_HS256_SECRET_FILE", self.path("jwt").display())
            .gateway_env("POSTERN_INTERNAL_TOKENS_FILE", self.path("callers").display());
        let cluster = builder.start().await;
        cluster.canary(BEFORE);
        cluster.canary(AFTER);
        cluster
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces a file in one step.
    fn write(&self, name: &str, contents: &str) {
        let next = self.folder.path().join("next");
        std::fs::write(&next, contents).unwrap();
        std::fs::rename(next, self.path(name)).unwrap();
    }

    /// Lets the application in with each of these tokens.
    fn write_callers(&self, tokens: &[&str]) {
        let entry = |token: &&str| json!({ "name": "application", "scopes": ["publish_events"], "sha256": HEXLOWER.encode(&Sha256::digest(token)) });
        let entries: Vec<_> = tokens.iter().map(entry).collect();
        self.write("callers", &json!(entries).to_string());
    }

    fn redis_url(&self, password: &str) -> String {
        format!("redis://gate:{password}@{}", self.redis.addr())
    }

    /// Reply of Redis to a login.
    async fn login(&self, password: &str) -> String {
        let mut stream = TcpStream::connect(self.redis.addr()).await.unwrap();
        let command = format!("AUTH gate {password}\r\n");
        stream.write_all(command.as_bytes()).await.unwrap();
        let mut reply = [0; 64];
        let length = stream.read(&mut reply).await.unwrap();
        String::from_utf8_lossy(&reply[..length]).into_owned()
    }
}

/// Waits until a node has applied this number of changes of a file.
pub(crate) async fn has_reloaded(node: &Member, variable: &str, times: u64) {
    let line = format!("postern_reloads_total{{outcome=\"applied\",variable=\"{variable}\"}} {times}");
    wait::until_true("the changed file to be read again", wait::deadline(), async || {
        node.metrics().await.lines().any(|shown| shown == line)
    })
    .await;
}

async fn have_reloaded(cluster: &Cluster, variable: &str, times: u64) {
    for gateway in 0..2 {
        has_reloaded(cluster.gateway(gateway), variable, times).await;
    }
}

#[tokio::test]
async fn rotation_of_every_secret_under_load_refuses_nobody_and_loses_nothing() {
    const JWT: &str = "POSTERN_JWT_HS256_SECRET";
    const REDIS: &str = "POSTERN_REDIS_URL";
    const CALLERS: &str = "POSTERN_INTERNAL_TOKENS_FILE";
    let (old, new) = (Arc::new(Signer::hs256()), Arc::new(Signer::hs256()));
    let (old_token, new_token) = (random_text(), random_text());
    let files = SecretFiles::new(&old).await;
    files.write_callers(&[&old_token]);
    let cluster = files.cluster().await;
    for secret in [old.verifier(), new.verifier(), &old_token, &new_token] {
        cluster.canary(secret);
    }
    let load = Load::start(&cluster, &old, &old_token).await;
    load.passes().await;

    // The HS256 secret: both, then the issuer signs with the new one, then the new one alone.
    files.write("jwt", &format!("{}\n{}\n", new.verifier(), old.verifier()));
    have_reloaded(&cluster, JWT, 1).await;
    load.sign_with(&[&old, &new]);
    load.passes().await;
    load.sign_with(&[&new]);
    load.passes().await;
    files.write("jwt", new.verifier());
    have_reloaded(&cluster, JWT, 2).await;
    load.passes().await;

    // The password of Redis: both, then the nodes use the new one, then the new one alone.
    let (add, remove) = (format!(">{AFTER}"), format!("<{BEFORE}"));
    files.redis.command(&["ACL", "SETUSER", "gate", &add]).await;
    files.write("redis", &files.redis_url(AFTER));
    have_reloaded(&cluster, REDIS, 1).await;
    has_reloaded(cluster.worker(0), REDIS, 1).await;
    files.redis.command(&["ACL", "SETUSER", "gate", &remove]).await;
    load.passes().await;

    // The token of the internal API: both, then the application uses the new one, then the new one alone.
    files.write_callers(&[&new_token, &old_token]);
    have_reloaded(&cluster, CALLERS, 1).await;
    load.publish_with(&new_token);
    load.passes().await;
    files.write_callers(&[&new_token]);
    have_reloaded(&cluster, CALLERS, 2).await;
    load.passes().await;

    // The certificate.
    let before = served(&cluster).await;
    cluster.authority().issue_files("gateway");
    wait::until_true("the new certificate", wait::deadline(), async || {
        served(&cluster)
            .await
            .iter()
            .all(|certificate| !before.contains(certificate))
    })
    .await;
    load.passes().await;

    let residents = load.finish().await;
    assert!(
        residents.iter().all(|resident| resident.is_open()),
        "their tokens have not expired"
    );

    // Whoever kept the old secrets.
    for gateway in 0..2 {
        let thief = Native::connect(&cluster.endpoint(gateway), &old.token("GEN-001")).await;
        assert!(is_unauthenticated(&thief), "{thief:?}");
        let publish = Request::post("/v1/users/GEN-001/events", &json!({})).bearer(&old_token);
        let answer = plain(cluster.gateway(gateway).internal_addr(), &publish).await.unwrap();
        assert_eq!(answer.status, 401, "{}", answer.text());
    }
    assert!(files.login(BEFORE).await.starts_with("-WRONGPASS"));
    assert!(files.login(AFTER).await.starts_with("+OK"));

    // Connections to Redis that are opened from now on.
    files.redis.command(&["CLIENT", "KILL", "USER", "gate"]).await;
    for gateway in 0..2 {
        wait::until_true("new connections to Redis", wait::deadline(), async || {
            let token = new.token("GEN-001");
            Native::connect(&cluster.endpoint(gateway), &token).await.is_ok()
        })
        .await;
    }
    drop(residents);
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn unusable_file_keeps_the_secret_in_use_and_shows_in_log_and_metric() {
    let (signer, thief) = (Signer::hs256(), Signer::hs256_with("too-short-to-be-a-secret"));
    let files = SecretFiles::new(&signer).await;
    let cluster = files.cluster().await;
    cluster.canary(signer.verifier());
    cluster.canary(thief.verifier());
    let gateway = cluster.gateway(0);
    let failing = async |value: u8| {
        let line = format!("postern_reload_failing{{variable=\"POSTERN_JWT_HS256_SECRET\"}} {value}");
        wait::until_true("the metric", wait::deadline(), async || {
            gateway.metrics().await.lines().any(|shown| shown == line)
        })
        .await;
    };
    failing(0).await;
    files.write("jwt", thief.verifier());
    failing(1).await;
    let rejected = gateway
        .logs()
        .lines()
        .filter(|line| line.contains("changed file rejected"))
        .count();
    assert_eq!(rejected, 1, "{}", gateway.logs());
    let connect = async |signer: &Signer| Native::connect(&cluster.endpoint(0), &signer.token("GEN-001")).await;
    assert!(connect(&signer).await.is_ok());
    let refused = connect(&thief).await;
    assert!(is_unauthenticated(&refused), "{refused:?}");

    // Another server in the URL is no rotation.
    files.write("redis", &files.redis_url(BEFORE).replace("127.0.0.1", "127.0.0.2"));
    wait::until_true("the refusal in the log", wait::deadline(), async || {
        gateway
            .logs()
            .contains("the URL names another server or database: restart the node")
    })
    .await;

    files.write("jwt", signer.verifier());
    failing(0).await;
    assert!(connect(&signer).await.is_ok());
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// Reports whether a token was refused.
fn is_unauthenticated(connected: &Result<Native, Refused>) -> bool {
    matches!(connected, Err(Refused::Answered { data, .. }) if data["error"] == "unauthenticated")
}

/// Certificates that the gateways present to new connections.
async fn served(cluster: &Cluster) -> Vec<Vec<u8>> {
    let mut certificates = Vec::new();
    for gateway in 0..2 {
        let wire = cluster.endpoint(gateway).open().await.unwrap();
        certificates.push(wire.certificate());
    }
    certificates
}

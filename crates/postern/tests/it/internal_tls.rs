//! TLS of the internal API: client certificates, and the reload of certificate and authorities.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use serde_json::json;
use testkit::Endpoint;
use testkit::client::http::{KeptAlive, Request, plain};
use testkit::cluster::Cluster;
use testkit::scratch::Scratch;
use testkit::tls::{Authority, Identity};
use testkit::wait;

use crate::command_line::postern;
use crate::stage::POSTERN;

/// Gateway whose internal API requires client certificates.
struct Stage {
    cluster: Cluster,
    /// Authority of the server.
    server: Authority,
    certificate: (PathBuf, PathBuf),
    scratch: Scratch,
    client_ca: PathBuf,
}

impl Stage {
    async fn start(clients: &Authority) -> Self {
        let (server, scratch) = (Authority::new(), Scratch::new("client-ca"));
        let certificate = server.issue_files("internal");
        let client_ca = scratch.write("client-ca.pem", pem(clients));
        let cluster = Cluster::builder(POSTERN)
            .gateways(1)
            .workers(0)
            .gateway_env("POSTERN_INTERNAL_TLS_CERT", certificate.0.display())
            .gateway_env("POSTERN_INTERNAL_TLS_KEY", certificate.1.display())
            .gateway_env("POSTERN_INTERNAL_CLIENT_CA", client_ca.display())
            .start()
            .await;
        Self {
            cluster,
            server,
            certificate,
            scratch,
            client_ca,
        }
    }

    /// Replaces a file atomically.
    fn replace(&self, path: &Path, content: &str) {
        let new = self.scratch.write("new", content);
        std::fs::rename(new, path).unwrap();
    }

    /// Status of an authorized request; `None` without a response.
    async fn status(&self, client: Arc<ClientConfig>) -> Option<u16> {
        let endpoint = Endpoint::new(self.cluster.gateway(0).internal_addr(), client);
        let response = endpoint.http(&self.list()).await;
        response.ok().map(|response| response.status)
    }

    async fn status_of(&self, identity: &Identity) -> Option<u16> {
        self.status(self.server.client_presenting(identity)).await
    }

    fn list(&self) -> Request {
        Request::get("/v1/users/GEN-001/connections").bearer(self.cluster.internal_token())
    }
}

fn pem(authority: &Authority) -> String {
    std::fs::read_to_string(authority.pem_path()).unwrap()
}

#[tokio::test]
async fn caller_without_a_certificate_of_the_authority_is_refused() {
    let (clients, stranger) = (Authority::new(), Authority::new());
    let stage = Stage::start(&clients).await;
    assert_eq!(stage.status_of(&clients.issue()).await, Some(200));
    assert_eq!(stage.status(stage.server.client()).await, None, "no certificate");
    assert_eq!(stage.status_of(&stranger.issue()).await, None, "another authority");
    let at = stage.cluster.gateway(0).internal_addr();
    plain(at, &stage.list()).await.unwrap_err();

    let unproven = Request::get("/v1/users/GEN-001/connections");
    let endpoint = Endpoint::new(at, stage.server.client_presenting(&clients.issue()));
    let refused = endpoint.http(&unproven).await.unwrap();
    assert_eq!(refused.status, 401, "a certificate does not replace the token");
    let refusals = r#"postern_gateway_internal_refusals_total{reason="tls"} 3"#;
    let metrics = stage.cluster.gateway(0).metrics().await;
    assert!(metrics.contains(refusals), "{metrics}");
    assert!(stage.cluster.logs().contains("internal API TLS handshake failed"));
    assert_eq!(stage.cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn renewed_certificate_and_authorities_are_used_without_a_restart() {
    let [old, new] = [Authority::new(), Authority::new()];
    let stage = Stage::start(&old).await;
    let [old_client, new_client] = [old.issue(), new.issue()];
    assert_eq!(stage.status_of(&new_client).await, None);
    stage.replace(&stage.client_ca, &(pem(&old) + &pem(&new)));
    wait::until_true("the new authority to be accepted", wait::deadline(), async || {
        stage.status_of(&new_client).await == Some(200)
    })
    .await;
    assert_eq!(stage.status_of(&old_client).await, Some(200));
    stage.replace(&stage.client_ca, &pem(&new));
    wait::until_true("the old authority to be refused", wait::deadline(), async || {
        stage.status_of(&old_client).await.is_none()
    })
    .await;

    let renewed = new.issue();
    stage.replace(&stage.certificate.1, &renewed.key);
    stage.replace(&stage.certificate.0, &renewed.certificate);
    let trusting_new = new.client_presenting(&new_client);
    wait::until_true("the renewed certificate", wait::deadline(), async || {
        stage.status(Arc::clone(&trusting_new)).await == Some(200)
    })
    .await;
    assert_eq!(stage.status_of(&new_client).await, None, "the old certificate is gone");
    assert_eq!(stage.cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn publish_command_uses_tls_with_a_client_certificate() {
    let clients = Authority::new();
    let stage = Stage::start(&clients).await;
    let server = format!("https://{}", stage.cluster.gateway(0).internal_addr());
    let ca = stage.server.pem_path().display().to_string();
    let (certificate, key) = clients.issue_files("client");
    let [certificate, key] = [certificate, key].map(|path| path.display().to_string());
    let event = json!({"accountType": "github", "status": "syncing"}).to_string();
    let common: [&str; 11] = [
        "publish",
        "--server",
        &server,
        "--internal-token",
        stage.cluster.internal_token(),
        "--user",
        "GEN-001",
        "--event",
        "account:status_changed",
        "--data",
        &event,
    ];
    let publish = async |tls: &[&str]| postern(&[&common[..], tls].concat()).await;
    let published = publish(&["--ca", &ca, "--client-cert", &certificate, "--client-key", &key]).await;
    assert_eq!(published.status, 0, "{}", published.stderr);
    let refusals: [(&[&str], &str); 4] = [
        (&[], "https needs --ca"),
        (&["--ca", &ca, "--client-cert", &certificate], "go together"),
        (&["--ca", &ca], "send the event to https://"),
        (&["--ca", &certificate], "send the event to https://"),
    ];
    for (tls, fault) in refusals {
        let refused = publish(tls).await;
        assert_eq!(refused.status, 1);
        assert!(refused.stderr.contains(fault), "{fault}: {}", refused.stderr);
    }
    assert_eq!(stage.cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn silent_tls_peer_is_closed() {
    let stage = Stage::start(&Authority::new()).await;
    let mut silent = KeptAlive::connect(stage.cluster.gateway(0).internal_addr())
        .await
        .unwrap();
    assert!(silent.is_closed().await);
    assert_eq!(stage.cluster.finish().await, Vec::<String>::new());
}

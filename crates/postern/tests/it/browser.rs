//! A browser receives the same events as Node.js, compressed as negotiated.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};
use testkit::client::http::{Request, plain};
use testkit::cluster::Cluster;
use testkit::node::Script;
use testkit::port::Port;
use testkit::process::{Launch, Process};
use testkit::scratch::Scratch;
use testkit::wait;

use crate::stage::{POSTERN, script};

#[tokio::test]
async fn browser_and_node_negotiate_deflate_and_receive_the_same_events() {
    let port = Port::claim();
    let cluster = Cluster::builder(POSTERN)
        .gateway_env("POSTERN_ALLOWED_ORIGINS", format!("http://127.0.0.1:{}", port.number()))
        .start()
        .await;
    let clients = Script::new(script("browser.cjs"))
        .trusting(cluster.authority().pem_path())
        .env("GATEWAY", format!("https://{}", cluster.gateway(0).addr()))
        .env("PORT", port.number().to_string())
        .env("TOKEN", cluster.token("GEN-001"))
        .start();
    let page = clients.line("page ", wait::deadline()).await;
    let browser = browser(page.trim_start_matches("page "), &format!("http://{}/", port.addr()));
    for who in ["browser", "node"] {
        let connected = clients.line(&format!("{who} connected"), wait::deadline()).await;
        assert!(connected.contains("permessage-deflate"), "{connected}");
    }

    // Short events that stay uncompressed, long ones that are compressed, and characters of every length in UTF-8.
    let messages = ["short".to_owned(), "long ".repeat(800), "aé€😀\"\\\u{1}".repeat(200)];
    let events = messages
        .map(|message| json!({ "accountType": "github", "status": "error", "metadata": { "errorMessage": message } }));
    for data in &events {
        let event = json!({ "event": "account:status_changed", "data": data });
        let request = Request::post("/v1/users/GEN-001/events", &event).bearer(cluster.internal_token());
        let response = plain(cluster.gateway(1).internal_addr(), &request).await.unwrap();
        assert_eq!(response.status, 202, "{}", String::from_utf8_lossy(&response.body));
    }
    let received = |who: &str| -> Vec<Value> {
        let prefix = format!("{who} received account:status_changed ");
        let lines = clients.stdout();
        let events = lines.lines().filter_map(|line| line.strip_prefix(&prefix));
        events.map(|event| serde_json::from_str(event).unwrap()).collect()
    };
    wait::until_true("both to receive all events", wait::deadline(), async || {
        ["browser", "node"]
            .iter()
            .all(|who| received(who).len() == events.len())
    })
    .await;
    assert_eq!(received("browser"), received("node"));
    for (received, sent) in received("browser").iter().zip(&events) {
        assert_eq!(received["metadata"]["errorMessage"], sent["metadata"]["errorMessage"]);
    }
    browser.kill().await;
    clients.kill().await;
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// Chromium on this page. It trusts a certificate with this key: it has no option to trust an authority.
fn browser(key: &str, page: &str) -> Process {
    let scratch = Arc::new(Scratch::new("browser"));
    let mut command = Command::new(chromium());
    command
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
        ])
        .args([
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ])
        // Without this flag Chromium exits after it has rendered the page.
        .arg("--remote-debugging-port=0")
        .arg(format!("--user-data-dir={}", scratch.path().display()))
        .arg(format!("--ignore-certificate-errors-spki-list={key}"))
        .arg(page);
    Launch::new("chromium", &scratch, command).start()
}

/// Path of Chromium, by Debian's or another name.
fn chromium() -> &'static Path {
    let names = [
        "/usr/bin/chromium",
        "/usr/bin/chromium-browser",
        "/usr/bin/google-chrome",
    ];
    let found = names.map(Path::new).into_iter().find(|path| path.exists());
    found.expect("no Chromium is installed: run .ci/test first")
}

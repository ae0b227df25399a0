//! Attacks on every page that Postern serves, in a real browser: hostile texts (XSS), frames (clickjacking) and forms of other
//! origins (CSRF).

use std::time::Duration;

use serde_json::{Value, json};
use testkit::client::SocketIo;
use testkit::node::Script;

use crate::command_line::Dev;
use crate::stage::{script, visit};

#[tokio::test]
async fn watch_finds_each_hostile_text_on_a_page_that_escapes_nothing() {
    run(Script::new(script("pages/detector.cjs"))).await;
}

#[tokio::test]
async fn hostile_names_and_queries_are_text_on_consent_and_callback_pages() {
    let dev = Dev::start(&[]).await;
    let mut users: Vec<String> = (0..TEXTS).map(|number| format!("GEN-{number:03}")).collect();
    users[0] = "<script>canary('user')</script>".to_owned();
    users[1] = "\"><img class=injected src=x onerror=canary('user')>".to_owned();
    let (mut sockets, mut flows) = (Vec::new(), Vec::new());
    for user in users {
        let socket = dev.client(&user).await;
        flows.push(json!({ "user": user, "authorizationUrl": authorize(&dev, &socket).await }));
        sockets.push(socket);
    }
    let texts = Script::new(script("pages/hostile_text.cjs"))
        .env("GATEWAY", gateway(&dev))
        .env("SIMULATOR", dev.simulator())
        .env("FLOWS", Value::from(flows).to_string());
    run(texts).await;
    for socket in sockets {
        let listed = socket.emit_with_ack("account:list", json!({})).await;
        assert_eq!(listed["accounts"].as_array().unwrap().len(), 1, "{listed}");
    }
    dev.stop().await;
}

#[tokio::test]
async fn hostile_names_alerts_and_notifications_are_text_in_the_demo() {
    let dev = Dev::start(&[]).await;
    let texts = Script::new(script("pages/demo.cjs"))
        .trusting(&dev.ca())
        .env("GATEWAYS", dev.gateways().join(","))
        .env("SIMULATOR", dev.simulator());
    run(texts).await;
    dev.stop().await;
}

#[tokio::test]
async fn chromium_frames_no_page_and_each_of_both_headers_suffices() {
    let dev = Dev::start(&[]).await;
    let caller = dev.client("GEN-001").await;
    let (gateway, simulator) = (gateway(&dev), dev.simulator());
    let consent = authorize(&dev, &caller).await;
    // The confirmation page; its state is used up by the first request.
    let confirmation = visit(&simulator, &authorize(&dev, &caller).await, "ada").await;
    let targets = [
        confirmation,
        consent.clone(),
        format!("{gateway}/oauth/callback/github"),
        format!("{gateway}/oauth/callback/nowhere"),
        format!("{gateway}/"),
        format!("{gateway}/ws"),
        format!("{gateway}/demo"),
        format!("{gateway}/demo/nothing"),
        format!("{gateway}/demo/api/cluster"),
        format!("{simulator}/"),
        format!("{simulator}/callback?code=a"),
        format!("{simulator}/nothing"),
        format!("{simulator}/github/login/oauth/authorize"),
        format!("{simulator}/github/avatars/1"),
        format!("{simulator}/github/api/user"),
        format!("{simulator}/_control/state"),
    ];
    let pages = [
        consent,
        format!("{gateway}/oauth/callback/github"),
        format!("{gateway}/demo"),
        format!("{simulator}/"),
    ];
    let frames = Script::new(script("pages/frames.cjs"))
        .env("TARGETS", Value::from(targets.to_vec()).to_string())
        .env("PAGES", Value::from(pages.to_vec()).to_string());
    run(frames).await;
    dev.stop().await;
}

#[tokio::test]
async fn submissions_and_requests_of_other_origins_change_nothing() {
    let dev = Dev::start(&[]).await;
    let victim = dev.client("GEN-001").await;
    let attacker = dev.client("GEN-002").await;
    let attack = Script::new(script("pages/foreign_requests.cjs"))
        .env("GATEWAY", gateway(&dev))
        .env("SIMULATOR", dev.simulator())
        .env("VICTIM", authorize(&dev, &victim).await)
        .env("ATTACKER", authorize(&dev, &attacker).await);
    run(attack).await;
    let list = async |socket: &SocketIo| socket.emit_with_ack("account:list", json!({})).await["accounts"].clone();
    assert_eq!(list(&victim).await[0]["username"], "ada");
    assert_eq!(list(&attacker).await, json!([]));
    dev.stop().await;
}

/// Runs a script, which fails where an attack succeeds.
pub(crate) async fn run(attack: Script) {
    let attack = attack.start();
    let status = attack.wait(WITHIN).await;
    assert_eq!(status, 0, "{}", attack.logs());
}

/// URL of the first gateway.
pub(crate) fn gateway(dev: &Dev) -> String {
    dev.gateways().swap_remove(0)
}

/// URL of an authorization at GitHub, with the hosted callback as redirect URI.
pub(crate) async fn authorize(dev: &Dev, caller: &SocketIo) -> String {
    let redirect = format!("{}/oauth/callback/github", gateway(dev));
    let asked = json!({ "accountType": "github", "redirectUri": redirect });
    let answer = caller.emit_with_ack("account:authorize", asked).await;
    answer["authorizationUrl"].as_str().unwrap().to_owned()
}

/// Number of texts in `scripts/pages/payloads.cjs`.
const TEXTS: usize = 16;

/// Each takes some seconds, and minutes on a machine with many times the load.
const WITHIN: Duration = Duration::from_secs(300);

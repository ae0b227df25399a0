//! Webhooks to the application over real HTTP: to receivers that hang, refuse, redirect and lie.

use std::time::Duration;

use protocol::cluster::job::Work;
use protocol::command::CommandKind;
use protocol::secret::Secret;
use protocol::security::Alert;
use serde_json::{Value, json};
use testkit::tls::Authority;
use testkit::webhook_receiver::{ReceivedWebhook, Response, WebhookReceiver};
use worker::{AppWebhookClient, AppWebhookSecrets, AppWebhookSettings};

use crate::client::{Client, DEADLINE, assert_success};
use crate::env::TestEnv;

const SECRET: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// Environment whose workers send webhooks to this receiver.
fn sending_to(url: &str) -> TestEnv {
    let mut env = TestEnv::scripted();
    let secrets = AppWebhookSecrets::parse(&Secret::new(SECRET)).unwrap();
    let settings = AppWebhookSettings::new(url, secrets, TIMEOUT).unwrap();
    env.app_webhooks = Some(AppWebhookClient::new(settings).unwrap());
    env
}

const TIMEOUT: Duration = Duration::from_secs(2);

/// A little more than the longest first delay.
const FIRST_RETRY: Duration = Duration::from_secs(7);

fn status(status: u16) -> Response {
    Response::Status(status, String::new())
}

async fn raise(client: &mut Client, name: &str) {
    let alert: Alert = serde_json::from_value(json!({
        "userId": client.user, "alertId": name, "severity": "high", "type": "suspicious_login",
        "message": "Login from new device detected", "timestamp": "2026-11-23T16:31:00.007Z", "requiresAction": false,
    }))
    .unwrap();
    let job = client.work(Work::RaiseAlert(alert));
    assert_success(&client.ask_for(&job).await);
}

fn ids(received: &[ReceivedWebhook]) -> Vec<&str> {
    received.iter().map(|webhook| webhook.header("webhook-id")).collect()
}

async fn wait_for_outcome(env: &TestEnv, outcome: &str, count: u64) {
    let outcome = format!("outcome=\"{outcome}\"");
    let metric = "postern_worker_app_webhooks_total";
    env.wait_for_count(metric, &[outcome.as_str()], count).await;
}

#[tokio::test]
async fn events_reach_the_receiver_in_their_sequence_and_with_all_their_fields() {
    let receiver = WebhookReceiver::start().await;
    let env = sending_to(&receiver.url());
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    assert_success(&client.connect("any").await);
    raise(&mut client, "a").await;
    testkit::wait::until_true("the last webhook", DEADLINE, async || {
        ids(&receiver.received()).contains(&"a")
    })
    .await;
    let received = receiver.received();
    let bodies: Vec<Value> = received
        .iter()
        .map(|it| serde_json::from_str(&it.body).unwrap())
        .collect();
    let types: Vec<_> = bodies.iter().map(|body| &body["type"]).collect();
    assert_eq!(types.last(), Some(&&json!("security.alert")), "{types:?}");
    assert!(types.contains(&&json!("account.status_changed")), "{types:?}");
    let alert = bodies.last().unwrap();
    assert_eq!(alert["data"]["userId"], "u");
    assert_eq!(alert["data"]["alertId"], "a");
    assert_eq!(alert["timestamp"], "2026-11-23T16:31:00.007Z");
    let last = received.last().unwrap();
    assert_eq!(
        (last.header("webhook-id"), last.header("content-type")),
        ("a", "application/json")
    );
    let secrets = AppWebhookSecrets::parse(&Secret::new(SECRET)).unwrap();
    assert_eq!(
        last.header("webhook-signature"),
        secrets.sign("a", env.now(), &last.body)
    );
    wait_for_outcome(&env, "sent", received.len() as u64).await;
}

#[tokio::test]
async fn refused_webhook_is_sent_again_under_the_same_id_until_it_is_accepted() {
    let receiver = WebhookReceiver::start().await;
    receiver.respond([
        status(500),
        Response::Status(429, "Retry-After: 1".to_owned()),
        status(200),
    ]);
    let env = sending_to(&receiver.url());
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    raise(&mut client, "a").await;
    wait_for_outcome(&env, "retried", 1).await;
    assert_eq!(receiver.received().len(), 1, "not sent again before it is due");
    env.clock.advance(FIRST_RETRY);
    wait_for_outcome(&env, "retried", 2).await;
    env.clock.advance(Duration::from_mins(7));
    wait_for_outcome(&env, "sent", 1).await;
    let received = receiver.received();
    assert_eq!(ids(&received), ["a"; 3]);
    let bodies: Vec<_> = received.iter().map(|webhook| &webhook.body).collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    assert_ne!(
        received[0].header("webhook-signature"),
        received[2].header("webhook-signature"),
        "each attempt is signed with its own time"
    );
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let (receiver, internal) = (WebhookReceiver::start().await, WebhookReceiver::start().await);
    let location = format!("Location: {}", internal.url());
    receiver.respond([301, 302, 307, 308].map(|status| Response::Status(status, location.clone())));
    let env = sending_to(&receiver.url());
    let _worker = env.worker().await;
    for user in ["u", "v", "w", "x"] {
        let mut client = env.client(user, "s").await;
        raise(&mut client, user).await;
    }
    wait_for_outcome(&env, "retried", 4).await;
    assert!(internal.received().is_empty());
}

#[tokio::test]
async fn receiver_that_wants_no_more_webhooks_is_not_sent_the_same_one_again() {
    let receiver = WebhookReceiver::start().await;
    receiver.respond([status(410)]);
    let env = sending_to(&receiver.url());
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    raise(&mut client, "a").await;
    wait_for_outcome(&env, "dead", 1).await;
    env.clock.advance(Duration::from_hours(100));
    raise(&mut client, "b").await;
    wait_for_outcome(&env, "sent", 1).await;
    assert_eq!(ids(&receiver.received()), ["a", "b"]);
}

/// Platform work, notifications to devices and other users' webhooks go on meanwhile.
#[tokio::test]
async fn receiver_that_hangs_delays_nothing_else() {
    let receiver = WebhookReceiver::start().await;
    receiver.respond([Response::Hangs]);
    let env = sending_to(&receiver.url());
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    raise(&mut client, "a").await;
    receiver.wait_for(1).await;
    let mut other = env.client("v", "s").await;
    raise(&mut other, "b").await;
    assert_eq!(other.alert().await["alertId"], "b");
    assert_success(&other.connect("any").await);
    assert_success(&other.ask(CommandKind::List, json!({})).await);
    let received = receiver.wait_for(2).await;
    assert_eq!(ids(&received)[..2], ["a", "b"]);
    wait_for_outcome(&env, "retried", 1).await;
}

#[tokio::test]
async fn body_without_end_is_cut_off_and_its_status_counts() {
    let receiver = WebhookReceiver::start().await;
    receiver.respond([Response::Endless]);
    let env = sending_to(&receiver.url());
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    raise(&mut client, "a").await;
    receiver.wait_for_cut_off(1).await;
    wait_for_outcome(&env, "sent", 1).await;
    raise(&mut client, "b").await;
    wait_for_outcome(&env, "sent", 2).await;
}

#[tokio::test]
async fn receiver_with_an_unknown_certificate_is_sent_nothing() {
    let receiver = WebhookReceiver::start_with_tls(&Authority::new()).await;
    let env = sending_to(&receiver.url());
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    raise(&mut client, "a").await;
    wait_for_outcome(&env, "retried", 1).await;
    assert!(receiver.received().is_empty());
}

/// The receiver has the webhook, and the worker ends before it knows.
#[tokio::test]
async fn webhook_of_a_lost_worker_is_sent_by_another_under_the_same_id() {
    let receiver = WebhookReceiver::start().await;
    receiver.respond([Response::Hangs]);
    let env = sending_to(&receiver.url());
    let first = env.worker().await;
    let mut client = env.client("u", "s").await;
    raise(&mut client, "a").await;
    receiver.wait_for(1).await;
    first.drain(Duration::ZERO).await;
    let second = env.on_another_node();
    let _worker = second.worker().await;
    // Leases last for the timeout of a request and some seconds more.
    second.clock.advance(TIMEOUT + Duration::from_secs(11));
    wait_for_outcome(&second, "sent", 1).await;
    assert_eq!(ids(&receiver.received()), ["a", "a"]);
}

//! Every message of the AsyncAPI document, in both dialects and both encodings of each.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::client::http::{Request, plain};
use testkit::cluster::Cluster;
use testkit::token::claims;
use testkit::{Redis, wait};

use super::device::{Channel, Device, Journal, key};
use super::document;
use super::schema::Validator;
use crate::callback::{Browser, PUBLIC_URL};
use crate::factor::{USER, code_of_previous_step};
use crate::stage::{POSTERN, Platforms, connect, visit};

#[tokio::test]
async fn every_native_message_is_sent_and_matches_its_schema() {
    Box::pin(take(Channel::Native)).await;
}

#[tokio::test]
async fn every_socketio_message_is_sent_and_matches_its_schema() {
    Box::pin(take(Channel::SocketIo)).await;
}

#[test]
fn message_and_command_that_no_case_covers_are_named() {
    let document = document("asyncapi.json");
    let mut seen = messages(&document, Channel::Native);
    seen.remove("batch");
    let commands = commands(&document, Channel::Native);
    let mut sent = BTreeSet::from_iter(commands.iter().map(|name| key(name)));
    sent.remove("account.sync");
    assert_eq!(
        missing(&document, Channel::Native, &seen, &sent),
        ["batch", "account.sync"]
    );
}

async fn take(channel: Channel) {
    let platforms = Platforms::start().await;
    let redis = Redis::start().await;
    let builder = Cluster::builder(POSTERN)
        .redis(&redis)
        .worker_env("POSTERN_PUBLIC_URL", PUBLIC_URL)
        // Six seconds after the last activity of a session of half an hour.
        .worker_env("POSTERN_SESSION_WARNING", "1794s")
        .gateway_env("POSTERN_BATCH_INTERVAL", "2s");
    let cluster = platforms.linked_to(builder).start().await;
    let tour = Tour::new(channel, cluster, platforms);
    let token = tour.cluster.token(USER);
    let short = tour.cluster.token_with(&of_session("short", Duration::from_secs(12)));
    let (first, second) = (tour.device(0, &token, false).await, tour.device(1, &token, true).await);
    let expiring = tour.device(1, &short, false).await;

    Box::pin(warning_and_extension(&first, &second)).await;
    Box::pin(refusals(&tour, &first)).await;
    Box::pin(accounts(&tour, &first)).await;
    Box::pin(factor(&first, &second)).await;
    Box::pin(sessions(&tour, &first)).await;
    Box::pin(published(&tour, &first, &second)).await;
    first.done("auth:refresh", json!({ "token": token })).await;
    expiring.socket().next_event("security:session_warning").await;
    expiring
        .event("security:session_expired", "/reason", &json!("token_expired"))
        .await;
    if channel == Channel::Native {
        redis.command(&["FLUSHALL"]).await;
        tour.publish(notification("after the loss")).await;
        first.socket().next_event("resync").await;
    }
    tour.assert_complete();
    assert_eq!(tour.cluster.finish().await, Vec::<String>::new());
}

/// Cluster, document, and journals of all devices.
struct Tour {
    channel: Channel,
    cluster: Cluster,
    platforms: Platforms,
    document: Value,
    validator: Validator,
    journals: Mutex<Vec<Journal>>,
}

impl Tour {
    fn new(channel: Channel, cluster: Cluster, platforms: Platforms) -> Self {
        let document = document("asyncapi.json");
        let messages = &document["channels"][channel.name()]["messages"];
        let payload = |(key, message): (&String, &Value)| (key.clone(), message["payload"].clone());
        let named = messages.as_object().unwrap().iter().map(payload).collect();
        let validator = Validator::new(&document, named);
        Self {
            channel,
            cluster,
            platforms,
            document,
            validator,
            journals: Mutex::default(),
        }
    }

    fn journal(&self) -> Journal {
        let journal = Journal::default();
        self.journals.lock().unwrap().push(journal.clone());
        journal
    }

    async fn device(&self, gateway: usize, token: &str, is_msgpack: bool) -> Device {
        let endpoint = self.cluster.endpoint(gateway);
        let connect = Device::connect((self.channel, is_msgpack), &endpoint, token, self.journal());
        Box::pin(connect).await.unwrap()
    }

    /// Publishes events to the user, of which each is accepted.
    async fn publish(&self, events: Vec<Value>) {
        let request = Request::post("/v1/events", &json!({ "events": events })).bearer(self.cluster.internal_token());
        wait::until_true("events to be published", wait::deadline(), async || {
            let response = plain(self.cluster.gateway(1).internal_addr(), &request).await.unwrap();
            response.status == 200 && !response.text().contains("error")
        })
        .await;
    }

    /// Fails unless every message was valid, and every one of the document was seen.
    fn assert_complete(&self) {
        let (mut seen, mut sent, mut refused) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for journal in self.journals.lock().unwrap().iter() {
            let greeting = journal.greeting();
            self.validator.assert(&greeting.key, &greeting.payload);
            seen.insert(greeting.key);
            for (key, payload) in journal.received(self.channel) {
                self.validator.assert(&key, &payload);
                seen.insert(key);
            }
            for command in journal.commands() {
                match command.answer["error"].as_str() {
                    Some("bad_request") => {
                        refused.insert(command.key);
                    }
                    error => {
                        self.validator.assert(&command.key, &command.payload);
                        seen.insert(command.key.clone());
                        if error.is_none() {
                            sent.insert(command.key);
                        }
                    }
                }
            }
        }
        let none: &[String] = &[];
        assert_eq!(missing(&self.document, self.channel, &seen, &sent), none, "succeeded");
        assert_eq!(missing(&self.document, self.channel, &seen, &refused), none, "refused");
    }
}

/// Keys of a channel's messages.
fn messages(document: &Value, channel: Channel) -> BTreeSet<String> {
    let messages = document["channels"][channel.name()]["messages"].as_object();
    messages.unwrap().keys().cloned().collect()
}

/// Names of a channel's commands.
fn commands(document: &Value, channel: Channel) -> Vec<String> {
    let of_channel = format!("{}.receive.", channel.name());
    let operations = document["operations"].as_object().unwrap().keys();
    let keys = operations.filter_map(|operation| operation.strip_prefix(&of_channel));
    let name = |key: &str| document["channels"][channel.name()]["messages"][key]["name"].clone();
    keys.filter(|key| *key != channel.greeting())
        .map(|key| name(key).as_str().unwrap().to_owned())
        .collect()
}

/// Messages and commands of the document that are not among these.
fn missing(document: &Value, channel: Channel, seen: &BTreeSet<String>, sent: &BTreeSet<String>) -> Vec<String> {
    let messages = messages(document, channel)
        .into_iter()
        .filter(|key| !seen.contains(key));
    let commands = commands(document, channel).into_iter().map(|name| key(&name));
    messages.chain(commands.filter(|key| !sent.contains(key))).collect()
}

fn of_session(session: &str, life: Duration) -> Value {
    let mut claims = claims(USER, life);
    claims["sid"] = json!(session);
    claims
}

fn notification(content: &str) -> Vec<Value> {
    let data = json!({"platform": "github", "type": "mention", "content": content, "sender": "octocat"});
    vec![json!({"userId": USER, "event": "notification:incoming", "data": data})]
}

async fn warning_and_extension(first: &Device, second: &Device) {
    for device in [first, second] {
        device.socket().next_event("security:session_warning").await;
    }
    first.done("security:extend_session", json!({})).await;
    second.socket().next_event("security:session_extended").await;
}

/// A refused token, an event that there is not, and each command with a key that is too long.
async fn refusals(tour: &Tour, device: &Device) {
    let endpoint = tour.cluster.endpoint(0);
    let refused = Device::connect((tour.channel, false), &endpoint, "no token", tour.journal());
    assert!(Box::pin(refused).await.is_err());
    device.emit("account:lst").await;
    device.socket().next_event("error").await;
    let data = json!({ "idempotencyKey": "k".repeat(129) });
    for name in commands(&tour.document, tour.channel) {
        let payload = tour.channel.payload(&name, &data);
        assert!(tour.validator.check(&key(&name), &payload).is_err(), "{payload}");
        let answer = device.command(&name, data.clone()).await;
        assert_eq!(
            (&answer["success"], &answer["error"]),
            (&json!(false), &json!("bad_request")),
            "{name}: {answer}"
        );
    }
}

/// A link with a code, one on the page of the hosted callback, and the end of all.
async fn accounts(tour: &Tour, device: &Device) {
    let account = json!({"userId": USER, "accountType": "github"});
    device.done("account:connect", connect(USER, "test_code_ada")).await;
    device
        .event("account:status_changed", "/status", &json!("connected"))
        .await;
    device.done("account:sync", account.clone()).await;
    device.done("account:list", json!({})).await;
    device.done("account:disconnect", account).await;

    let asked = json!({"accountType": "github", "redirectUri": format!("{PUBLIC_URL}/oauth/callback/github")});
    let authorized = device.done("account:authorize", asked).await;
    let url = authorized["authorizationUrl"].as_str().unwrap();
    let back = visit(tour.platforms.handle.url(), url, "grace").await;
    let path = back.strip_prefix(PUBLIC_URL).unwrap();
    let (browser, page) = Browser::open(&tour.cluster.endpoint(1), path).await;
    assert_eq!(page.status, 200, "{}", page.text());
    assert_eq!(browser.press(&tour.cluster.endpoint(0)).await.status, 200);
    device
        .event("account:connect_response", "/account/username", &json!("grace"))
        .await;

    let action = json!({"action": "security:revoke_all"});
    let confirmation = device.done("security:request_confirmation", action).await;
    let token = &confirmation["confirmationToken"];
    let revoke = json!({"userId": USER, "confirmationToken": token});
    let revoked = device.done("security:revoke_all", revoke).await;
    assert_eq!(revoked["accountsDisconnected"], 1);
}

/// The second factor is turned on by one device and asked of the other.
async fn factor(first: &Device, second: &Device) {
    first.done("security:get_settings", json!({})).await;
    let settings = json!({"userId": USER, "settings": {"twoFactorEnabled": true, "method": "totp"}});
    let answer = first.done("security:update_settings", settings).await;
    let enrolment = &answer["enrolment"];
    let code = code_of_previous_step(enrolment["secret"].as_str().unwrap()).await;
    let verify = |challenge: &Value, code: &Value| json!({"userId": USER, "sessionId": challenge, "token": code});
    let verified = verify(&enrolment["sessionId"], &json!(code));
    let verified = first.done("security:verify_2fa", verified).await;
    second.socket().next_event("security:settings_updated").await;

    let account = json!({"userId": USER, "accountType": "github"});
    let refused = second.command("account:disconnect", account).await;
    assert_eq!(refused["error"], "2fa_required", "{refused}");
    let required = second.socket().next_event("security:2fa_required").await.data;
    let given = verify(&required["sessionId"], &verified["recoveryCodes"][0]);
    second.done("security:verify_2fa", given).await;
}

async fn sessions(tour: &Tour, device: &Device) {
    let claims = of_session("other", Duration::from_hours(1));
    let other = tour.device(0, &tour.cluster.token_with(&claims), false).await;
    device.done("security:sessions", json!({})).await;
    device
        .done("security:end_sessions", json!({"sessionId": "other"}))
        .await;
    other
        .event("security:session_expired", "/reason", &json!("ended"))
        .await;
}

/// An alert, and notifications one by one and several at once.
async fn published(tour: &Tour, first: &Device, second: &Device) {
    let data = json!({"severity": "high", "type": "suspicious_login", "message": "is it you?", "requiresAction": true});
    let alert = json!({"userId": USER, "event": "security:alert", "data": data});
    tour.publish(vec![alert]).await;
    let alert = first.event("security:alert", "/message", &json!("is it you?")).await;
    first.done("security:alerts", json!({})).await;
    first.done("security:ack", json!({"alertId": alert["alertId"]})).await;

    tour.publish(notification("alone")).await;
    for device in [first, second] {
        device.event("notification:incoming", "/content", &json!("alone")).await;
    }
    tour.publish([notification("one"), notification("two")].concat()).await;
    for device in [first, second] {
        device.event("notification:incoming", "/content", &json!("two")).await;
    }
}

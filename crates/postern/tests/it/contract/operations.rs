//! Every operation of the OpenAPI document: calls that succeed, and calls that fail.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use protocol::time::Timestamp;
use serde_json::{Value, json};
use testkit::client::SocketIo;
use testkit::client::http::{Request, plain};
use testkit::cluster::Cluster;
use testkit::scratch::Scratch;
use testkit::token::{claims, now, random_text};
use testkit::wait;
use testkit::webhook_receiver::WebhookReceiver;

use super::application::{KEYS, SECRET, assert_webhooks};
use super::document;
use super::http::{Api, operations, uncovered};
use crate::callback::{Browser, PUBLIC_URL, sent_back};
use crate::factor::{USER, enrol};
use crate::internal_tokens::entry;
use crate::stage::Platforms;
use crate::webhooks::{Delivery, Signed, hooked, request};

#[tokio::test]
async fn every_operation_and_webhook_matches_its_schema() {
    let (platforms, receiver, scratch) = (
        Platforms::start().await,
        WebhookReceiver::start().await,
        Scratch::new("contract"),
    );
    let [publisher, reader] = [random_text(), random_text()];
    let tokens = json!([
        entry("publisher", &["publish_events"], &publisher),
        entry("reader", &["read_users"], &reader),
    ]);
    let builder = hooked()
        .worker_env("POSTERN_PUBLIC_URL", PUBLIC_URL)
        .worker_env("POSTERN_VAULT_KEYS", KEYS)
        .worker_env("POSTERN_APP_WEBHOOK_URL", receiver.url())
        .worker_env("POSTERN_APP_WEBHOOK_SECRETS", SECRET)
        .gateway_env(
            "POSTERN_INTERNAL_TOKENS_FILE",
            scratch.write("tokens.json", tokens.to_string()).display(),
        );
    let mut cluster = platforms.linked_to(builder).start().await;
    // A node that waits for Redis is not ready.
    cluster.begin_worker_with(&[("POSTERN_REDIS_URL", "redis://127.0.0.1:1")]);
    let api = Api::new(&cluster);
    let phone = device(&cluster, "phone").await;
    let _laptop = device(&cluster, "laptop").await;

    Box::pin(refused_callers(
        &api,
        [("publish_events", &publisher), ("read_users", &reader)],
    ))
    .await;
    Box::pin(publications(&api)).await;
    Box::pin(callbacks(&api, &platforms, &phone)).await;
    Box::pin(deliveries(&api)).await;
    enrol(&phone).await;
    Box::pin(state(&api)).await;
    Box::pin(factors(&api)).await;
    Box::pin(accounts(&api)).await;
    Box::pin(sessions(&api)).await;
    Box::pin(health(&api)).await;
    api.assert_complete();
    Box::pin(assert_webhooks(&api, &receiver)).await;
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[test]
fn operation_that_no_case_covers_is_named() {
    let document = document("openapi.json");
    let mut seen = BTreeMap::new();
    for operation in operations(&document) {
        seen.insert(operation.id().to_owned(), BTreeSet::from([200, 503]));
    }
    assert_eq!(uncovered(&document, &seen), Vec::<String>::new());
    seen.remove("getLiveness");
    seen.insert("listDevices".to_owned(), BTreeSet::from([200, 401, 403]));
    assert_eq!(
        uncovered(&document, &seen),
        ["success of getLiveness", "failure of listDevices"]
    );
}

async fn device(cluster: &Cluster, session: &str) -> SocketIo {
    let mut claims = claims(USER, Duration::from_hours(1));
    claims["sid"] = json!(session);
    let token = cluster.token_with(&claims);
    SocketIo::connect(&cluster.endpoint(0), &token).await.unwrap()
}

/// Each operation without a token, and with the token of a caller that lacks its scope.
async fn refused_callers(api: &Api<'_>, callers: [(&str, &String); 2]) {
    for operation in operations(&api.document) {
        let Some(scope) = operation.scope() else { continue };
        let parameters = if operation.path.contains("{platform}") {
            [USER, "github"]
        } else {
            [USER, "default"]
        };
        let request = api.request(operation.id(), &parameters, "");
        let refused = api.send(operation.id(), request.clone()).await;
        assert_eq!(refused.status, 401, "{}", operation.id());
        let (_, token) = callers.iter().find(|(other, _)| *other != scope).unwrap();
        let refused = api.send(operation.id(), request.bearer(token)).await;
        assert_eq!(refused.status, 403, "{}", operation.id());
    }
}

/// Status of an operation with these parameters of its path, a query, and a body where it takes one.
async fn status(api: &Api<'_>, id: &str, parameters: &[&str], query: &str) -> u16 {
    api.call(id, api.request(id, parameters, query)).await.status
}

/// Status of an operation with this idempotency key.
async fn with_key(api: &Api<'_>, id: &str, parameters: &[&str], key: &str) -> u16 {
    let request = api.request(id, parameters, "").header("Idempotency-Key", key);
    api.call(id, request).await.status
}

/// Status of an operation with this body.
async fn with_body(api: &Api<'_>, id: &str, parameters: &[&str], body: &Value) -> u16 {
    let request = api.request(id, parameters, "").body(body.to_string());
    api.call(id, request).await.status
}

async fn publications(api: &Api<'_>) {
    let data = json!({"severity": "high", "type": "suspicious_login", "message": "is it you?", "requiresAction": true});
    let alert = json!({"event": "security:alert", "data": data, "idempotencyKey": "once"});
    let other = json!({"event": "resync", "data": {}});
    assert_eq!(with_body(api, "publishEvent", &[USER], &alert).await, 202);
    assert_eq!(with_body(api, "publishEvent", &[USER], &alert).await, 202);
    assert_eq!(with_body(api, "publishEvent", &[USER], &other).await, 400);
    let status = json!({"accountType": "github", "status": "syncing", "metadata": {"errorMessage": "none"}});
    let status = json!({"userId": USER, "event": "account:status_changed", "data": status});
    let notification = json!({"platform": "x_twitter", "type": "mention", "content": "c", "sender": "s"});
    let notification = json!({"userId": USER, "event": "notification:incoming", "data": notification});
    let batch = json!({ "events": [status, notification, {"userId": USER, "event": "resync", "data": {}}] });
    assert_eq!(with_body(api, "publishEvents", &[], &batch).await, 200);
    assert_eq!(with_body(api, "publishEvents", &[], &json!({})).await, 400);
}

/// The hosted callback: an account is linked by its page, once.
async fn callbacks(api: &Api<'_>, platforms: &Platforms, asker: &SocketIo) {
    let path = sent_back(platforms, asker, "ada").await;
    let (browser, page) = Browser::open(&api.cluster.endpoint(0), &path).await;
    api.check("receiveAuthorization", &page);
    let linked = browser.press(&api.cluster.endpoint(0)).await;
    assert_eq!((page.status, linked.status), (200, 200), "{}", linked.text());
    api.check("confirmLink", &linked);
    api.check("confirmLink", &browser.press(&api.cluster.endpoint(0)).await);
    api.send("receiveAuthorization", Request::get(&path)).await;
    assert_eq!(
        status(api, "receiveAuthorization", &["myspace"], "?code=a&state=b").await,
        404
    );
}

/// Deliveries of platforms, and the challenge of the one that has it.
async fn deliveries(api: &Api<'_>) {
    let delivery = Delivery {
        id: 1,
        thing: 100,
        to: 7,
        says: "hello",
    };
    for (platform, accepted) in [("github", 200), ("discord", 204)] {
        for (signed, expected) in [(Signed::Well, accepted), (Signed::WithAnotherSecret, 401)] {
            let response = api.send("receiveDelivery", request(platform, delivery, signed)).await;
            assert_eq!(response.status, expected, "{platform}");
        }
    }
    let answered = status(api, "answerChallenge", &["x_twitter"], "?crc_token=challenge").await;
    let refused = status(api, "answerChallenge", &["github"], "?crc_token=challenge").await;
    assert_eq!((answered, refused), (200, 404));
}

/// Reads of a user with two sessions, a linked account, a second factor, and alerts.
async fn state(api: &Api<'_>) {
    let long = "u".repeat(129);
    for id in [
        "listConnections",
        "listSessions",
        "listDevices",
        "listAccounts",
        "getSettings",
    ] {
        assert_eq!(status(api, id, &[USER], "").await, 200, "{id}");
        assert_eq!(status(api, id, &[USER], "?unknown=1").await, 400, "{id}");
        assert_eq!(status(api, id, &[&long], "").await, 400, "{id}");
    }
    for id in ["listAlerts", "readAudit"] {
        let first = api.call(id, api.request(id, &[USER], "?limit=1")).await.json();
        let next = format!("?limit=100&cursor={}", first["cursor"].as_str().unwrap());
        assert_eq!(status(api, id, &[USER], &next).await, 200, "{id}");
        for wrong in ["?limit=0", "?cursor=5", "?limit=1&limit=1"] {
            assert_eq!(status(api, id, &[USER], wrong).await, 400, "{id} {wrong}");
        }
    }
    assert_eq!(status(api, "listAlerts", &[USER], "?state=open").await, 200);
    let of_time = "?since=2026-01-01T00:00:00Z&until=2126-01-01T00:00:00Z&action=account_linked";
    assert_eq!(status(api, "readAudit", &[USER], of_time).await, 200);
}

async fn factors(api: &Api<'_>) {
    let in_an_hour = i64::try_from(now() + 3_600).unwrap() * 1_000;
    let until = json!({"until": Timestamp::from_millis(in_an_hour)});
    assert_eq!(with_body(api, "lockFactor", &[USER], &until).await, 200);
    let wrong = json!({"until": "soon"});
    assert_eq!(with_body(api, "lockFactor", &[USER], &wrong).await, 400);
    assert_eq!(status(api, "getSettings", &[USER], "").await, 200);
    assert_eq!(status(api, "unlockFactor", &[USER], "").await, 200);
    for id in ["lockFactor", "unlockFactor"] {
        assert_eq!(status(api, id, &["GEN-002"], "").await, 409, "{id}");
    }
}

async fn accounts(api: &Api<'_>) {
    let unlink = "unlinkAccount";
    assert_eq!(with_key(api, unlink, &[USER, "github"], "once").await, 200);
    assert_eq!(with_key(api, unlink, &[USER, "github"], "once").await, 200);
    assert_eq!(with_key(api, unlink, &[USER, "discord"], "once").await, 409);
    assert_eq!(with_key(api, unlink, &[USER, "github"], "again").await, 404);
    assert_eq!(status(api, unlink, &[USER, "myspace"], "").await, 404);
    assert_eq!(status(api, "revokeAll", &[USER], "").await, 200);
    assert_eq!(with_key(api, "revokeAll", &[USER], &"k".repeat(129)).await, 400);
}

async fn sessions(api: &Api<'_>) {
    assert_eq!(status(api, "endSession", &[USER, "laptop"], "").await, 200);
    assert_eq!(status(api, "endSession", &[USER, &"s".repeat(129)], "").await, 400);
    assert_eq!(with_key(api, "endSessions", &[USER], "once").await, 200);
    assert_eq!(with_key(api, "endSessions", &[USER], &"k".repeat(129)).await, 400);
}

async fn health(api: &Api<'_>) {
    for id in ["getLiveness", "getReadiness", "getDependencies", "getMetrics"] {
        assert_eq!(status(api, id, &[], "").await, 200, "{id}");
    }
    let waiting = api.cluster.worker(1).health_addr();
    let response = wait::until("a node that is not ready", wait::deadline(), async || {
        let response = plain(waiting, &api.request("getReadiness", &[], "")).await;
        response.ok().filter(|response| response.status == 503)
    });
    api.check("getReadiness", &response.await);
    let dependencies = plain(waiting, &api.request("getDependencies", &[], "")).await;
    api.check("getDependencies", &dependencies.unwrap());
}

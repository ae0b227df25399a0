//! Webhook deliveries of platforms: each reaches the users who have linked an addressee, once, and no others.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use ed25519_dalek::{Signer as _, SigningKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use lifecycle::{Clock as _, SystemClock};
use serde_json::{Value, json};
use sha2::Sha256;
use simulator::Platform;
use testkit::client::SocketIo;
use testkit::client::http::{Request, Response};
use testkit::cluster::{Builder, Cluster};
use testkit::wait;

use crate::callback::link_by_page;
use crate::stage::{POSTERN, Platforms, client};
use crate::x_twitter::linked_to;

const GITHUB_SECRET: &str = "the secret of a GitHub webhook";
const X_SECRET: &str = "the API consumer secret at X";
const TELEGRAM_SECRET: &str = "the-secret_token-of-a-bot";
const DISCORD_KEY: [u8; 32] = [7; 32];

/// Two gateways and a worker that has the secrets of all four webhooks.
pub(crate) fn hooked() -> Builder {
    let public_key = SigningKey::from_bytes(&DISCORD_KEY).verifying_key();
    Cluster::builder(POSTERN)
        .gateway_env("POSTERN_BATCH_INTERVAL", "0s")
        .worker_env("POSTERN_GITHUB_WEBHOOK_SECRET", GITHUB_SECRET)
        .worker_env("POSTERN_X_TWITTER_WEBHOOK_SECRET", X_SECRET)
        .worker_env("POSTERN_DISCORD_WEBHOOK_SECRET", HEXLOWER.encode(public_key.as_bytes()))
        .worker_env("POSTERN_TELEGRAM_WEBHOOK_SECRET", TELEGRAM_SECRET)
}

async fn cluster() -> Cluster {
    let cluster = hooked().start().await;
    for secret in [GITHUB_SECRET, X_SECRET, TELEGRAM_SECRET] {
        cluster.canary(secret);
    }
    cluster
}

/// Links user 7 of each platform to GEN-001, and user 8 to GEN-002: a webhook needs only the row of a link.
async fn link(cluster: &Cluster) {
    for (user, id) in [("GEN-001", "7"), ("GEN-002", "8")] {
        let head = format!("INSERT INTO users (user_id) VALUES ('{user}') ON CONFLICT DO NOTHING");
        cluster.schema().sql(&head).await;
        for platform in ["github", "x_twitter", "discord", "telegram"] {
            let row = format!(
                "INSERT INTO accounts (user_id, account_type, platform_user_id, username, status, scopes, connected_at) \
                 VALUES ('{user}', '{platform}', '{id}', 'name of {id}', 'connected', '{{}}', now())"
            );
            cluster.schema().sql(&row).await;
        }
    }
}

fn hmac(secret: &str, body: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn now() -> u64 {
    let now: SystemTime = SystemClock.now();
    now.duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A delivery of a platform.
#[derive(Clone, Copy)]
pub(crate) struct Delivery<'a> {
    /// Id of the delivery.
    pub(crate) id: u64,
    /// Id of the reported item.
    pub(crate) thing: u64,
    /// Addressed user of the platform.
    pub(crate) to: u64,
    pub(crate) says: &'a str,
}

/// Signature of a delivery.
#[derive(Clone, Copy)]
pub(crate) enum Signed {
    Well,
    /// Valid signature, with a bit of the body flipped after it.
    AndChanged,
    WithAnotherSecret,
    /// Six minutes old; platforms that sign no time do not detect that.
    LongAgo,
}

const PLATFORMS: [&str; 4] = ["github", "x_twitter", "discord", "telegram"];

fn body(platform: &str, Delivery { id, thing, to, says }: Delivery<'_>) -> String {
    let body = match platform {
        "github" => json!({
            "action": "created",
            "issue": {"user": {"login": "ada", "id": to}},
            "comment": {
                "id": thing,
                "body": format!("@ada {says}"),
                "user": {"login": "eve", "id": 9},
                "created_at": "2026-11-24T08:00:00Z",
            },
        }),
        "x_twitter" => json!({"data": {
            "event_uuid": id.to_string(),
            "filter": {"user_id": to.to_string()},
            "event_type": "post.mention.create",
            "payload": {
                "id": thing.to_string(),
                "text": format!("@ada {says}"),
                "author_id": "9",
                "created_at": "2026-11-24T08:00:00.000Z",
            },
            "includes": {"users": [{"id": "9", "username": "eve"}]},
        }}),
        "discord" => json!({"version": 1, "type": 1, "event": {
            "type": "GAME_DIRECT_MESSAGE_CREATE",
            "delivery": id,
            "data": {
                "id": thing.to_string(),
                "content": format!("@ada {says}"),
                "author": {"id": "9", "username": "eve"},
                "timestamp": "2026-11-24T08:00:00.000000+00:00",
                "channel": {"recipients": [{"id": to.to_string(), "username": "ada"}]},
            },
        }}),
        _ => json!({"update_id": id, "message": {
            "message_id": thing,
            "chat": {"id": -100},
            "from": {"id": 9, "first_name": "Eve", "username": "eve"},
            "date": 1_795_507_200,
            "text": format!("@ada {says}"),
            "reply_to_message": {"from": {"id": to, "first_name": "Ada"}},
        }}),
    };
    body.to_string()
}

/// Request that the platform sends.
pub(crate) fn request(platform: &str, delivery: Delivery<'_>, signed: Signed) -> Request {
    let body = body(platform, delivery);
    let secret = |ours| match signed {
        Signed::WithAnotherSecret => "a secret of somebody else's",
        _ => ours,
    };
    let request = Request::new("POST", &format!("/webhooks/{platform}")).header("Content-Type", "application/json");
    let request = match platform {
        "github" => request
            .header(
                "X-Hub-Signature-256",
                &format!("sha256={}", HEXLOWER.encode(&hmac(secret(GITHUB_SECRET), &body))),
            )
            .header("X-GitHub-Event", "issue_comment")
            .header("X-GitHub-Delivery", &format!("delivery-{}", delivery.id)),
        "x_twitter" => request.header(
            "x-twitter-webhooks-signature",
            &format!("sha256={}", STANDARD.encode(hmac(secret(X_SECRET), &body))),
        ),
        "discord" => {
            let at = match signed {
                Signed::LongAgo => now() - 360,
                _ => now(),
            };
            let key = match signed {
                Signed::WithAnotherSecret => SigningKey::from_bytes(&[8; 32]),
                _ => SigningKey::from_bytes(&DISCORD_KEY),
            };
            let signature = key.sign(format!("{at}{body}").as_bytes());
            request
                .header("X-Signature-Ed25519", &HEXLOWER.encode(&signature.to_bytes()))
                .header("X-Signature-Timestamp", &at.to_string())
        }
        _ => request.header("X-Telegram-Bot-Api-Secret-Token", secret(TELEGRAM_SECRET)),
    };
    match signed {
        Signed::AndChanged => request.body(body.replace("@ada", "@bda")),
        _ => request.body(body),
    }
}

/// Sends as a platform does: repeats while the response is 503.
async fn send(cluster: &Cluster, gateway: usize, request: &Request) -> Response {
    wait::until("the webhook to be answered", wait::deadline(), async || {
        let answer = cluster.endpoint(gateway).http(request).await.unwrap();
        Some(answer).filter(|answer| answer.status != 503)
    })
    .await
}

async fn sent(cluster: &Cluster, platform: &str, delivery: Delivery<'_>) {
    let answer = send(cluster, 1, &request(platform, delivery, Signed::Well)).await;
    let wanted = if platform == "discord" { 204 } else { 200 };
    assert_eq!((answer.status, answer.text().as_str()), (wanted, ""), "{platform}");
}

async fn next_content(socket: &SocketIo) -> Value {
    socket.next_event("notification:incoming").await.data
}

#[tokio::test]
async fn webhook_delivery_notifies_every_linked_addressee_once() {
    let cluster = cluster().await;
    link(&cluster).await;
    let ada = client(&cluster, 0, "GEN-001").await;
    let bob = client(&cluster, 1, "GEN-002").await;
    for platform in PLATFORMS {
        let first = Delivery {
            id: 1,
            thing: 100,
            to: 7,
            says: "hello",
        };
        sent(&cluster, platform, first).await;
        let received = next_content(&ada).await;
        assert_eq!(
            (
                &received["userId"],
                &received["platform"],
                &received["content"],
                &received["sender"]
            ),
            (&json!("GEN-001"), &json!(platform), &json!("@ada hello"), &json!("eve"))
        );
        assert_eq!(received["timestamp"], "2026-11-24T08:00:00.000Z", "{received}");

        // A delivery is recognised by its id, whatever its content. Discord's have none: there the content counts.
        if platform != "discord" {
            let again = Delivery {
                thing: 101,
                says: "something else",
                ..first
            };
            sent(&cluster, platform, again).await;
        }
        // An item is reported once, even in another delivery.
        sent(&cluster, platform, Delivery { id: 2, ..first }).await;
        let marker = Delivery {
            id: 3,
            thing: 102,
            to: 7,
            says: "goodbye",
        };
        sent(&cluster, platform, marker).await;
        assert_eq!(next_content(&ada).await["content"], "@ada goodbye", "{platform}");
    }
    let to_bob = Delivery {
        id: 4,
        thing: 103,
        to: 8,
        says: "only you",
    };
    sent(&cluster, "telegram", to_bob).await;
    assert_eq!(next_content(&bob).await["content"], "@ada only you");
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn altered_forged_or_stale_webhook_is_refused_and_delivers_nothing() {
    let cluster = cluster().await;
    link(&cluster).await;
    let ada = client(&cluster, 0, "GEN-001").await;
    let forged = Delivery {
        id: 1,
        thing: 100,
        to: 7,
        says: "send money",
    };
    for platform in PLATFORMS {
        let mut wrong = vec![Signed::WithAnotherSecret];
        // Telegram signs nothing: its secret comes with each update.
        if platform != "telegram" {
            wrong.push(Signed::AndChanged);
        }
        if platform == "discord" {
            wrong.push(Signed::LongAgo);
        }
        for signed in wrong {
            let answer = send(&cluster, 0, &request(platform, forged, signed)).await;
            assert_eq!(answer.status, 401, "{platform}: {}", answer.text());
            let message = answer.json()["message"].to_string();
            assert!(message.contains("signature") && !message.contains("token"), "{message}");
        }
        let unsigned = Request::post(&format!("/webhooks/{platform}"), &json!({}));
        assert_eq!(send(&cluster, 0, &unsigned).await.status, 401, "{platform}");
        // A refused delivery does not count as received.
        let marker = Delivery {
            says: "hello",
            ..forged
        };
        sent(&cluster, platform, marker).await;
        assert_eq!(next_content(&ada).await["content"], "@ada hello", "{platform}");
    }
    let elsewhere = Request::post("/webhooks/myspace", &json!({}));
    assert_eq!(send(&cluster, 0, &elsewhere).await.status, 404);
    let long = request("telegram", forged, Signed::Well).body("x".repeat(256 * 1024 + 1));
    assert_eq!(send(&cluster, 0, &long).await.status, 400);
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn unconfigured_webhook_is_not_found_whether_or_not_a_request_is_signed() {
    let cluster = Cluster::builder(POSTERN).start().await;
    let delivery = Delivery {
        id: 1,
        thing: 2,
        to: 7,
        says: "hello",
    };
    for platform in PLATFORMS {
        let signed = request(platform, delivery, Signed::Well);
        let unsigned = Request::post(&format!("/webhooks/{platform}"), &json!({}));
        for request in [signed, unsigned] {
            let answer = send(&cluster, 0, &request).await;
            assert_eq!(
                (answer.status, &answer.json()["error"]),
                (404, &json!("not_supported")),
                "{platform}"
            );
        }
    }
    for challenge in ["/webhooks/x_twitter", "/webhooks/x_twitter?crc_token=challenge_string"] {
        let answer = send(&cluster, 0, &Request::get(challenge)).await;
        assert_eq!(answer.status, 404, "{challenge}");
    }
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_webhook_proves_itself_when_its_platform_asks() {
    let cluster = cluster().await;
    let asked = send(
        &cluster,
        0,
        &Request::get("/webhooks/x_twitter?crc_token=challenge_string"),
    )
    .await;
    let response_token = format!("sha256={}", STANDARD.encode(hmac(X_SECRET, "challenge_string")));
    assert_eq!(
        (asked.status, asked.json()),
        (200, json!({ "response_token": response_token }))
    );
    let forged = "/webhooks/x_twitter?crc_token=%7B%22data%22%3A%7B%7D%7D";
    assert_eq!(send(&cluster, 0, &Request::get(forged)).await.status, 400);
    assert_eq!(
        send(&cluster, 0, &Request::get("/webhooks/x_twitter")).await.status,
        400
    );
    assert_eq!(
        send(&cluster, 0, &Request::get("/webhooks/github?crc_token=a"))
            .await
            .status,
        404
    );

    for (ping, status, pong) in [(r#"{"type":0}"#, 204, ""), (r#"{"type":1}"#, 200, r#"{"type":1}"#)] {
        let at = now();
        let signature = SigningKey::from_bytes(&DISCORD_KEY).sign(format!("{at}{ping}").as_bytes());
        let ping = Request::new("POST", "/webhooks/discord")
            .header("X-Signature-Ed25519", &HEXLOWER.encode(&signature.to_bytes()))
            .header("X-Signature-Timestamp", &at.to_string())
            .body(ping);
        let answer = send(&cluster, 1, &ping).await;
        assert_eq!((answer.status, answer.text().as_str()), (status, pong));
    }
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn without_a_worker_or_without_its_secret_a_webhook_takes_nothing() {
    let builder = Cluster::builder(POSTERN).worker_env("POSTERN_TELEGRAM_WEBHOOK_SECRET", TELEGRAM_SECRET);
    let cluster = builder.start().await;
    let delivery = Delivery {
        id: 1,
        thing: 100,
        to: 7,
        says: "hello",
    };
    let answer = send(&cluster, 0, &request("github", delivery, Signed::Well)).await;
    assert_eq!(answer.status, 404, "{}", answer.text());

    cluster.worker(0).kill().await;
    let telegram = request("telegram", delivery, Signed::Well);
    let answer = cluster.endpoint(0).http(&telegram).await.unwrap();
    assert_eq!(answer.status, 503, "{}", answer.text());
}

#[tokio::test]
async fn access_withdrawn_at_the_platform_raises_an_alert_on_its_webhook() {
    let platforms = Platforms::start().await;
    let cluster = linked_to(&platforms, hooked()).start().await;
    let ada = client(&cluster, 0, "GEN-001").await;
    let linked = link_by_page(&cluster, &platforms, &ada, "x_twitter").await;
    platforms.handle.deauthorize(Platform::XTwitter, "ada");
    let body = json!({"data": {
        "event_uuid": "1",
        "filter": {},
        "event_type": "oauth.revoke",
        "payload": {"user_id": linked["account"]["platformUserId"]},
    }})
    .to_string();
    let signature = format!("sha256={}", STANDARD.encode(hmac(X_SECRET, &body)));
    let request = Request::new("POST", "/webhooks/x_twitter")
        .header("x-twitter-webhooks-signature", &signature)
        .body(body);
    assert_eq!(send(&cluster, 1, &request).await.status, 200);
    // The next scheduled sync would be a minute later.
    let received = wait::until("the alert", wait::deadline(), async || {
        let alert = ada.next_event("security:alert").await.data;
        (alert["type"] != "account_linked").then_some(alert)
    })
    .await;
    assert_eq!(
        (&received["type"], &received["requiresAction"]),
        (&json!("token_expired"), &json!(true))
    );
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

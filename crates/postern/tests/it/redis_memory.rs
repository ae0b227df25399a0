//! Memory of Redis that one user can take with every command and every event, as large and as often as the limits allow.

use protocol::command::CommandKind;
use serde_json::{Value, json};
use testkit::Redis;
use testkit::client::Native;
use testkit::client::http::{Request, plain};
use testkit::cluster::Cluster;
use testkit::token::claims;
use tokio::task::JoinSet;

use crate::stage::{POSTERN, Platforms};

/// Bound of a user's stored data, in bytes: docs/operations/redis-memory.md.
const KEPT: u64 = 5 * 1024 * 1024;
/// Bound of a user's jobs and answers in flight, in bytes.
const UNDER_WAY: u64 = 14 * 1024 * 1024;

const USER: &str = "GEN-001";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_and_every_event_of_one_user_stay_within_its_bytes() {
    let (platforms, redis) = (Platforms::start().await, Redis::start().await);
    let builder = platforms.linked_to(Cluster::builder(POSTERN)).redis(&redis);
    let cluster = builder.gateways(1).workers(1).start().await;
    let mut flood = JoinSet::new();
    for session in 0..4 {
        let mut claims = claims(USER, std::time::Duration::from_secs(3_600));
        claims["sid"] = json!(format!("{session:x>128}"));
        let token = cluster.token_with(&claims);
        for _ in 0..4 {
            let client = Native::connect(&cluster.endpoint(0), &token).await.unwrap();
            flood.spawn(command_everything(client));
        }
    }
    let (internal, token) = (cluster.gateway(0).internal_addr(), cluster.internal_token().to_owned());
    flood.spawn(async move {
        for number in 0..120 {
            for event in [Published::Status, Published::Alert, Published::Notification] {
                let request = Request::post(&format!("/v1/users/{USER}/events"), &event.largest(number));
                let answer = plain(internal, &request.bearer(&token)).await.unwrap();
                assert_eq!(answer.status, 202, "{}", answer.text());
            }
        }
    });
    let mut most = Held::default();
    while let Some(done) = flood.join_next().await {
        done.unwrap();
        let held = Held::now(&redis, cluster.redis_prefix()).await;
        assert!(held.kept <= KEPT && held.under_way <= UNDER_WAY, "{held:?}");
        most.kept = most.kept.max(held.kept);
        most.under_way = most.under_way.max(held.under_way);
    }
    println!("{most:?}");
    assert!(most.kept > 2 * 1024 * 1024, "the log at least is full: {most:?}");
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// Sends each command several times, as large as it may be. Answers do not matter.
async fn command_everything(client: Native) {
    for number in 0..4 {
        for kind in CommandKind::ALL {
            let answer = client.request(kind.event(), largest(kind, number)).await;
            assert_ne!(answer.data["error"], "internal", "{answer:?}");
        }
    }
}

/// Largest payload that a command accepts.
fn largest(kind: CommandKind, number: usize) -> Value {
    let word = format!("{number:x>128}");
    let redirect = format!("{:x<2048}", "http://localhost:3000/callback");
    let own = match kind {
        CommandKind::Authorize => json!({ "accountType": "github", "redirectUri": redirect }),
        CommandKind::Connect => json!({
            "accountType": "github", "redirectUri": redirect, "oauthCode": format!("{number:x>4096}"),
            "codeVerifier": word,
        }),
        CommandKind::Disconnect | CommandKind::Sync => json!({ "accountType": "github" }),
        CommandKind::VerifyTwoFactor => json!({ "sessionId": word, "token": word }),
        CommandKind::RequestConfirmation => json!({ "action": "security:revoke_all" }),
        CommandKind::RevokeAll => json!({ "confirmationToken": word }),
        CommandKind::UpdateSettings => json!({ "settings": { "sessionTimeout": 30 + number } }),
        // Not part of the flood.
        CommandKind::EndSessions => json!({ "sessionId": word.replace('x', "y") }),
        CommandKind::Acknowledge => json!({ "alertId": word }),
        CommandKind::Alerts => json!({}),
        CommandKind::Refresh => json!({ "token": "x".repeat(60_000) }),
        CommandKind::List | CommandKind::GetSettings | CommandKind::ExtendSession | CommandKind::Sessions => json!({}),
    };
    let mut data = json!({ "userId": USER });
    let fields = data.as_object_mut().unwrap();
    fields.extend(own.as_object().unwrap().clone());
    data
}

/// An event that the application's own server may publish. The fourth, `security:settings_updated`, follows a command.
enum Published {
    Status,
    Alert,
    Notification,
}

impl Published {
    /// Largest event of this kind.
    fn largest(&self, number: usize) -> Value {
        let text = format!("{number:x>15000}");
        let (event, data) = match self {
            Self::Status => (
                "account:status_changed",
                json!({ "accountType": "github", "status": "error", "metadata": { "errorMessage": text } }),
            ),
            Self::Alert => (
                "security:alert",
                json!({ "severity": "high", "type": "new_device", "message": text, "requiresAction": true }),
            ),
            Self::Notification => (
                "notification:incoming",
                json!({ "platform": "github", "type": "mention", "content": text, "sender": "ada" }),
            ),
        };
        json!({ "event": event, "data": data })
    }
}

/// Bytes in Redis, all of them of the only user.
#[derive(Debug, Default)]
struct Held {
    kept: u64,
    under_way: u64,
}

impl Held {
    async fn now(redis: &Redis, prefix: &str) -> Self {
        let mut held = Self::default();
        let keys = redis.command(&["KEYS", &format!("{prefix}:*")]).await;
        for key in keys.lines() {
            // Empty where the key has expired meanwhile.
            let used = redis.command(&["MEMORY", "USAGE", key, "SAMPLES", "0"]).await;
            let used = used.parse().unwrap_or(0);
            if key.contains(":{jobs:") || key.contains(":{n:") {
                held.under_way += used;
            } else {
                held.kept += used;
            }
        }
        held
    }
}

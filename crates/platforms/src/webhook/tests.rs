//! Deliveries of each platform: its own are accepted, any that differs by one bit is rejected.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use ed25519_dalek::{Signer as _, SigningKey};
use protocol::notification::NotificationType;
use protocol::time::Timestamp;
use serde_json::{Value, json};

use super::*;

const NOW: u64 = 1_700_000_000;

fn hook(platform: AccountType, secret: &str) -> WebhookVerifier {
    WebhookVerifier::new(platform, &Secret::new(secret)).unwrap()
}

fn read_at(
    hook: &WebhookVerifier,
    now: u64,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<WebhookDelivery, WebhookError> {
    let header = |name: &str| {
        let found = headers.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    hook.read(
        &Request { header: &header, body },
        UNIX_EPOCH + Duration::from_secs(now),
    )
}

fn read(hook: &WebhookVerifier, headers: &[(&str, &str)], body: &[u8]) -> Result<WebhookDelivery, WebhookError> {
    read_at(hook, NOW, headers, body)
}

/// Text with the lowest bit of its last byte flipped.
fn with_flipped_bit(text: &[u8]) -> Vec<u8> {
    let mut changed = text.to_vec();
    *changed.last_mut().unwrap() ^= 1;
    changed
}

fn recipients(delivered: &WebhookDelivery) -> Vec<(&str, NotificationType, &str, &str, &str)> {
    let notifications = delivered.notifications.iter();
    notifications
        .map(|it| {
            let notification = &it.notification;
            let texts = (
                notification.id.as_str(),
                notification.content.as_str(),
                notification.sender.as_str(),
            );
            (
                it.platform_user_id.as_str(),
                notification.kind,
                texts.0,
                texts.1,
                texts.2,
            )
        })
        .collect()
}

const GITHUB_SECRET: &str = "It's a Secret to Everybody";
/// Signature of GitHub's documentation, for `Hello, World!`.
const GITHUB_SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

#[test]
fn github_test_vector_is_accepted_and_every_change_rejected() {
    let headers = |signature| {
        [
            ("x-hub-signature-256", signature),
            ("x-github-event", "ping"),
            ("x-github-delivery", "d-1"),
        ]
    };
    let hello = b"Hello, World!";
    let delivered = read(
        &hook(AccountType::Github, GITHUB_SECRET),
        &headers(GITHUB_SIGNATURE),
        hello,
    )
    .unwrap();
    assert_eq!(
        (delivered.id.as_str(), delivered.notifications.len(), delivered.response),
        ("d-1", 0, WebhookResponse::Ok)
    );

    let github = hook(AccountType::Github, GITHUB_SECRET);
    let refused = [
        read(&github, &headers(GITHUB_SIGNATURE), &with_flipped_bit(hello)),
        read(&github, &headers(&GITHUB_SIGNATURE.replace("757", "756")), hello),
        read(&github, &headers(GITHUB_SIGNATURE.trim_start_matches("sha256=")), hello),
        read(&github, &headers("sha256="), hello),
        read(&github, &headers("sha256=00\u{e9}"), hello),
        read(
            &github,
            &[("x-github-event", "ping"), ("x-github-delivery", "d-1")],
            hello,
        ),
        read(
            &hook(AccountType::Github, "another secret"),
            &headers(GITHUB_SIGNATURE),
            hello,
        ),
    ];
    assert_eq!(refused, [const { Err(WebhookError::InvalidSignature) }; 7]);
}

fn github(event: &str, delivery: &Value) -> WebhookDelivery {
    let body = delivery.to_string();
    let signature = HEXLOWER.encode(&mac::sign(&Secret::new(GITHUB_SECRET), body.as_bytes()));
    let headers = [
        ("x-hub-signature-256", &*format!("sha256={signature}")),
        ("x-github-event", event),
        ("x-github-delivery", "d-1"),
    ];
    read(&hook(AccountType::Github, GITHUB_SECRET), &headers, body.as_bytes()).unwrap()
}

fn comment(body: &str) -> Value {
    json!({
        "action": "created",
        "issue": {
            "id": 1,
            "user": {"login": "Ada", "id": 7},
            "assignees": [{"login": "bob", "id": 8}, {"login": "bob-2", "id": 9}],
        },
        "comment": {"id": 42, "body": body, "user": {"login": "eve", "id": 10}, "created_at": "2026-11-24T08:00:00Z"},
        "sender": {"login": "eve", "id": 10},
    })
}

#[test]
fn github_comment_notifies_mentioned_users_whose_id_it_contains() {
    let text = "@ada @Bob-2, see @stranger, x@bob.example, @bob/team and @eve";
    let delivered = github("issue_comment", &comment(text));
    let mention = NotificationType::Mention;
    assert_eq!(
        recipients(&delivered),
        [
            ("7", mention, "comment 42", text, "eve"),
            ("9", mention, "comment 42", text, "eve")
        ]
    );
    let mut edited = comment(text);
    edited["action"] = json!("edited");
    assert_eq!(recipients(&github("issue_comment", &edited)), []);
    assert_eq!(recipients(&github("watch", &comment(text))), []);
    assert_eq!(recipients(&github("issue_comment", &json!({"action": "created"}))), []);
}

#[test]
fn github_urlencoded_delivery_is_read() {
    let text = "@ada \u{1f4f1} & + %41 \u{0}";
    let payload = comment(text).to_string();
    let encoded = |fields: &[(&str, &str)]| {
        let mut encoded = url::form_urlencoded::Serializer::new(String::new());
        encoded.extend_pairs(fields).finish()
    };
    let body = encoded(&[("payload", &payload)]);
    let headers = |body: &str| {
        let signature = HEXLOWER.encode(&mac::sign(&Secret::new(GITHUB_SECRET), body.as_bytes()));
        [
            ("x-hub-signature-256", format!("sha256={signature}")),
            ("x-github-event", "issue_comment".to_owned()),
            ("x-github-delivery", "d-1".to_owned()),
        ]
    };
    let read_urlencoded = |body: &str, headers: &[(&str, String)]| {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        read(&hook(AccountType::Github, GITHUB_SECRET), &headers, body.as_bytes())
    };
    let delivered = read_urlencoded(&body, &headers(&body)).unwrap();
    let cleaned = "@ada \u{1f4f1} & + %41 \u{fffd}";
    assert_eq!(
        recipients(&delivered),
        [("7", NotificationType::Mention, "comment 42", cleaned, "eve")]
    );
    // The signature covers the body as it was sent, not the decoded payload.
    assert_eq!(
        read_urlencoded(&body, &headers(&payload)),
        Err(WebhookError::InvalidSignature)
    );
    for other in [
        encoded(&[("payload", "{")]),
        encoded(&[("data", &payload)]),
        encoded(&[("payload", "")]),
    ] {
        assert_eq!(read_urlencoded(&other, &headers(&other)), Err(WebhookError::Unreadable));
    }
}

#[test]
fn deliveries_are_read_in_every_notation_and_cleaned() {
    let text = r#"{"action":"created","comment":{"id":"42","body":"@ada \ud83d\u0000","user":{"login":"eve","id":1e1},
        "created_at":"2026-11-24T08:00:00Z"},"assignee":{"login":"ada","id":7.0}}"#;
    let signature = HEXLOWER.encode(&mac::sign(&Secret::new(GITHUB_SECRET), text.as_bytes()));
    let headers = [
        ("x-hub-signature-256", &*format!("sha256={signature}")),
        ("x-github-event", "issue_comment"),
        ("x-github-delivery", "d-1"),
    ];
    let delivered = read(&hook(AccountType::Github, GITHUB_SECRET), &headers, text.as_bytes()).unwrap();
    let content = "@ada \u{fffd}\u{fffd}";
    assert_eq!(
        recipients(&delivered),
        [("7", NotificationType::Mention, "comment 42", content, "eve")]
    );

    let token = [("x-telegram-bot-api-secret-token", TELEGRAM_SECRET)];
    let telegram = |message: &str| {
        let update = format!(r#"{{"update_id":"9","message":{message}}}"#);
        read(&hook(AccountType::Telegram, TELEGRAM_SECRET), &token, update.as_bytes()).unwrap()
    };
    let delivered = telegram(
        r#"{"message_id":3.0,"chat":{"id":"-5"},"from":{"id":7.0,"first_name":"\udc00Eve"},"date":1700000000.0,
            "text":"\u001b[2J","reply_to_message":{"from":{"id":"8"}}}"#,
    );
    assert_eq!(
        recipients(&delivered),
        [("8", NotificationType::Reply, "-5 3", "\u{fffd}[2J", "\u{fffd}Eve")]
    );
    // A rejected update would be sent again and block those behind it.
    assert_eq!(telegram(r#"{"from": 1}"#).notifications, []);
}

const X_SECRET: &str = "consumer-secret";

fn x_signature(secret: &str, body: &[u8]) -> String {
    format!("sha256={}", STANDARD.encode(mac::sign(&Secret::new(secret), body)))
}

fn x_headers(signature: &str) -> [(&str, &str); 1] {
    [("x-twitter-webhooks-signature", signature)]
}

fn mention_on_x() -> Value {
    json!({"data": {
        "event_uuid": "-2080765813578191303",
        "filter": {"user_id": "111"},
        "event_type": "post.mention.create",
        "tag": "mentions",
        "payload": {"id": "2080765813578191303", "text": "hey @ada", "author_id": "222", "created_at": "2026-07-24T21:23:23.000Z"},
        "includes": {"users": [{"id": "222", "username": "OtherUser"}, {"id": "111", "username": "ada"}]},
    }})
}

#[test]
fn x_challenge_is_answered_as_documented() {
    let answer = hook(AccountType::XTwitter, X_SECRET).answer_challenge("challenge_string");
    let documented = "sha256=S/mG8E9n5SjoGuCqHguvP8K8uuu5ogCPF0dOpIdyZlk=";
    assert_eq!(answer.as_deref(), Ok(documented));
    let of_another = hook(AccountType::Github, X_SECRET).answer_challenge("challenge_string");
    assert_eq!(of_another, Err(WebhookError::Unreadable));
}

#[test]
fn challenge_that_could_be_a_delivery_gets_no_signature() {
    let x = hook(AccountType::XTwitter, X_SECRET);
    let forged = mention_on_x().to_string();
    for challenge in [forged.as_str(), "{}", "[1]", " ", "", "\u{e9}", &"a".repeat(257)] {
        assert_eq!(
            x.answer_challenge(challenge),
            Err(WebhookError::Unreadable),
            "{challenge}"
        );
    }
}

#[test]
fn x_delivery_is_accepted_and_every_change_rejected() {
    let x = hook(AccountType::XTwitter, X_SECRET);
    let body = mention_on_x().to_string().into_bytes();
    let signature = x_signature(X_SECRET, &body);
    let delivered = read(&x, &x_headers(&signature), &body).unwrap();
    assert_eq!(
        (delivered.id.as_str(), delivered.response),
        ("-2080765813578191303", WebhookResponse::Ok)
    );
    assert_eq!(
        recipients(&delivered),
        [(
            "111",
            NotificationType::Mention,
            "2080765813578191303",
            "hey @ada",
            "OtherUser"
        )]
    );
    let in_hex = format!("sha256={}", HEXLOWER.encode(&mac::sign(&Secret::new(X_SECRET), &body)));
    let refused = [
        read(&x, &x_headers(&signature), &with_flipped_bit(&body)),
        read(&x, &x_headers(&x_signature("another secret", &body)), &body),
        read(&x, &x_headers(&in_hex), &body),
        read(&x, &x_headers("sha256="), &body),
        read(&x, &[], &body),
    ];
    assert_eq!(refused, [const { Err(WebhookError::InvalidSignature) }; 5]);
}

#[test]
fn x_reports_replies_direct_messages_followers_and_revocations_only() {
    let x = hook(AccountType::XTwitter, X_SECRET);
    let take = |delivery: &Value| {
        let body = delivery.to_string().into_bytes();
        read(
            &x,
            &[("x-twitter-webhooks-signature", &x_signature(X_SECRET, &body))],
            &body,
        )
        .unwrap()
    };
    let mut message = json!({"data": {
        "event_uuid": "1",
        "filter": {"user_id": "111"},
        "event_type": "dm.received",
        "payload": {
            "direct_message_events": [{
                "type": "message_create",
                "id": "33",
                "created_timestamp": "1784928224372",
                "message_create": {
                    "target": {"recipient_id": "111"},
                    "sender_id": "222",
                    "message_data": {"text": "hello!"},
                },
            }],
            "users": {"222": {"data": {"id": "222", "username": "OtherUser"}}},
        },
    }});
    let delivered = take(&message);
    assert_eq!(
        recipients(&delivered),
        [("111", NotificationType::Message, "33", "hello!", "OtherUser")]
    );
    assert_eq!(
        delivered.notifications[0].notification.at,
        Timestamp::from_millis(1_784_928_224_372)
    );
    message["data"]["event_type"] = json!("dm.sent");
    assert_eq!(recipients(&take(&message)), []);
    let mut follow = json!({"data": {
        "event_uuid": "-7953119945885597316",
        "filter": {"user_id": "111"},
        "event_type": "follow.follow",
        "payload": {
            "source": {"data": {"id": "222", "username": "OtherUser"}},
            "target": {"data": {"id": "111", "username": "ada"}},
        },
    }});
    let notification = (
        "111",
        NotificationType::Follow,
        "follow -7953119945885597316",
        "@OtherUser follows you",
        "OtherUser",
    );
    assert_eq!(recipients(&take(&follow)), [notification]);
    follow["data"]["filter"]["user_id"] = json!("222");
    assert_eq!(recipients(&take(&follow)), [], "who follows knows it");
    follow["data"]["filter"]["user_id"] = json!("111");
    follow["data"]["event_type"] = json!("follow.unfollow");
    assert_eq!(recipients(&take(&follow)), []);
    let mut reply = mention_on_x();
    reply["data"]["payload"]["in_reply_to_user_id"] = json!("111");
    assert_eq!(recipients(&take(&reply))[0].1, NotificationType::Reply);
    reply["data"]["payload"]["in_reply_to_user_id"] = json!("222");
    assert_eq!(recipients(&take(&reply))[0].1, NotificationType::Mention);
    let revoked = take(&json!({"data": {
        "event_uuid": "5934540941047412905",
        "filter": {},
        "event_type": "oauth.revoke",
        "payload": {"date_time": "2026-07-23T21:44:05+00:00", "user_id": "111", "app_id": "29820954"},
    }}));
    assert_eq!(
        (recipients(&revoked), revoked.deauthorized.as_slice()),
        (vec![], &["111".to_owned()][..])
    );
    let mut of_keyword = mention_on_x();
    of_keyword["data"]["filter"] = json!({"keyword": "ada"});
    assert_eq!(recipients(&take(&of_keyword)), []);
}

const DISCORD_KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
/// Secret key of the first test of RFC 8032 section 7.1.
const DISCORD_SECRET_KEY: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const DISCORD_SIGNATURE: &str = "09047712d219a6627d677fe94ecb8845a120c47ce2110e9760e34a93ab43e7fac689a79a828c2eb380ed2c6e558fb604179b533be108d6354493c89e602e670b";

fn discord(now: u64, body: &str) -> Result<WebhookDelivery, WebhookError> {
    let key = SigningKey::from_bytes(&mac::decode_hex(DISCORD_SECRET_KEY).unwrap());
    let signature = HEXLOWER.encode(&key.sign(format!("{NOW}{body}").as_bytes()).to_bytes());
    let headers = [
        ("x-signature-timestamp", &*NOW.to_string()),
        ("x-signature-ed25519", &signature),
    ];
    read_at(&hook(AccountType::Discord, DISCORD_KEY), now, &headers, body.as_bytes())
}

#[test]
fn discord_delivery_is_accepted_and_every_change_rejected() {
    let discord = hook(AccountType::Discord, DISCORD_KEY);
    let ping = br#"{"type":0}"#;
    let headers = |timestamp, signature| [("x-signature-timestamp", timestamp), ("x-signature-ed25519", signature)];
    let good = headers("1700000000", DISCORD_SIGNATURE);
    let delivered = read(&discord, &good, ping).unwrap();
    assert_eq!(
        (delivered.notifications.len(), delivered.response),
        (0, WebhookResponse::NoContent)
    );
    assert_eq!(delivered.id.len(), 64);

    let other_key = hook(
        AccountType::Discord,
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    );
    let changed = DISCORD_SIGNATURE.replace("09047", "09046");
    let refused = [
        read(&discord, &good, br#"{"type":1}"#),
        read(&discord, &headers("1700000001", DISCORD_SIGNATURE), ping),
        read(&discord, &headers("1700000000", &changed), ping),
        read(&discord, &headers("1700000000", ""), ping),
        read(&discord, &good[..1], ping),
        read(&other_key, &good, ping),
        read_at(&discord, NOW + 301, &good, ping),
        read_at(&discord, NOW - 301, &good, ping),
    ];
    assert_eq!(refused, [const { Err(WebhookError::InvalidSignature) }; 8]);
    for now in [NOW + 300, NOW - 300] {
        assert!(read_at(&discord, now, &good, ping).is_ok(), "{now}");
    }
}

#[test]
fn discord_ping_gets_a_pong_and_messages_and_deauthorizations_are_reported() {
    let ping = r#"{"type":1,"token":"t","id":"1","application_id":"2","version":1}"#;
    assert_eq!(discord(NOW, ping).unwrap().response, WebhookResponse::Pong);
    let message = json!({"type": 1, "version": 1, "event": {
        "type": "GAME_DIRECT_MESSAGE_CREATE",
        "timestamp": "2025-08-14T18:09:38.063234",
        "data": {
            "id": "1405614357781545021",
            "content": "get in friend",
            "author": {"id": "5", "username": "eve"},
            "timestamp": "2025-08-14T18:09:37.947000+00:00",
            "channel": {"recipients": [{"id": "7", "username": "ada"}, {"id": "5", "username": "eve"}]},
        },
    }});
    let delivered = discord(NOW, &message.to_string()).unwrap();
    assert_eq!(delivered.response, WebhookResponse::NoContent);
    assert_eq!(
        recipients(&delivered),
        [(
            "7",
            NotificationType::Message,
            "1405614357781545021",
            "get in friend",
            "eve"
        )]
    );
    let authorized = r#"{"type":1,"event":{"type":"APPLICATION_AUTHORIZED","data":{"user":{"id":"7"}}}}"#;
    let delivered = discord(NOW, authorized).unwrap();
    assert_eq!((recipients(&delivered), delivered.deauthorized.len()), (vec![], 0));
    let ended = discord(NOW, &authorized.replace("_AUTHORIZED", "_DEAUTHORIZED")).unwrap();
    assert_eq!(
        (recipients(&ended), ended.deauthorized.as_slice()),
        (vec![], &["7".to_owned()][..])
    );
}

const TELEGRAM_SECRET: &str = "telegram-secret_token";

#[test]
fn telegram_secret_header_is_required() {
    let telegram = hook(AccountType::Telegram, TELEGRAM_SECRET);
    let headers = |secret| [("x-telegram-bot-api-secret-token", secret)];
    let update = br#"{"update_id":99,"poll":{}}"#;
    let delivered = read(&telegram, &headers(TELEGRAM_SECRET), update).unwrap();
    assert_eq!(
        (delivered.id.as_str(), delivered.notifications.len(), delivered.response),
        ("99", 0, WebhookResponse::Ok)
    );
    let changed = String::from_utf8(with_flipped_bit(TELEGRAM_SECRET.as_bytes())).unwrap();
    let refused = ["", "telegram", changed.as_str(), "telegram-secret_token2"];
    for secret in refused {
        assert_eq!(
            read(&telegram, &headers(secret), update),
            Err(WebhookError::InvalidSignature),
            "{secret}"
        );
    }
    assert_eq!(read(&telegram, &[], update), Err(WebhookError::InvalidSignature));
    assert_eq!(
        read(&telegram, &headers(TELEGRAM_SECRET), b"no update"),
        Err(WebhookError::Unreadable)
    );
}

#[test]
fn telegram_message_notifies_replied_to_and_mentioned_users() {
    let telegram = hook(AccountType::Telegram, TELEGRAM_SECRET);
    let update = json!({"update_id": 99, "message": {
        "message_id": 5,
        "chat": {"id": -100, "type": "group"},
        "from": {"id": 10, "first_name": "Eve", "is_bot": false},
        "date": 1_700_000_000,
        "text": "Ada and Bob, and me",
        "entities": [
            {"type": "text_mention", "user": {"id": 7, "first_name": "Ada"}},
            {"type": "text_mention", "user": {"id": 8, "first_name": "Bob"}},
            {"type": "text_mention", "user": {"id": 10, "first_name": "Eve"}},
            {"type": "mention", "offset": 0, "length": 3},
        ],
        "reply_to_message": {"message_id": 4, "from": {"id": 7, "first_name": "Ada"}},
    }});
    let headers = [("x-telegram-bot-api-secret-token", TELEGRAM_SECRET)];
    let delivered = read(&telegram, &headers, update.to_string().as_bytes()).unwrap();
    let text = "Ada and Bob, and me";
    assert_eq!(
        recipients(&delivered),
        [
            ("7", NotificationType::Reply, "-100 5", text, "Eve"),
            ("8", NotificationType::Mention, "-100 5", text, "Eve")
        ]
    );
}

#[test]
fn secret_that_cannot_verify_is_rejected() {
    for platform in AccountType::ALL {
        assert!(WebhookVerifier::new(platform, &Secret::new("")).is_err(), "{platform}");
    }
    for key in ["no key", DISCORD_KEY.trim_end_matches("1a"), &"00".repeat(32)] {
        assert!(
            WebhookVerifier::new(AccountType::Discord, &Secret::new(key)).is_err(),
            "{key}"
        );
    }
}

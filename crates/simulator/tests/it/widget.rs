//! Telegram's Login Widget: its page and its redirect.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use http::StatusCode;
use sha2::{Digest, Sha256};
use simulator::BOT_TOKEN;

use crate::client::simulate;
use crate::consent::Page;

const WIDGET: &str = "/telegram/auth?bot_id=7000000001&origin=http%3A%2F%2F127.0.0.1%3A3000\
                      &return_to=http%3A%2F%2F127.0.0.1%3A3000%2Fback%3Fpage%3D1&request_access=write";

#[tokio::test]
async fn chosen_login_is_sent_back_signed_with_the_bots_token() {
    simulate(async |client| {
        let page = Page::open(&client, WIDGET).await;
        let text = page.answer.text();
        for shown in ["Authorize bot 7000000001", "write", "127.0.0.1:3000", "Continue as ada"] {
            assert!(text.contains(shown), "{shown} in {text}");
        }
        let answer = page.send(&client, ("login", "ada")).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
        let mut fields: BTreeMap<_, _> = answer.location().into_iter().collect();
        assert_eq!(fields.remove("page").as_deref(), Some("1"));
        let hash = fields.remove("hash").unwrap();
        assert_eq!(fields["username"], "ada");
        let lines: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut mac = Hmac::<Sha256>::new_from_slice(&Sha256::digest(BOT_TOKEN)).unwrap();
        mac.update(lines.join("\n").as_bytes());
        assert_eq!(hash, HEXLOWER.encode(&mac.finalize().into_bytes()));
        let avatar = client
            .get(fields["photo_url"].strip_prefix(client.handle.url()).unwrap(), &[])
            .await;
        assert_eq!(avatar.status, StatusCode::OK);
    })
    .await;
}

#[tokio::test]
async fn refusal_is_not_sent_back_and_login_parameter_needs_no_page() {
    simulate(async |client| {
        let page = Page::open(&client, WIDGET).await;
        let answer = page.send(&client, ("deny", "1")).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(!answer.headers.contains_key("location"));
        let at_once = client.get(&format!("{WIDGET}&login=grace"), &[]).await;
        assert_eq!(
            (at_once.status, at_once.location()["username"].as_str()),
            (StatusCode::FOUND, "grace")
        );
    })
    .await;
}

#[tokio::test]
async fn other_bots_and_unsafe_addresses_are_refused() {
    simulate(async |client| {
        for wrong in [
            WIDGET.replace("7000000001", "7000000002"),
            WIDGET.replace("return_to=http", "return_to=javascript"),
            "/telegram/auth?bot_id=7000000001".to_owned(),
        ] {
            let refused = client.get(&wrong, &[]).await;
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{wrong}");
        }
    })
    .await;
}

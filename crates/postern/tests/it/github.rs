//! Life of a github account in a cluster: connected, synced, notified, and revoked. Its tokens end with the
//! grant, so there is no refresh.

use serde_json::json;
use simulator::{Extent, NewNotification, NumberFormat, Platform, ResponseFormat, TextFormat};
use testkit::wait;

use crate::callback::{hosted, link_by_page};
use crate::stage::{Platforms, client};

#[tokio::test]
async fn github_account_is_connected_synced_notified_and_revoked() {
    let platforms = Platforms::start().await;
    let cluster = hosted(&platforms).await;
    let caller = client(&cluster, 0, "GEN-001").await;
    let linked = link_by_page(&cluster, &platforms, &caller, "github").await;
    assert_eq!(linked["account"]["username"], "ada", "{linked}");
    platforms.watch_tokens(&cluster);

    let account = json!({ "userId": "GEN-001", "accountType": "github" });
    let answer = caller.emit_with_ack("account:sync", account.clone()).await;
    assert_eq!(answer["data"]["profile"]["username"], "ada", "{answer}");
    platforms.handle.notify(NewNotification {
        login: "ada".to_owned(),
        title: "look, @ada".to_owned(),
        ..NewNotification::default()
    });
    let answer = caller.emit_with_ack("account:sync", account.clone()).await;
    assert_eq!(answer["data"]["notifications"], 1, "{answer}");
    let received = caller.next_event("notification:incoming").await;
    assert_eq!(
        (&received.data["type"], &received.data["content"]),
        (&json!("mention"), &json!("look, @ada"))
    );
    assert!(platforms.handle.snapshot().ledger.refreshes.is_empty());

    let answer = caller.emit_with_ack("account:disconnect", account).await;
    assert_eq!(answer["success"], true, "{answer}");
    wait::until_true("the grant to be given back", wait::deadline(), async || {
        platforms.handle.snapshot().tokens.is_empty()
    })
    .await;
    let ledger = platforms.handle.snapshot().ledger;
    let given_back = ledger.revocations.first().unwrap();
    assert_eq!(
        (given_back.platform, given_back.extent, given_back.login.as_deref()),
        (Platform::Github, Extent::Grant, Some("ada"))
    );
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn nul_in_names_and_titles_at_github_stops_no_link_and_no_sync() {
    let platforms = Platforms::start().await;
    let spelling = ResponseFormat {
        texts: TextFormat::Nul,
        numbers: NumberFormat::Float,
        urlencoded_tokens: true,
    };
    platforms.handle.set_response_format(Platform::Github, spelling);
    let cluster = hosted(&platforms).await;
    let caller = client(&cluster, 0, "GEN-001").await;
    let linked = link_by_page(&cluster, &platforms, &caller, "github").await;
    assert_eq!(linked["account"]["username"], "ada \u{fffd}", "{linked}");
    platforms.watch_tokens(&cluster);

    platforms.handle.notify(NewNotification {
        login: "ada".to_owned(),
        title: "look".to_owned(),
        ..NewNotification::default()
    });
    let account = json!({ "userId": "GEN-001", "accountType": "github" });
    let answer = caller.emit_with_ack("account:sync", account).await;
    assert_eq!(answer["data"]["notifications"], 1, "{answer}");
    let received = caller.next_event("notification:incoming").await;
    assert_eq!(received.data["content"], "look \u{fffd}");
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

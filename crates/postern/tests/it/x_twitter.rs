//! Life of an X account in a cluster: connected, synced, notified, refreshed and revoked.

use serde_json::json;
use simulator::{NewPost, Platform, Rotation};
use testkit::cluster::{Builder, Cluster};
use testkit::wait;

use crate::callback::{PUBLIC_URL, link_by_page};
use crate::stage::{POSTERN, Platforms, client};

/// Configures the workers of a cluster with the simulated X.
pub(crate) fn linked_to(platforms: &Platforms, builder: Builder) -> Builder {
    let url = format!("{}/x_twitter", platforms.handle.url());
    builder
        .worker_env("POSTERN_PUBLIC_URL", PUBLIC_URL)
        .worker_env("POSTERN_X_TWITTER_CLIENT_ID", simulator::CLIENT_ID)
        .worker_env("POSTERN_X_TWITTER_CLIENT_SECRET", simulator::CLIENT_SECRET)
        .worker_env("POSTERN_X_TWITTER_AUTH_URL", format!("{url}/i/oauth2/authorize"))
        .worker_env("POSTERN_X_TWITTER_TOKEN_URL", format!("{url}/2/oauth2/token"))
        .worker_env("POSTERN_X_TWITTER_API_URL", format!("{url}/2"))
}

#[tokio::test]
async fn x_account_is_connected_synced_refreshed_and_revoked() {
    let platforms = Platforms::start().await;
    let cluster = linked_to(&platforms, Cluster::builder(POSTERN)).start().await;
    let caller = client(&cluster, 0, "GEN-001").await;
    let linked = link_by_page(&cluster, &platforms, &caller, "x_twitter").await;
    assert_eq!(linked["account"]["username"], "ada", "{linked}");
    platforms.watch_tokens(&cluster);

    let account = json!({ "userId": "GEN-001", "accountType": "x_twitter" });
    let answer = caller.emit_with_ack("account:sync", account.clone()).await;
    assert_eq!(answer["data"]["profile"]["username"], "ada", "{answer}");
    platforms.handle.post(NewPost {
        login: "ada".to_owned(),
        text: "look, @ada".to_owned(),
        ..NewPost::default()
    });
    // The platform no longer accepts the access token: the sync refreshes it first.
    platforms.handle.expire(Platform::XTwitter, "ada");
    let answer = caller.emit_with_ack("account:sync", account.clone()).await;
    assert_eq!(answer["data"]["notifications"], 1, "{answer}");
    platforms.watch_tokens(&cluster);
    let received = caller.next_event("notification:incoming").await;
    assert_eq!(
        (
            &received.data["type"],
            &received.data["content"],
            &received.data["sender"]
        ),
        (&json!("mention"), &json!("look, @ada"), &json!("grace"))
    );
    let refreshes = platforms.handle.snapshot().ledger.refreshes;
    assert!(
        matches!(&refreshes[..], [only] if only.rotation != Rotation::Reused),
        "{refreshes:?}"
    );

    let answer = caller.emit_with_ack("account:disconnect", account).await;
    assert_eq!(answer["success"], true, "{answer}");
    wait::until_true("the grant to be given back", wait::deadline(), async || {
        let revocations = platforms.handle.snapshot().ledger.revocations;
        revocations
            .iter()
            .any(|given_back| given_back.login.as_deref() == Some("ada"))
    })
    .await;
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

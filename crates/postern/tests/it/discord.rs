//! Life of a discord account in a cluster: connected, synced, notified of the bot's messages, refreshed and revoked.

use serde_json::json;
use simulator::{BOT_TOKEN, NewMessage, Platform, Rotation};
use testkit::cluster::{Builder, Cluster};
use testkit::wait;

use crate::callback::{PUBLIC_URL, link_by_page};
use crate::stage::{POSTERN, Platforms, client};

/// Gives the workers of a cluster the simulated discord.
pub(crate) fn linked_to(platforms: &Platforms, builder: Builder) -> Builder {
    let url = platforms.handle.url();
    builder
        .worker_env("POSTERN_PUBLIC_URL", PUBLIC_URL)
        .worker_env("POSTERN_DISCORD_CLIENT_ID", simulator::CLIENT_ID)
        .worker_env("POSTERN_DISCORD_CLIENT_SECRET", simulator::CLIENT_SECRET)
        .worker_env("POSTERN_DISCORD_AUTH_URL", format!("{url}/discord/oauth2/authorize"))
        .worker_env("POSTERN_DISCORD_TOKEN_URL", format!("{url}/discord/api/oauth2/token"))
        .worker_env("POSTERN_DISCORD_API_URL", format!("{url}/discord/api/v10"))
        .worker_env("POSTERN_DISCORD_BOT_TOKEN", BOT_TOKEN)
}

#[tokio::test]
async fn discord_account_is_connected_synced_notified_refreshed_and_revoked() {
    let platforms = Platforms::start().await;
    let cluster = Cluster::builder(POSTERN).workers(2);
    let cluster = linked_to(&platforms, cluster).start().await;
    cluster.canary(BOT_TOKEN);
    let caller = client(&cluster, 0, "GEN-001").await;
    let linked = link_by_page(&cluster, &platforms, &caller, "discord").await;
    assert_eq!(linked["account"]["username"], "ada", "{linked}");
    platforms.watch_tokens(&cluster);

    let account = json!({ "userId": "GEN-001", "accountType": "discord" });
    let answer = caller.emit_with_ack("account:sync", account.clone()).await;
    assert_eq!(answer["data"]["profile"]["username"], "ada", "{answer}");

    // Messages from before the bot's first read are not reported.
    wait::until_true("the first look", wait::deadline(), async || {
        let looked = "SELECT 1 FROM inboxes WHERE account_type = 'discord' AND cursor IS NOT NULL";
        !cluster.schema().sql(looked).await.is_empty()
    })
    .await;
    for text in ["look, @ada", "and there, @ada"] {
        platforms.handle.post_to_discord(&NewMessage {
            mentions: vec!["ada".to_owned()],
            text: text.to_owned(),
            ..NewMessage::default()
        });
    }
    // Two workers have the bot's token, and each message is reported once.
    for text in ["look, @ada", "and there, @ada"] {
        let received = caller.next_event("notification:incoming").await;
        assert_eq!(
            (
                &received.data["type"],
                &received.data["content"],
                &received.data["sender"]
            ),
            (&json!("mention"), &json!(text), &json!("grace"))
        );
    }

    // The platform no longer accepts the access token: the sync refreshes it first.
    platforms.handle.expire(Platform::Discord, "ada");
    let answer = caller.emit_with_ack("account:sync", account.clone()).await;
    assert_eq!(answer["data"]["profile"]["username"], "ada", "{answer}");
    platforms.watch_tokens(&cluster);
    let refreshes = platforms.handle.snapshot().ledger.refreshes;
    assert!(
        matches!(&refreshes[..], [only] if only.rotation == Rotation::Rotated),
        "{refreshes:?}"
    );

    let answer = caller.emit_with_ack("account:disconnect", account).await;
    assert_eq!(answer["success"], true, "{answer}");
    wait::until_true("the grant to be given back", wait::deadline(), async || {
        platforms.handle.snapshot().tokens.is_empty()
    })
    .await;
    let ledger = platforms.handle.snapshot().ledger;
    let given_back = ledger.revocations.first().unwrap();
    assert_eq!(
        (given_back.platform, given_back.login.as_deref()),
        (Platform::Discord, Some("ada"))
    );
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

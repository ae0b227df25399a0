//! Someone who writes to Postgres exchanges or alters encrypted tokens.

use serde_json::json;
use testkit::wait;

use crate::stage::{Platforms, client, cluster, connect};

#[tokio::test]
async fn a_token_copied_to_another_users_row_is_not_used_and_logged() {
    let platforms = Platforms::start().await;
    let cluster = cluster(&platforms).await;
    for user in ["GEN-001", "GEN-002"] {
        let owner = client(&cluster, 0, user).await;
        let code = format!("test_code_{user}");
        let answer = owner.emit_with_ack("account:connect", connect(user, &code)).await;
        assert_eq!(answer["success"], true, "{answer}");
    }
    let copy = "UPDATE accounts SET access_token = \
                (SELECT access_token FROM accounts WHERE user_id = 'GEN-002') WHERE user_id = 'GEN-001'";
    cluster.schema().sql(copy).await;

    let thief = client(&cluster, 1, "GEN-001").await;
    let sync = |user: &str| json!({"userId": user, "accountType": "github"});
    let answer = thief.emit_with_ack("account:sync", sync("GEN-001")).await;
    assert_eq!(answer["error"], "internal", "{answer}");
    wait::until_true("the failure to be logged", wait::deadline(), async || {
        let logs = cluster.worker(0).logs();
        logs.lines()
            .any(|line| line.contains("ERROR") && line.contains("internal"))
    })
    .await;
    // The worker continues, and the owner of the token is not affected.
    let owner = client(&cluster, 1, "GEN-002").await;
    let answer = owner.emit_with_ack("account:sync", sync("GEN-002")).await;
    assert_eq!(answer["success"], true, "{answer}");
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

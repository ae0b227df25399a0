//! Bad input costs its sender an error, and no one else anything: across processes, what the gateway's own tests show in one.

use serde_json::json;
use testkit::client::SocketIo;

use crate::stage::{Platforms, client, cluster, connect};

#[tokio::test]
async fn another_users_id_is_forbidden_and_nothing_happens() {
    let platforms = Platforms::start().await;
    let cluster = cluster(&platforms).await;
    let thief = client(&cluster, 0, "GEN-002").await;
    let victim = client(&cluster, 1, "GEN-001").await;

    let answer = thief
        .emit_with_ack("account:connect", connect("GEN-001", "test_code_stolen"))
        .await;
    assert_eq!(answer["success"], false);
    assert_eq!(answer["error"], "forbidden");
    assert_eq!(platforms.exchanges("test_code_stolen"), 0);

    let list = victim.emit_with_ack("account:list", json!({})).await;
    assert_eq!(list["accounts"], json!([]));
    let heard: Vec<_> = victim.unread().into_iter().map(|event| event.name).collect();
    assert_eq!(heard, ["account:list_response"], "the victim heard of it");
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_flood_of_nonsense_on_one_socket_leaves_the_others_alone() {
    let platforms = Platforms::start().await;
    let cluster = cluster(&platforms).await;
    let calm = client(&cluster, 0, "GEN-001").await;
    for nonsense in ["42[", "9", "450-[\"x\"]", "{}", "4", ""] {
        let noisy = client(&cluster, 0, "GEN-001").await;
        noisy.send_text(nonsense).await;
        assert_eq!(noisy.closed().await.code, 4400, "{nonsense:?}");
    }
    assert!(SocketIo::connect(&cluster.door(0), "no token at all").await.is_err());
    let list = calm.emit_with_ack("account:list", json!({})).await;
    assert_eq!(list["success"], true, "{list}");
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

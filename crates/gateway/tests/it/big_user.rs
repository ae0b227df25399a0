//! User with many devices, where the cap of sockets admits them: all of them receive, and all resume.

use futures_util::future::join_all;
use protocol::account::AccountType;
use serde_json::json;
use testkit::Native;

use crate::test_gateway::TestGateway;

/// Devices of the user: more than the least number of resume tokens of a user.
const DEVICES: usize = 150;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_device_of_a_big_user_receives_and_resumes_beside_another_user() {
    let gateway = TestGateway::with(|settings| {
        settings.max_sockets_per_user = DEVICES;
        // All connect twice within seconds.
        settings.user_connect_rate = None;
    })
    .await;
    let gateway = &gateway;
    let other = Native::connect(&gateway.endpoint, &gateway.token("other"))
        .await
        .unwrap();
    let devices = join_all((0..DEVICES).map(|_| async {
        let device = Native::connect(&gateway.endpoint, &gateway.token("u")).await;
        device.unwrap()
    }))
    .await;
    publish_to_both(gateway, AccountType::Github).await;
    let mut clients = Vec::new();
    for device in devices {
        let offset = device.next().await.offset.unwrap();
        clients.push((device.ready()["resumeToken"].clone(), offset));
    }
    // All devices have left. What they miss is in the event log.
    publish_to_both(gateway, AccountType::Discord).await;
    join_all(clients.iter().map(|(token, offset)| async move {
        let resume = json!({ "resumeToken": token, "offset": offset });
        let auth = json!({ "token": gateway.token("u"), "resume": resume });
        let device = Native::to(&gateway.endpoint).auth(auth).connect().await.unwrap();
        assert_eq!(device.ready()["recovered"], true);
        assert_eq!(device.next().await.data["accountType"], "discord");
    }))
    .await;
    for kind in ["github", "discord"] {
        assert_eq!(other.next().await.data["accountType"], kind);
    }
}

async fn publish_to_both(gateway: &TestGateway, account_type: AccountType) {
    for user in ["u", "other"] {
        gateway.publish(user, account_type).await;
    }
}

//! A flood for one user costs no other user an event, and its loss is announced to that user alone.

use futures_util::future::join_all;
use protocol::account::AccountType;
use testkit::client::Event;
use testkit::{Native, SocketIo};

use crate::test_gateway::TestGateway;

/// Events of the flood: more than a gateway queues for one user, and no task of the gateway runs meanwhile, as publishing waits for nothing.
const FLOOD: u64 = 10_000;
/// Events of each other user during the flood.
const OTHERS: u64 = 50;

fn seq(event: &Event) -> u64 {
    let offset = event.offset.as_deref().unwrap();
    offset.rsplit_once('-').unwrap().1.parse().unwrap()
}

#[tokio::test]
async fn flood_for_one_user_is_announced_to_that_user_alone() {
    let gateway = TestGateway::new().await;
    let connect = async |user: &str| {
        let client = Native::connect(&gateway.endpoint, &gateway.token(user)).await;
        client.unwrap()
    };
    let hot = connect("hot").await;
    let others = join_all(["a", "b", "c"].map(&connect)).await;
    let official = SocketIo::connect(&gateway.endpoint, &gateway.token("d")).await.unwrap();
    for number in 0..FLOOD {
        gateway.publish("hot", AccountType::Github).await;
        if number.is_multiple_of(FLOOD / OTHERS) {
            for user in ["a", "b", "c", "d"] {
                gateway.publish(user, AccountType::Github).await;
            }
        }
    }
    for expected in 1..=OTHERS {
        for other in &others {
            let event = other.next().await;
            assert_eq!((event.name.as_str(), seq(&event)), ("account:status_changed", expected));
        }
        assert_eq!(seq(&official.next().await), expected);
    }
    let mut expected = 1;
    loop {
        let event = hot.next().await;
        if event.name == "resync" {
            break;
        }
        assert_eq!(seq(&event), expected);
        expected += 1;
    }
    assert!((1_000..FLOOD).contains(&expected), "{expected} were queued");
    // From here on events arrive again.
    gateway.publish("hot", AccountType::Discord).await;
    assert_eq!(seq(&hot.next().await), FLOOD + 1);
    gateway.metric_is("postern_gateway_resyncs_total", 1.0).await;
}

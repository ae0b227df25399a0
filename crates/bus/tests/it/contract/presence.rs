//! Presence: registered sockets, and sockets to close above the bound.

use std::time::Duration;

use bus::{Bus, OpenSocket};
use protocol::cluster::origin::Origin;
use protocol::id::{ConnectionId, NodeId, SessionId};
use protocol::time::Timestamp;
use testkit::wait;

use crate::sample::user;

test_all!(
    sockets_are_listed_until_unregistered,
    resumed_socket_outlives_its_earlier_registration,
    sockets_are_per_user,
    sockets_of_a_gateway_without_lease_are_neither_listed_nor_counted,
    oldest_socket_of_the_largest_session_is_closed_above_the_bound,
    concurrent_registrations_stay_within_the_bound,
);

async fn sockets_are_listed_until_unregistered(bus: &dyn Bus) {
    lease(bus).await;
    let (first, second) = (socket("a", "s-1", 1), socket("b", "s-2", 2));
    for socket in [&second, &first, &first] {
        assert_eq!(bus.register_socket(&user("u"), socket, 64).await.unwrap(), []);
    }
    assert_eq!(
        bus.open_sockets(&user("u")).await.unwrap(),
        [first.clone(), second.clone()]
    );
    bus.unregister_socket(&user("u"), &first.node, &first.connection)
        .await
        .unwrap();
    assert_eq!(
        bus.open_sockets(&user("u")).await.unwrap(),
        std::slice::from_ref(&second)
    );
    bus.unregister_socket(&user("u"), &second.node, &second.connection)
        .await
        .unwrap();
    assert_eq!(bus.open_sockets(&user("u")).await.unwrap(), []);
}

async fn resumed_socket_outlives_its_earlier_registration(bus: &dyn Bus) {
    lease(bus).await;
    let first = NodeId::new("gw-0").unwrap();
    let here = socket("a", "s-1", 1);
    bus.register_socket(&user("u"), &here, 64).await.unwrap();
    bus.unregister_socket(&user("u"), &first, &here.connection)
        .await
        .unwrap();
    assert_eq!(bus.open_sockets(&user("u")).await.unwrap(), std::slice::from_ref(&here));
}

async fn sockets_are_per_user(bus: &dyn Bus) {
    lease(bus).await;
    for name in ["u", "v"] {
        assert_eq!(
            bus.register_socket(&user(name), &socket(name, "s-1", 1), 1)
                .await
                .unwrap(),
            []
        );
    }
    assert_eq!(bus.open_sockets(&user("v")).await.unwrap(), [socket("v", "s-1", 1)]);
}

async fn sockets_of_a_gateway_without_lease_are_neither_listed_nor_counted(bus: &dyn Bus) {
    let killed = OpenSocket {
        node: NodeId::new("killed").unwrap(),
        ..socket("a", "s-1", 1)
    };
    bus.renew_node(&killed.node, Duration::from_millis(100)).await.unwrap();
    lease(bus).await;
    assert_eq!(bus.register_socket(&user("u"), &killed, 1).await.unwrap(), []);
    wait::until_true("the lease to expire", wait::deadline(), async || {
        bus.open_sockets(&user("u")).await.unwrap().is_empty()
    })
    .await;
    let added = socket("b", "s-1", 2);
    assert_eq!(bus.register_socket(&user("u"), &added, 1).await.unwrap(), []);
    assert_eq!(bus.open_sockets(&user("u")).await.unwrap(), [added]);
}

async fn oldest_socket_of_the_largest_session_is_closed_above_the_bound(bus: &dyn Bus) {
    lease(bus).await;
    for (name, session, since) in [("a", "s-1", 1), ("b", "s-2", 2), ("c", "s-2", 3)] {
        assert_eq!(
            bus.register_socket(&user("u"), &socket(name, session, since), 3)
                .await
                .unwrap(),
            []
        );
    }
    let added = socket("d", "s-3", 4);
    let gone = bus.register_socket(&user("u"), &added, 3).await.unwrap();
    assert_eq!(gone, [socket("b", "s-2", 2)]);
    let present = bus.open_sockets(&user("u")).await.unwrap();
    assert_eq!(present, [socket("a", "s-1", 1), socket("c", "s-2", 3), added]);
}

async fn concurrent_registrations_stay_within_the_bound(bus: &dyn Bus) {
    lease(bus).await;
    let user = user("u");
    let sockets: Vec<_> = (0..40)
        .map(|since| socket(&format!("c{since}"), "s-1", since))
        .collect();
    let come = sockets
        .iter()
        .map(async |socket| bus.register_socket(&user, socket, 8).await.unwrap());
    let gone = futures_util::future::join_all(come).await;
    assert_eq!(gone.iter().map(Vec::len).sum::<usize>(), 32);
    assert_eq!(bus.open_sockets(&user).await.unwrap().len(), 8);
}

async fn lease(bus: &dyn Bus) {
    bus.renew_node(&NodeId::new("n").unwrap(), 10 * wait::deadline())
        .await
        .unwrap();
}

fn socket(name: &str, session: &str, since: i64) -> OpenSocket {
    OpenSocket {
        connection: ConnectionId::new(name).unwrap(),
        node: NodeId::new("n").unwrap(),
        session: SessionId::new(session).unwrap(),
        connected_at: Timestamp::from_millis(since),
        origin: Origin {
            address: "192.0.2.1".to_owned(),
            device_id: Some("phone".to_owned()),
            device_name: None,
            user_agent: Some("Test/1.0".to_owned()),
        },
    }
}

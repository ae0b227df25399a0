//! Settings and queues of the connections.

use fred::interfaces::EventInterface;
use fred::types::config::Server;
use fred::types::{Message, MessageKind};

use super::*;

#[test]
fn no_connection_uses_an_unbounded_default_of_fred() {
    for purpose in [
        Purpose::Commands,
        Purpose::Limits,
        Purpose::Events,
        Purpose::Replies,
        Purpose::Reads,
        Purpose::Topology,
    ] {
        let client = client(config(), purpose, 1);
        let mut policy = client.client_reconnect_policy().unwrap();
        assert_eq!(policy.max_attempts(), 0, "for ever");
        assert!((0..100).all(|_| policy.next_delay().is_some_and(|delay| delay <= 1_000)));

        assert_eq!(client.perf_config().default_command_timeout, Duration::from_secs(2));
        let connection = client.connection_config();
        assert_eq!(connection.max_command_attempts, 1);
        assert_eq!(connection.max_command_buffer_len, 10_000);
        assert!(connection.connection_timeout <= Duration::from_secs(2));
        assert!(connection.internal_command_timeout <= Duration::from_secs(2));
        assert!(
            connection
                .unresponsive
                .max_timeout
                .is_some_and(|it| it <= Duration::from_secs(4))
        );
        assert!(connection.reconnect_on_auth_error);
    }
}

#[test]
fn burst_of_65_536_messages_fits_the_queue() {
    let client = client(config(), Purpose::Events, 1);
    let mut messages = client.message_rx();
    for _ in 0..65_536 {
        client.inner().notifications.broadcast_pubsub(Message {
            channel: "channel".into(),
            value: "message".into(),
            kind: MessageKind::SMessage,
            server: Server::new("localhost", 6379),
        });
    }
    assert!(messages.try_recv().is_ok());
}

#[test]
fn servers_of_a_cluster_share_the_capacity_for_messages() {
    let capacity = |servers| Purpose::Events.messages(servers);
    assert_eq!([capacity(1), capacity(3), capacity(16)], [65_536, 21_845, 4096]);
    assert_eq!(capacity(1_000), 4096, "a burst of one server fits");
}

fn config() -> Config {
    let connector = Connector::new("redis://localhost".parse().unwrap(), &RedisTls::default()).unwrap();
    connector.config(
        connector.slots().current().primaries().first().unwrap(),
        &connector.url.credentials,
    )
}

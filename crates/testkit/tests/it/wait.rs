//! Waits end with the condition, or fail the test with a sentence.

use std::net::{TcpListener, UdpSocket};
use std::time::Duration;

use testkit::port::Port;
use testkit::wait;

#[tokio::test]
async fn wait_returns_the_value_found() {
    let mut tries = 0;
    let found = wait::until("the third try", wait::deadline(), async || {
        tries += 1;
        (tries == 3).then_some("found")
    });
    assert_eq!(found.await, "found");
}

#[tokio::test]
#[should_panic(expected = "waited 10ms for a train")]
async fn wait_fails_with_the_awaited_condition() {
    wait::until_true("a train", Duration::from_millis(10), async || false).await;
}

#[tokio::test]
#[should_panic(expected = "waited 10ms for a check")]
async fn hanging_check_fails_the_wait() {
    wait::until("a check", Duration::from_millis(10), async || {
        std::future::pending::<Option<()>>().await
    })
    .await;
}

#[test]
fn claimed_port_is_free_and_exclusive() {
    let ports: Vec<Port> = (0..100).map(|_| Port::claim()).collect();
    for port in &ports {
        TcpListener::bind(port.addr()).unwrap();
        assert!(UdpSocket::bind(port.addr()).is_err());
    }
    let mut numbers: Vec<u16> = ports.iter().map(Port::number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), ports.len());
}

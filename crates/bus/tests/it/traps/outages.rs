//! Log lines of an outage: one at its begin and one at its end, however many commands fail.

use testkit::{Redis, wait};

use crate::nodes::{TestSubscriptions, connect, until_live};
use crate::sample::{event, user};
use testkit::log::Log;

/// Runs on one thread, whose log is captured.
#[tokio::test]
async fn outage_is_logged_once_at_its_begin_and_once_at_its_end_with_the_failed_commands() {
    let (log, _guard) = Log::capture();
    let mut redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let subscriptions = TestSubscriptions::open(&*bus).await;

    redis.pause();
    until_live(&*bus, &subscriptions, false).await;
    for number in 0..50 {
        bus.publish(&user("GEN-001"), &event(number)).await.unwrap_err();
    }
    redis.resume();
    until_live(&*bus, &subscriptions, true).await;
    wait::until_true("the end of the outage in the log", wait::deadline(), async || {
        !log.lines("outage ended").is_empty()
    })
    .await;

    let (began, ended) = (log.lines("outage began"), log.lines("outage ended"));
    assert_eq!((began.len(), ended.len()), (1, 1), "{began:?} {ended:?}");
    assert!(began[0].contains("dependency=\"redis\""), "{began:?}");
    let failures = ended[0]
        .split("failures=")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let failures: u32 = failures.unwrap().parse().unwrap();
    assert!(failures >= 50, "{ended:?}");
    assert_eq!(log.lines(" WARN "), began, "no other warning");
}

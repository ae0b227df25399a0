//! States and log lines of dependencies.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::advance;

use super::*;
use crate::ManualClock;
use crate::outage::tests::Log;

fn redis() -> (Dependency, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH));
    let dependencies = Dependencies::new(Arc::<ManualClock>::clone(&clock));
    (dependencies.named("redis"), clock)
}

#[tokio::test(start_paused = true)]
async fn wait_at_the_start_is_logged_once_at_its_begin_and_once_at_its_end() {
    let (log, _guard) = Log::capture();
    let (redis, _clock) = redis();
    for _ in 0..3 {
        redis.failed("unreachable", "connect: refused");
        advance(Duration::from_millis(100)).await;
    }
    assert_eq!(redis.status().state, DependencyState::Waiting);
    assert!(!redis.is_up());
    // The first success ends the wait, however recent the last failure is.
    redis.succeeded();
    redis.succeeded();
    assert!(redis.is_up());
    assert_eq!(
        log.lines(),
        [
            "WARN dependency unavailable at the start, the node is not ready dependency=\"redis\" class=\"unreachable\" \
             error=connect: refused",
            "INFO dependency available dependency=\"redis\" failures=3 seconds=0",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn outage_has_its_begin_and_the_class_of_its_last_error() {
    let (log, _guard) = Log::capture();
    let (redis, clock) = redis();
    redis.succeeded();
    clock.advance(Duration::from_secs(60));
    redis.failed("timeout", "no answer");
    clock.advance(Duration::from_secs(5));
    redis.failed("auth", "WRONGPASS");
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let status = redis.status();
    assert_eq!((status.state, status.since), (DependencyState::Down, at(60)));
    let last = DependencyError {
        class: "auth",
        at: at(65),
    };
    assert_eq!(status.last_error, Some(last));

    // A success beside failures is not the end.
    redis.succeeded();
    assert!(!redis.is_up());
    advance(QUIET).await;
    redis.succeeded();
    let status = redis.status();
    assert_eq!((status.state, status.since), (DependencyState::Up, at(65)));
    assert_eq!(status.last_error, Some(last), "it stays for the operator");
    assert_eq!(
        log.lines(),
        [
            "WARN outage began dependency=\"redis\" class=\"timeout\" error=no answer",
            "INFO outage ended dependency=\"redis\" failures=2 seconds=1",
        ]
    );
}

#[test]
fn dependency_is_listed_before_its_first_result_and_once() {
    let dependencies = Dependencies::new(Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH)));
    let listed = |dependencies: &Dependencies| {
        let statuses = dependencies.statuses().into_iter();
        statuses
            .map(|status| (status.name, status.state.as_str()))
            .collect::<Vec<_>>()
    };
    let redis = dependencies.named("redis");
    let _postgres = dependencies.named("postgres");
    assert_eq!(listed(&dependencies), [("redis", "waiting"), ("postgres", "waiting")]);
    redis.succeeded();
    assert!(dependencies.named("redis").is_up());
    assert_eq!(listed(&dependencies), [("redis", "up"), ("postgres", "waiting")]);
}

#[tokio::test(start_paused = true)]
async fn outage_of_a_dependency_that_was_not_used_before_has_its_begin_and_end() {
    let (log, _guard) = Log::capture();
    let clock = Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH));
    let dependencies = Dependencies::new(clock);
    let smtp = dependencies.on_demand("smtp");
    assert_eq!(smtp.status().state.as_str(), "unused");
    for _ in 0..3 {
        smtp.failed("unreachable", "connect: refused");
        advance(QUIET).await;
    }
    assert_eq!(smtp.status().state, DependencyState::Down);
    smtp.succeeded();
    assert_eq!(dependencies.on_demand("smtp").status().state, DependencyState::Up);
    assert_eq!(
        log.lines(),
        [
            "WARN outage began dependency=\"smtp\" class=\"unreachable\" error=connect: refused",
            "INFO outage ended dependency=\"smtp\" failures=3 seconds=3",
        ]
    );
}

#[test]
fn only_dependencies_with_kept_connections_are_monitored() {
    let dependencies = Dependencies::new(Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH)));
    let _both = (dependencies.named("redis"), dependencies.on_demand("smtp"));
    let monitored: Vec<bool> = dependencies
        .statuses()
        .iter()
        .map(|status| status.is_monitored)
        .collect();
    assert_eq!(monitored, [true, false]);
}

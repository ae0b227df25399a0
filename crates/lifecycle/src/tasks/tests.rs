//! Guarantees to the node that spawns and stops tasks. Time is paused: a minute passes at once.

use std::future::pending;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::Tasks;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn panic_is_counted_and_ends_only_its_own_task() {
    let tasks = Tasks::new();
    let (answer, answered) = oneshot::channel();
    tasks.each("connection", async { panic!("a broken frame") });
    tasks.each("connection", async move {
        sleep(MINUTE).await;
        answer.send("still here").unwrap();
    });

    let answer = timeout(MINUTE * 2, answered).await.unwrap();
    assert_eq!(answer.unwrap(), "still here");
    assert_eq!(tasks.panics(), 1);
    assert!(
        timeout(MINUTE, tasks.failure()).await.is_err(),
        "a connection is not essential"
    );
    assert!(tasks.drain(MINUTE).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn essential_task_that_ends_early_fails_the_node() {
    let tasks = Tasks::new();
    tasks.essential("accept loop", pending());
    tasks.essential("outbox relay", sleep(MINUTE));
    assert_eq!(timeout(MINUTE * 2, tasks.failure()).await, Ok("outbox relay"));
    assert_eq!(tasks.panics(), 0);
}

#[tokio::test(start_paused = true)]
async fn essential_task_that_panics_fails_the_node() {
    let tasks = Tasks::new();
    tasks.essential("outbox relay", async { panic!("no such row") });
    assert_eq!(timeout(MINUTE * 2, tasks.failure()).await, Ok("outbox relay"));
    assert_eq!(tasks.panics(), 1);
}

#[tokio::test(start_paused = true)]
async fn failure_names_the_first_failed_task() {
    let tasks = Tasks::new();
    tasks.essential("cause", async {});
    tasks.essential("consequence", sleep(MINUTE));
    sleep(MINUTE * 2).await;
    assert_eq!(timeout(MINUTE * 2, tasks.failure()).await, Ok("cause"));
}

#[tokio::test(start_paused = true)]
async fn essential_task_that_ends_during_drain_is_no_failure() {
    let tasks = Tasks::new();
    let soft = tasks.soft();
    tasks.essential("accept loop", async move { soft.cancelled().await });

    assert!(tasks.drain(MINUTE).await.is_clean());
    assert!(timeout(MINUTE, tasks.failure()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn drain_ends_as_soon_as_all_tasks_have_finished() {
    let tasks = Tasks::new();
    let soft = tasks.soft();
    tasks.each("connection", async move {
        soft.cancelled().await;
        sleep(Duration::from_secs(2)).await;
    });

    let started = Instant::now();
    let report = tasks.drain(MINUTE).await;
    assert!(report.is_clean());
    assert_eq!(report.to_string(), "nothing cut");
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn unfinished_tasks_are_dropped_and_named() {
    let tasks = Tasks::new();
    let (held, dropped) = oneshot::channel::<()>();
    tasks.each("connection", async move {
        let _held = held;
        pending::<()>().await;
    });
    tasks.each("connection", pending());
    tasks.essential("outbox relay", pending());
    tasks.each("probe", async {});

    let report = tasks.drain(MINUTE).await;
    assert_eq!(report.to_string(), "cut: connection x2, outbox relay x1");
    let dropped = timeout(MINUTE, dropped).await.unwrap();
    assert!(dropped.is_err(), "the task was dropped with all that it owned");
    assert!(
        timeout(MINUTE, tasks.failure()).await.is_err(),
        "a dropped task counted as failed"
    );
}

#[tokio::test(start_paused = true)]
async fn aborted_tasks_are_dropped_before_they_notice_the_end_of_the_node() {
    let tasks = Tasks::new();
    let soft = tasks.soft();
    let (farewell, received) = oneshot::channel();
    tasks.each("connection", async move {
        soft.cancelled().await;
        farewell.send("close frame").unwrap();
    });
    tasks.essential("outbox relay", pending());
    sleep(MINUTE).await;

    let started = Instant::now();
    tasks.abort();
    tasks.aborted().await;
    assert!(
        timeout(MINUTE, received).await.unwrap().is_err(),
        "it was dropped, and wrote nothing"
    );
    assert!(started.elapsed() <= MINUTE, "{:?}", started.elapsed());
    assert!(
        timeout(MINUTE, tasks.failure()).await.is_err(),
        "a dropped task counted as failed"
    );
}

#[tokio::test(start_paused = true)]
async fn task_spawned_after_the_drain_never_runs() {
    let tasks = Tasks::new();
    tasks.drain(MINUTE).await;
    let (ran, result) = oneshot::channel();
    tasks.each("late", async move { ran.send(()).unwrap() });
    assert!(timeout(MINUTE, result).await.unwrap().is_err());
}

#[tokio::test]
async fn tasks_run_in_the_span_of_their_node_and_not_of_their_spawner() {
    let _guard = tracing::subscriber::set_default(tracing_subscriber::fmt().finish());
    let [node, other, connection] = [
        tracing::error_span!("node"),
        tracing::error_span!("other"),
        tracing::error_span!("connection"),
    ];
    let tasks = node.in_scope(Tasks::new);
    for (tasks, span) in [
        (tasks.clone(), "node"),
        (other.in_scope(|| tasks.with_current_span()), "other"),
    ] {
        let (sender, name) = oneshot::channel();
        connection.in_scope(|| {
            tasks.each("probe", async {
                let name = tracing::Span::current().metadata().map(tracing::Metadata::name);
                sender.send(name).unwrap();
            });
        });
        assert_eq!(timeout(MINUTE, name).await.unwrap(), Ok(Some(span)));
    }
    assert!(tasks.drain(MINUTE).await.is_clean(), "both are the same tasks");
}

//! Spans of operations on Postgres.

use opentelemetry::trace::{SpanKind, Status};
use store::{Accounts, Outbox, StoreError};
use telemetry::trace::TARGET;
use testkit::spans::{Spans, attribute};
use tracing::Instrument;

use crate::database::{migrated, store};
use crate::recorder::Recorder;
use crate::sample::{link, receipt, user};

/// Runs `work` in a span, as a worker runs a job.
async fn in_trace<T>(work: impl Future<Output = T>) -> T {
    work.instrument(tracing::info_span!(target: TARGET, "job")).await
}

#[tokio::test]
async fn operation_in_a_trace_is_a_client_span_by_its_step() {
    let schema = migrated().await;
    let store = store(&schema).await;
    let (spans, _guard) = Spans::record(TARGET);
    in_trace(async {
        store.link_account(&link("GEN-001", "7"), &receipt("1")).await.unwrap();
        store.accounts(&user("GEN-001")).await.unwrap();
    })
    .await;
    let (job, transaction) = (spans.named("job"), spans.named("store the link"));
    assert_eq!(transaction.span_kind, SpanKind::Client);
    assert_eq!(transaction.parent_span_id, job.span_context.span_id());
    assert_eq!(transaction.status, Status::Unset);
    assert_eq!(attribute(&transaction, "db.system.name"), "postgresql");
    assert_eq!(attribute(&transaction, "db.operation.name"), "store the link");
    // A single statement is an operation too.
    assert_eq!(spans.all().len(), 3, "{:#?}", spans.all());
    assert!(!format!("{:?}", spans.all()).contains("GEN-001"), "{:#?}", spans.all());
}

#[tokio::test]
async fn operation_outside_of_a_trace_has_no_span() {
    let schema = migrated().await;
    let store = store(&schema).await;
    let (spans, _guard) = Spans::record(TARGET);
    store.users_with_unsent_events(9).await.unwrap();
    store.relay_user(&user("GEN-001"), &Recorder::new()).await.unwrap();
    assert!(spans.all().is_empty(), "{:#?}", spans.all());
}

/// The server quotes the row in the detail of its error.
#[tokio::test]
async fn failed_operation_has_the_sqlstate_and_no_value_of_the_row() {
    let schema = migrated().await;
    let store = store(&schema).await;
    schema.sql("ALTER TABLE accounts ADD CHECK (username = 'nobody')").await;
    let (spans, _guard) = Spans::record(TARGET);
    let mut link = link("GEN-canary-of-the-user", "7");
    link.account.username = "canary of the name".to_owned();
    let refused = in_trace(store.link_account(&link, &receipt("1"))).await;
    assert!(matches!(refused, Err(StoreError::Broken { .. })), "{refused:?}");
    let transaction = spans.named("store the link");
    assert_eq!(transaction.status, Status::error("statement"));
    assert_eq!(attribute(&transaction, "error.type"), "statement");
    assert_eq!(attribute(&transaction, "db.response.status_code"), "23514");
    assert!(!format!("{:?}", spans.all()).contains("canary"), "{:#?}", spans.all());
}

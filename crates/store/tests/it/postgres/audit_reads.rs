//! Reads of a user's audit log for the application: their plan, their bound, and the log of an unknown user.

use protocol::time::Timestamp;
use store::{Audit, AuditFilter, verify_audit};
use testkit::Postgres;
use testkit::postgres::Schema;
use testkit::wait;

use super::audit::UNPROTECTED;
use crate::database;
use crate::sample::{audit_keys, receipt, user};

/// Inserts a chain of the user whose rows are `minutes` apart, the newest from now. Row 10 is the end of a session.
async fn fill(schema: &Schema, rows: u32, minutes: u32) {
    let fill = format!(
        "{UNPROTECTED}; INSERT INTO users (user_id) VALUES ('GEN-001'); \
         INSERT INTO audit (user_id, seq, v, at, action, subject, result, count, session_id, connection_id, address, device, job_id, \
         trace_id, key_id, mac) SELECT 'GEN-001', number, 3, \
         (extract(epoch FROM now() - ({rows} - number) * interval '{minutes} minutes') * 1000)::bigint, \
         CASE number WHEN 10 THEN 'session_ended' ELSE 'device_seen' END, '', 'ok', 1, 'session', 'connection', '', '', 'job', \
         '0af7651916cd43dd8448eb211c80319c', 'new', '' FROM generate_series(1, {rows}) AS number; \
         INSERT INTO audit (user_id, seq, v, at, action, subject, result, count, session_id, connection_id, address, device, job_id, \
         trace_id, key_id, mac) SELECT 'other ' || seq % 500, seq, v, at, action, subject, result, count, session_id, connection_id, \
         address, device, job_id, trace_id, key_id, mac FROM audit; \
         INSERT INTO audit_heads (user_id, seq, mac) VALUES ('GEN-001', {rows}, ''); \
         ALTER TABLE audit ENABLE TRIGGER USER; ALTER TABLE audit_heads ENABLE TRIGGER USER; ANALYZE audit"
    );
    schema.sql(&fill).await;
}

#[tokio::test]
async fn page_is_read_by_the_index_of_the_partitions_of_its_time_alone() {
    let postgres = Postgres::start_explaining().await;
    let schema = postgres.schema().await;
    database::migrate(&schema.owner_url()).await;
    schema.end_audit_partitions(2).await;
    database::migrate(&schema.owner_url()).await;
    // 83 days.
    fill(&schema, 60_000, 2).await;
    let store = database::store(&schema).await;
    let month_before = "SELECT (extract(epoch FROM date_trunc('month', now() AT TIME ZONE 'UTC') - interval '15 days') * 1000)::bigint";
    let time = schema.sql(month_before).await[0].parse().unwrap();
    let filter = AuditFilter {
        since: Some(Timestamp::from_millis(time)),
        until: Some(Timestamp::from_millis(time)),
        limit: 50,
        ..AuditFilter::default()
    };
    store
        .read_audit(&user("GEN-001"), &filter, &receipt("1"))
        .await
        .unwrap();
    let plan = || {
        let log = postgres.log();
        let (_, plan) = log.rsplit_once("WITH examined AS MATERIALIZED (SELECT user_id, seq, v")?;
        plan.split("Query Text").next().map(str::to_owned)
    };
    wait::until_true("the plan of the page", wait::deadline(), async || {
        plan().is_some_and(|plan| plan.contains("Index Scan Backward"))
    })
    .await;
    let plan = plan().unwrap();
    assert!(!plan.contains("Seq Scan on audit"), "{plan}");
    assert!(!plan.contains("audit_initial"), "{plan}");
}

#[tokio::test]
async fn rare_action_is_found_by_pages_that_examine_a_bounded_number_of_rows() {
    let schema = database::migrated().await;
    fill(&schema, 5_000, 1).await;
    let store = database::store(&schema).await;
    let mut filter = AuditFilter {
        action: Some("session_ended".to_owned()),
        limit: 50,
        ..AuditFilter::default()
    };
    let mut pages = Vec::new();
    loop {
        let page = store
            .read_audit(&user("GEN-001"), &filter, &receipt("1"))
            .await
            .unwrap();
        pages.push(page.rows.iter().map(|(row, _)| row.seq).collect::<Vec<_>>());
        filter.before = page.next;
        if page.next.is_none() {
            break;
        }
    }
    assert_eq!(pages, [vec![], vec![], vec![10]]);
}

#[tokio::test]
async fn read_of_an_unknown_user_is_recorded_for_operators_and_leaves_no_user() {
    let schema = database::migrated().await;
    let store = database::store(&schema).await;
    let filter = AuditFilter {
        limit: 50,
        ..AuditFilter::default()
    };
    let found = store.read_audit(&user("nobody"), &filter, &receipt("1")).await.unwrap();
    assert!(found.rows.is_empty());
    let recorded = schema.sql("SELECT user_id, action, subject FROM audit").await;
    assert_eq!(recorded, ["\u{a7}operators\taudit_read\tall actions nobody"]);
    assert!(schema.sql("SELECT FROM users").await.is_empty());
    let rows = verify_audit(&store, &audit_keys(), "\u{a7}operators", &[]).await;
    assert_eq!(rows.unwrap(), 1);
}

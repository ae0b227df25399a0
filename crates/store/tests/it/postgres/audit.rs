//! Audit log with concurrent writers and with changes by others.

use protocol::time::Timestamp;
use store::{Accounts, Audit, AuditPosition, AuditTimePosition, PgStore, VerifyError, verify_audit};
use testkit::postgres::Schema;

use crate::database;
use crate::sample::{audit_keys, link, receipt, refused, unlink};

/// Store with a chain of three rows: linked, refused, unlinked.
async fn three_rows() -> (Schema, PgStore) {
    let schema = database::migrated().await;
    let store = database::store(&schema).await;
    store.link_account(&link("GEN-001", "7"), &receipt("1")).await.unwrap();
    store.refuse_link(&refused("GEN-001"), &receipt("2")).await.unwrap();
    store.unlink_account(&unlink("GEN-001"), &receipt("3")).await.unwrap();
    (schema, store)
}

/// Statements that switch off the protection of the log, as its owner can.
pub(super) const UNPROTECTED: &str =
    "ALTER TABLE audit DISABLE TRIGGER USER; ALTER TABLE audit_heads DISABLE TRIGGER USER";

async fn verified(store: &PgStore) -> Result<u64, String> {
    match verify_audit(store, &audit_keys(), "GEN-001", &[]).await {
        Err(VerifyError::Broken(broken)) => Err(format!("{}: {}", broken.seq, broken.fault)),
        whole => Ok(whole.unwrap()),
    }
}

#[tokio::test]
async fn concurrent_writers_keep_one_chain() {
    let schema = database::migrated().await;
    let (one, other) = (database::store(&schema).await, database::store(&schema).await);
    for round in 0..20 {
        let (first, second) = (format!("{round} a"), format!("{round} b"));
        let (first, second) = (receipt(&first), receipt(&second));
        let (link, refused) = (link("GEN-001", "7"), refused("GEN-001"));
        let (linked, refused) = tokio::join!(one.link_account(&link, &first), other.refuse_link(&refused, &second));
        linked.unwrap();
        refused.unwrap();
    }
    assert_eq!(verified(&one).await, Ok(40));
}

#[tokio::test]
async fn database_refuses_to_change_or_delete_rows() {
    let (schema, store) = three_rows().await;
    for change in [
        "UPDATE audit SET result = 'ok'",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE seq = 99",
        "TRUNCATE audit",
        "UPDATE audit_initial SET result = 'ok'",
        "DELETE FROM audit_initial",
        "TRUNCATE audit_initial",
        "DELETE FROM audit_default",
        "DELETE FROM audit_checkpoints",
    ] {
        // A refusal by the server fails the test, so the server returns it as a row.
        let attempt = format!(
            "CREATE TEMP TABLE outcome (said text); \
             DO $do$ BEGIN {change}; INSERT INTO outcome VALUES ('done'); \
             EXCEPTION WHEN raise_exception THEN INSERT INTO outcome VALUES (sqlerrm); END $do$; \
             SELECT said FROM outcome; DROP TABLE outcome"
        );
        assert_eq!(schema.sql(&attempt).await, ["the audit log is append-only"], "{change}");
    }
    assert_eq!(verified(&store).await, Ok(3));
}

#[tokio::test]
async fn changes_by_the_table_owner_are_found() {
    for (change, found) in [
        (
            "UPDATE audit SET subject = 'github 8' WHERE seq = 1",
            "1: it was altered",
        ),
        ("UPDATE audit SET at = at + 1 WHERE seq = 3", "3: it was altered"),
        (
            "UPDATE audit SET address = '198.51.100.1' WHERE seq = 2",
            "2: it was altered",
        ),
        ("UPDATE audit SET device = 'theirs' WHERE seq = 2", "2: it was altered"),
        ("UPDATE audit SET trace_id = '' WHERE seq = 2", "2: it was altered"),
        ("UPDATE audit SET mac = '' WHERE seq = 2", "2: it was altered"),
        (
            "UPDATE audit SET key_id = 'theirs' WHERE seq = 2",
            "2: its key is not among POSTERN_VAULT_KEYS",
        ),
        ("UPDATE audit SET v = 9 WHERE seq = 2", "2: it has an unknown version"),
        ("UPDATE audit SET user_id = 'GEN-002' WHERE seq = 3", "3: it is missing"),
        ("UPDATE audit SET seq = seq - 3", "-2: its number is not the next"),
        ("DELETE FROM audit WHERE seq = 2", "2: it is missing"),
        ("DELETE FROM audit WHERE seq = 3", "3: it is missing"),
        ("DELETE FROM audit", "1: it is missing"),
        ("DELETE FROM audit_heads", "1: it lies beyond the head of the chain"),
        (
            "UPDATE audit_heads SET seq = 2",
            "3: it lies beyond the head of the chain",
        ),
        (
            "UPDATE audit_heads SET mac = ''",
            "3: it is not the row that the head of the chain names",
        ),
        (
            "INSERT INTO audit SELECT user_id, 4, v, at, action, subject, result, count, session_id, connection_id, \
             job_id, key_id, mac, address, device, trace_id FROM audit WHERE seq = 3",
            "4: it was altered",
        ),
    ] {
        let (schema, store) = three_rows().await;
        schema.sql(&format!("{UNPROTECTED}; {change}")).await;
        assert_eq!(verified(&store).await, Err(found.to_owned()), "{change}");
    }
}

#[tokio::test]
async fn chain_set_back_as_a_whole_is_found_by_a_logged_head() {
    let (schema, store) = three_rows().await;
    let logged = store.unlogged_heads(None, 9).await.unwrap();
    schema
        .sql(&format!(
            "{UNPROTECTED}; DELETE FROM audit WHERE seq = 3; \
             UPDATE audit_heads SET (seq, mac) = (SELECT seq, mac FROM audit WHERE seq = 2)"
        ))
        .await;
    assert_eq!(verified(&store).await, Ok(2));
    let cut = verify_audit(&store, &audit_keys(), "GEN-001", &logged)
        .await
        .unwrap_err();
    assert_eq!(cut.to_string(), "user \"GEN-001\", row 3: it is missing");
}

/// No change goes unrecorded, and a broken chain is not continued.
#[tokio::test]
async fn change_without_its_audit_row_is_not_committed() {
    let (schema, store) = three_rows().await;
    schema.sql("DELETE FROM audit_heads").await;
    store
        .link_account(&link("GEN-001", "7"), &receipt("4"))
        .await
        .unwrap_err();
    assert!(store.accounts(&link("GEN-001", "7").user).await.unwrap().is_empty());
}

#[tokio::test]
async fn row_of_an_empty_user_id_is_found() {
    let (schema, store) = three_rows().await;
    schema
        .sql(
            "INSERT INTO audit SELECT '', seq, v, at, action, subject, result, count, session_id, connection_id, \
             job_id, key_id, mac, address, device, trace_id FROM audit",
        )
        .await;
    assert_eq!(store.next_audited_user(None).await.unwrap().as_deref(), Some(""));
    verify_audit(&store, &audit_keys(), "", &[]).await.unwrap_err();
    assert_eq!(
        store.next_audited_user(Some("")).await.unwrap().as_deref(),
        Some("GEN-001")
    );
}

#[tokio::test]
async fn pages_of_the_log_cover_the_asked_time_of_every_chain_once() {
    let (schema, store) = three_rows().await;
    for user in ["GEN-000", "GEN-002"] {
        store.refuse_link(&refused(user), &receipt(user)).await.unwrap();
    }
    let alter = "ALTER TABLE audit DISABLE TRIGGER USER; UPDATE audit SET at = 1000 * seq";
    schema.sql(alter).await;
    let (since, until) = (Timestamp::from_millis(1_000), Timestamp::from_millis(3_000));
    for size in [1, 2, 9] {
        let mut read = Vec::new();
        let mut after = AuditPosition::start();
        loop {
            let page = store.audit_page(&after, (since, until), size).await.unwrap();
            read.extend(page.rows.into_iter().map(|row| format!("{} {}", row.user, row.seq)));
            let Some(last) = page.last else { break };
            after = last;
        }
        assert_eq!(read, ["GEN-000 1", "GEN-001 1", "GEN-001 2", "GEN-002 1"], "{size}");
    }
}

#[tokio::test]
async fn newest_rows_are_read_by_time_across_chains() {
    let (schema, store) = three_rows().await;
    store.refuse_link(&refused("GEN-000"), &receipt("4")).await.unwrap();
    let alter = "ALTER TABLE audit DISABLE TRIGGER USER; UPDATE audit SET at = 1000 * seq";
    schema.sql(alter).await;
    for limit in [1, 2, 9] {
        let mut read = Vec::new();
        let mut after = AuditTimePosition::before(Timestamp::from_millis(1_000));
        loop {
            let rows = store.audit_rows_since(&after, None, limit).await.unwrap();
            let Some(last) = rows.last() else { break };
            after = AuditTimePosition::of(last);
            read.extend(rows.iter().map(|row| format!("{} {}", row.user, row.seq)));
        }
        assert_eq!(read, ["GEN-000 1", "GEN-001 1", "GEN-001 2", "GEN-001 3"], "{limit}");
    }
    let after = AuditTimePosition::before(Timestamp::from_millis(2_000));
    let of_user = store.audit_rows_since(&after, Some("GEN-000"), 9).await.unwrap();
    assert_eq!(of_user, []);
}

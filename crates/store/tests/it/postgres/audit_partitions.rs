//! Partitions of the audit log: the migration beside nodes of the release before, and months without a partition.

use protocol::time::Timestamp;
use store::{
    Accounts, Audit, AuditPosition, ERASED, PgStore, close_audit_partition, drop_audit_partition, migrate,
    old_audit_partitions, verify_audit,
};
use testkit::postgres::{Schema, WORKER_ROLE};
use testkit::wait;

use super::audit::UNPROTECTED;
use super::outage::{RELEASABLE, RELEASE, WAIT_FOR_RELEASE};
use crate::database::{self, migrated_to, settings};
use crate::sample::{audit_keys, link, receipt, refused};

/// Row of a node of the release before, which names the table and its columns.
const OLD_INSERT: &str = "INSERT INTO audit (user_id, seq, v, at, action, subject, result, count, session_id, connection_id, \
     address, device, job_id, trace_id, key_id, mac)";
const OLD_VALUES: &str =
    "2, (extract(epoch FROM clock_timestamp()) * 1000)::bigint, '', '', '', 1, '', '', '', '', '', '', '', ''";

/// Schema of the release before, with a row of a user.
async fn schema_of_release_before() -> Schema {
    let schema = migrated_to(25).await;
    let rights = format!(
        "GRANT USAGE ON SCHEMA {} TO {WORKER_ROLE}; GRANT SELECT, INSERT ON audit TO {WORKER_ROLE}; \
         GRANT SELECT, INSERT, UPDATE ON audit_heads TO {WORKER_ROLE}",
        schema.name()
    );
    schema.sql(&rights).await;
    // A node of that release has it: it is not built beside the transactions of other tests.
    schema.sql("CREATE INDEX audit_by_time ON audit USING brin (at)").await;
    schema
        .sql(&format!("{OLD_INSERT} VALUES ('old', 1, {OLD_VALUES})"))
        .await;
    schema
}

#[tokio::test]
async fn rows_of_before_become_the_first_partition_without_being_copied() {
    let schema = schema_of_release_before().await;
    let file = schema.sql("SELECT pg_relation_filenode('audit')").await;
    migrate(&settings(&schema.owner_url()), &[]).await.unwrap();
    assert_eq!(schema.sql("SELECT pg_relation_filenode('audit_initial')").await, file);
    assert_eq!(schema.sql("SELECT user_id FROM audit").await, ["old"]);
}

#[tokio::test]
async fn node_of_the_release_before_writes_and_reads_after_the_migration() {
    let schema = schema_of_release_before().await;
    schema.sql(RELEASABLE).await;
    // Its statements were prepared before. No grants follow the migration.
    let old = format!(
        "SET ROLE {WORKER_ROLE}; PREPARE write (text, bigint) AS {OLD_INSERT} VALUES ($1, $2, {OLD_VALUES}); \
         PREPARE read AS SELECT seq FROM audit WHERE user_id = 'old' ORDER BY seq; COMMIT; \
         EXECUTE write('old', 2); COMMIT; \
         DO $$BEGIN {WAIT_FOR_RELEASE} END$$; COMMIT; \
         INSERT INTO audit_heads (user_id, seq, mac) VALUES ('old', 2, ''); EXECUTE write('old', 3); \
         INSERT INTO audit_heads (user_id, seq, mac) VALUES ('old', 3, '') \
         ON CONFLICT (user_id) DO UPDATE SET seq = excluded.seq, mac = excluded.mac; EXECUTE read"
    );
    let migrating = async {
        let rows = "SELECT FROM audit WHERE seq = 2";
        wait::until_true("the first row", wait::deadline(), async || {
            !schema.sql(rows).await.is_empty()
        })
        .await;
        migrate(&settings(&schema.owner_url()), &[]).await.unwrap();
        schema.sql(RELEASE).await;
    };
    let (read, ()) = tokio::join!(schema.sql(&old), migrating);
    assert_eq!(read, ["1", "2", "3"]);
}

#[tokio::test]
async fn workers_have_no_rights_on_partitions() {
    let schema = database::migrated().await;
    let rights = format!(
        "SELECT inhrelid::regclass || ' ' || privilege FROM pg_inherits, \
         unnest('{{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}}'::text[]) AS privilege \
         WHERE inhparent = 'audit'::regclass AND has_table_privilege('{WORKER_ROLE}', inhrelid, privilege)"
    );
    assert_eq!(schema.sql(&rights).await, Vec::<String>::new());
    let unprotected = "SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'audit'::regclass AND NOT EXISTS \
         (SELECT FROM pg_trigger WHERE tgrelid = inhrelid AND tgname = 'audit_is_append_only' AND tgenabled = 'O')";
    assert_eq!(schema.sql(unprotected).await, Vec::<String>::new());
}

/// Number of rows in each partition that has some.
async fn filled(schema: &Schema) -> Vec<String> {
    let filled = "SELECT CASE WHEN tableoid::regclass::text LIKE 'audit_until_%' THEN 'converted' ELSE tableoid::regclass::text END, \
         count(*) FROM audit GROUP BY 1 ORDER BY 1";
    schema.sql(filled).await
}

#[tokio::test]
async fn rows_without_a_partition_are_written_and_become_one_with_the_next_migration() {
    let schema = database::migrated().await;
    schema.end_audit_partitions(1).await;
    let store = database::store(&schema).await;
    store.link_account(&link("GEN-001", "7"), &receipt("1")).await.unwrap();
    assert_eq!(filled(&schema).await, ["audit_default\t1"]);

    database::migrate(&schema.owner_url()).await;
    assert_eq!(filled(&schema).await, ["converted\t1"]);
    store.refuse_link(&refused("GEN-001"), &receipt("2")).await.unwrap();
    assert_eq!(filled(&schema).await, ["converted\t2"]);
    assert_eq!(verify_audit(&store, &audit_keys(), "GEN-001", &[]).await.unwrap(), 2);
    let trigger = "SELECT count(*) FROM pg_trigger WHERE tgname = 'audit_is_append_only' AND tgrelid IN \
         (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'audit'::regclass)";
    let partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit'::regclass";
    assert_eq!(schema.sql(trigger).await, schema.sql(partitions).await);
    let before = schema.dump().await;
    database::migrate(&schema.owner_url()).await;
    assert_eq!(schema.dump().await, before);
}

#[tokio::test]
async fn partitions_of_six_months_are_created_ahead() {
    let schema = database::migrated().await;
    let end = "SELECT max(substring(pg_get_expr(relpartbound, pg_class.oid) FROM ' TO \\(''?(-?\\d+)')::bigint) \
         = (extract(epoch FROM date_trunc('month', now() AT TIME ZONE 'UTC') + interval '7 months') * 1000)::bigint \
         FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = 'audit'::regclass";
    assert_eq!(schema.sql(end).await, ["t"]);
}

/// Store whose chain of `GEN-001` has a row in an older partition than the current one.
async fn row_in_an_older_partition() -> (Schema, PgStore) {
    let schema = database::migrated().await;
    schema.end_audit_partitions(2).await;
    database::migrate(&schema.owner_url()).await;
    let url = schema.url_with_clock_behind("100 days").await;
    let store = database::store_at(&url).await;
    store.link_account(&link("GEN-001", "7"), &receipt("1")).await.unwrap();
    schema.url_with_clock_behind("0 days").await;
    assert_eq!(filled(&schema).await, ["audit_initial\t1"]);
    (schema, store)
}

#[tokio::test]
async fn chain_goes_on_in_the_next_partition() {
    let (schema, store) = row_in_an_older_partition().await;
    store.refuse_link(&refused("GEN-001"), &receipt("2")).await.unwrap();
    assert_eq!(filled(&schema).await.len(), 2);
    assert_eq!(verify_audit(&store, &audit_keys(), "GEN-001", &[]).await.unwrap(), 2);
    let seqs: Vec<_> = store.audit_rows("GEN-001", 0, 9, 9).await.unwrap();
    assert_eq!(seqs.iter().map(|row| row.seq).collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test]
async fn chain_without_its_head_is_not_started_again_in_another_partition() {
    let (schema, store) = row_in_an_older_partition().await;
    schema.sql("DELETE FROM audit_heads").await;
    store.refuse_link(&refused("GEN-001"), &receipt("2")).await.unwrap_err();
    assert_eq!(filled(&schema).await, ["audit_initial\t1"]);
}

#[tokio::test]
async fn head_is_not_set_back() {
    let (schema, _store) = row_in_an_older_partition().await;
    for change in ["seq = 0", "mac = ''", "seq = seq, mac = '\\x00'"] {
        let attempt = format!(
            "CREATE TEMP TABLE outcome (said text); \
             DO $do$ BEGIN UPDATE audit_heads SET {change}; INSERT INTO outcome VALUES ('done'); \
             EXCEPTION WHEN unique_violation THEN INSERT INTO outcome VALUES (sqlerrm); END $do$; \
             SELECT said FROM outcome; DROP TABLE outcome"
        );
        let refusal = schema.sql(&attempt).await;
        assert_eq!(refusal, ["the head of an audit chain only advances"], "{change}");
    }
    schema.sql("UPDATE audit_heads SET logged = seq").await;
}

#[tokio::test]
async fn commands_pass_an_archive_that_waits_to_detach_a_partition() {
    let (schema, store) = row_in_an_older_partition().await;
    schema.sql(RELEASABLE).await;
    let settings = settings(&schema.owner_url());
    let now = "SELECT (extract(epoch FROM now()) * 1000)::bigint";
    let now = Timestamp::from_millis(schema.sql(now).await[0].parse().unwrap());
    let partition = old_audit_partitions(&settings, now).await.unwrap().remove(0);
    // A reader that stays.
    let keep =
        format!("BEGIN; LOCK TABLE ONLY audit IN ACCESS SHARE MODE; DO $$BEGIN {WAIT_FOR_RELEASE} END$$; COMMIT");
    let waiting = format!(
        "SELECT FROM pg_locks WHERE relation = '{}.audit'::regclass AND mode = 'AccessExclusiveLock' AND NOT granted",
        schema.name()
    );
    let held = waiting.replace("AccessExclusiveLock' AND NOT granted", "AccessShareLock'");
    let dropping = async {
        wait::until_true("the reader", wait::deadline(), async || {
            !schema.sql(&held).await.is_empty()
        })
        .await;
        close_audit_partition(&settings, &partition).await.unwrap();
        drop_audit_partition(&settings, &partition, &[]).await.unwrap();
    };
    let commands = async {
        // The second wait is that of another attempt.
        for number in 0..2 {
            wait::until_true("the archive", wait::deadline(), async || {
                !schema.sql(&waiting).await.is_empty()
            })
            .await;
            store
                .refuse_link(&refused("GEN-002"), &receipt(&format!("beside {number}")))
                .await
                .unwrap();
        }
        schema.sql(RELEASE).await;
    };
    tokio::join!(schema.sql(&keep), dropping, commands);
    assert_eq!(schema.sql("SELECT DISTINCT user_id FROM audit").await, ["GEN-002"]);
    assert_eq!(schema.sql("SELECT to_regclass('audit_initial')").await, [""]);
    // Its index is not built on another table.
    assert_eq!(
        database::migrate(&schema.owner_url()).await.applied,
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn rows_of_a_user_are_found_by_indexes_of_the_partitions() {
    let (schema, store) = row_in_an_older_partition().await;
    let fill = format!(
        "{UNPROTECTED}; INSERT INTO audit SELECT 'filled-' || number / 10, number % 10 + 1, v, \
         (extract(epoch FROM now() - interval '80 days' + number * interval '1 minute') * 1000)::bigint, action, subject, result, \
         count, session_id, connection_id, job_id, key_id, mac, address, device, trace_id, personal \
         FROM audit, generate_series(1, 100000) AS number; ANALYZE audit"
    );
    schema.sql(&fill).await;
    let (of_index, read_whole) = counts(&schema).await;
    for number in 0..20 {
        let owner = format!("filled-{}", number * 300 + 7);
        assert_eq!(store.audit_rows(&owner, 0, 99, 99).await.unwrap().len(), 10);
        assert_eq!(store.audit_tip(&owner).await.unwrap().last, Some(10));
        store.next_audited_user(Some(&owner)).await.unwrap();
    }
    // Sessions report their counts at their end.
    drop(store);
    let (_, read) = wait::until("the counts", wait::deadline(), async || {
        Some(counts(&schema).await).filter(|(scans, _)| *scans >= of_index + 60)
    })
    .await;
    // A partition with a few rows may be read whole.
    assert!(read < read_whole + 1_000, "{read_whole} rows before, {read} after");
}

/// Scans of indexes of the partitions, and rows of them that were read without one.
async fn counts(schema: &Schema) -> (u64, u64) {
    let counts = "SELECT coalesce(sum(idx_scan), 0) || ' ' || coalesce(sum(seq_tup_read), 0) FROM pg_stat_user_tables \
         WHERE relname LIKE 'audit_%' AND schemaname = current_schema()";
    let counts = schema.sql(counts).await.remove(0);
    let (scans, rows) = counts.split_once(' ').unwrap();
    (scans.parse().unwrap(), rows.parse().unwrap())
}

#[tokio::test]
async fn rows_of_an_archive_have_no_personal_data_that_an_erasure_would_not_reach() {
    let (schema, _store) = row_in_an_older_partition().await;
    let now = "SELECT (extract(epoch FROM now()) * 1000)::bigint";
    let now = Timestamp::from_millis(schema.sql(now).await[0].parse().unwrap());
    let partition = old_audit_partitions(&settings(&schema.owner_url()), now)
        .await
        .unwrap()
        .remove(0);
    let owner = database::store_at(&schema.owner_url()).await;
    let rows = owner
        .audit_partition_page(&partition, &AuditPosition::start(), 9)
        .await
        .unwrap();
    let archived: Vec<_> = rows
        .iter()
        .map(|row| (row.personal.is_some(), row.user_key.is_some(), row.subject.as_str()))
        .collect();
    assert_eq!(archived, [(true, false, "")]);
    assert_eq!(rows[0].shown_personal_data(&audit_keys()).subject, ERASED);
}

//! Rights of the roles that use the schema. All tests of Postgres run as the role of workers; these are about what it may not do.

use protocol::fault::chain;
use store::{Accounts, Grant, PgStore, SchemaUse, SetupError, VerifyError, migrate, verify_audit};
use testkit::postgres::{Schema, WORKER_ROLE};

use crate::database::{self, meter, migrated, settings, store};
use crate::sample::{audit_keys, link, receipt};

#[tokio::test]
async fn every_table_and_every_sequence_of_a_default_is_granted_to_workers() {
    let schema = migrated().await;
    // Identity columns have internal sequences (deptype `i`), which need no right. Partitions are used through their table.
    let ungranted = format!(
        "SELECT relname FROM pg_class WHERE relnamespace = '{}'::regnamespace AND NOT relispartition AND CASE relkind \
         WHEN 'r' THEN NOT has_table_privilege('{WORKER_ROLE}', oid, 'SELECT') \
         WHEN 'p' THEN NOT has_table_privilege('{WORKER_ROLE}', oid, 'SELECT') \
         WHEN 'S' THEN NOT has_sequence_privilege('{WORKER_ROLE}', oid, 'USAGE') \
              AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'i') \
         ELSE false END",
        schema.name()
    );
    assert_eq!(schema.sql(&ungranted).await, Vec::<String>::new());
}

#[tokio::test]
async fn migration_takes_rights_to_alter_the_audit_log_away() {
    let schema = migrated().await;
    let all = format!("GRANT ALL ON ALL TABLES IN SCHEMA {} TO {WORKER_ROLE}", schema.name());
    for table in ["audit", "audit_initial", "audit_default"] {
        let altering = format!(
            "SELECT right_to FROM unnest('{{INSERT,UPDATE,DELETE,TRUNCATE}}'::text[]) AS right_to \
             WHERE has_table_privilege('{WORKER_ROLE}', '{table}', right_to)"
        );
        schema.sql(&all).await;
        assert_eq!(schema.sql(&altering).await.len(), 4, "{table}");
        database::migrate(&schema.owner_url()).await;
        assert_eq!(schema.sql(&altering).await, ["INSERT"], "{table}");
    }
}

async fn connect(url: &str) -> Result<PgStore, SetupError> {
    PgStore::connect(&settings(url), audit_keys(), &meter()).await
}

#[tokio::test]
async fn store_refuses_a_role_that_lacks_rights_and_names_them_until_they_are_granted() {
    let schema = migrated().await;
    let revoke = format!(
        "REVOKE INSERT ON outbox FROM {WORKER_ROLE}; REVOKE USAGE ON SEQUENCE account_generations FROM {WORKER_ROLE}"
    );
    schema.sql(&revoke).await;
    let refused = connect(&schema.url()).await.unwrap_err();
    let named = chain(&refused);
    assert!(
        named.ends_with("INSERT on outbox, USAGE on account_generations"),
        "{named}"
    );
    // The grants of a migration may follow.
    assert_eq!(refused.outage(), Some("permission"));
    database::migrate(&schema.owner_url()).await;
    connect(&schema.url()).await.unwrap();
}

/// URL of a new role, which has this use of the schema.
async fn another_role(schema: &Schema, schema_use: SchemaUse) -> String {
    let role = format!("reader of {}", schema.name());
    schema.sql(&format!("CREATE ROLE \"{role}\" LOGIN")).await;
    let url = schema.url().replace(WORKER_ROLE, &role.replace(' ', "%20"));
    let grant = Grant { role, schema_use };
    migrate(&settings(&schema.owner_url()), &[grant]).await.unwrap();
    url
}

#[tokio::test]
async fn reader_of_the_audit_log_verifies_it_and_reads_nothing_else() {
    let schema = migrated().await;
    let worker = store(&schema).await;
    worker.link_account(&link("GEN-001", "7"), &receipt("1")).await.unwrap();
    let url = another_role(&schema, SchemaUse::AuditReader).await;

    let refused = connect(&url).await.unwrap_err();
    assert!(matches!(&refused, SetupError::Denied { missing } if missing.contains("SELECT on accounts")));
    let reader = PgStore::connect(&settings(&url).for_reading(), audit_keys(), &meter()).await;
    let reader = reader.unwrap();
    let verified: Result<u64, VerifyError> = verify_audit(&reader, &audit_keys(), "GEN-001", &[]).await;
    assert_eq!(verified.unwrap(), 1);
    let read = chain(&reader.accounts(&link("GEN-001", "7").user).await.unwrap_err());
    assert!(read.contains("permission denied for table accounts"), "{read}");
}

#[tokio::test]
async fn missing_role_is_named_and_the_schema_is_migrated() {
    let schema = migrated().await;
    let grant = Grant {
        role: "nobody".to_owned(),
        schema_use: SchemaUse::Worker,
    };
    let refused = migrate(&settings(&schema.owner_url()), &[grant]).await.unwrap_err();
    assert!(matches!(refused, SetupError::Grant { .. }), "{refused:?}");
    let named = chain(&refused);
    assert!(named.contains("role \"nobody\" does not exist"), "{named}");
}

//! Metrics of the store in Prometheus's text format.

use store::{Accounts, PgStore};

use crate::database::{metered, migrated, settings};
use crate::sample::{audit_keys, late_receipt, link, receipt, unlink};

#[tokio::test]
async fn failures_are_counted_by_step_and_connections_by_state() {
    let (meter, figures) = metered();
    let schema = migrated().await;
    let store = PgStore::connect(&settings(&schema.url()), audit_keys(), &meter)
        .await
        .unwrap();
    store.link_account(&link("GEN-001", "7"), &receipt("1")).await.unwrap();
    let late = store.unlink_account(&unlink("GEN-001"), &late_receipt("2")).await;
    assert!(late.is_err());

    let text = figures();
    for line in [
        "postern_store_errors_total{meaning=\"too_late\",step=\"unlink the account\"} 1",
        "postern_store_connections{state=\"idle\"} 1",
        "postern_store_connections{state=\"in_use\"} 0",
        "postern_store_connection_waiters 0",
    ] {
        assert!(text.contains(line), "{line} is missing in:\n{text}");
    }
    drop(store);
    assert!(figures().contains("state=\"idle\"} 0"), "{}", figures());
}

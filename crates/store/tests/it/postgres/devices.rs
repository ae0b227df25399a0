//! Expiry of devices.

use store::Recognition;

use crate::contract::devices::returns;
use crate::pruning::prune;

#[tokio::test]
async fn device_expires_after_ninety_days_and_is_then_new() {
    let schema = crate::database::migrated().await;
    let store = crate::database::store(&schema).await;
    for (days, expected) in [
        (0, Recognition::First),
        (89, Recognition::Known),
        (91, Recognition::New),
    ] {
        schema
            .sql(&format!("UPDATE seen SET seen_at = now() - interval '{days} days'"))
            .await;
        prune(&store).await;
        let findings = returns(&store, "GEN-001").await;
        assert_eq!((findings.device, findings.network), (expected, expected), "{days} days");
    }
}

//! Devices as months pass.

use store::{Acquaintance, Answers};

use crate::contract::devices::returns;

#[tokio::test]
async fn after_ninety_days_a_device_is_forgotten_and_that_there_was_one_is_not() {
    let schema = crate::database::migrated().await;
    let store = crate::database::store(&schema).await;
    for (days, expected) in [
        (0, Acquaintance::First),
        (89, Acquaintance::Known),
        (91, Acquaintance::New),
    ] {
        schema
            .sql(&format!("UPDATE seen SET seen_at = now() - interval '{days} days'"))
            .await;
        store.prune().await.unwrap();
        let novelty = returns(&store, "GEN-001").await;
        assert_eq!((novelty.device, novelty.network), (expected, expected), "{days} days");
    }
}

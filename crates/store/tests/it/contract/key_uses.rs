//! Contract of the record of vault keys.

use store::Store;
use testkit::wait;

super::kept_by_both_stores!(age_of_a_key_counts_from_its_first_use);

async fn age_of_a_key_counts_from_its_first_use(store: &dyn Store) {
    let age = async |key_id| store.record_key_use(key_id).await.unwrap();
    let first = age("2026-11").await;
    wait::until_true("the key to be older", wait::deadline(), async || {
        age("2026-11").await > first
    })
    .await;
    let newer = age("2026-12").await;
    assert!(newer < age("2026-11").await);
}

//! Contract of answers.

use std::time::Duration;

use store::{LinkOutcome, PreviousAnswer, Receipt, Store};
use testkit::wait;

use crate::pruning::prune;
use crate::sample::{actor, encrypted, idempotency, job, link, receipt, receipt_with_key, refused, user};

super::kept_by_both_stores!(
    answer_is_found_by_its_job,
    answer_is_found_by_its_key_unless_the_body_differs,
    expired_answer_frees_its_key,
    pruning_deletes_only_expired_rows,
);

async fn answer_is_found_by_its_job(store: &dyn Store) {
    store.refuse_link(&refused("GEN-001"), &receipt("1")).await.unwrap();
    let previous_answer = async |name| {
        store
            .previous_answer((&user("GEN-001"), &actor()), &job(name), None)
            .await
            .unwrap()
    };
    assert_eq!(
        previous_answer("1").await,
        PreviousAnswer::Answer(encrypted("answer to 1"))
    );
    assert_eq!(previous_answer("2").await, PreviousAnswer::Nothing);
}

async fn answer_is_found_by_its_key_unless_the_body_differs(store: &dyn Store) {
    let key = idempotency(1, 1);
    store
        .refuse_link(&refused("GEN-001"), &receipt_with_key("1", &key))
        .await
        .unwrap();
    let previous_answer = async |name, scope, body| {
        let key = idempotency(scope, body);
        store
            .previous_answer((&user("GEN-001"), &actor()), &job(name), Some(&key))
            .await
            .unwrap()
    };
    let first = PreviousAnswer::Answer(encrypted("answer to 1"));
    assert_eq!(previous_answer("2", 1, 1).await, first);
    assert_eq!(previous_answer("2", 1, 2).await, PreviousAnswer::OtherBody);
    assert_eq!(previous_answer("2", 2, 1).await, PreviousAnswer::Nothing);
    // The same job, delivered again.
    assert_eq!(previous_answer("1", 1, 1).await, first);
}

/// Receipt whose answer expires almost at once.
fn fleeting(name: &str) -> Receipt {
    Receipt {
        keep: Duration::from_millis(50),
        ..receipt_with_key(name, &idempotency(1, 1))
    }
}

async fn expire(store: &dyn Store, name: &str) {
    wait::until_true("the answer to be over", wait::deadline(), async || {
        store
            .previous_answer((&user("GEN-001"), &actor()), &job(name), Some(&idempotency(1, 1)))
            .await
            .unwrap()
            == PreviousAnswer::Nothing
    })
    .await;
}

async fn expired_answer_frees_its_key(store: &dyn Store) {
    store.refuse_link(&refused("GEN-001"), &fleeting("1")).await.unwrap();
    expire(store, "1").await;
    let again = store
        .link_account(&link("GEN-001", "7"), &receipt_with_key("2", &idempotency(1, 2)))
        .await;
    assert_eq!(again.unwrap(), LinkOutcome::Linked);
    let previous_answer = store
        .previous_answer((&user("GEN-001"), &actor()), &job("3"), Some(&idempotency(1, 2)))
        .await
        .unwrap();
    assert_eq!(previous_answer, PreviousAnswer::Answer(encrypted("answer to 2")));
}

async fn pruning_deletes_only_expired_rows(store: &dyn Store) {
    store.refuse_link(&refused("GEN-001"), &fleeting("1")).await.unwrap();
    store.refuse_link(&refused("GEN-002"), &receipt("2")).await.unwrap();
    expire(store, "1").await;
    assert_eq!(prune(store).await, 1);
    assert_eq!(prune(store).await, 0);
    assert_eq!(
        store
            .previous_answer((&user("GEN-001"), &actor()), &job("2"), None)
            .await
            .unwrap(),
        PreviousAnswer::Answer(encrypted("answer to 2"))
    );
}

//! Answers: found again for as long as they are kept.

use std::time::Duration;

use store::{LinkOutcome, PreviousAnswer, Receipt, Store};
use testkit::wait;

use crate::sample::{actor, encrypted, idempotency, job, link, receipt, receipt_with_key, refused, user};

super::kept_by_both_stores!(
    an_answer_is_found_by_its_job,
    an_answer_is_found_by_its_key_unless_the_body_differs,
    an_answer_ends_with_its_time_and_its_key_is_free_again,
    pruning_removes_what_is_over_and_nothing_else,
);

async fn an_answer_is_found_by_its_job(store: &dyn Store) {
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

async fn an_answer_is_found_by_its_key_unless_the_body_differs(store: &dyn Store) {
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
    // The job itself, delivered again.
    assert_eq!(previous_answer("1", 1, 1).await, first);
}

/// A receipt that is over almost at once.
fn fleeting(name: &str) -> Receipt {
    Receipt {
        keep: Duration::from_millis(50),
        ..receipt_with_key(name, &idempotency(1, 1))
    }
}

async fn is_over(store: &dyn Store, name: &str) {
    wait::until_true("the answer to be over", wait::deadline(), async || {
        store
            .previous_answer((&user("GEN-001"), &actor()), &job(name), Some(&idempotency(1, 1)))
            .await
            .unwrap()
            == PreviousAnswer::Nothing
    })
    .await;
}

async fn an_answer_ends_with_its_time_and_its_key_is_free_again(store: &dyn Store) {
    store.refuse_link(&refused("GEN-001"), &fleeting("1")).await.unwrap();
    is_over(store, "1").await;
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

async fn pruning_removes_what_is_over_and_nothing_else(store: &dyn Store) {
    store.refuse_link(&refused("GEN-001"), &fleeting("1")).await.unwrap();
    store.refuse_link(&refused("GEN-002"), &receipt("2")).await.unwrap();
    is_over(store, "1").await;
    assert_eq!(store.prune().await.unwrap(), 1);
    assert_eq!(store.prune().await.unwrap(), 0);
    assert_eq!(
        store
            .previous_answer((&user("GEN-001"), &actor()), &job("2"), None)
            .await
            .unwrap(),
        PreviousAnswer::Answer(encrypted("answer to 2"))
    );
}

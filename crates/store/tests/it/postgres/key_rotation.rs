//! Key rotation with concurrent workers: neither waits for the other, and the worker's text stays.

use protocol::security::FactorMethod;
use store::{Accounts, EncryptedColumn, EncryptedColumns, ReencryptedText, Security as _, SecurityRecord, rotate_keys};
use testkit::wait;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use super::outage::{RELEASABLE, RELEASE, WAIT_FOR_RELEASE};
use crate::contract::encrypted_columns::{OLD, guarded, put, to, vault};
use crate::database;
use crate::sample::{NEW, actor, encrypted, link, receipt, user};

#[tokio::test]
async fn locked_row_is_skipped_and_keeps_the_workers_text() {
    let schema = database::migrated().await;
    let store = database::store(&schema).await;
    for name in ["held", "free"] {
        store.link_account(&link(name, name), &receipt(name)).await.unwrap();
    }
    let column = EncryptedColumn::AccountAccess;
    let find = async || store.texts_under_other_keys(column, "new", None, 9).await.unwrap();
    let found = find().await;
    let anew: Vec<ReencryptedText> = found
        .iter()
        .map(|text| ReencryptedText {
            previous: text.clone(),
            encrypted: encrypted(&format!("{} anew", text.user)),
        })
        .collect();

    schema.sql(RELEASABLE).await;
    let write = "UPDATE accounts SET access_token = 'newer' WHERE user_id = 'held'";
    let worker = format!("{write}; DO $$BEGIN {WAIT_FOR_RELEASE} END$$");
    let writing = format!(
        "SELECT count(*) FROM pg_locks WHERE relation = '{}.accounts'::regclass AND mode = 'RowExclusiveLock'",
        schema.name()
    );
    let meanwhile = async {
        wait::until_true("the row to be locked", wait::deadline(), async || {
            schema.sql(&writing).await == ["1"]
        })
        .await;
        assert_eq!(store.replace_texts(column, &anew).await.unwrap(), 1);
        schema.sql(RELEASE).await;
    };
    tokio::join!(schema.sql(&worker), meanwhile);
    assert_eq!(store.replace_texts(column, &anew).await.unwrap(), 0);
    let texts = find().await.into_iter().map(|text| text.encrypted);
    assert_eq!(Vec::from_iter(texts), [encrypted("free anew"), encrypted("newer")]);
}

/// A text read before a key rotation must not be written back after it, under a key that is about to be removed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn second_factor_under_change_is_reencrypted_afterwards() {
    let schema = database::migrated().await;
    let store = database::store(&schema).await;
    let (old, both) = (vault(OLD), vault(&format!("{NEW},{OLD}")));
    let owner = user("owner");
    put(&store, &owner, &guarded(&owner, FactorMethod::Totp, &old)).await;

    let rotate_within = |record: &SecurityRecord, _| {
        let rotation = block_in_place(|| Handle::current().block_on(rotate_keys(&store, &both)));
        assert!(!rotation.unwrap().complete, "the row was re-encrypted under a writer");
        Ok(to(record.clone()))
    };
    store.decide_security(&owner, &actor(), &rotate_within).await.unwrap();

    let rotation = rotate_keys(&store, &both).await.unwrap();
    assert!(rotation.complete, "{rotation:?}");
    assert_eq!(rotation.reencrypted.values().sum::<u64>(), 3);
}

//! Sealed texts as such: found by the key that sealed them, replaced where they still stand.

use std::sync::Arc;

use lifecycle::OsEntropy;
use protocol::secret::Secret;
use store::vault::{Binding, Sealed, Vault, VaultError, VaultKeys};
use store::{Link, Resealed, SealedColumn, SealedTokens, Sealings, Store, TokenColumn, rotate};

use crate::contract::queue::lease;
use crate::sample::{link, receipt, sealed, unlink, user};

super::kept_by_both_stores!(
    texts_of_another_key_are_found_batch_by_batch,
    a_text_that_was_replaced_meanwhile_keeps_its_newer_one,
    a_rotation_seals_everything_anew_and_again_does_nothing,
    a_text_that_does_not_open_is_named_and_left_alone,
);

const OLD: &str = "old:ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";
const OTHER_OLD: &str = "old:MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA=";
const NEW: &str = "new:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

fn vault(keys: &str) -> Vault {
    Vault::new(VaultKeys::parse(&Secret::new(keys)).unwrap(), Arc::new(OsEntropy))
}

/// A link whose tokens this vault has sealed: `<user> access` and `<user> refresh`.
fn sealed_link(user_id: &str, vault: &Vault) -> Link {
    let mut link = link(user_id, user_id);
    let user = user(user_id);
    let seal = |column: TokenColumn, word| {
        let binding = binding(&user, column);
        vault.seal(&binding, &Secret::new(format!("{user_id} {word}")))
    };
    link.tokens = SealedTokens {
        access: seal(TokenColumn::Access, "access"),
        refresh: Some(seal(TokenColumn::Refresh, "refresh")),
        expires_at: None,
    };
    link
}

fn binding(user: &protocol::id::UserId, column: TokenColumn) -> Binding<'_> {
    Binding {
        user,
        scope: "github",
        column: column.as_str(),
    }
}

async fn store_link(store: &impl Store, link: &Link, job: &str) {
    store.link_account(link, &receipt(job)).await.unwrap();
}

async fn access(store: &impl Store, user_id: &str) -> Sealed {
    let github = protocol::account::AccountType::Github;
    let credentials = store.credentials(&user(user_id), github).await.unwrap();
    credentials.unwrap().tokens.access
}

async fn texts_of_another_key_are_found_batch_by_batch(store: &(impl Store + Sealings)) {
    for name in ["a", "b", "c"] {
        store_link(store, &sealed_link(name, &vault(OLD)), name).await;
    }
    store_link(store, &sealed_link("d", &vault(NEW)), "d").await;
    let find = async |key, after, max| {
        let column = SealedColumn::AccountAccess;
        store.sealed_otherwise(column, key, after, max).await.unwrap()
    };
    let first = find("new", None, 2).await;
    let rest = find("new", first.last(), 2).await;
    let users: Vec<_> = first.iter().chain(&rest).map(|text| text.user.as_str()).collect();
    assert_eq!(users, ["a", "b", "c"]);
    assert!(find("new", rest.last(), 2).await.is_empty());
    assert_eq!(find("old", None, 9).await.len(), 1);
    // An id that another begins with is another.
    assert_eq!(find("ol", None, 9).await.len(), 4);
}

async fn a_text_that_was_replaced_meanwhile_keeps_its_newer_one(store: &(impl Store + Sealings)) {
    store_link(store, &sealed_link("a", &vault(OLD)), "1").await;
    let column = SealedColumn::AccountAccess;
    let was = store.sealed_otherwise(column, "new", None, 9).await.unwrap().remove(0);
    let newer = sealed_link("a", &vault(OLD));
    store_link(store, &newer, "2").await;

    let texts = [Resealed {
        was,
        sealed: sealed("an older one, under another key"),
    }];
    assert_eq!(store.reseal(column, &texts).await.unwrap(), 0);
    assert_eq!(access(store, "a").await, newer.tokens.access);
}

async fn a_rotation_seals_everything_anew_and_again_does_nothing(store: &(impl Store + Sealings)) {
    for number in 0..450 {
        let name = format!("u{number}");
        store_link(store, &sealed_link(&name, &vault(OLD)), &name).await;
    }
    store.unlink_account(&unlink("u7"), &receipt("unlink")).await.unwrap();

    let both = vault(&format!("{NEW},{OLD}"));
    let rotation = rotate(store, &both).await.unwrap();
    assert!(rotation.complete && rotation.still_used.is_empty(), "{rotation:?}");
    let counts: Vec<u64> = rotation.resealed.values().copied().collect();
    assert_eq!(counts, [449, 449, 1]);

    let new = vault(NEW);
    let owner = user("u449");
    let opened = new.open(&binding(&owner, TokenColumn::Access), &access(store, "u449").await);
    assert_eq!(opened.unwrap().expose(), "u449 access");
    let task = lease(store).await.remove(0);
    let opened = new.open(&binding(&task.user, task.revocation.column), &task.revocation.token);
    assert_eq!(opened.unwrap().expose(), "u7 refresh");

    let again = rotate(store, &both).await.unwrap();
    assert!(
        again.complete && again.resealed.values().all(|count| *count == 0),
        "{again:?}"
    );
}

async fn a_text_that_does_not_open_is_named_and_left_alone(store: &(impl Store + Sealings)) {
    let good = sealed_link("good", &vault(NEW));
    let bad = sealed_link("bad", &vault(OLD));
    store_link(store, &good, "good").await;
    store_link(store, &bad, "bad").await;
    for (keys, why) in [
        (format!("{NEW},{OTHER_OLD}"), VaultError::Altered),
        (NEW.to_owned(), VaultError::UnknownKey),
    ] {
        let rotation = rotate(store, &vault(&keys)).await.unwrap();
        assert_eq!(rotation.unopened_count, 2);
        assert_eq!(Vec::from_iter(&rotation.still_used), ["old"]);
        let named: Vec<_> = rotation.unopened.iter().map(|it| (it.user.as_str(), it.why)).collect();
        assert_eq!(named, [("bad", why), ("bad", why)]);
        assert_eq!(access(store, "bad").await, bad.tokens.access);
    }
}

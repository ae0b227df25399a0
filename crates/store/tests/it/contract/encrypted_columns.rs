//! Contract of encrypted columns: texts are found by their key and replaced if unchanged.

use std::sync::Arc;

use lifecycle::OsEntropy;
use protocol::cluster::job::JobOutcome;
use protocol::id::{SessionId, UserId};
use protocol::secret::Secret;
use protocol::security::FactorMethod;
use protocol::time::Timestamp;
use store::vault::{Binding, Ciphertext, Vault, VaultError, VaultKeys};
use store::{
    EncryptedColumn, EncryptedColumns, EncryptedTokens, Factor, KeyChangeError, Link, PendingFactor, PendingLink,
    ReencryptedText, SecurityChange, SecurityDecision, SecurityEffect, SecurityRecord, Store, TokenColumn,
    check_key_change, rotate_keys,
};

use crate::contract::queue::leased_tasks;
use crate::sample::{NEW, actor, encrypted, link, pending_link, receipt, unlink, user};

super::kept_by_both_stores!(
    texts_under_another_key_are_found_in_batches,
    text_replaced_in_the_meantime_is_kept,
    key_rotation_reencrypts_everything_and_a_repeat_does_nothing,
    undecryptable_text_is_reported_and_unchanged,
    second_factors_are_reencrypted_and_recovery_codes_still_match,
    key_change_is_refused_while_a_stored_text_needs_a_missing_key,
);

pub(crate) const OLD: &str = "old:ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";
const OTHER_OLD: &str = "old:MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA=";

pub(crate) fn vault(keys: &str) -> Vault {
    Vault::new(VaultKeys::parse(&Secret::new(keys)).unwrap(), Arc::new(OsEntropy))
}

/// Link with tokens that this vault encrypted: `<user> access` and `<user> refresh`.
fn encrypted_link(user_id: &str, vault: &Vault) -> Link {
    let mut link = link(user_id, user_id);
    let user = user(user_id);
    let encrypt = |column: TokenColumn, word| {
        let binding = binding(&user, column);
        vault.encrypt(&binding, &Secret::new(format!("{user_id} {word}")))
    };
    link.tokens = Some(EncryptedTokens {
        access: encrypt(TokenColumn::Access, "access"),
        refresh: Some(encrypt(TokenColumn::Refresh, "refresh")),
        expires_at: None,
    });
    link
}

fn binding(user: &UserId, column: TokenColumn) -> Binding<'_> {
    Binding {
        user,
        scope: "github",
        column: column.as_str(),
    }
}

async fn store_link(store: &impl Store, link: &Link, job: &str) {
    store.link_account(link, &receipt(job)).await.unwrap();
}

async fn access(store: &impl Store, user_id: &str) -> Ciphertext {
    let github = protocol::account::AccountType::Github;
    let credentials = store.credentials(&user(user_id), github).await.unwrap();
    credentials.unwrap().tokens.unwrap().access
}

async fn texts_under_another_key_are_found_in_batches(store: &(impl Store + EncryptedColumns)) {
    for name in ["a", "b", "c"] {
        store_link(store, &encrypted_link(name, &vault(OLD)), name).await;
    }
    store_link(store, &encrypted_link("d", &vault(NEW)), "d").await;
    let find = async |key, after, max| {
        let column = EncryptedColumn::AccountAccess;
        store.texts_under_other_keys(column, key, after, max).await.unwrap()
    };
    let first = find("new", None, 2).await;
    let rest = find("new", first.last(), 2).await;
    let users: Vec<_> = first.iter().chain(&rest).map(|text| text.user.as_str()).collect();
    assert_eq!(users, ["a", "b", "c"]);
    assert!(find("new", rest.last(), 2).await.is_empty());
    assert_eq!(find("old", None, 9).await.len(), 1);
    // A key id that is a prefix of another one is distinct.
    assert_eq!(find("ol", None, 9).await.len(), 4);
}

async fn key_change_is_refused_while_a_stored_text_needs_a_missing_key(store: &(impl Store + EncryptedColumns)) {
    store_link(store, &encrypted_link("a", &vault(OLD)), "1").await;
    let keys = |text: &str| VaultKeys::parse(&Secret::new(text)).unwrap();
    let both = format!("{NEW},{OLD}");
    let check = async |next: &str| check_key_change(store, &keys(&both), &keys(next)).await;
    assert!(check(&format!("{OLD},{NEW}")).await.is_ok());
    match check(NEW).await {
        Err(KeyChangeError::InUse { key, column }) => {
            assert_eq!((key.as_str(), column), ("old", EncryptedColumn::AccountAccess));
        }
        other => panic!("{other:?}"),
    }
    match check(OLD).await {
        Err(KeyChangeError::InUse { key, column }) => {
            assert_eq!((key.as_str(), column), ("new", EncryptedColumn::UserKey));
        }
        other => panic!("{other:?}"),
    }
    let altered = check(&format!("{NEW},{OTHER_OLD}")).await.unwrap_err();
    assert!(
        matches!(&altered, KeyChangeError::Altered(key) if key == "old"),
        "{altered}"
    );

    rotate_keys(store, &vault(&both)).await.unwrap();
    assert!(check(NEW).await.is_ok());
    assert!(matches!(check(OLD).await, Err(KeyChangeError::InUse { .. })));
}

async fn text_replaced_in_the_meantime_is_kept(store: &(impl Store + EncryptedColumns)) {
    store_link(store, &encrypted_link("a", &vault(OLD)), "1").await;
    let column = EncryptedColumn::AccountAccess;
    let previous = store
        .texts_under_other_keys(column, "new", None, 9)
        .await
        .unwrap()
        .remove(0);
    let newer = encrypted_link("a", &vault(OLD));
    store_link(store, &newer, "2").await;

    let texts = [ReencryptedText {
        previous,
        encrypted: encrypted("an older one, under another key"),
    }];
    assert_eq!(store.replace_texts(column, &texts).await.unwrap(), 0);
    assert_eq!(access(store, "a").await, newer.tokens.unwrap().access);
}

async fn key_rotation_reencrypts_everything_and_a_repeat_does_nothing(store: &(impl Store + EncryptedColumns)) {
    for number in 0..450 {
        let name = format!("u{number}");
        store_link(store, &encrypted_link(&name, &vault(OLD)), &name).await;
    }
    store.unlink_account(&unlink("u7"), &receipt("unlink")).await.unwrap();
    let waiting = PendingLink {
        tokens: encrypted_link("waiting", &vault(OLD)).tokens,
        ..pending_link("waiting", "7", 1)
    };
    store.add_pending_link(&waiting, &receipt("park")).await.unwrap();

    let both = vault(&format!("{NEW},{OLD}"));
    let rotation = rotate_keys(store, &both).await.unwrap();
    assert!(rotation.complete && rotation.keys_in_use.is_empty(), "{rotation:?}");
    let counts: Vec<u64> = rotation.reencrypted.values().copied().collect();
    assert_eq!(counts, [1, 1, 449, 449, 1, 1, 0, 0, 0, 0]);

    let new = vault(NEW);
    let owner = user("u449");
    let opened = new.decrypt(&binding(&owner, TokenColumn::Access), &access(store, "u449").await);
    assert_eq!(opened.unwrap().expose(), "u449 access");
    let task = leased_tasks(store).await.remove(0);
    let tokens = task.revocation.tokens;
    let opened = new.decrypt(&binding(&task.user, TokenColumn::Access), &tokens.access);
    assert_eq!(opened.unwrap().expose(), "u7 access");
    let opened = new.decrypt(&binding(&task.user, TokenColumn::Refresh), &tokens.refresh.unwrap());
    assert_eq!(opened.unwrap().expose(), "u7 refresh");

    let waiting = store.pending_link(&waiting.user, &waiting.id).await.unwrap().unwrap();
    let opened = new.decrypt(
        &binding(&waiting.user, TokenColumn::Access),
        &waiting.tokens.unwrap().access,
    );
    assert_eq!(opened.unwrap().expose(), "waiting access");

    let again = rotate_keys(store, &both).await.unwrap();
    assert!(
        again.complete && again.reencrypted.values().all(|count| *count == 0),
        "{again:?}"
    );
}

async fn undecryptable_text_is_reported_and_unchanged(store: &(impl Store + EncryptedColumns)) {
    let good = encrypted_link("good", &vault(NEW));
    let bad = encrypted_link("bad", &vault(OLD));
    store_link(store, &good, "good").await;
    store_link(store, &bad, "bad").await;
    for (keys, error) in [
        (format!("{NEW},{OTHER_OLD}"), VaultError::Altered),
        (NEW.to_owned(), VaultError::UnknownKey),
    ] {
        let rotation = rotate_keys(store, &vault(&keys)).await.unwrap();
        assert_eq!(rotation.undecryptable_count, 2);
        assert_eq!(Vec::from_iter(&rotation.keys_in_use), ["old"]);
        let named: Vec<_> = rotation
            .undecryptable
            .iter()
            .map(|it| (it.user.as_str(), it.error))
            .collect();
        assert_eq!(named, [("bad", error), ("bad", error)]);
        assert_eq!(access(store, "bad").await, bad.tokens.clone().unwrap().access);
    }
}

fn of_factor<'a>(user: &'a UserId, column: &'a str) -> Binding<'a> {
    Binding {
        user,
        scope: "factor",
        column,
    }
}

/// Record with an enabled and a pending factor whose texts this vault encrypted.
pub(crate) fn guarded(user: &UserId, method: FactorMethod, vault: &Vault) -> SecurityRecord {
    let column = if method == FactorMethod::Totp {
        "secret"
    } else {
        "address"
    };
    let encrypt = |text: &str| vault.encrypt(&of_factor(user, column), &Secret::new(text));
    SecurityRecord {
        factor: Some(Factor {
            method,
            secret: encrypt("what it needs"),
            last_step: 0,
            sent: Vec::new(),
            failures: 3,
            last_failed: None,
            recovery_key: Some(vault.new_mac_key(&of_factor(user, "recovery"))),
            recovery_codes: vec![[1; 32]],
            recovery_attempts: Vec::new(),
            lock: None,
        }),
        pending: Some(PendingFactor {
            method,
            secret: encrypt("what the next one needs"),
            code: None,
            challenge: "challenge".to_owned(),
            session: SessionId::new("s").unwrap(),
            until: Timestamp::from_millis(1_795_451_460_011),
        }),
        ..SecurityRecord::default()
    }
}

pub(crate) fn to(record: SecurityRecord) -> SecurityDecision {
    SecurityDecision::Change(Box::new(SecurityChange {
        record,
        events: Vec::new(),
        outcome: JobOutcome::done(),
        receipt: None,
        audit_events: Vec::new(),
        effect: SecurityEffect::Nothing,
    }))
}

pub(crate) async fn put(store: &impl Store, user: &UserId, record: &SecurityRecord) {
    let put = store
        .decide_security(user, &actor(), &|_, _| Ok(to(record.clone())))
        .await;
    put.unwrap();
}

async fn second_factors_are_reencrypted_and_recovery_codes_still_match(store: &(impl Store + EncryptedColumns)) {
    let (old, both, new) = (vault(OLD), vault(&format!("{NEW},{OLD}")), vault(NEW));
    let users: Vec<UserId> = (0..205).map(|number| user(&format!("u{number}"))).collect();
    for (owner, method) in users.iter().zip(FactorMethod::ALL.into_iter().cycle()) {
        put(store, owner, &guarded(owner, method, &old)).await;
    }
    let code = Secret::new("ABCDEFGHIJKLMNOP");
    let before = store.security(&users[1]).await.unwrap().factor.unwrap();
    let binding = of_factor(&users[1], "recovery");
    let mac = old.mac_under(&before.recovery_key.unwrap(), &binding, &code).unwrap();

    let rotation = rotate_keys(store, &both).await.unwrap();
    assert!(rotation.complete && rotation.keys_in_use.is_empty(), "{rotation:?}");
    let counts: Vec<u64> = rotation.reencrypted.values().copied().collect();
    assert_eq!(counts, [0, 0, 0, 0, 0, 0, 205, 205, 205, 0]);

    let record = store.security(&users[1]).await.unwrap();
    let (factor, pending) = (record.factor.unwrap(), record.pending.unwrap());
    let opened = |encrypted| new.decrypt(&of_factor(&users[1], "address"), encrypted).unwrap();
    assert_eq!(opened(&factor.secret).expose(), "what it needs");
    assert_eq!(opened(&pending.secret).expose(), "what the next one needs");
    assert_eq!((factor.failures, &factor.recovery_codes), (3, &vec![[1; 32]]));
    assert_eq!(
        new.mac_under(&factor.recovery_key.unwrap(), &binding, &code).unwrap(),
        mac
    );
}

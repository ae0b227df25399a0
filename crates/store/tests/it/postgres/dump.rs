//! Dumps contain no secrets, and expired rows are deleted.

use std::sync::Arc;

use lifecycle::OsEntropy;
use protocol::account::AccountType;
use protocol::id::SessionId;
use protocol::secret::Secret;
use store::vault::{Binding, Vault, VaultKeys};
use store::{Accounts, EncryptedTokens, Exchange, Link, Outbox, PendingLink, PendingLinks, Receipt, TokenColumn};

use crate::database;
use crate::pruning::prune;
use crate::recorder::{Recorder, relayed, restored};
use crate::sample::{link, pending_link, receipt, unlink, user};

const CANARIES: [&str; 3] = ["gho_canary-access", "ghr_canary-refresh", "canary-answer"];

fn vault() -> Vault {
    let keys = "k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    Vault::new(VaultKeys::parse(&Secret::new(keys)).unwrap(), Arc::new(OsEntropy))
}

/// Encrypted tokens and answer that contain canaries.
fn planted(user_id: &str, job: &str) -> (Link, Receipt) {
    let (vault, owner) = (vault(), user(user_id));
    let encrypt = |column, text| {
        let binding = Binding {
            user: &owner,
            scope: "github",
            column,
        };
        vault.encrypt(&binding, &Secret::new(text))
    };
    let [access, refresh, answer] = CANARIES;
    let tokens = EncryptedTokens {
        access: encrypt(TokenColumn::Access.as_str(), access),
        refresh: Some(encrypt(TokenColumn::Refresh.as_str(), refresh)),
        expires_at: None,
    };
    let link = Link {
        revocation: Some(tokens.clone().revocation(AccountType::Github, "7".to_owned())),
        tokens: Some(tokens),
        ..link(user_id, "7")
    };
    let receipt = Receipt {
        answer: encrypt("answer", answer),
        ..receipt(job)
    };
    (link, receipt)
}

#[tokio::test]
async fn dump_of_all_tables_contains_no_secret() {
    let schema = database::migrated().await;
    let store = database::store(&schema).await;
    let (linked, first) = planted("GEN-001", "1");
    store.link_account(&linked, &first).await.unwrap();
    let (unlinked, second) = planted("GEN-002", "2");
    store.link_account(&unlinked, &second).await.unwrap();
    store
        .unlink_account(&unlink("GEN-002"), &planted("GEN-002", "3").1)
        .await
        .unwrap();

    let (granted, _) = planted("GEN-001", "4");
    let waiting = PendingLink {
        tokens: granted.tokens,
        ..pending_link("GEN-001", "7", 1)
    };
    store
        .add_pending_link(&waiting, &planted("GEN-001", "4").1)
        .await
        .unwrap();

    let dump = schema.dump().await;
    for table in [
        "accounts",
        "answers",
        "audit",
        "audit_heads",
        "outbox",
        "pending_links",
        "tasks",
        "users",
    ] {
        let rows = schema.sql(&format!("SELECT count(*) FROM {table}")).await;
        assert_ne!(rows, ["0"], "{table} has nothing to search");
    }
    assert!(dump.contains("GEN-001"), "the dump shows what is in the clear");
    for canary in CANARIES {
        assert!(!dump.contains(canary), "{canary} stands in:\n{dump}");
    }
    // The secret was stored: the vault decrypts the row.
    let row = store
        .credentials(&linked.user, AccountType::Github)
        .await
        .unwrap()
        .unwrap();
    let binding = Binding {
        user: &linked.user,
        scope: "github",
        column: TokenColumn::Access.as_str(),
    };
    assert_eq!(
        vault().decrypt(&binding, &row.tokens.unwrap().access).unwrap().expose(),
        CANARIES[0]
    );
}

#[tokio::test]
async fn sent_events_and_used_codes_expire_after_a_day_and_unsent_events_never() {
    let schema = database::migrated().await;
    let store = database::store(&schema).await;
    let exchange = Exchange {
        user: user("GEN-001"),
        session: SessionId::new("s1").unwrap(),
        account: AccountType::Github,
        code_hash: [1; 32],
        state_hash: None,
    };
    store.begin_exchange(&exchange).await.unwrap();
    store.link_account(&link("GEN-001", "7"), &receipt("1")).await.unwrap();
    relayed(&store, &user("GEN-001")).await;
    store.link_account(&link("GEN-002", "7"), &receipt("2")).await.unwrap();
    assert_eq!(prune(&store).await, 0);

    schema
        .sql(
            "UPDATE outbox SET created_at = created_at - interval '25 h', sent_at = sent_at - interval '25 h'; \
             UPDATE exchanges SET started_at = started_at - interval '25 h'",
        )
        .await;
    assert_eq!(prune(&store).await, 2);
    assert_eq!(relayed(&store, &user("GEN-002")).await, ["GEN-002 linked 7"]);
}

#[tokio::test]
async fn only_events_of_the_last_five_minutes_are_published_again() {
    let schema = database::migrated().await;
    let store = database::store(&schema).await;
    let user = user("GEN-001");
    store.link_account(&link("GEN-001", "7"), &receipt("1")).await.unwrap();
    store.relay_user(&user, &Recorder::new()).await.unwrap();
    let recent = async || {
        (
            store.users_with_recent_events(None, 9).await.unwrap(),
            restored(&store, &user).await,
        )
    };
    schema
        .sql("UPDATE outbox SET sent_at = sent_at - interval '6 min'")
        .await;
    assert_eq!(recent().await, (vec![], vec![]));
    schema
        .sql("UPDATE outbox SET sent_at = sent_at + interval '2 min'")
        .await;
    assert_eq!(
        recent().await,
        (vec![user.clone()], vec!["GEN-001 linked 7".to_owned()])
    );
}

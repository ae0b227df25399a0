//! Contract of the audit log: its rows, and the validity of its chains.

use protocol::cluster::job::RefusedCommand;
use protocol::code::ErrorCode;
use store::{
    Acknowledged, AuditRow, ChainHead, Link, LinkOutcome, PersonalData, RevokeAll, RevokeAllRecord, Store, StoreError,
    WriteOutcome, verify_audit,
};

use crate::sample::{
    alert, alert_id, audit_keys, encrypted, late_receipt, link, receipt, refused, sign_in, unlink, user,
};

super::kept_by_both_stores!(
    account_changes_are_audited_with_their_actor,
    refused_link_is_audited_with_its_error,
    revocation_of_all_access_is_audited_per_account,
    job_delivered_twice_is_audited_once,
    operation_without_change_is_not_audited,
    alert_and_acknowledgement_are_audited_once,
    confirmation_is_audited_and_its_answer_repeated,
    refusals_are_audited_with_their_count_once_per_job,
    every_audited_user_is_listed,
    long_chain_is_read_in_pages,
    head_is_unlogged_until_marked_and_again_after_it_moves,
);

/// Rows of a user with their personal data.
async fn rows(store: &dyn Store, user: &str) -> Vec<AuditRow> {
    let rows = store.audit_rows(user, 0, i64::MAX, 100).await.unwrap();
    let read = |row: AuditRow| {
        assert_eq!([&row.address, &row.device], ["", ""]);
        let PersonalData {
            subject,
            address,
            device,
        } = row.personal_data(&audit_keys()).unwrap();
        AuditRow {
            subject,
            address,
            device,
            ..row
        }
    };
    rows.into_iter().map(read).collect()
}

/// Action, subject and result of each row.
async fn audited(store: &dyn Store, user: &str) -> Vec<[String; 3]> {
    let rows = rows(store, user).await;
    rows.into_iter()
        .map(|row| [row.action, row.subject, row.result])
        .collect()
}

/// Asserts that a user's chain is valid, and returns its length.
async fn whole(store: &dyn Store, user: &str) -> u64 {
    verify_audit(store, &audit_keys(), user, &[]).await.unwrap()
}

async fn account_changes_are_audited_with_their_actor(store: &dyn Store) {
    store.link_account(&link("GEN-001", "7"), &receipt("1")).await.unwrap();
    store.link_account(&link("GEN-001", "7"), &receipt("2")).await.unwrap();
    store.unlink_account(&unlink("GEN-001"), &receipt("3")).await.unwrap();

    assert_eq!(
        audited(store, "GEN-001").await,
        [
            ["account_linked", "github 7", "ok"],
            ["account_renewed", "github 7", "ok"],
            ["account_unlinked", "github 7", "ok"],
        ]
    );
    for (number, row) in (1..).zip(rows(store, "GEN-001").await) {
        assert_eq!((row.seq, row.job), (number, number.to_string()));
        assert_eq!(
            (row.session.as_str(), row.connection.as_str()),
            ("session", "connection")
        );
        assert_eq!((row.address.as_str(), row.device.as_str()), ("192.0.2.7", "device"));
        assert_eq!(row.trace, "0000000000000000000000000000beef");
        assert_eq!((row.count, row.key.as_str()), (1, "new"));
        assert!(row.at > 1_700_000_000_000, "{}", row.at);
    }
    assert_eq!(whole(store, "GEN-001").await, 3);
}

async fn refused_link_is_audited_with_its_error(store: &dyn Store) {
    store.refuse_link(&refused("GEN-001"), &receipt("1")).await.unwrap();
    store.link_account(&link("GEN-001", "7"), &receipt("2")).await.unwrap();
    store.link_account(&link("GEN-001", "8"), &receipt("3")).await.unwrap();
    let started_before = Link {
        access_epoch: -1,
        ..link("GEN-001", "7")
    };
    store.link_account(&started_before, &receipt("4")).await.unwrap();
    let late = store.link_account(&link("GEN-001", "7"), &late_receipt("5")).await;
    late.unwrap_err();

    assert_eq!(
        audited(store, "GEN-001").await,
        [
            ["link_refused", "github", "oauth_failed"],
            ["account_linked", "github 7", "ok"],
            ["link_refused", "github 8", "already_connected"],
            ["link_refused", "github 7", "conflict"],
            ["link_refused", "github 7", "timeout"],
        ]
    );
    assert_eq!(whole(store, "GEN-001").await, 5);
}

async fn revocation_of_all_access_is_audited_per_account(store: &dyn Store) {
    store.link_account(&link("GEN-001", "7"), &receipt("1")).await.unwrap();
    let all = RevokeAll {
        user: user("GEN-001"),
        confirmation: [1; 32],
        record: &|_accounts| RevokeAllRecord {
            events: Vec::new(),
            receipt: receipt("2"),
        },
    };
    store.revoke_all(&all).await.unwrap();
    store.revoke_all(&all).await.unwrap();
    assert_eq!(
        audited(store, "GEN-001").await[1..],
        [
            ["account_unlinked", "github 7", "ok"],
            ["access_revoked", "1 accounts", "ok"],
        ]
    );
    assert_eq!(whole(store, "GEN-001").await, 3);
}

async fn job_delivered_twice_is_audited_once(store: &dyn Store) {
    store.link_account(&link("GEN-001", "7"), &receipt("1")).await.unwrap();
    let again = store.link_account(&link("GEN-001", "7"), &receipt("1")).await;
    assert!(matches!(again.unwrap(), LinkOutcome::Repeated(_)));
    assert_eq!(whole(store, "GEN-001").await, 1);
}

async fn operation_without_change_is_not_audited(store: &dyn Store) {
    store.unlink_account(&unlink("GEN-001"), &receipt("1")).await.unwrap();
    store.access_epoch(&user("GEN-001")).await.unwrap();
    assert_eq!(whole(store, "GEN-001").await, 0);
    assert_eq!(store.next_audited_user(None).await.unwrap(), None);
}

async fn alert_and_acknowledgement_are_audited_once(store: &dyn Store) {
    let (user, raised) = (user("GEN-001"), alert("GEN-001", "a"));
    for _ in 0..2 {
        store.raise_alert(&raised, &receipt("1")).await.unwrap();
    }
    for known in ["a", "a", "another"] {
        let acknowledged = store
            .acknowledge_alert(&user, &alert_id(known), &sign_in("s"), &receipt("2"))
            .await;
        let expected = match known {
            "a" => Acknowledged::Yes,
            _ => Acknowledged::Unknown,
        };
        assert_eq!(acknowledged.unwrap(), expected);
    }
    let late = store.raise_alert(&alert("GEN-001", "b"), &late_receipt("3")).await;
    assert!(matches!(late, Err(StoreError::TooLate(_))), "{late:?}");
    assert_eq!(
        audited(store, "GEN-001").await,
        [
            ["alert_raised", "suspicious_login a", "ok"],
            ["alert_acknowledged", "suspicious_login a", "ok"],
        ]
    );
    assert_eq!(whole(store, "GEN-001").await, 2);
}

async fn confirmation_is_audited_and_its_answer_repeated(store: &dyn Store) {
    let (user, receipt) = (user("GEN-001"), receipt("1"));
    let issued = |receipt| store.record_confirmation(&user, "security:revoke_all", receipt);
    assert_eq!(issued(&receipt).await.unwrap(), WriteOutcome::Committed);
    assert_eq!(
        issued(&receipt).await.unwrap(),
        WriteOutcome::Repeated(encrypted("answer to 1"))
    );
    let late = late_receipt("2");
    let late = issued(&late).await;
    assert!(matches!(late, Err(StoreError::TooLate(_))), "{late:?}");
    assert_eq!(
        audited(store, "GEN-001").await,
        [["confirmation_issued", "security:revoke_all", "ok"]]
    );
}

async fn refusals_are_audited_with_their_count_once_per_job(store: &dyn Store) {
    let refused = [
        ("account:connect", ErrorCode::Forbidden, 3),
        ("account:sync", ErrorCode::RateLimited, 200),
    ];
    let refused = refused.map(|(command, error, count)| RefusedCommand {
        command: command.to_owned(),
        error,
        count,
    });
    let caller = user("GEN-001");
    let written = store.record_refusals(&caller, &refused, &receipt("1")).await.unwrap();
    assert_eq!(written, WriteOutcome::Committed);
    let again = store.record_refusals(&caller, &refused, &receipt("1")).await.unwrap();
    assert_eq!(again, WriteOutcome::Repeated(encrypted("answer to 1")));
    let late = store.record_refusals(&caller, &refused, &late_receipt("2")).await;
    assert!(matches!(late, Err(StoreError::TooLate(_))), "{late:?}");

    assert_eq!(
        audited(store, "GEN-001").await,
        [
            ["command_refused", "account:connect", "forbidden"],
            ["command_refused", "account:sync", "rate_limited"],
        ]
    );
    let counts: Vec<_> = rows(store, "GEN-001").await.iter().map(|row| row.count).collect();
    assert_eq!(counts, [3, 200]);
    assert_eq!(whole(store, "GEN-001").await, 2);
}

async fn every_audited_user_is_listed(store: &dyn Store) {
    // Sorted by bytes, whatever the database's collation.
    let users = ["GEN-10", "GEN-9", "Gen 1", "a", "~"];
    for name in users {
        store.link_account(&link(name, name), &receipt(name)).await.unwrap();
    }
    let mut found: Vec<String> = Vec::new();
    while let Some(next) = store.next_audited_user(found.last().map(String::as_str)).await.unwrap() {
        assert_eq!(whole(store, &next).await, 1);
        found.push(next);
    }
    assert_eq!(found, users);
}

async fn long_chain_is_read_in_pages(store: &dyn Store) {
    for number in 0..7 {
        let job = number.to_string();
        store.link_account(&link("GEN-001", "7"), &receipt(&job)).await.unwrap();
    }
    let numbers = async |after, up_to, limit| {
        let rows = store.audit_rows("GEN-001", after, up_to, limit).await.unwrap();
        rows.iter().map(|row| row.seq).collect::<Vec<_>>()
    };
    assert_eq!(numbers(i64::MIN, 7, 3).await, [1, 2, 3]);
    assert_eq!(numbers(3, 7, 3).await, [4, 5, 6]);
    assert_eq!(numbers(6, i64::MAX, 3).await, [7]);
    assert_eq!(numbers(1, 2, 3).await, [2]);
    let tip = store.audit_tip("GEN-001").await.unwrap();
    assert_eq!(tip.last, Some(7));
    let last = store.audit_rows("GEN-001", 6, 7, 1).await.unwrap().remove(0);
    let (user, seq, mac) = (last.user, last.seq, last.mac);
    let erased = None;
    assert_eq!(tip.head, Some(ChainHead { user, seq, mac, erased }));
}

async fn head_is_unlogged_until_marked_and_again_after_it_moves(store: &dyn Store) {
    store.link_account(&link("GEN-001", "7"), &receipt("1")).await.unwrap();
    store.link_account(&link("GEN-002", "8"), &receipt("2")).await.unwrap();
    let both = store.unlogged_heads(None, 9).await.unwrap();
    let users: Vec<_> = both.iter().map(|head| head.user.as_str()).collect();
    assert_eq!(users, ["GEN-001", "GEN-002"]);
    assert_eq!(store.unlogged_heads(None, 1).await.unwrap(), both[..1]);
    assert_eq!(store.unlogged_heads(Some("GEN-001"), 9).await.unwrap(), both[1..]);

    store.unlink_account(&unlink("GEN-001"), &receipt("3")).await.unwrap();
    // The head has moved since, so it remains unlogged.
    store.mark_heads_logged(&both).await.unwrap();
    let moved = store.unlogged_heads(None, 9).await.unwrap();
    assert_eq!((moved.len(), moved[0].seq), (1, 2));
    store.mark_heads_logged(&moved).await.unwrap();
    assert!(store.unlogged_heads(None, 9).await.unwrap().is_empty());
}

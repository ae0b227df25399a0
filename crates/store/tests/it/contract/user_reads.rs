//! Contract of the reads for the application: devices, states of accounts, pages of alerts and of the audit log.

use std::cmp::Reverse;
use std::time::Duration;

use lifecycle::{Clock, SystemClock};
use protocol::account::AccountType;
use protocol::api::AlertState;
use protocol::cluster::job::RefusedCommand;
use protocol::code::ErrorCode;
use protocol::security::Alert;
use protocol::time::Timestamp;
use store::{AlertPageQuery, AuditFilter, AuditFound, Link, SignInCheck, Store, StoreError, verify_audit};
use testkit::wait;

use crate::sample::{
    account, alert, alert_id, audit_keys, late_receipt, link, link_without_tokens, origin, receipt, renewable, sign_in,
    user,
};

super::kept_by_both_stores!(
    devices_and_networks_are_listed_with_the_last_seen_first,
    account_state_has_its_syncs_and_no_token,
    alerts_are_found_by_state_with_the_newest_first,
    pages_of_alerts_do_not_move_while_alerts_are_raised,
    long_alerts_shorten_found_pages,
    audit_log_is_read_in_pages_with_the_newest_first_and_each_read_is_recorded,
    audit_rows_are_found_by_action_and_time,
    audit_read_that_is_not_recorded_returns_nothing,
);

async fn devices_and_networks_are_listed_with_the_last_seen_first(store: &dyn Store) {
    for (device, address) in [
        ("phone", "192.0.2.1"),
        ("laptop", "198.51.100.1"),
        ("phone", "192.0.2.2"),
    ] {
        let sign_in_check = SignInCheck {
            user: &user("GEN-001"),
            sign_in: &sign_in("s"),
            from: &origin(address, device),
            alert_rules: &|_findings| Vec::new(),
            receipt: &receipt("arrived"),
        };
        store.check_sign_in(&sign_in_check).await.unwrap();
        // Times are kept in milliseconds.
        let now = || Timestamp::from(SystemClock.now());
        let checked = now();
        wait::until_true("the next millisecond", wait::deadline(), async || now() > checked).await;
    }
    let seen = store.devices(&user("GEN-001")).await.unwrap();
    let of_kind = |kind: &str| -> Vec<_> {
        let of_kind = seen.iter().filter(|seen| seen.kind == kind);
        of_kind.map(|seen| seen.name.clone()).collect()
    };
    assert_eq!(of_kind("device"), ["phone", "laptop"]);
    assert_eq!(of_kind("network"), ["192.0.2.0/24", "198.51.100.0/24"]);
    assert!(seen.is_sorted_by_key(|seen| Reverse(seen.seen_at)));
    assert!(store.devices(&user("GEN-002")).await.unwrap().is_empty());
}

async fn account_state_has_its_syncs_and_no_token(store: &dyn Store) {
    let github = Link {
        tokens: Some(renewable("7")),
        ..link("GEN-001", "7")
    };
    let discord = Link {
        account: account(AccountType::Discord, "8"),
        ..link_without_tokens("GEN-001", "8")
    };
    store.link_account(&github, &receipt("1")).await.unwrap();
    store.link_account(&discord, &receipt("2")).await.unwrap();
    let states = store.account_states(&user("GEN-001")).await.unwrap();
    let accounts: Vec<_> = states.iter().map(|state| &state.account).collect();
    assert_eq!(accounts, [&discord.account, &github.account]);
    let [discord, github] = states.as_slice() else {
        panic!("{states:?}");
    };
    assert!(github.has_refresh_token && !discord.has_refresh_token);
    let expiry = renewable("7").expires_at;
    assert_eq!((github.token_expires_at, discord.token_expires_at), (expiry, None));
    for state in &states {
        assert_eq!(
            (state.is_disconnected, state.failures, state.paused_until),
            (false, 0, None)
        );
        assert!(state.next_sync_at > Timestamp::from_millis(1_700_000_000_000));
    }
    assert!(store.account_states(&user("GEN-002")).await.unwrap().is_empty());
}

/// Raises alerts of these names; only those in upper case require action.
async fn raise(store: &dyn Store, names: &[&str]) {
    for name in names {
        let raised = Alert {
            requires_action: name.chars().all(char::is_uppercase),
            ..alert("GEN-001", name)
        };
        store.raise_alert(&raised, &receipt("raised")).await.unwrap();
    }
}

/// Names of a page of the user's alerts, and the position of the next one.
async fn page(store: &dyn Store, state: Option<AlertState>, before: Option<i64>) -> (Vec<String>, Option<i64>) {
    let query = AlertPageQuery {
        state,
        before,
        limit: 2,
    };
    let found = store.find_alerts(&user("GEN-001"), &query).await.unwrap();
    for alert in &found.alerts {
        assert_eq!(alert.alert.user_id, user("GEN-001"));
        let is_acknowledged = state == Some(AlertState::Acknowledged);
        assert!(alert.acknowledged_at.is_some() || !is_acknowledged);
    }
    let names = found.alerts.into_iter().map(|found| found.alert.alert_id.to_string());
    (names.collect(), found.next)
}

async fn pages(store: &dyn Store, state: Option<AlertState>) -> Vec<Vec<String>> {
    let (mut pages, mut before) = (Vec::new(), None);
    loop {
        let (names, next) = page(store, state, before).await;
        pages.push(names);
        if next.is_none() {
            return pages;
        }
        before = next;
    }
}

async fn alerts_are_found_by_state_with_the_newest_first(store: &dyn Store) {
    assert_eq!(page(store, None, None).await, (Vec::new(), None));
    raise(store, &["A", "B", "c", "D", "E"]).await;
    store
        .raise_alert(&alert("GEN-002", "theirs"), &receipt("raised"))
        .await
        .unwrap();
    for name in ["B", "c"] {
        store
            .acknowledge_alert(&user("GEN-001"), &alert_id(name), &sign_in("s"), &receipt("seen"))
            .await
            .unwrap();
    }
    assert_eq!(pages(store, None).await, [vec!["E", "D"], vec!["c", "B"], vec!["A"]]);
    assert_eq!(pages(store, Some(AlertState::Open)).await, [vec!["E", "D"], vec!["A"]]);
    assert_eq!(pages(store, Some(AlertState::Acknowledged)).await.concat(), ["c", "B"]);
}

async fn pages_of_alerts_do_not_move_while_alerts_are_raised(store: &dyn Store) {
    raise(store, &["A", "B", "C", "D"]).await;
    let (first, next) = page(store, None, None).await;
    assert_eq!(first, ["D", "C"]);
    raise(store, &["E", "F"]).await;
    assert_eq!(page(store, None, next).await.0, ["B", "A"]);
}

async fn long_alerts_shorten_found_pages(store: &dyn Store) {
    for name in ["A", "B"] {
        let long = Alert {
            message: "x".repeat(60 * 1024),
            ..alert("GEN-001", name)
        };
        store.raise_alert(&long, &receipt("raised")).await.unwrap();
    }
    assert_eq!(pages(store, None).await, [["B"], ["A"]]);
}

/// Records refusals of commands of these names, one row each.
async fn record(store: &dyn Store, job: &str, commands: &[&str]) {
    let refused: Vec<_> = commands
        .iter()
        .map(|command| RefusedCommand {
            command: (*command).to_owned(),
            error: ErrorCode::RateLimited,
            count: 1,
        })
        .collect();
    store
        .record_refusals(&user("GEN-001"), &refused, &receipt(job))
        .await
        .unwrap();
}

async fn read(store: &dyn Store, filter: &AuditFilter, job: &str) -> AuditFound {
    store.read_audit(&user("GEN-001"), filter, &receipt(job)).await.unwrap()
}

fn numbers(found: &AuditFound) -> Vec<i64> {
    found.rows.iter().map(|(row, _)| row.seq).collect()
}

async fn audit_log_is_read_in_pages_with_the_newest_first_and_each_read_is_recorded(store: &dyn Store) {
    record(store, "1", &["a", "b", "c", "d", "e"]).await;
    let mut filter = AuditFilter {
        limit: 2,
        ..AuditFilter::default()
    };
    let first = read(store, &filter, "2").await;
    assert_eq!((numbers(&first), first.next), (vec![5, 4], Some(4)));
    // Rows are added between the pages, by the reads too.
    record(store, "3", &["f"]).await;
    filter.before = first.next;
    let second = read(store, &filter, "4").await;
    assert_eq!((numbers(&second), second.next), (vec![3, 2], Some(2)));
    filter.before = second.next;
    let last = read(store, &filter, "5").await;
    assert_eq!((numbers(&last), last.next), (vec![1], None));

    let all = AuditFilter {
        limit: 100,
        ..AuditFilter::default()
    };
    let found = read(store, &all, "6").await;
    let recorded: Vec<_> = found
        .rows
        .iter()
        .map(|(row, personal)| (row.action.as_str(), personal.subject.as_str()))
        .collect();
    assert_eq!(
        recorded[..4],
        [
            ("audit_read", "all actions before row 2"),
            ("audit_read", "all actions before row 4"),
            ("command_refused", "f"),
            ("audit_read", "all actions"),
        ]
    );
    assert_eq!((numbers(&found), found.next), ((1..=9).rev().collect(), None));
    assert_eq!(verify_audit(store, &audit_keys(), "GEN-001", &[]).await.unwrap(), 10);
}

async fn audit_rows_are_found_by_action_and_time(store: &dyn Store) {
    store.link_account(&link("GEN-001", "7"), &receipt("1")).await.unwrap();
    record(store, "2", &["a", "b"]).await;
    let linked = AuditFilter {
        action: Some("account_linked".to_owned()),
        limit: 100,
        ..AuditFilter::default()
    };
    let found = read(store, &linked, "3").await;
    let [(row, personal)] = found.rows.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!((row.seq, found.next), (1, None));
    assert_eq!(
        [&personal.subject, &personal.address, &personal.device],
        ["github 7", "192.0.2.7", "device"]
    );

    let at = Timestamp::from_millis(row.at);
    let millisecond = Duration::from_millis(1);
    let between = |since: Option<Timestamp>, until: Option<Timestamp>| AuditFilter {
        since,
        until,
        ..linked.clone()
    };
    for (since, until, expected) in [
        (Some(at), Some(at.plus(millisecond)), 1),
        (Some(at), None, 1),
        (None, Some(at.plus(millisecond)), 1),
        (None, Some(at), 0),
        (Some(at.plus(millisecond)), None, 0),
        (Some(at.plus(millisecond)), Some(at), 0),
    ] {
        let found = read(store, &between(since, until), "4").await;
        assert_eq!(found.rows.len(), expected, "{since:?} {until:?}");
    }
    let none = store
        .read_audit(&user("GEN-002"), &linked, &receipt("5"))
        .await
        .unwrap();
    assert!(none.rows.is_empty() && none.next.is_none(), "{none:?}");
}

async fn audit_read_that_is_not_recorded_returns_nothing(store: &dyn Store) {
    record(store, "1", &["a"]).await;
    let filter = AuditFilter {
        limit: 1,
        ..AuditFilter::default()
    };
    let late = store
        .read_audit(&user("GEN-001"), &filter, &late_receipt("2"))
        .await
        .unwrap_err();
    assert!(matches!(late, StoreError::TooLate(_)), "{late:?}");
    assert_eq!(numbers(&read(store, &filter, "3").await), [1]);
}

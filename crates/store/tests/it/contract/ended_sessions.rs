//! Contract of ended sessions: every operation on their behalf is refused.

use std::time::Duration;

use protocol::account::AccountType;
use protocol::cluster::job::{JobOutcome, RefusedCommand};
use protocol::code::ErrorCode;
use store::{
    Actor, EndSessionsOutcome, EndSessionsRequest, Exchange, ExchangeStart, LinkOutcome, Pause, PauseScope,
    PendingLinkOutcome, PreviousAnswer, Receipt, Recognition, RevokeAll, RevokeAllOutcome, RevokeAllRecord,
    SecurityChange, SecurityDecision, SecurityEffect, SecurityRecord, SessionOpenRequest, SessionSelector, SignInCheck,
    Store, StoreError, SyncLeaseOutcome, SyncOutcome, WriteOutcome,
};

use super::queue::leased_tasks;
use super::sessions::Redis;
use super::syncs::taken;
use crate::recorder::relayed;
use crate::sample::{
    actor, alert, alert_id, encrypted, event, idempotency, job, link, origin, pending_link, receipt, receipt_with_key,
    refused, session, sign_in, sync, unlink, user,
};

super::kept_by_both_stores!(
    ended_session_changes_nothing,
    ended_session_starts_no_platform_call,
    sync_of_an_ended_session_stores_only_the_pause,
    link_of_an_ended_session_is_revoked,
    failed_link_of_an_ended_session_revokes_what_was_issued,
    pending_link_of_an_ended_session_is_revoked_and_not_confirmed,
    ended_session_receives_only_the_answer_of_its_own_job,
    ended_session_cannot_end_others,
    other_actors_are_unaffected_by_an_ended_session,
);

const LONG: Duration = Duration::from_secs(3_600);

/// Opens the session of these tests.
async fn open(store: &dyn Store) {
    let opening = SessionOpenRequest {
        user: user("GEN-001"),
        session: session(),
        issued_at: None,
        expires_at: None,
        latest_expiry: None,
        timeout: LONG,
        origin: origin("192.0.2.1", "phone"),
    };
    store.open_session(&opening, None).await.unwrap();
}

/// Opens the session, which another session then ends.
async fn end(store: &dyn Store) {
    open(store).await;
    let ending = EndSessionsRequest {
        user: user("GEN-001"),
        which: SessionSelector::One(session()),
        alive: &[],
        announcer: &Redis::with(&[]),
        notice: &|_| event("the end"),
    };
    let ended = store.end_sessions(&ending, &|_| by_system("end")).await.unwrap();
    assert_eq!(ended, EndSessionsOutcome::Ended(1));
    assert_eq!(relayed(store, &user("GEN-001")).await.last().unwrap(), "the end");
}

fn by_system(job: &str) -> Receipt {
    Receipt {
        actor: Actor::System(session()),
        ..receipt(job)
    }
}

#[track_caller]
fn is_refused<T: std::fmt::Debug>(outcome: Result<T, StoreError>) {
    assert!(matches!(outcome, Err(StoreError::SessionEnded(_))), "{outcome:?}");
}

async fn audited(store: &dyn Store) -> Vec<String> {
    let rows = store.audit_rows("GEN-001", 0, i64::MAX, 100).await.unwrap();
    rows.iter()
        .map(|row| format!("{} {}", row.action, row.result))
        .collect()
}

async fn ended_session_changes_nothing(store: &dyn Store) {
    let user = user("GEN-001");
    store
        .link_account(&link("GEN-001", "7"), &receipt("link"))
        .await
        .unwrap();
    store
        .raise_alert(&alert("GEN-001", "a-1"), &by_system("raise"))
        .await
        .unwrap();
    end(store).await;
    let before = audited(store).await;
    is_refused(store.unlink_account(&unlink("GEN-001"), &receipt("1")).await);
    let all = RevokeAll {
        user: user.clone(),
        confirmation: [1; 32],
        record: &|_| RevokeAllRecord {
            events: vec![event("revoked")],
            receipt: receipt("2"),
        },
    };
    is_refused(store.revoke_all(&all).await);
    let change = |_: &SecurityRecord, _| {
        Ok(SecurityDecision::Change(Box::new(SecurityChange {
            record: SecurityRecord::default(),
            events: vec![event("changed")],
            outcome: JobOutcome::done(),
            receipt: None,
            audit_events: Vec::new(),
            effect: SecurityEffect::Nothing,
        })))
    };
    is_refused(store.decide_security(&user, &actor(), &change).await);
    is_refused(
        store
            .acknowledge_alert(&user, &alert_id("a-1"), &sign_in("another"), &receipt("3"))
            .await,
    );
    is_refused(
        store
            .record_confirmation(&user, "security:revoke_all", &receipt("4"))
            .await,
    );
    is_refused(store.count_factor_failure(&user, &session()).await);
    assert_eq!(store.accounts(&user).await.unwrap().len(), 1);
    assert_eq!(store.access_epoch(&user).await.unwrap(), 0);
    assert_eq!(store.open_alerts(&user).await.unwrap().len(), 1);
    assert_eq!(relayed(store, &user).await, Vec::<String>::new());
    assert_eq!(audited(store).await, before);
}

async fn ended_session_starts_no_platform_call(store: &dyn Store) {
    let exchange = |of| Exchange {
        user: user("GEN-001"),
        session: of,
        account: AccountType::Github,
        code_hash: [1; 32],
        state_hash: None,
    };
    end(store).await;
    is_refused(store.begin_exchange(&exchange(session())).await);
    let other = protocol::id::SessionId::new("another").unwrap();
    assert_eq!(
        store.begin_exchange(&exchange(other)).await.unwrap(),
        ExchangeStart::First,
        "the code was not used up"
    );
}

async fn sync_of_an_ended_session_stores_only_the_pause(store: &dyn Store) {
    let user = user("GEN-001");
    store
        .link_account(&link("GEN-001", "7"), &receipt("link"))
        .await
        .unwrap();
    let taken = taken(store).await;
    end(store).await;
    is_refused(store.lease_sync((&user, &session()), AccountType::Github, LONG).await);
    is_refused(store.begin_sync(&taken.lease, &session(), &event("syncing")).await);
    let paused = store::FinishedSync {
        pause: Some(Pause {
            wait: LONG,
            scope: PauseScope::Account,
        }),
        ..sync(&taken.lease, "7", &["synced"])
    };
    let written = store.finish_sync(&paused, Some(&receipt("1"))).await.unwrap();
    assert_eq!(written, SyncOutcome::SessionEnded);
    assert_eq!(relayed(store, &user).await, Vec::<String>::new());
    let other = protocol::id::SessionId::new("another").unwrap();
    let taking = store
        .lease_sync((&user, &other), AccountType::Github, LONG)
        .await
        .unwrap();
    assert!(matches!(taking, SyncLeaseOutcome::Paused(_)), "{taking:?}");
}

async fn link_of_an_ended_session_is_revoked(store: &dyn Store) {
    end(store).await;
    let link = link("GEN-001", "7");
    let linked = store.link_account(&link, &receipt("1")).await.unwrap();
    assert_eq!(linked, LinkOutcome::SessionEnded);
    assert!(store.accounts(&link.user).await.unwrap().is_empty());
    assert_eq!(relayed(store, &link.user).await, Vec::<String>::new());
    let revoked: Vec<_> = leased_tasks(store)
        .await
        .into_iter()
        .map(|task| task.revocation.platform_user_id)
        .collect();
    assert_eq!(revoked, ["7"]);
    assert_eq!(audited(store).await, ["session_ended ok", "link_refused forbidden"]);
}

async fn failed_link_of_an_ended_session_revokes_what_was_issued(store: &dyn Store) {
    end(store).await;
    let refused = store::RefusedLink {
        revocation: link("GEN-001", "7").revocation,
        ..refused("GEN-001")
    };
    assert_eq!(
        store.refuse_link(&refused, &receipt("1")).await.unwrap(),
        WriteOutcome::Committed
    );
    assert_eq!(leased_tasks(store).await.len(), 1);
    assert_eq!(
        relayed(store, &refused.user).await,
        Vec::<String>::new(),
        "no event is published"
    );
}

async fn pending_link_of_an_ended_session_is_revoked_and_not_confirmed(store: &dyn Store) {
    let waiting = pending_link("GEN-001", "7", 1);
    assert_eq!(
        store.add_pending_link(&waiting, &receipt("park")).await.unwrap(),
        PendingLinkOutcome::Pending
    );
    end(store).await;
    let late = pending_link("GEN-001", "8", 2);
    assert_eq!(
        store.add_pending_link(&late, &receipt("1")).await.unwrap(),
        PendingLinkOutcome::SessionEnded
    );
    assert_eq!(store.pending_link(&late.user, &late.id).await.unwrap(), None);
    let confirmed = store::Link {
        pending_link: Some(waiting.id),
        ..link("GEN-001", "7")
    };
    for job in ["2", "3"] {
        let linked = store.link_account(&confirmed, &receipt(job)).await.unwrap();
        assert_eq!(linked, LinkOutcome::SessionEnded);
    }
    assert_eq!(store.pending_link(&waiting.user, &waiting.id).await.unwrap(), None);
    let revoked = leased_tasks(store)
        .await
        .into_iter()
        .map(|task| task.revocation.platform_user_id);
    let mut revoked: Vec<_> = revoked.collect();
    revoked.sort();
    assert_eq!(revoked, ["7", "8"], "each once");
}

async fn ended_session_receives_only_the_answer_of_its_own_job(store: &dyn Store) {
    let (user, key) = (user("GEN-001"), idempotency(1, 1));
    let link = link("GEN-001", "7");
    store
        .link_account(&link, &receipt_with_key("done", &key))
        .await
        .unwrap();
    end(store).await;
    let asker = (&user, &actor());
    let answer = encrypted("answer to done");
    assert_eq!(
        store.previous_answer(asker, &job("done"), Some(&key)).await.unwrap(),
        PreviousAnswer::Answer(answer.clone())
    );
    assert_eq!(
        store
            .link_account(&link, &receipt_with_key("done", &key))
            .await
            .unwrap(),
        LinkOutcome::Repeated(answer.clone())
    );
    is_refused(store.previous_answer(asker, &job("again"), Some(&key)).await);
    is_refused(store.previous_answer(asker, &job("new"), None).await);
    is_refused(
        store
            .unlink_account(&unlink("GEN-001"), &receipt_with_key("again", &key))
            .await,
    );
    let system = (&user, &Actor::System(session()));
    assert_eq!(
        store.previous_answer(system, &job("new"), None).await.unwrap(),
        PreviousAnswer::Nothing
    );
}

async fn ended_session_cannot_end_others(store: &dyn Store) {
    end(store).await;
    let other = protocol::id::SessionId::new("another").unwrap();
    let opening = SessionOpenRequest {
        user: user("GEN-001"),
        session: other.clone(),
        issued_at: None,
        expires_at: None,
        latest_expiry: None,
        timeout: LONG,
        origin: origin("192.0.2.1", "phone"),
    };
    store.open_session(&opening, None).await.unwrap();
    let ending = EndSessionsRequest {
        user: user("GEN-001"),
        which: SessionSelector::AllExcept(session()),
        alive: &[],
        announcer: &Redis::with(&[]),
        notice: &|_| event("another end"),
    };
    is_refused(store.end_sessions(&ending, &|_| receipt("1")).await);
    assert!(!store.is_session_ended(&user("GEN-001"), &other).await.unwrap());
}

async fn other_actors_are_unaffected_by_an_ended_session(store: &dyn Store) {
    let user = user("GEN-001");
    end(store).await;
    store
        .raise_alert(&alert("GEN-001", "a-1"), &by_system("1"))
        .await
        .unwrap();
    let refusals = [RefusedCommand {
        command: "security:ack".to_owned(),
        error: ErrorCode::Forbidden,
        count: 1,
    }];
    let recorded = store.record_refusals(&user, &refusals, &by_system("2")).await.unwrap();
    assert_eq!(recorded, WriteOutcome::Committed);
    let sign_in_check = SignInCheck {
        user: &user,
        sign_in: &sign_in("another"),
        from: &origin("192.0.2.7", "phone"),
        alert_rules: &|_| Vec::new(),
        receipt: &by_system("3"),
    };
    assert_eq!(
        store.check_sign_in(&sign_in_check).await.unwrap().device,
        Recognition::First
    );
    let all = RevokeAll {
        user: user.clone(),
        confirmation: [1; 32],
        record: &|_| RevokeAllRecord {
            events: Vec::new(),
            receipt: by_system("4"),
        },
    };
    assert_eq!(store.revoke_all(&all).await.unwrap(), RevokeAllOutcome::Revoked(0));
}

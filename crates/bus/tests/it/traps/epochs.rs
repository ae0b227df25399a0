//! Redis that lost data: a gap must be reported, never hidden.

use bus::{
    BusError, Hint, LogRead, PublishOutcome, PublishPhase, RecordedSignIn, ResumeToken, ResumeTokenKey, SessionKey,
    SessionState,
};
use protocol::cluster::origin::Origin;
use protocol::id::{ConnectionId, ResumeTokenId, SessionId};
use protocol::time::Timestamp;
use testkit::{Redis, wait};

use crate::nodes::{TestSubscriptions, connect, until_live};
use crate::sample::{MINUTE, event, offset, publish, publish_in, publish_with_retry, user};

#[tokio::test]
async fn flushed_redis_starts_new_epochs() {
    let mut redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    let mut subscriptions = TestSubscriptions::open(&*bus).await;
    subscriptions.handle.subscribe(&user).await.unwrap();
    let before = publish(&*bus, &user, 1).await;
    redis.restart().await;
    subscriptions.missed().await;
    until_live(&*bus, &subscriptions, true).await;

    let LogRead::Gap(now) = bus.read_log(&user, &before, 9).await.unwrap() else {
        panic!("lost log read as complete");
    };
    assert_ne!(now.epoch, before.epoch);
    let after = publish(&*bus, &user, 2).await;
    assert_eq!((&after.epoch, after.seq), (&now.epoch, 1));
    subscriptions.until(&after).await;
}

#[tokio::test]
async fn restart_from_a_snapshot_assigns_no_offset_twice() {
    let mut redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    publish(&*bus, &user, 1).await;
    redis.command(&["SAVE"]).await;
    let unsaved = publish(&*bus, &user, 2).await;
    redis.restart().await;
    assert_eq!(redis.command(&["EXISTS", "pn:{GEN-001}:pos"]).await, "1");
    wait::until_true("the bus to be live", wait::deadline(), async || {
        bus.offsets(std::slice::from_ref(&user)).await.is_ok()
    })
    .await;

    let offset = publish(&*bus, &user, 3).await;
    assert_ne!(offset, unsaved);
    assert_ne!(offset.epoch, unsaved.epoch);
    assert_eq!(bus.read_log(&user, &unsaved, 9).await.unwrap(), LogRead::Gap(offset));
}

#[tokio::test]
async fn new_primary_starts_new_epochs() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    let before = publish(&*bus, &user, 1).await;
    // As a promoted replica does: the same data under a new replication id.
    redis.command(&["DEBUG", "CHANGE-REPL-ID"]).await;
    let after = publish(&*bus, &user, 2).await;
    assert_ne!(after.epoch, before.epoch);
    assert_eq!(after.seq, 1);
    assert_eq!(
        redis.command(&["XLEN", "pn:{GEN-001}:log"]).await,
        "1",
        "the log of the earlier epoch is deleted"
    );

    redis.command(&["DEBUG", "CHANGE-REPL-ID"]).await;
    let asked = offset(&*bus, &user).await;
    assert_ne!(asked.epoch, after.epoch, "reading the offset starts the new epoch");
    let key = ResumeTokenKey {
        user: user.clone(),
        id: ResumeTokenId::new("t-1").unwrap(),
    };
    let token = ResumeToken {
        session: SessionId::new("s-1").unwrap(),
        connection: ConnectionId::new("c-1").unwrap(),
        start: asked.clone(),
    };
    bus.issue_token(&key, &token, 128).await.unwrap();
    redis.command(&["DEBUG", "CHANGE-REPL-ID"]).await;
    assert_eq!(
        bus.redeem_token(&key, &token.session, Timestamp::from_millis(1))
            .await
            .unwrap(),
        None,
        "its offset is of an earlier epoch"
    );
    assert!(matches!(bus.read_log(&user, &asked, 9).await.unwrap(), LogRead::Gap(now) if now.epoch != asked.epoch));
}

/// A script may stop between the deletion of the log of an earlier epoch and the first write to the new one, while its slot migrates.
/// Were the id of the event recorded before, its repetition would be taken for a duplicate.
#[tokio::test]
async fn publish_under_a_new_primary_writes_nothing_before_the_epoch_has_started() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    publish(&*bus, &user, 1).await;
    redis.command(&["DEBUG", "CHANGE-REPL-ID"]).await;
    let before = redis.command(&["DEBUG", "DIGEST"]).await;
    let refused = publish_in(&*bus, PublishPhase::AfterRestore, &user, 2).await;
    assert_eq!(refused, PublishOutcome::Unrestored);
    assert_eq!(redis.command(&["DEBUG", "DIGEST"]).await, before);
    let epoch = bus.unrestored_epoch(&user).await.unwrap().unwrap();
    let restored = publish_in(&*bus, PublishPhase::DuringRestore(&epoch), &user, 1).await;
    assert_eq!(restored, PublishOutcome::Duplicate, "the server still has its id");
    assert!(bus.mark_restored(&user, &epoch).await.unwrap());
    let published = publish_in(&*bus, PublishPhase::AfterRestore, &user, 2).await;
    assert!(matches!(published, PublishOutcome::Assigned(offset) if offset.epoch == epoch && offset.seq == 1));
}

#[tokio::test]
async fn temporary_replica_is_used_again() {
    let (redis, other) = (Redis::start().await, Redis::start().await);
    let bus = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    let mut subscriptions = TestSubscriptions::open(&*bus).await;
    subscriptions.handle.subscribe(&user).await.unwrap();
    let before = publish(&*bus, &user, 1).await;
    let port = other.port().to_string();
    redis.command(&["REPLICAOF", "127.0.0.1", &port]).await;
    let error = bus.publish(&user, &event(2)).await.unwrap_err();
    assert!(matches!(error, BusError::Unavailable { .. }), "{error:?}");
    redis.command(&["REPLICAOF", "NO", "ONE"]).await;
    publish_with_retry(&*bus, &user, 2).await;
    let after = offset(&*bus, &user).await;
    assert_ne!(after.epoch, before.epoch);
    subscriptions.until(&after).await;
}

#[tokio::test]
async fn lost_log_is_reported_as_gap() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    let first = publish(&*bus, &user, 1).await;
    publish(&*bus, &user, 2).await;
    redis.command(&["DEL", "pn:{GEN-001}:log"]).await;
    assert!(matches!(bus.read_log(&user, &first, 9).await.unwrap(), LogRead::Gap(_)));
    publish(&*bus, &user, 3).await;
    assert!(
        matches!(bus.read_log(&user, &first, 9).await.unwrap(), LogRead::Gap(_)),
        "gap read as complete"
    );
}

#[tokio::test]
async fn hints_of_another_primary_are_ignored() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    let from = Origin {
        address: "192.0.2.1".to_owned(),
        device_id: None,
        device_name: None,
        user_agent: None,
    };
    bus.mark_seen(&user, &from).await.unwrap();
    bus.begin_alert_check(&user, "a").await.unwrap();
    bus.mark_no_open_alerts(&user, "a").await.unwrap();
    let both = Hint {
        seen: true,
        no_open_alerts: true,
    };
    assert_eq!(bus.hint(&user, &from).await.unwrap(), both);
    redis.command(&["DEBUG", "CHANGE-REPL-ID"]).await;
    assert_eq!(bus.hint(&user, &from).await.unwrap(), Hint::default());
    bus.mark_seen(&user, &from).await.unwrap();
    assert!(bus.hint(&user, &from).await.unwrap().seen);
}

#[tokio::test]
async fn sign_in_recorded_under_another_primary_sets_no_hint() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let from = Origin {
        address: "192.0.2.1".to_owned(),
        device_id: None,
        device_name: None,
        user_agent: None,
    };
    let key = SessionKey {
        user: user("GEN-001"),
        session: SessionId::new("s-1").unwrap(),
    };
    bus.begin_alert_check(&key.user, "a").await.unwrap();
    redis.command(&["DEBUG", "CHANGE-REPL-ID"]).await;
    let sign_in = RecordedSignIn {
        check: "a",
        from: &from,
    };
    let opened = bus.seed_signed_in(&key, MINUTE, &sign_in).await.unwrap();
    assert!(matches!(opened, SessionState::Alive(_)), "{opened:?}");
    assert_eq!(bus.hint(&key.user, &from).await.unwrap(), Hint::default());
}

#[tokio::test]
async fn event_of_a_newer_version_is_reported_as_gap() {
    let redis = Redis::start().await;
    let bus = connect(&redis.url(), "pn").await;
    let user = user("GEN-001");
    let start = offset(&*bus, &user).await;
    let first = publish(&*bus, &user, 1).await;
    let newer = r#"{"v":99,"id":"e-2","class":"state","event":"x","data":2}"#;
    redis.command(&["HINCRBY", "pn:{GEN-001}:pos", "seq", "1"]).await;
    redis
        .command(&["XADD", "pn:{GEN-001}:log", "2-0", "event", newer])
        .await;
    let last = publish(&*bus, &user, 3).await;

    let LogRead::Events(events) = bus.read_log(&user, &start, 9).await.unwrap() else {
        panic!("events before it are readable")
    };
    assert_eq!(events.len(), 1);
    assert_eq!(
        bus.read_log(&user, &first, 9).await.unwrap(),
        LogRead::Gap(last.clone())
    );
    assert_eq!(
        bus.read_log(&user, &last, 9).await.unwrap(),
        LogRead::Events(Vec::new())
    );
}
